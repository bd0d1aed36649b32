#!/usr/bin/env python3
"""chat.py PORT [--connect-csrf]: two people log in at the chat, write to each other, and one logs out. With --connect-csrf the
chat was started with it as well."""

import json
import re
import sys

from browser import ENDED, WebSocket, get, log_in, post

PORT = int(sys.argv[1])


class Person:
    def __init__(self, name):
        page, text = get(PORT, "/login")
        cookie = page.getheader("Set-Cookie").split(";")[0]
        fields = "username=%s&password=password&_csrf=" % name
        token = re.search('name="_csrf" value="([0-9a-f]{32})"', text).group(1)
        for wrong in ["", "0" * 32]:
            assert post(PORT, "/login", fields + wrong, cookie).status == 403, "without the token of its cookie"
        assert post(PORT, "/login", fields + token).status == 403, "without a cookie"
        self.cookie = cookie + "; " + log_in(PORT, fields + token, cookie)
        said = json.loads(get(PORT, "/csrf", self.cookie)[1])
        if "--connect-csrf" in sys.argv:
            for wrong in [token, said["token"][:-1] + ("A" if said["token"][-1] != "A" else "B")]:
                self.connect({said["headerName"]: wrong})
                self.hear("ERROR")
        self.connect({said["headerName"]: said["token"]})
        self.hear("CONNECTED")
        self.say("SUBSCRIBE", {"id": "1", "destination": "/user/queue/messages", "receipt": "r"})
        self.hear("RECEIPT")

    def connect(self, more):
        self.socket = WebSocket(PORT, "/stomp", self.cookie)
        self.say("CONNECT", {"accept-version": "1.2", "host": "chat", "heart-beat": "0,0", **more})

    def say(self, command, headers, body=""):
        self.socket.send("\n".join([command] + ["%s:%s" % pair for pair in headers.items()] + ["", body]) + "\0")

    def hear(self, command):
        frame = self.socket.text()
        assert frame.split("\n")[0] == command, frame
        return frame.split("\n\n", 1)[1].rstrip("\0\n")


rob, luke = Person("rob"), Person("luke")
for text in ["hello", 'é "quoted" \\ </b>', "\U0001f600\n"]:
    rob.say("SEND", {"destination": "/app/im", "content-type": "application/json"}, json.dumps({"to": "luke", "message": text}))
    for person in [luke, rob]:
        said = json.loads(person.hear("MESSAGE"))
        assert (said["to"], said["from"], said["message"]) == ("luke", "rob", text), said
luke.say("SUBSCRIBE", {"id": "2", "destination": "/app/users"})
assert json.loads(luke.hear("MESSAGE")) == ["rob"]
luke.say("SUBSCRIBE", {"id": "3", "destination": "/topic/friends/signout", "receipt": "s"})
luke.hear("RECEIPT")

said = json.loads(get(PORT, "/csrf", rob.cookie)[1])
form = "%s=%s" % (said["parameterName"], said["token"])
# The token of the session, masked anew for each page.
again = re.search('name="_csrf" value="([^"]{80,})"', get(PORT, "/", rob.cookie)[1]).group(1)
assert len(again) == len(said["token"]) and again != said["token"], (again, said)
assert post(PORT, "/logout", form + "A", rob.cookie).status == 403
assert post(PORT, "/logout", "_csrf=" + "0" * 32, rob.cookie).status == 403
assert post(PORT, "/logout", form, rob.cookie, "http://elsewhere.example").status == 403
assert post(PORT, "/logout", "", rob.cookie).status == 403
# What a page repeats is nothing but a token.
page, text = get(PORT, "/login", "CSRF=" + ('"><script>' * 4)[:32])
assert "<script>" not in text and page.getheader("Set-Cookie").startswith("CSRF="), text
assert post(PORT, "/logout", form, rob.cookie).status == 302
assert rob.socket.closed() == (1008, ENDED)
assert json.loads(luke.hear("MESSAGE")) == ["rob"]
print("the chat works, and a logout closes")
