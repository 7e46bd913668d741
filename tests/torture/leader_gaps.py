#!/usr/bin/env python3
"""
Takes the leader away, again and again, while eight writers go on through all
nodes and another client comes every 50 ms, with the default timeouts: how long
does no write succeed? By default it vanishes: no packet of members or clients
reaches it or comes back, and nobody is told by a reset. Afterwards every
acknowledged write must be there, on every node. With --state the gaps are kept
in a file, and another call with it goes on until there are --count of them.
"""

import argparse
import json
import os
import pathlib
import random
import sys
import time
import types

sys.dont_write_bytecode = True  # before anything of this tree is imported
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "proc")]

import nemesis
from cluster import TortureCluster
from leader_kills import percentile
from lib.load import ACKED, REFUSED, UNKNOWN, Load
from lib.testing import Failure, Test, expect
from network import Network, enter, run_in

FAULTS = ("vanish-leader", "isolate-leader", "kill-leader", "pause-leader")
# A client that asks a node that is gone gives up, and asks the next one.
CLIENT_TIMEOUT = 2.0
# Soon all eight wait for what they wrote before, and tell nothing of the rest.
ARRIVALS = 0.05


class Gaps:
    """Seconds, one for each round; also of calls before, from their file."""

    def __init__(self, path, fault):
        self.path = path
        self.fault = fault
        self.values = []
        if path is not None and path.exists():
            rounds = map(json.loads, path.read_text().splitlines())
            self.values = [one["gap"] for one in rounds
                           if one["fault"] == fault]

    def add(self, leader, term, gap):
        self.values.append(gap)
        print(f"{len(self.values):5}  {leader:6}  {term:4}  {gap:.3f} s",
              flush=True)
        if self.path is not None:
            with open(self.path, "a") as file:
                file.write(json.dumps({
                    "fault": self.fault, "leader": leader, "term": term,
                    "gap": gap}) + "\n")


def take_leader(run, load, fault):
    """One round: who led, its term, and the gap."""
    cluster = run.cluster
    leader = cluster.leader(timeout=30)
    term = leader.get_cluster()["term"]
    load.wait_acked(50, timeout=30)
    taken = time.monotonic()
    strike = nemesis.make(fault, run, run.random)
    struck = strike.begin()
    others = [node for node in cluster if node is not leader]
    try:
        cluster.leader(others, timeout=30)
        load.wait_acked(50, timeout=30)
        gap = load.longest_gap(taken, time.monotonic())
    finally:
        strike.end()
    cluster.wait_ready(timeout=30)
    # Another may have led by the time that it struck.
    return (leader.name, term, gap) if struck == leader.name else None


def run_rounds(test, arguments, gaps):
    network = Network(arguments.seed)
    test.defer(network.close)
    for name in ("control", "c1"):
        network.add_host(name)
    enter(network.hosts["control"])
    cluster = TortureCluster(test, network, arguments.size).start()
    run = types.SimpleNamespace(cluster=cluster, network=network,
                                clients=["c1"], random=test.random)
    load = Load(cluster, writers=8, timeout=CLIENT_TIMEOUT,
                arrivals=ARRIVALS)
    run_in(network.hosts["c1"], load.start)
    print("round  leader  term  gap")
    while len(gaps.values) < arguments.count:
        taken = take_leader(run, load, arguments.fault)
        if taken is not None:
            gaps.add(*taken)
    load.stop()
    cluster.wait_converged()
    for node in cluster:
        load.check(node)
        load.check(node, "?consistency=stale")
    expect(not cluster.odd_ends, f"daemons ended: {cluster.odd_ends}")
    print(f"writes: {load.count(ACKED)} acknowledged, "
          f"{load.count(REFUSED)} refused, {load.count(UNKNOWN)} unknown")
    print("no acknowledged write is lost")


def print_summary(arguments, gaps):
    values = gaps.values
    if values:
        print(f"{arguments.fault}, {arguments.size} nodes, {len(values)} "
              f"rounds: gap in successful writes p50 "
              f"{percentile(values, 50):.3f} s, "
              f"p99 {percentile(values, 99):.3f} s, max {max(values):.3f} s")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--fault", choices=FAULTS, default=FAULTS[0])
    parser.add_argument("--size", type=int, choices=(3, 5), default=3)
    parser.add_argument("--state", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--seed", type=int,
                        default=random.SystemRandom().randrange(1 << 32))
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    if os.getpid() != 1:  # so that all ends with this process
        os.execvp("unshare", [
            "unshare", "--mount", "--pid", "--fork", "--kill-child",
            "--mount-proc", sys.executable, *sys.argv])
    gaps = Gaps(arguments.state, arguments.fault)
    test = Test("leader_gaps", arguments.seed)
    failed = True
    try:
        run_rounds(test, arguments, gaps)
        failed = False
    except Failure as failure:
        print(f"FAIL: {failure}\nlogs: {test.directory}")
    finally:
        test.close(failed)
        print_summary(arguments, gaps)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
