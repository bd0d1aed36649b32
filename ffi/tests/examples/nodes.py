#!/usr/bin/env python3
"""nodes.py PORT PORT: two nodes on one Redis, each the chat or the server, know of each other who is there."""

import json
import re
import sys
import time

from browser import WebSocket, get, log_in

ONE, OTHER = int(sys.argv[1]), int(sys.argv[2])


class Person:
    def __init__(self, name, port):
        page, text = get(port, "/login")
        cookie = page.getheader("Set-Cookie").split(";")[0]
        token = re.search('name="_csrf" value="([^"]+)"', text).group(1)
        cookie = cookie + "; " + log_in(port, "username=%s&password=password&_csrf=%s" % (name, token), cookie)
        # The newer cookie of a name is the one that counts.
        cookie = "; ".join("=".join(pair) for pair in dict(part.split("=", 1) for part in cookie.split("; ")).items())
        self.socket = WebSocket(port, "/stomp", cookie)
        csrf = json.loads(get(port, "/csrf", cookie)[1])
        self.say("CONNECT", {"accept-version": "1.2", "host": "chat", "heart-beat": "0,0", csrf["headerName"]: csrf["token"]})
        self.hear("CONNECTED")
        self.asked = 0

    def say(self, command, headers):
        self.socket.send("\n".join([command] + ["%s:%s" % pair for pair in headers.items()] + ["", ""]) + "\0")

    def hear(self, command):
        frame = self.socket.text()
        assert frame.split("\n")[0] == command, frame
        return frame

    def sees(self, names):
        """Within a few seconds: what a node says to the others takes its time."""
        until = time.monotonic() + 15
        while True:
            self.asked += 1
            self.say("SUBSCRIBE", {"id": "users-%d" % self.asked, "destination": "/app/users"})
            there = json.loads(self.hear("MESSAGE").split("\n\n", 1)[1].rstrip("\0\n"))
            if there == names:
                return
            assert time.monotonic() < until, (there, names)
            time.sleep(0.1)

    def leave(self):
        self.say("DISCONNECT", {"receipt": "bye"})
        self.hear("RECEIPT")


rob, luke = Person("rob", ONE), Person("luke", OTHER)
rob.sees(["luke"])
luke.sees(["rob"])
again = Person("rob", OTHER)
luke.sees(["rob"])
for person in [luke, rob]:
    person.say("SUBSCRIBE", {"id": "out", "destination": "/topic/friends/signout", "receipt": "r"})
    person.hear("RECEIPT")
# Of two connections at two nodes one goes, which both of them hear of.
again.leave()
for person in [luke, rob]:
    frame = person.hear("MESSAGE")
    assert "\nconnections:1\n" in frame, frame
rob.leave()
frame = luke.hear("MESSAGE")
assert "\nconnections:0\n" in frame, frame
luke.sees([])
luke.leave()
print("two nodes know who is there")
