#!/usr/bin/env python3
"""
One random byte of a stopped node's files is turned over, again and again: it
has to become whole by itself, and to show nothing that is wrong meanwhile.

usage: flips.py [--count N] [--seed S]

A line for each flip that was not simply mended or without effect, and totals at
the end. The exit status is 0 if nothing went wrong.
"""

import argparse
import collections
import concurrent.futures
import pathlib
import random
import shutil
import signal
import sys
import time

sys.dont_write_bytecode = True

from lib import damage, http
from lib.cluster import Cluster
from lib.lmdb_pages import Pages, journal_deletes
from lib.testing import Failure, Test, expect

KEYS = 3000
CHANGES = 20  # before each flip
READS = 50
READY_SECONDS_MAX = 20
# How often a file is chosen, by its name.
WEIGHTS = {"log/data.mdb": 4, "log/journal": 2, "data/data.mdb": 4}


class Flips:
    def __init__(self, test, seed):
        self.random = random.Random(seed)
        self.test = test
        self.expected = {}
        self.former = {}  # what a stale read may show as well, at first
        self.cluster = Cluster(test, options={
            "raft.checkpoint-interval": "200ms",
            "raft.trailing-bytes": "64KiB"}).start()
        self.counts = collections.Counter()
        self.failures = []
        self.deleted = set()  # of the log, by the journal, before a flip

    # ---- Keys ----

    def put(self, address, keys):
        with http.Client(address) as client:
            for key in keys:
                value = self.random.randbytes(
                    self.random.choice((20, 90, 300))).hex().encode()
                answer = client.request("PUT", http.quote(key), value)
                expect(answer.status in (200, 201), f"PUT {key}: {answer!r}")
                self.former[key] = self.expected.get(key)
                self.expected[key] = value

    def fill(self):
        keys = [f"key-{number:05}" for number in range(KEYS)]
        address = self.cluster.leader().address
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda i: self.put(address, keys[i::16]),
                          range(16)))
        self.cluster.wait_converged()

    def change(self):
        keys = self.random.sample(sorted(self.expected), CHANGES)
        self.put(self.cluster.leader().address, keys)

    def check_right(self, node, keys, query, must):
        """Each answer is right or, unless it must be right, an error."""
        try:
            answers = http.get_many(
                node.address, [http.quote(key) + query for key in keys])
        except (http.Broken, OSError, ValueError):
            expect(not must, f"{node.name} answers")
            return
        for key, answer in zip(keys, answers):
            right = (answer.status == 200 and
                     answer.body == self.expected[key])
            if "stale" in query and not must:
                right = right or (answer.status == 200 and
                                  answer.body == self.former[key])
            refused = answer.status in (503, 504) and not must
            expect(right or refused,
                   f"WRONG ANSWER of {node.name} for {key}{query}: "
                   f"{answer!r}")

    # ---- One flip ----

    def choose_place(self, node):
        """(file, offset, what lies there or None)"""
        files = {"log/data.mdb": node.data / "log" / "data.mdb",
                 "log/journal": node.data / "log" / "journal",
                 "data/data.mdb": max(node.data.glob("data*/data.mdb"))}
        name = self.random.choices(
            list(WEIGHTS), list(WEIGHTS.values()))[0]
        path = files[name]
        parts = damage.allocated(path)
        at = self.random.randrange(sum(size for _, size in parts))
        for start, size in parts:
            if at < size:
                break
            at -= size
        offset = start + at
        kind = None
        if name != "log/journal":
            kind = Pages(path).kind_of(offset)
        return name, path, offset, kind

    def judge(self, node, name, path, offset, byte, kind, what):
        """What became of it, by what the node has logged."""
        log = node.read_log()
        if 'set aside in "damaged"' in log:
            return "begun again"
        if "no operator is needed" in log:
            return "mended"
        if kind is None:
            return "not in use"
        if not path.exists() or self.byte_at(path, offset) != byte:
            return "written over"
        if kind.rpartition(" ")[2] in self.deleted:
            return "deleted by the journal"
        self.say(f"{what}: not detected")
        return "in use, not detected"

    @staticmethod
    def byte_at(path, offset):
        with open(path, "rb") as file:
            file.seek(offset)
            return file.read(1)

    @staticmethod
    def say(text):
        print(text, flush=True)

    def watch(self, node):
        """Reads from it while it comes up, until it is ready."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        keys = self.random.sample(sorted(self.expected), READS)
        while not node.is_ready():
            expect(node.is_running(),
                   f"{node.name} ended with {node.process.poll()}: "
                   f"{node.read_log().strip()[-400:]}")
            expect(time.monotonic() < deadline, f"{node.name} is not ready: "
                   f"{node.read_log().strip()[-600:]}")
            self.check_right(node, keys, "?consistency=stale", False)
            self.check_right(node, keys[:5], "?timeout=200ms", False)
        self.check_right(node, keys, "?timeout=2s", True)

    def flip(self, number):
        node = self.random.choice(self.cluster.nodes)
        self.change()
        if number % 2:
            node.kill()
        else:
            node.stop()
        name, path, offset, kind = self.choose_place(node)
        self.deleted = journal_deletes(node.data / "log" / "journal")
        damage.flip(path, offset, self.random.randrange(1, 256))
        byte = self.byte_at(path, offset)
        what = (f"flip {number}: {node.name} "
                f"{'killed' if number % 2 else 'stopped'}, {name} at "
                f"{offset} ({kind})")
        try:
            node.start()
            self.watch(node)
            self.cluster.wait_converged()
            self.check_right(node, sorted(self.expected),
                             "?consistency=stale", True)
            outcome = self.judge(
                node, name, path, offset, byte, kind, what)
        except Failure as failure:
            self.say(f"{what}: {failure}")
            self.failures.append(what)
            kept = pathlib.Path(f"{self.test.directory}-flip{number}")
            shutil.copytree(node.data, kept)
            node.kill()
            raise
        self.counts[outcome, name] += 1
        if kind is not None and outcome == "not in use":
            self.say(what)


def run(count, seed):
    failures = 0
    counts = collections.Counter()
    number = 0
    began = time.monotonic()
    while number < count:
        test = Test(f"flips-{seed}-{number}", seed)
        flips = None
        try:
            flips = Flips(test, f"{seed} {number}")
            flips.fill()
            while number < count:
                number += 1
                flips.flip(number)
        except Failure as failure:
            failures += 1
            print(f"failed: {failure} [{test.directory}]", flush=True)
            if failures >= 5:
                number = count
        finally:
            if flips is not None:
                counts += flips.counts
            test.close(failed=failures > 0)
    for (outcome, name), times in sorted(counts.items()):
        print(f"{times:5}  {outcome}, {name}")
    seconds = time.monotonic() - began
    print(f"{sum(counts.values())} flips, {failures} failed, "
          f"{seconds / max(1, count):.2f} s each, seed {seed}")
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int,
                        default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    # Unwinds, so that no daemon outlives it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    sys.exit(1 if run(arguments.count, arguments.seed) else 0)


if __name__ == "__main__":
    main()
