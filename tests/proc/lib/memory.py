"""Allocations that fail: one daemon with tests/preload/fail_malloc.c in front
of the C library, asked the same things each time."""

import pathlib

from lib import http
from lib.cluster import EXIT_STOPPED, Cluster, daemon_path
from lib.testing import expect, wait_for

FOR_EVER = 10 ** 9
EXIT_FAILED = 1  # it did not start
EXIT_LOADER = 127  # before the daemon has begun
VALUE = b"v" * 3000
TRANSACTION = b"""{"if": [{"key": "a", "exists": true}],
 "then": [{"put": "b", "value": "1"}, {"incr": "n"}, {"get": "a"}]}"""


def preload():
    return str(pathlib.Path(daemon_path()).parent / "fail_malloc.so")


class Round:
    """A start, requests of all kinds, and a stop, with one failure in it."""

    def __init__(self, test):
        self.cluster = Cluster(test, 1, options={
            "raft.checkpoint-bytes": "64KiB"})
        self.node = self.cluster.nodes[0]
        self.report = self.cluster.directory / "allocations"
        self.possible = {}

    def _ask(self, method, target, body=None, headers=()):
        """The status, or None if the daemon ended."""
        try:
            return self.node.fetch(method, target, body, headers,
                                   timeout=10.0).status
        except http.Broken:
            return None

    def _write(self, key, value, method, target, body, headers=()):
        status = self._ask(method, target, body, headers)
        if status in (200, 201):
            self.possible[key] = [value]
        elif status is None:  # it may have been done
            self.possible.setdefault(key, [None]).append(value)

    def _put(self, key, value):
        self._write(key, value, "PUT", http.quote(key), value)

    def _work(self):
        for number in range(30):
            self._put(f"k{number % 7}", VALUE + b"%d" % number)
        self._put("a", b"1")
        self._write("b", b"1", "POST", "/txn", TRANSACTION,
                    [("Content-Type", "application/json")])
        for target in ("/kv?prefix=", "/kv?prefix=k&keys=1", "/kv/a?json",
                       "/metrics", "/cluster", "/kv/a?at=1",
                       "/watch?prefix=&since=1&limit=3&wait=0s"):
            self._ask("GET", target)
        self._ask("POST", "/lease?ttl=60s")
        self._ask("POST", "/kv/queue/", b"x")

    def run(self, at=0, count=1):
        """The exit status, with the `at`-th allocation failing; 0: none."""
        self.report.unlink(missing_ok=True)
        self.possible = {}
        self.node.start(environment={
            "LD_PRELOAD": preload(), "FAIL_MALLOC_AT": str(at),
            "FAIL_MALLOC_COUNT": str(count),
            "FAIL_MALLOC_REPORT": str(self.report)})
        wait_for("a node that is ready, or ends",
                 lambda: not self.node.is_running() or self.node.is_ready())
        self._work()
        if self.node.is_running():
            self.node.terminate()
        return self.node.wait_end()

    def has_failed(self):
        return self.report.read_bytes().startswith(b"F")

    def allocations(self):
        return int(self.report.read_bytes().lstrip(b"F"))

    def check_memory(self):
        """All that was acknowledged is there, with plenty of memory."""
        self.node.restart()
        self.node.wait_ready()
        for key, values in self.possible.items():
            value = self.node.get(key)
            ends = [each and each[-20:] for each in (value, *values)]
            expect(value in values or None in values,
                   f"value of {key}: {ends[0]}, wanted one of {ends[1:]}")
        self.node.stop()


def fail_at(round, at, count=1):
    """
    One round. It ends as if nothing were, or with a reason: never by a signal,
    never in silence.
    """
    what = f"allocation {at} and {count - 1} more: "
    status = round.run(at, count)
    if not round.has_failed():
        return False
    log = round.node.read_log()
    expect(status in (0, EXIT_FAILED, EXIT_STOPPED, EXIT_LOADER),
           what + f"status {status}: {log[-600:]}")
    if status in (EXIT_FAILED, EXIT_STOPPED):
        expect("memory" in log, what + f"no word of memory: {log[-600:]}")
    round.check_memory()
    return True
