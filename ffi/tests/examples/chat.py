#!/usr/bin/env python3
"""chat.py PORT: two people log in at the chat, write to each other, and one logs out."""

import base64
import http.client
import json
import os
import socket
import struct
import sys

PORT = int(sys.argv[1])


class Person:
    def __init__(self, name):
        response = self.post("/login", "username=%s&password=password" % name, "")
        assert response.status == 302 and response.getheader("Location") == "/", (response.status, response.getheader("Location"))
        self.cookie = response.getheader("Set-Cookie").split(";")[0]

    @staticmethod
    def post(path, body, cookie):
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "http://127.0.0.1:%d" % PORT}
        if cookie:
            headers["Cookie"] = cookie
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        response.read()
        return response

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1", PORT), 10)
        self.file = self.socket.makefile("rb")
        lines = ["GET /stomp HTTP/1.1", "Host: 127.0.0.1:%d" % PORT, "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode(),
                 "Cookie: " + self.cookie, "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        status = self.file.readline()
        assert b" 101 " in status, status
        while self.file.readline() != b"\r\n":
            pass
        self.say("CONNECT", {"accept-version": "1.2", "host": "chat", "heart-beat": "0,0"})
        self.hear("CONNECTED")
        self.say("SUBSCRIBE", {"id": "1", "destination": "/user/queue/messages", "receipt": "r"})
        self.hear("RECEIPT")

    def say(self, command, headers, body=""):
        frame = "\n".join([command] + ["%s:%s" % pair for pair in headers.items()] + ["", body]) + "\0"
        payload = frame.encode()
        assert len(payload) < 65536
        size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
        self.socket.sendall(b"\x81" + size + b"\0\0\0\0" + payload)

    def read(self):
        head = self.file.read(2)
        size = head[1]
        if size == 126:
            size = struct.unpack(">H", self.file.read(2))[0]
        return head[0] & 15, self.file.read(size)

    def hear(self, command):
        opcode, payload = self.read()
        assert opcode == 1 and payload.decode().split("\n")[0] == command, payload
        return payload.decode().split("\n\n", 1)[1].rstrip("\0\n")


rob, luke = Person("rob"), Person("luke")
rob.connect()
luke.connect()
for text in ["hello", 'é "quoted" \\ </b>', "\U0001f600\n"]:
    rob.say("SEND", {"destination": "/app/im", "content-type": "application/json"}, json.dumps({"to": "luke", "message": text}))
    for person in [luke, rob]:
        said = json.loads(person.hear("MESSAGE"))
        assert (said["to"], said["from"], said["message"]) == ("luke", "rob", text), said
luke.say("SUBSCRIBE", {"id": "2", "destination": "/app/users"})
assert json.loads(luke.hear("MESSAGE")) == ["rob"]
luke.say("SUBSCRIBE", {"id": "3", "destination": "/topic/friends/signout", "receipt": "s"})
luke.hear("RECEIPT")

foreign = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
foreign.request("POST", "/logout", "", {"Cookie": rob.cookie, "Origin": "http://elsewhere.example"})
assert foreign.getresponse().status == 403
assert Person.post("/logout", "", rob.cookie).status == 302
opcode, payload = rob.read()
assert opcode == 8 and struct.unpack(">H", payload[:2])[0] == 1008, (opcode, payload)
assert json.loads(luke.hear("MESSAGE")) == ["rob"]
print("the chat works, and a logout closes with", struct.unpack(">H", payload[:2])[0])
