#!/usr/bin/env python3
"""
Ten times what a cluster of three can do, from clients that do not wait for
answers. First the capacity is measured with clients that do; then the open
loop, second by second; then how long it takes until the same clients as at
first get as much again. Exits with 0 if nobody was elected, at least 80 % of
the capacity was acknowledged meanwhile, it was all there again within 5 s,
and every acknowledged write is there.
"""

import argparse
import itertools
import sys
import time

sys.dont_write_bytecode = True  # before anything of this tree is imported

from lib.cluster import Cluster
from lib.open_loop import OpenLoop, raise_file_limit
from lib.testing import Failure, Test, expect, expect_equal

GOODPUT_PERCENT_MIN = 80
RECOVERY_SECONDS_MAX = 5.0
numbers = itertools.count()


def measure(nodes, writers, seconds):
    """What is acknowledged a second by clients that wait for it."""
    loop = OpenLoop(nodes, writers, f"m{next(numbers)}")
    _, good = loop.run(seconds)
    loop.drain(10)
    loop.close()
    return good


def overload(nodes, arguments, capacity):
    loop = OpenLoop(nodes, arguments.writers, "o")
    goodputs = []
    for second in range(arguments.seconds):
        asked, good = loop.run(1.0, rate=arguments.factor * capacity)
        goodputs.append(good)
        print(f"{second + 1:6}  {asked:9.0f}  {good:9.0f}  "
              f"{100 * good / capacity:6.0f} %", flush=True)
    return loop, sum(goodputs) / len(goodputs)


def recover(nodes, arguments, capacity):
    """Seconds until half a second gives nearly as much as before; None:
    never."""
    began = time.monotonic()
    recovery = None
    rates = []
    while recovery is None and \
            time.monotonic() < began + 3 * RECOVERY_SECONDS_MAX:
        at = time.monotonic()
        rates.append(measure(nodes, arguments.waiting, 0.5))
        if rates[-1] >= capacity * GOODPUT_PERCENT_MIN / 100:
            recovery = round(at - began, 2)
    print("afterwards, in halves of a second: " +
          " ".join(f"{rate:.0f}" for rate in rates))
    return recovery


def run(test, arguments):
    cluster = Cluster(test, options={"raft.election-timeout": None,
                                     "raft.heartbeat-interval": None}).start()
    leader = cluster.leader()
    before = leader.get_cluster()
    measure(cluster, arguments.waiting, 1.0)  # to warm up
    capacity = measure(cluster, arguments.waiting, 3.0)
    print(f"capacity: {capacity:.0f} acknowledged PUTs a second, "
          f"{arguments.waiting} clients\n"
          f"second  asked/s    acked/s    of the capacity")
    loop, goodput = overload(cluster, arguments, capacity)
    broken = sum(writer.broken for writer in loop.writers)
    loop.close()  # as clients that have given up; their backlog goes with them
    recovery = recover(cluster, arguments, capacity)
    after = cluster.leader().get_cluster()
    lost = loop.find_lost(cluster.leader())
    print(f"goodput {100 * goodput / capacity:.0f} % of the capacity; "
          f"recovered after {recovery} s; answers {loop.count()}, "
          f"{broken} connections broken; term {before['term']} -> "
          f"{after['term']}; {len(lost)} lost")
    expect_equal((after["term"], after["leader"]),
                 (before["term"], before["leader"]), "term and leader")
    expect_equal(lost[:5], [], "acknowledged writes that are not there")
    expect(goodput >= capacity * GOODPUT_PERCENT_MIN / 100,
           "the goodput collapsed")
    expect(recovery is not None and recovery <= RECOVERY_SECONDS_MAX,
           "it did not recover")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--factor", type=float, default=10.0,
                        help="of the capacity that is asked for")
    parser.add_argument("--writers", type=int, default=1500,
                        help="connections of those who do not wait")
    parser.add_argument("--waiting", type=int, default=192,
                        help="of those who do")
    arguments = parser.parse_args()
    if not raise_file_limit(arguments.writers + 8192):
        print("too few files may be open")
        return 1
    test = Test("overload", 0)
    failed = True
    try:
        run(test, arguments)
        failed = False
    except Failure as error:
        print(f"FAIL  {error}")
    finally:
        test.close(failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
