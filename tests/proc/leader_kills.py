#!/usr/bin/env python3
"""
Kills the leader again and again while eight writers go on through all nodes,
with the default timeouts. Afterwards every acknowledged write must be there,
on every node. Prints how long no write succeeded after each kill, and exits
with 0 if nothing was lost.
"""

import argparse
import random
import sys
import time

sys.dont_write_bytecode = True  # before anything of this tree is imported

from lib.cluster import Cluster
from lib.load import ACKED, REFUSED, UNKNOWN, Load
from lib.testing import Failure, Test


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def kill_once(cluster, load):
    """One round; who led, its term, and the gap in seconds."""
    leader = cluster.leader()
    term = leader.get_cluster()["term"]
    load.wait_acked(50)
    killed = time.monotonic()
    leader.kill()
    others = [node for node in cluster if node is not leader]
    cluster.leader(others)
    load.wait_acked(50)
    gap = load.longest_gap(killed, time.monotonic())
    leader.restart()
    cluster.wait_ready()
    return leader.name, term, gap


def print_summary(load, gaps):
    print(f"writes: {load.count(ACKED)} acknowledged, "
          f"{load.count(REFUSED)} refused, {load.count(UNKNOWN)} unknown")
    print("gap in successful writes: "
          f"p50 {percentile(gaps, 50):.3f} s, "
          f"p90 {percentile(gaps, 90):.3f} s, max {max(gaps):.3f} s")


def run(test, count):
    cluster = Cluster(test, options={"raft.election-timeout": None,
                                     "raft.heartbeat-interval": None})
    cluster.start()
    load = Load(cluster, writers=8).start()
    gaps = []
    print("kill  leader  term  gap")
    for number in range(1, count + 1):
        name, term, gap = kill_once(cluster, load)
        gaps.append(gap)
        print(f"{number:4}  {name:6}  {term:4}  {gap:.3f} s", flush=True)
    load.stop()
    cluster.wait_converged()
    for node in cluster:
        load.check(node)
        load.check(node, "?consistency=stale")
    print_summary(load, gaps)
    print("no acknowledged write is lost")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int,
                        default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    test = Test("leader_kills", arguments.seed)
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
