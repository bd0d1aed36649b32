#!/usr/bin/env python3
"""redis.py CHAT REDIS_PORT: the chat outlives its Redis: it is not there yet, it comes, goes, and comes back. And what the
command line says wrong is named."""

import base64
import queue
import re
import subprocess
import sys
import threading
import time

from browser import get

CHAT, REDIS = sys.argv[1], sys.argv[2]


def refused(*options):
    ran = subprocess.run([CHAT, "--listen=127.0.0.1:0", *options], stderr=subprocess.PIPE, text=True, timeout=10)
    assert ran.returncode == 2, ran
    return ran.stderr


assert 'did you mean session-timeout?' in refused("--sesion-timeout=60s")
assert refused("--session-timeout", "x").startswith('chat: session-timeout: "x" is no duration')
assert 'did you mean sockjs-heartbeat?' in refused("--sockjs-heartbeet=2s")
assert "duplicate key: rules = " in refused("--rules=open")
assert "write redis://HOST:PORT" in refused("--redis=rediss://127.0.0.1:6379")
assert "write redis://HOST:PORT" in refused("--redis=redis://127.0.0.1:6379/1")
assert "write HOST:PORT" in refused("--listen=8080")
assert "--NAME=VALUE" in refused("8080")

chat = subprocess.Popen([CHAT, "--listen", "127.0.0.1:0", "--redis=redis://127.0.0.1:" + REDIS], stderr=subprocess.PIPE, text=True)
lines = queue.Queue()
threading.Thread(target=lambda: [lines.put(line) for line in chat.stderr], daemon=True).start()


def says(text):
    said = []
    while not said or text not in said[-1]:
        try:
            said.append(lines.get(timeout=20))
        except queue.Empty:
            raise AssertionError("%s is not in the log: %s" % (text, said)) from None
    return said[-1]


def status():
    """What somebody gets whose session is asked for."""
    return get(port, "/", "SESSION=" + base64.b64encode(b"5f0c7b06-0000-4000-8000-000000000000").decode())[0].status


redis = None
try:
    port = int(re.search("address=http://127.0.0.1:([0-9]+)/", says("address=")).group(1))
    says('msg="redis lost"')
    time.sleep(1.2)  # two more tries
    for _ in range(2):
        assert status() == 503
        redis = subprocess.Popen(["redis-server", "--port", REDIS, "--save", ""], stdout=subprocess.DEVNULL)
        says('msg="redis connected"')
        until = time.monotonic() + 10
        while status() != 302:
            assert time.monotonic() < until, "its sessions are still not asked for"
            time.sleep(0.05)
        redis.terminate()
        redis.wait()
        says('msg="redis lost"')
finally:
    chat.kill()
    if redis:
        redis.kill()
print("the chat outlives its Redis")
