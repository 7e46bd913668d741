"""Writers that do not wait for answers: an open loop, in which what is asked
for does not become less when answers come late."""

import re
import resource
import selectors
import socket
import time

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
TAIL_SIZE = 13  # of what may be a part of that
KEYS_PER_WRITER = 20
UNSENT_MAX = 1 << 16  # of one writer: more is not asked for any more


def raise_file_limit(count):
    """For this process and the daemons that it starts; False: not allowed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        return False
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    return True


class Writer:
    """One connection. The n-th request puts "n" to a key of n % 20, and the
    n-th answer is to it."""

    def __init__(self, name, address, selector):
        host, port = address.rsplit(":", 1)
        self.name = name
        self.socket = socket.create_connection((host, int(port)), timeout=15)
        self.socket.setblocking(False)
        self.selector = selector
        self.unsent = b""
        self.asked = 0
        self.tail = b""
        self.statuses = []
        self.acked = {}  # the last one, by its key
        self.broken = False
        selector.register(self.socket, selectors.EVENT_READ, self)

    def ask(self, count):
        """How many of them were asked for."""
        if self.broken or len(self.unsent) > UNSENT_MAX:
            return 0
        self.unsent += b"".join(
            b"PUT /kv/%s/%d HTTP/1.1\r\nHost: a\r\n"
            b"Content-Length: 8\r\n\r\n%08d" % (
                self.name.encode(), n % KEYS_PER_WRITER, n)
            for n in range(self.asked, self.asked + count))
        self.asked += count
        self.flush()
        return count

    def flush(self):
        if not self.unsent or self.broken:
            return
        try:
            sent = self.socket.send(self.unsent)
            self.unsent = self.unsent[sent:]
        except BlockingIOError:
            pass
        except OSError:
            self.end()

    def receive(self):
        """The statuses that have come."""
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.end()
            return []
        data = self.tail + data
        found = [(match.end(), int(match[1]))
                 for match in STATUS.finditer(data)]
        cut = max(found[-1][0] if found else 0, len(data) - TAIL_SIZE)
        self.tail = data[cut:]
        statuses = [status for _, status in found]
        for status in statuses:
            number = len(self.statuses)
            if status in (200, 201):
                self.acked[number % KEYS_PER_WRITER] = number
            self.statuses.append(status)
        return statuses

    def end(self):
        if not self.broken:
            self.selector.unregister(self.socket)
            self.socket.close()
        self.broken = True


class OpenLoop:
    """Its keys begin with `name`, which no other one has."""

    def __init__(self, nodes, writers, name):
        self.selector = selectors.DefaultSelector()
        self.nodes = list(nodes)
        self.writers = [
            Writer(f"{name}/{number}", self.nodes[number % len(self.nodes)].address,
                   self.selector) for number in range(writers)]

    def close(self):
        for writer in self.writers:
            writer.end()
        self.selector.close()

    def _listen(self, seconds):
        good = 0
        for key, _ in self.selector.select(seconds):
            good += sum(status < 300 for status in key.data.receive())
        return good

    def run(self, seconds, rate=None):
        """
        Asks `rate` times a second, whatever comes back, or, without it, as
        soon as a writer's last one is answered. Gives how many were asked for
        and how many were acknowledged, a second.
        """
        began = time.monotonic()
        asked = good = 0
        place = 0
        while (now := time.monotonic()) < began + seconds:
            due = int((now - began) * rate) - asked if rate else 0
            share = -(-due // len(self.writers)) if due > 0 else 0
            for _ in range(len(self.writers)):
                writer = self.writers[place % len(self.writers)]
                place += 1
                if rate is None:
                    idle = len(writer.statuses) == writer.asked
                    asked += writer.ask(1) if idle else 0
                elif due > 0:
                    # What the socket does not take counts as asked for.
                    writer.ask(share)
                    asked += share
                    due -= share
                writer.flush()
            good += self._listen(0.002)
        took = time.monotonic() - began
        return asked / took, good / took

    def drain(self, seconds):
        """Waits for all answers that are due."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and any(
                len(writer.statuses) < writer.asked and not writer.broken
                for writer in self.writers):
            for writer in self.writers:
                writer.flush()
            self._listen(0.05)

    def count(self):
        """Answers by their status."""
        counts = {}
        for writer in self.writers:
            for status in writer.statuses:
                counts[status] = counts.get(status, 0) + 1
        return counts

    def find_lost(self, node):
        """Keys that hold less than what was acknowledged, or what was never
        asked for."""
        lost = []
        for writer in self.writers:
            items = node.get_items(
                [f"{writer.name}/{key}" for key in writer.acked],
                "?consistency=linearizable")
            for key, acked in writer.acked.items():
                item = items[f"{writer.name}/{key}"]
                value = int(item["value"]) if item else -1
                if not acked <= value < writer.asked:
                    lost.append((writer.name, key, acked, value))
        return lost
