#!/usr/bin/env python3
"""
Hands the leadership over again and again, by POST /cluster/leader, while eight
writers go on through all nodes, with the default timeouts. Prints how long no
write succeeded around each, and exits with 0 if nothing was lost.
"""

import argparse
import random
import sys
import time

sys.dont_write_bytecode = True  # before anything of this tree is imported

from lib.cluster import Cluster
from lib.load import ACKED, REFUSED, UNKNOWN, Load
from lib.testing import Failure, Test, expect_equal


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def hand_over_once(cluster, load):
    """The gap in seconds."""
    leader = cluster.leader()
    began = time.monotonic()
    answer = leader.fetch("POST", "/cluster/leader")
    expect_equal(answer.status, 200, f"POST /cluster/leader: {answer!r}")
    load.wait_acked(50)
    return load.longest_gap(began)


def run(test, count):
    cluster = Cluster(test, options={"raft.election-timeout": None,
                                     "raft.heartbeat-interval": None})
    cluster.start()
    load = Load(cluster, writers=8).start()
    load.wait_acked(100)
    gaps = [hand_over_once(cluster, load) for _ in range(count)]
    load.stop()
    cluster.wait_converged()
    for node in cluster:
        load.check(node)
    print(f"writes: {load.count(ACKED)} acknowledged, "
          f"{load.count(REFUSED)} refused, {load.count(UNKNOWN)} unknown")
    print(f"{count} hand-overs, gap in successful writes: "
          f"p50 {percentile(gaps, 50) * 1e3:.0f} ms, "
          f"p99 {percentile(gaps, 99) * 1e3:.0f} ms, "
          f"max {max(gaps) * 1e3:.0f} ms")
    print("no acknowledged write is lost")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int,
                        default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    test = Test("handovers", arguments.seed)
    failed = True
    try:
        run(test, arguments.count)
        failed = False
    except Failure as failure:
        print(f"FAIL: {failure}\nlogs: {test.directory}")
    finally:
        test.close(failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
