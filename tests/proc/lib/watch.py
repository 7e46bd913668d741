"""A client of /watch: lines as they come, and coming back after a cut."""

import json
import select
import time

from lib import http
from lib.testing import expect


class Ended(Exception):
    """The answer has ended; `in_order` or cut."""

    def __init__(self, in_order):
        super().__init__("in order" if in_order else "cut")
        self.in_order = in_order


class Stream:
    """One answer in parts, of lines of JSON. `waits`: until it begins."""

    def __init__(self, node, target, waits=True):
        self.target = target
        self.text = b""
        self.client = http.Client(node.address)
        self.client.send(http.encode("GET", target))
        if waits:
            self.wait_begin()

    def wait_begin(self):
        status, _ = self.client.receive_head()
        expect(status == 200,
               f"{self.target}: {status} {self.client.buffer!r}")

    def close(self):
        self.client.close()

    def fileno(self):
        return self.client.socket.fileno()

    def has_input(self, timeout=0.0):
        poller = select.poll()  # select() knows few files only
        poller.register(self, select.POLLIN)
        return bool(poller.poll(timeout * 1000))

    def _take_chunk(self):
        """Moves a whole chunk to self.text; False: there is none."""
        buffer = self.client.buffer
        if b"\r\n" not in buffer:
            return False
        size, rest = buffer.split(b"\r\n", 1)
        size = int(size, 16)
        if len(rest) < size + 2:
            return False
        if size == 0:
            raise Ended(True)
        self.text += rest[:size]
        self.client.buffer = rest[size + 2:]
        return True

    def read_line(self, timeout=10.0):
        """The next line; Ended; None if none has come in this time."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self.text:
            if self._take_chunk():
                continue
            if not self.has_input(max(deadline - time.monotonic(), 0)):
                return None
            try:
                self.client.receive_more()
            except http.Broken:
                raise Ended(False) from None
        line, self.text = self.text.split(b"\n", 1)
        return line

    def read(self, timeout=10.0):
        """The next line as JSON, which has to come."""
        line = self.read_line(timeout)
        expect(line is not None, f"no line within {timeout:g} s")
        return json.loads(line)


class Watcher:
    """
    Follows a range over many streams: each goes on where the one before has
    got to. `events` has those of whole revisions, as text.
    """

    def __init__(self, query="", since=0):
        self.query = query
        self.since = since
        self.events = []
        self.begun = []
        self.stream = None

    def connect(self, node):
        self.close()
        self.begun = []
        self.stream = Stream(
            node, f"/watch?{self.query}since={self.since}")

    def close(self):
        if self.stream is not None:
            self.stream.close()
        self.stream = None

    def read(self, timeout=10.0):
        """Takes in one line; it, or None if none has come."""
        text = self.stream.read_line(timeout)
        if text is None:
            return None
        line = json.loads(text)
        if "resume" in line:
            self.since = line["resume"]
        elif line["type"] == "progress":
            self.since = line["revision"]
        else:
            self.begun.append(text)
            if not line.get("more"):
                self.since = line["revision"]
                self.events += self.begun
                self.begun = []
        return line

    def read_until(self, revision, timeout=30.0):
        deadline = time.monotonic() + timeout
        while self.since < revision:
            expect(self.read(1.0) is not None or time.monotonic() < deadline,
                   f"it is at {self.since}, not at {revision}, "
                   f"after {timeout:g} s")


def read_history(node, query=""):
    """All events of the range up to now."""
    watcher = Watcher(query)
    watcher.connect(node)
    watcher.read_until(node.get_cluster()["revision"])
    watcher.close()
    return watcher.events
