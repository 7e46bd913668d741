"""Writers that keep a ledger of every write's outcome, and what must hold
of the keys afterwards."""

import threading
import time

from lib import http
from lib.testing import expect, wait_for

ACKED = "acked"  # 2xx: done
REFUSED = "refused"  # 503, 507, or never sent: surely not done
UNKNOWN = "unknown"  # 504, or the connection broke: may be done


def classify(response):
    """The outcome that a status promises; None: none that a write may have."""
    if response.status in (200, 201):
        return ACKED
    if response.status in (503, 507):
        return REFUSED
    if response.status == 504:
        return UNKNOWN
    return None


class Write:
    def __init__(self, key, value, outcome, revision, began, ended):
        self.key = key
        self.value = value
        self.outcome = outcome
        self.revision = revision
        self.began = began
        self.ended = ended


class Load:
    """
    Writers in threads. Each puts keys of its own, each key once, and every
    fourth time the same key again. A writer that is refused goes on with the
    next node. With `checks_reads` each reads back what it wrote from another
    node at once. With `arrivals`, so many seconds apart, others come besides:
    each on a connection of its own, for one write to the next node, whatever
    those before it still wait for.
    """

    def __init__(self, nodes, writers=4, pause=0.002, prefix="w",
                 value_size=40, checks_reads=False, timeout=15.0,
                 arrivals=None):
        self.nodes = list(nodes)
        self.pause = pause
        self.prefix = prefix
        self.value_size = value_size
        self.checks_reads = checks_reads
        self.timeout = timeout
        self.writes = []
        self.problems = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(i,), daemon=True)
            for i in range(writers)]
        if arrivals is not None:
            self._threads.append(threading.Thread(
                target=self._receive, args=(writers, arrivals), daemon=True))

    def use(self, nodes):
        """Writes through these from now on: the members have changed."""
        self.nodes = list(nodes)

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        """Ends the load. Whatever was odd in an answer is a failure now."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        expect(not any(thread.is_alive() for thread in self._threads),
               "a writer hangs")
        expect(not self.problems, f"odd answers: {self.problems[:3]}")

    # ---- Writers ----

    def _write(self, number):
        clients = {}
        place = number
        count = 0
        while not self._stop.is_set():
            client = self._client(clients, place)
            write = self._write_one(client, number, count)
            with self._lock:
                self.writes.append(write)
            if write.outcome != ACKED:
                place += 1
            elif self.checks_reads:
                self._read_back(self._client(clients, place + 1), write)
            count += 1
            self._stop.wait(self.pause)
        for client in clients.values():
            client.close()

    def _receive(self, number, interval):
        visits = []
        while not self._stop.wait(interval):
            visits = [visit for visit in visits if visit.is_alive()]
            visits.append(threading.Thread(
                target=self._visit, args=(number,), daemon=True))
            visits[-1].start()
            number += 1
        for visit in visits:
            visit.join()

    def _visit(self, number):
        node = self.nodes[number % len(self.nodes)]
        with http.Client(node.address, self.timeout) as client:
            write = self._write_one(client, number, 0)
        with self._lock:
            self.writes.append(write)

    def _client(self, clients, place):
        """The connection of this writer to one of the nodes."""
        nodes = self.nodes
        address = nodes[place % len(nodes)].address
        if address not in clients:
            clients[address] = http.Client(address, self.timeout)
        return clients[address]

    def _write_one(self, client, number, count):
        again = count % 4 == 3
        key = f"{self.prefix}{number}/" + ("again" if again else str(count))
        value = f"{number}.{count}.".ljust(self.value_size, "x").encode()
        revision = 0
        began = time.monotonic()
        try:
            response = client.request("PUT", http.quote(key), value)
            outcome = classify(response)
            if outcome == ACKED:
                revision = response.json()["revision"]
            elif outcome is None:
                self.problems.append(response)
                outcome = UNKNOWN
        except http.Broken as error:
            outcome = UNKNOWN if error.sent else REFUSED
        return Write(key, value, outcome, revision, began, time.monotonic())

    def _read_back(self, reader, write):
        try:
            response = reader.request("GET", http.quote(write.key))
        except http.Broken:
            return
        if response.status == 503:
            return
        if response.status == 200 and response.body == write.value:
            return
        # An earlier one of unknown outcome may take effect as late as now.
        if not self._is_unknown(write.key, response.body):
            self.problems.append((write.key, write.value, response))

    def _is_unknown(self, key, value):
        with self._lock:
            return any(write.outcome == UNKNOWN for write in self.writes
                       if write.key == key and write.value == value)

    # ---- Counting ----

    def count(self, outcome=ACKED):
        with self._lock:
            return sum(write.outcome == outcome for write in self.writes)

    def wait_acked(self, more, timeout=15.0):
        """Waits until so many more writes have been acknowledged."""
        wanted = self.count() + more
        wait_for(f"{more} more writes are acknowledged",
                 lambda: self.count() >= wanted, timeout)

    def longest_gap(self, since, until=None):
        """Seconds without any acknowledged write, in this time."""
        with self._lock:
            ends = sorted(write.ended for write in self.writes
                          if write.outcome == ACKED)
        marks = [end for end in ends
                 if end >= since and (until is None or end <= until)]
        before = [end for end in ends if end < since]
        if before:
            marks.insert(0, before[-1])
        return max((b - a for a, b in zip(marks, marks[1:])), default=0.0)

    # ---- What must hold ----

    def check(self, node, query=""):
        """
        Reads every key from a node. What was acknowledged is there, what was
        refused is not, and no revision was given out twice.
        """
        with self._lock:
            by_key = {}
            for write in self.writes:
                by_key.setdefault(write.key, []).append(write)
        items = node.get_items(list(by_key), query)
        for key, writes in by_key.items():
            check_key(key, writes, items[key])
        revisions = [write.revision for write in self.writes
                     if write.outcome == ACKED]
        expect(len(set(revisions)) == len(revisions),
               "one revision was given to two writes")
        return items


def check_key(key, writes, item):
    """The writes of one key came one after another, from one writer."""
    acked = [write for write in writes if write.outcome == ACKED]
    # An unknown one may take effect at any time after it was sent.
    allowed = {write.value for write in writes if write.outcome == UNKNOWN}
    if acked:
        allowed.add(acked[-1].value)
    if item is None:
        expect(not acked, f"lost: {key} was acknowledged and is not there")
        return
    found = item["value"].encode()
    expect(found in allowed,
           f"{key} holds {found[:20]!r}, which was "
           f"{outcome_of(writes, found)}; acknowledged last: "
           f"{acked[-1].value[:20] if acked else None!r}")
    for write in acked[-1:]:
        expect(found != write.value or item["revision"] == write.revision,
               f"{key} is at revision {item['revision']}, "
               f"acknowledged was {write.revision}")


def outcome_of(writes, value):
    for write in writes:
        if write.value == value:
            return write.outcome
    return "never written"
