"""The combinations of workload, fault and size, by name."""

import fnmatch
import random

import nemesis

SIZES = (3, 5)
# workload -> operations a second that have to succeed, on average. A cell
# with fewer has tested nothing. Those with leases wait a lot.
WORKLOADS = {
    "register": 83, "txn": 83, "counter": 83, "list": 83, "queue": 83,
    "watch": 83, "mixed": 83, "lock": 10, "ttl": 20,
}
# Their times are promised for clocks that run at one rate.
TIMED = ("mixed", "lock", "ttl")
# Half a minute of these, two at a time, is what scripts/test.sh has time for.
SMOKE = (
    "mixed.kill-leader.3", "register.vanish-leader.3", "register.mangle.3",
    "txn.pause-leader.3", "queue.disk-full.3", "watch.restart-loop.3",
    "counter.split.5", "register.clock-rate.3", "mixed.replace.3",
    "list.kill-all.3", "txn.ring.5", "mixed.slow-disk-leader.3",
)
OVERLAP = 3  # faults at a time


class Cell:
    """`faults` last at once; the first gave the cell its name."""

    def __init__(self, name, seed):
        self.name = name
        self.workload, fault, size = name.split(".")
        self.size = int(size)
        self.random = random.Random(f"{seed} {name}")
        self.faults = [fault, *self._choose_companions(fault)]
        self.rate_min = WORKLOADS[self.workload]

    def _choose_companions(self, fault):
        """Of other groups, so that there is something left to run."""
        groups = [group for group in nemesis.GROUPS
                  if group != nemesis.FAULTS[fault][0]]
        chosen = []
        for group in self.random.sample(groups, OVERLAP - 1):
            chosen.append(self.random.choice(
                [name for name, row in nemesis.FAULTS.items()
                 if row[0] == group and is_allowed(self.workload, name)]))
        return chosen


def is_allowed(workload, fault):
    return not (fault == "clock-rate" and workload in TIMED)


def names():
    return [f"{workload}.{fault}.{size}"
            for fault in nemesis.FAULTS for workload in WORKLOADS
            for size in SIZES if is_allowed(workload, fault)]


def match(patterns):
    """All cells that one of them, as of files, matches."""
    return [name for name in names()
            if any(fnmatch.fnmatchcase(name, pattern)
                   for pattern in patterns)]
