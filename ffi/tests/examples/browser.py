"""What a browser does, as far as the tests of the examples need it."""

import base64
import http.client
import os
import socket
import struct

ENDED = "This connection was established under an authenticated HTTP Session that has expired"


def get(port, path, cookie=None):
    """The response and its body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
    response = connection.getresponse()
    return response, response.read().decode()


def post(port, path, body="", cookie=None, origin=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": origin or "http://127.0.0.1:%d" % port}
    if cookie:
        headers["Cookie"] = cookie
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    response.read()
    return response


def log_in(port, form, cookie=None):
    """The cookie of the login."""
    response = post(port, "/login", form, cookie)
    assert response.status == 302 and response.getheader("Location") == "/", (response.status, response.getheader("Location"))
    return response.getheader("Set-Cookie").split(";")[0]


class WebSocket:
    def __init__(self, port, path, cookie=None, origin=None):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.file = self.socket.makefile("rb")
        lines = ["GET %s HTTP/1.1" % path, "Host: 127.0.0.1:%d" % port, "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode(),
                 "Origin: " + (origin or "http://127.0.0.1:%d" % port)]
        if cookie:
            lines.append("Cookie: " + cookie)
        self.socket.sendall("\r\n".join(lines + ["", ""]).encode())
        status = self.file.readline()
        assert b" 101 " in status, status
        while self.file.readline() != b"\r\n":
            pass

    def send(self, text):
        payload = text.encode()
        assert len(payload) < 65536
        size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
        self.socket.sendall(b"\x81" + size + b"\0\0\0\0" + payload)

    def read(self):
        head = self.file.read(2)
        assert len(head) == 2, "it is closed without a Close"
        size = head[1]
        if size == 126:
            size = struct.unpack(">H", self.file.read(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.file.read(8))[0]
        assert head[0] & 128, "a fragment"
        return head[0] & 15, self.file.read(size)

    def text(self):
        opcode, payload = self.read()
        assert opcode == 1, (opcode, payload)
        return payload.decode()

    def closed(self):
        """The code and the reason of the Close, which is answered."""
        opcode, payload = self.read()
        assert opcode == 8, (opcode, payload)
        self.socket.sendall(b"\x88\x82\0\0\0\0" + payload[:2])
        assert self.file.read() == b"", "something comes behind the Close"
        return struct.unpack(">H", payload[:2])[0], payload[2:].decode()
