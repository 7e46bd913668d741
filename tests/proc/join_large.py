#!/usr/bin/env python3
"""
Fills a cluster of three with so many MiB, and has an empty fourth node join it
while four writers go on, with the default timeouts. Prints how long it took
until that votes, and the longest time in which no write succeeded. Nobody may
be elected meanwhile (G23).
"""

import argparse
import os
import random
import sys
import time

sys.dont_write_bytecode = True  # before anything of this tree is imported

from lib import http
from lib.cluster import Cluster
from lib.load import Load
from lib.testing import Failure, Test, expect, expect_equal

VALUE_BYTES = 256 << 10


def fill(node, mib):
    with http.Client(node.address) as client:
        for number in range(mib * (1 << 20) // VALUE_BYTES):
            answer = client.request("PUT", f"/kv/fill/{number:07}",
                                    os.urandom(VALUE_BYTES))
            expect(answer.status in (200, 201), f"{answer!r}")


def run(test, mib, rate):
    cluster = Cluster(test, options={
        "raft.election-timeout": None, "raft.heartbeat-interval": None,
        "raft.snapshot-rate": rate})
    cluster.start()
    fill(cluster.leader(), mib)
    cluster.wait_converged(60)
    load = Load(cluster).start()
    load.wait_acked(200)
    usual = load.longest_gap(min(write.ended for write in load.writes))
    node = cluster.add_node("n4", cluster.leader())
    node.restart()
    term = cluster.leader().get_cluster()["term"]
    began = time.monotonic()
    cluster.wait_voters(["n1", "n2", "n3", "n4"], timeout=600)
    seconds = time.monotonic() - began
    stall = load.longest_gap(began, began + seconds)
    expect_equal(cluster.leader().get_cluster()["term"], term, "term")
    load.stop()
    cluster.wait_converged(60)
    load.check(node, "?consistency=stale")
    print(f"{mib} MiB: {seconds:.1f} s, {mib * 1.048576 / seconds:.0f} MB/s; "
          f"longest write stall {stall * 1e3:.0f} ms "
          f"({usual * 1e3:.0f} ms before it began)")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rate", default="0", help="raft.snapshot-rate")
    parser.add_argument("--seed", type=int,
                        default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    test = Test("join_large", arguments.seed)
    failed = True
    try:
        run(test, arguments.mib, arguments.rate)
        failed = False
    except Failure as failure:
        print(f"FAIL: {failure}\nlogs: {test.directory}")
    finally:
        test.close(failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
