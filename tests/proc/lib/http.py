"""A small HTTP/1.1 client on a socket of its own: one connection, kept
alive, and raw bytes where a test wants to misbehave."""

import json
import select
import socket
import string


class Broken(Exception):
    """No answer came. `sent`: the request may have reached the server."""

    def __init__(self, reason, sent):
        super().__init__(reason)
        self.sent = sent


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def header(self, name):
        """The first value of this name, or None."""
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return None

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The stable name of an error; empty if this is none."""
        if self.header("Content-Type") != "application/problem+json":
            return ""
        return self.json()["code"]

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


def quote(key):
    """A key as a path: every byte that is not plain is percent-encoded."""
    plain = (string.ascii_letters + string.digits + "-._/").encode()
    if isinstance(key, str):
        key = key.encode()
    return "/kv/" + "".join(
        chr(byte) if byte in plain else f"%{byte:02X}" for byte in key)


class Client:
    """Talks to one address; connects when needed, and again when broken."""

    def __init__(self, address, timeout=15.0):
        host, port = address.rsplit(":", 1)
        self.address = (host.strip("[]"), int(port))
        self.timeout = timeout
        self.socket = None
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None
        self.buffer = b""

    def connect(self):
        self.close()
        try:
            self.socket = socket.create_connection(
                self.address, timeout=self.timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            self.close()
            raise Broken(f"connect: {error}", sent=False) from None

    def _is_usable(self):
        """An idle connection that the server closed shows as readable."""
        if self.socket is None:
            return False
        return not select.select([self.socket], [], [], 0)[0]

    def send(self, data):
        """Raw bytes, on the open connection or a new one."""
        if self.socket is None:
            self.connect()
        try:
            self.socket.sendall(data)
        except OSError as error:
            self.close()
            raise Broken(f"send: {error}", sent=True) from None

    def request(self, method, target, body=None, headers=()):
        """Sends a request, and gives the answer."""
        if not self._is_usable():
            self.connect()
        self.send(encode(method, target, body, headers))
        return self.receive(method)

    def receive_more(self):
        try:
            data = self.socket.recv(1 << 16)
        except OSError as error:
            self.close()
            raise Broken(f"receive: {error}", sent=True) from None
        if not data:
            self.close()
            raise Broken("receive: closed by the server", sent=True)
        self.buffer += data

    def receive_head(self):
        while b"\r\n\r\n" not in self.buffer:
            self.receive_more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        version, status, _ = lines[0].split(" ", 2)
        if version != "HTTP/1.1":
            raise Broken(f"not HTTP: {lines[0]!r}", sent=True)
        headers = [tuple(line.split(": ", 1)) for line in lines[1:]]
        return int(status), headers

    def receive(self, method="GET"):
        """The next answer, behind any 100 Continue."""
        status, headers = self.receive_head()
        while status == 100:
            status, headers = self.receive_head()
        response = Response(status, headers, b"")
        size = int(response.header("Content-Length") or 0)
        if method == "HEAD" or status in (204, 304):
            size = 0
        while len(self.buffer) < size:
            self.receive_more()
        response.body, self.buffer = self.buffer[:size], self.buffer[size:]
        if response.header("Connection") == "close":
            self.close()
        return response

    def is_closed_by_server(self, timeout):
        """Waits for the end of the connection, without reading answers."""
        if self.socket is None:
            return True
        self.socket.settimeout(timeout)
        try:
            while self.socket.recv(1 << 16):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True


def encode(method, target, body=None, headers=()):
    """The bytes of a request."""
    lines = [f"{method} {target} HTTP/1.1", "Host: test"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines) + "\r\n\r\n"
    return head.encode("latin-1") + (body or b"")


def fetch(address, method, target, body=None, headers=(), timeout=15.0):
    """One request on a connection of its own."""
    with Client(address, timeout) as client:
        return client.request(method, target, body, headers)


def get_many(address, targets, batch=64):
    """GETs, pipelined: much faster than one by one. Answers in order."""
    answers = []
    with Client(address) as client:
        for start in range(0, len(targets), batch):
            part = targets[start:start + batch]
            client.send(b"".join(encode("GET", target) for target in part))
            answers += [client.receive() for _ in part]
    return answers
