#!/usr/bin/env python3
"""room.py PORT SECONDS: the room whose logins last so long. Its own WebSockets are closed when the login ends."""

import sys
import time

from browser import ENDED, WebSocket, log_in, post

PORT, SECONDS = int(sys.argv[1]), float(sys.argv[2])


def enter(cookie):
    one = WebSocket(PORT, "/room", cookie)
    one.send("here")
    return one


assert WebSocket(PORT, "/room").closed() == (1008, "A login is needed first.")
cookie = log_in(PORT, "user=rob&password=password")
assert WebSocket(PORT, "/room", cookie, "http://elsewhere.example").closed()[0] == 1008
assert WebSocket(PORT, "/nowhere", cookie).closed()[0] == 1008
assert post(PORT, "/login", "user=rob&password=wrong").getheader("Location") == "/login"
assert post(PORT, "/logout", "", cookie, "http://elsewhere.example").status == 403

# Two of rob's, one of luke's; all hear all.
rob = [enter(cookie)]
assert rob[0].text() == "here"
rob.append(enter(cookie))
luke_s = log_in(PORT, "user=luke&password=password")
assert [one.text() for one in rob] == ["here"] * 2
luke = enter(luke_s)
assert [one.text() for one in rob + [luke]] == ["here"] * 3

# Messages renew a login: rob's, who speaks, and not luke's, who only hears.
start = time.monotonic()
for n in range(6):
    time.sleep(SECONDS / 3)
    rob[0].send(str(n))
    assert [one.text() for one in rob] == [str(n)] * 2
last = time.monotonic()
assert last - start > 1.9 * SECONDS
heard = []
while True:
    opcode, payload = luke.read()
    if opcode == 8:
        break
    heard.append(payload.decode())
assert heard in (["0", "1"], ["0", "1", "2"]), heard
assert (int.from_bytes(payload[:2], "big"), payload[2:].decode()) == (1008, ENDED), payload

# A logout ends all sockets of its session, and no other's.
luke_s = log_in(PORT, "user=luke&password=password")
luke = enter(luke_s)
assert [one.text() for one in rob + [luke]] == ["here"] * 3
last = time.monotonic()
assert post(PORT, "/logout", "", luke_s).status == 302
assert luke.closed() == (1008, ENDED)
assert WebSocket(PORT, "/room", luke_s).closed() == (1008, "A login is needed first.")

# Silence ends it on time.
assert rob[0].closed() == (1008, ENDED) and rob[1].closed() == (1008, ENDED)
took = time.monotonic() - last
assert SECONDS - 1 < took < SECONDS + 1, took

# Who does not read is cut off, and holds up nobody.
cookies = [log_in(PORT, "user=luke&password=password") for _ in range(2)]
deaf, loud = enter(cookies[0]), enter(cookies[1])
assert deaf.text() == deaf.text() == loud.text() == "here"
for n in range(600):
    loud.send(str(n) + "x" * 60000)
    assert loud.text().startswith(str(n) + "x")
came, limit = 0, time.monotonic() + 10
deaf.socket.settimeout(10)
time.sleep(6)
while (part := deaf.file.read(1 << 16)):
    came += len(part)
assert time.monotonic() < limit and came < 600 * 60000, came
print("the room works: closed with 1008 by a logout, and %.1f s after the last message" % took)
