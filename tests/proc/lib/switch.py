"""
The network between the members: every connection from one node to another
goes through here, and each direction can be cut. As in a real network a cut is
silence: bytes wait, ends are not seen, and all of it arrives once healed.
Connections of one purpose can be broken as well, after so many bytes each.
"""

import re
import selectors
import socket
import threading

# Waits for the flow of one direction; more is left with the sender.
HELD_BYTES_MAX = 4 << 20


class _End:
    """One side of a connection: its socket, and bytes that wait for it."""

    def __init__(self, sock):
        self.socket = sock
        self.socket.setblocking(False)
        self.held = b""
        self.taken = 0  # bytes, from it
        self.is_over = False  # it sends no more

    def read(self, other):
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.taken += len(data)
        other.held += data
        self.is_over = self.is_over or not data

    def write(self):
        try:
            sent = self.socket.send(self.held)
        except BlockingIOError:
            return
        except OSError:
            sent = len(self.held)  # nobody is left to take it
        self.held = self.held[sent:]


class _Link:
    """A connection from one node to another."""

    def __init__(self, accepted, number, address):
        self.client = _End(accepted)
        self.server = None
        self.begin = _End(socket.socket())  # holds what comes before
        self.source = None
        self.purpose = None
        self.bytes_max = None  # from the client, then it breaks
        self.number = number
        self.address = address

    def identify(self):
        """The first request on every connection says who sends it."""
        match = re.search(rb'"from":(\d+)', self.begin.held)
        purpose = re.search(rb'"purpose":"(\w+)"', self.begin.held)
        if match and purpose:
            self.source = int(match.group(1))
            self.purpose = purpose.group(1).decode()

    def connect(self):
        """False: nobody listens there."""
        host, port = self.address.split(":")
        try:
            sock = socket.create_connection((host, int(port)), timeout=2)
        except OSError:
            return False
        self.server = _End(sock)
        self.server.held = self.begin.held
        self.begin.socket.close()
        return True

    def close(self):
        for end in (self.client, self.server, self.begin):
            if end is not None:
                end.socket.close()


class Switch:
    """Members reach node number N (from 1 on) at addresses[N - 1]."""

    def __init__(self, count):
        self._lock = threading.Lock()
        self._cut = set()  # (from, to), by number
        self._limits = {}  # function of the purpose
        self.broken = []  # bytes that each broken connection had taken
        self._ended = []  # (purpose, bytes) of all that are no more
        self._links = []
        self._stop = threading.Event()
        self._listeners = []
        self._targets = [None] * count
        for _ in range(count):
            listener = socket.create_server(("127.0.0.1", 0), backlog=64)
            listener.setblocking(False)
            self._listeners.append(listener)
        self.addresses = [f"127.0.0.1:{listener.getsockname()[1]}"
                          for listener in self._listeners]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def set_targets(self, targets):
        """Where the nodes really listen."""
        self._targets = list(targets)

    def close(self):
        self._stop.set()
        self._thread.join()
        for link in self._links:
            link.close()
        for listener in self._listeners:
            listener.close()

    # ---- Rules ----

    def cut(self, sources, targets):
        """Nothing arrives at any of the targets from any of the sources."""
        with self._lock:
            self._cut |= {(a, b) for a in sources for b in targets if a != b}

    def part(self, some, others):
        """Nothing passes between them, either way."""
        self.cut(some, others)
        self.cut(others, some)

    def heal(self):
        with self._lock:
            self._cut.clear()

    def break_after(self, purpose, limit):
        """
        limit() is asked once for each new connection of this purpose (see
        enum wire_purpose), and tells how many bytes from who dialled it are
        taken before it breaks; None: any number. What was taken last is lost.
        """
        with self._lock:
            self._limits[purpose] = limit

    def count_bytes(self, purpose):
        """What was taken from who dialled, over all connections so far."""
        taken = self._ended + [(link.purpose, link.client.taken)
                               for link in list(self._links)]
        return sum(count for name, count in taken if name == purpose)

    def _breaks(self, link):
        if link.bytes_max is None or link.client.taken < link.bytes_max:
            return False
        self.broken.append(link.client.taken)
        return True

    def _identify(self, link):
        link.identify()
        with self._lock:
            limit = self._limits.get(link.purpose)
        if limit is not None:
            link.bytes_max = limit()

    def _flows(self, source, target):
        with self._lock:
            return (source, target) not in self._cut

    # ---- The thread ----

    def _run(self):
        while not self._stop.is_set():
            self._wait_and_move()
            for link in list(self._links):
                if not self._advance(link):
                    link.close()
                    self._ended.append((link.purpose, link.client.taken))
                    self._links.remove(link)

    def _wait_and_move(self):
        with selectors.DefaultSelector() as selector:
            for number, listener in enumerate(self._listeners):
                selector.register(listener, selectors.EVENT_READ,
                                  (self._accept, number))
            for link in self._links:
                self._register(selector, link)
            for key, events in selector.select(timeout=0.01):
                action, *arguments = key.data
                action(*arguments, events)

    def _accept(self, number, _):
        try:
            accepted, _ = self._listeners[number].accept()
        except BlockingIOError:
            return
        self._links.append(
            _Link(accepted, number + 1, self._targets[number]))

    def _register(self, selector, link):
        server = link.server or link.begin
        self._register_end(selector, link.client, server, link.source is None
                           or self._flows(link.number, link.source))
        if link.server is not None:
            self._register_end(selector, link.server, link.client,
                               self._flows(link.source, link.number))

    def _register_end(self, selector, end, other, may_write):
        events = 0
        if not end.is_over and len(other.held) < HELD_BYTES_MAX:
            events |= selectors.EVENT_READ
        if end.held and may_write:
            events |= selectors.EVENT_WRITE
        if events:
            selector.register(end.socket, events, (self._move, end, other))

    def _move(self, end, other, events):
        if events & selectors.EVENT_READ:
            end.read(other)
        if events & selectors.EVENT_WRITE:
            end.write()

    def _advance(self, link):
        """False: the connection has ended, and both sides may know."""
        if link.source is None:
            self._identify(link)
            return not (link.client.is_over and link.source is None)
        if self._breaks(link):
            return False
        if not self._flows(link.source, link.number):
            return True
        if link.server is None:
            return link.connect()
        if link.client.is_over and not link.server.held:
            return False
        return not (link.server.is_over and not link.client.held and
                    self._flows(link.number, link.source))
