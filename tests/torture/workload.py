#!/usr/bin/env python3
"""
Clients that use a cluster in every way that it offers, while somebody else
breaks it, and record all that they asked and were told, for check-history.

    workload.py --workload mixed --seed 7 --seconds 60 --history FILE URL...

ends by itself, or cleanly by SIGTERM: all operations end, the faults have to
be over, every key is read once more, and each node tells all changes again.
"""

import argparse
import json
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True  # before anything of this tree is imported
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "proc")]

from history import History
from lib import http
from session import Client, Session
from steps import ACCOUNTS, BALANCE, KINDS, WORKLOADS, prepare
from watching import Watcher


class Unusable(Exception):
    """The cluster does not answer, so there is nothing to record."""


def read_commit():
    """Of the tree that this file is part of."""
    git = subprocess.run(["git", "-C", str(HERE), "rev-parse", "HEAD"],
                         capture_output=True, text=True)
    return git.stdout.strip() or "unknown"


class Keys:
    """`count` keys of a kind that are in use at a time. Each is left behind
    after `uses`, so that the history of none is too long to be searched."""

    def __init__(self, prefix, count, uses):
        self.prefix = prefix
        self.uses = uses
        self.used = [0] * count

    def draw(self, rng):
        place = rng.randrange(len(self.used))
        self.used[place] += 1
        return f"{self.prefix}{place}.{self.used[place] // self.uses}"


class Workload:
    """
    `path`: of the history. `name`: one of steps.WORKLOADS. `header`: what goes
    into the header besides, minimum counts above all. `rate`: operations a
    second of all clients together, at most. `connect(address, timeout)` gives
    a connected socket; None: a plain one.
    """

    def __init__(self, path, name="mixed", clients=12, rate=1000.0,
                 header=None, connect=None, timeout=5.0, settle_timeout=60.0):
        if name not in WORKLOADS:
            raise ValueError(f"no workload {name!r}: {sorted(WORKLOADS)}")
        self.path = path
        self.name = name
        self.clients = clients
        self.pause = clients / rate
        self.header = dict(header or {})
        self.connect = connect
        self.timeout = timeout
        self.settle_timeout = settle_timeout
        self.problems = []
        self._numbers = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = []
        self._auditor_threads = []
        self._visitors = []
        self.auditors = []

    def draw_number(self):
        """Of a client; never given twice."""
        with self._lock:
            self._numbers += 1
            return self._numbers

    def wait(self, seconds):
        self._stop.wait(seconds)

    # ---- Begin ----

    def start(self, addresses, seed):
        """Returns when the clients run. The cluster has to answer."""
        self.addresses = list(addresses)
        self.seed = seed
        self.rng = random.Random(f"{seed} {self.name}")
        self.since = self._find_revision()
        self.root = f"t{self.since}/"
        self.keys = {
            "register": Keys(f"{self.root}r/", 5, 250),
            "counter": Keys(f"{self.root}c/", 3, 250),
            "append": Keys(f"{self.root}a/", 3, 60),
            "queue": Keys(f"{self.root}q/", 2, 200),
            "lock": Keys(f"{self.root}l/", 3, 100000),
            "ttl": Keys(f"{self.root}e/", 8, 50),
        }
        self.history = History(self.path, self._make_header())
        self.operator = Session(self, 0, random.Random(seed), pinned=False)
        prepare(self, self.operator)
        self._start_watchers()
        for number in range(self.clients):
            self._threads.append(self._start(self._run_client, number))
        return self

    def _make_header(self):
        return {"seed": self.seed, "commit": read_commit(),
                "size": len(self.addresses), "workload": self.name,
                "nemesis": "none", "prefix": self.root, "since": self.since,
                "bank_sum": ACCOUNTS * BALANCE,
                "kinds_min": {kind: 1 for kind in KINDS[self.name]},
                "expired_min": 1 if self.name == "ttl" else 0,
                **self.header}

    def _find_revision(self):
        """What there is before the first operation."""
        deadline = time.monotonic() + self.settle_timeout
        place = 0
        while time.monotonic() < deadline:
            address = self.addresses[place % len(self.addresses)]
            place += 1
            try:
                with Client(address, self.timeout, self.connect) as client:
                    response = client.request("GET", "/kv?prefix=&count")
            except http.Broken:
                response = None
            if response is not None and response.status == 200:
                return response.json()["revision"]
            time.sleep(0.1)
        raise Unusable("no node answers")

    def _start(self, function, *arguments):
        def run():
            try:
                function(*arguments)
            except Exception as error:
                self.problems.append(error)
                raise
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def _start_watchers(self):
        self.auditors = [Watcher(self, place, self.root)
                         for place in range(len(self.addresses))]
        if self.name in ("watch", "mixed"):
            prefixes = ("", "r/", "r/1", "x/", "q/", "e/")
            self._visitors = [
                Watcher(self, 0, self.root + prefix,
                        random.Random(f"{self.seed} watch {number}"))
                for number, prefix in enumerate(prefixes)]
        for auditor in self.auditors:
            self._auditor_threads.append(self._start(auditor.run))
        for visitor in self._visitors:
            self._threads.append(self._start(visitor.run))

    # ---- Clients ----

    def _run_client(self, number):
        rng = random.Random(f"{self.seed} {self.name} {number}")
        # One in three stays at its node, whatever becomes of that.
        session = Session(self, number, rng, pinned=number % 3 == 0)
        steps, weights = zip(*WORKLOADS[self.name])
        due = time.monotonic()
        while not self._stop.is_set():
            rng.choices(steps, weights)[0](self, session)
            if rng.random() < 0.02:
                session.hop()
            due = max(due + self.pause, time.monotonic() - 1)
            self._stop.wait(max(0, due - time.monotonic()))
        session.close()

    # ---- End ----

    def stop(self):
        """
        Ends the traffic, reads everything once more, and gives the path. All
        nodes should be back by now: what they say is waited for.
        """
        self._stop.set()
        self._end_watchers(self._visitors)
        self._join(self._threads)
        self._await_streams(self._write_last())
        self._end_watchers(self.auditors)
        self._join(self._auditor_threads)
        revision = self._read_all()
        told = sum(self._tell_all(auditor, revision)
                   for auditor in self.auditors)
        path = self.history.close(rev=revision, nodes_told=told,
                                  problems=[repr(p) for p in self.problems])
        if self.problems:
            raise self.problems[0]
        return path

    def _end_watchers(self, watchers):
        for watcher in watchers:
            watcher.stop.set()

    def _join(self, threads):
        deadline = time.monotonic() + 3 * self.timeout + 30
        for thread in threads:
            thread.join(max(0.1, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            self.problems.append(Unusable("a client hangs"))

    def _write_last(self):
        """A change behind all others; its revision."""
        session = Session(self, 0, random.Random(self.seed), pinned=False)
        record = self._until_ok(lambda: session.put(f"{self.root}end"))
        session.close()
        if record["status"] != "ok":
            self.problems.append(Unusable("no write is taken at the end"))
        return record.get("rev", 0)

    def _await_streams(self, revision):
        """Each node's own stream has to come to it, without being asked: the
        polls of later would hide one that stands still."""
        deadline = time.monotonic() + self.settle_timeout
        for auditor in self.auditors:
            while auditor.since < revision and time.monotonic() < deadline:
                time.sleep(0.05)
            if auditor.since < revision:
                self.problems.append(Unusable(
                    f"the stream of node {auditor.place + 1} stands at "
                    f"revision {auditor.since}, the last is {revision}"))

    def _until_ok(self, ask):
        deadline = time.monotonic() + self.settle_timeout
        while time.monotonic() < deadline:
            record = ask()
            if record["status"] == "ok":
                return record
            time.sleep(0.05)
        return record

    def _read_all(self):
        """The final reads: of every key, also of those that are gone; the last
        revision that they were told."""
        session = Session(self, 0, random.Random(self.seed), pinned=False)
        for key in sorted(self.list_keys()):
            if self._until_ok(
                    lambda: session.get(key, final=True))["status"] != "ok":
                break
        page = {"more": True}
        after = None
        while page.get("more"):
            page = self._until_ok(lambda: session.list(
                self.root, limit=1000, final=True, after=after))
            after = page["out"][-1][0] if page.get("out") else None
        session.close()
        return page.get("rev", 0)

    def list_keys(self):
        """All that may have been written one by one."""
        for name in ("register", "counter", "append", "ttl"):
            keys = self.keys[name]
            for place, used in enumerate(keys.used):
                if used > 0:
                    for generation in range(used // keys.uses + 1):
                        yield f"{keys.prefix}{place}.{generation}"

    def _tell_all(self, auditor, revision):
        """What the node's stream did not tell yet; False: it does not say."""
        deadline = time.monotonic() + self.settle_timeout
        auditor.stop.clear()
        while auditor.since < revision:
            if time.monotonic() > deadline:
                return False
            try:
                auditor.poll(wait="200ms")
            except http.Broken:
                time.sleep(0.1)
        return True


def address_of(url):
    return url.removeprefix("http://").rstrip("/")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("urls", nargs="+", metavar="URL",
                        help="HOST:PORT of a node, with or without http://")
    parser.add_argument("--workload", default="mixed",
                        choices=sorted(WORKLOADS))
    parser.add_argument("--seed", type=int,
                        default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--seconds", type=float, default=0,
                        help="0: until SIGTERM")
    parser.add_argument("--history", required=True, metavar="FILE")
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--timeout", type=float, default=5.0)
    parser.add_argument("--header", type=json.loads, default={},
                        help="a JSON object for the history's first line")
    arguments = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    workload = Workload(
        arguments.history, arguments.workload, arguments.clients,
        arguments.rate, arguments.header, timeout=arguments.timeout)
    began = time.monotonic()
    workload.start(map(address_of, arguments.urls), arguments.seed)
    print(f"seed {arguments.seed}, history {arguments.history}", flush=True)
    ended.wait(arguments.seconds if arguments.seconds > 0 else None)
    seconds = time.monotonic() - began
    workload.stop()
    count = workload.history.count
    print(f"{count('ok')} ok, {count('fail')} failed, {count('info')} "
          f"unknown, {count('odd')} odd in {seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
