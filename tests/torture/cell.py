#!/usr/bin/env python3
"""
One cell, in namespaces of its own: torture.py starts it. All that happened is
below --directory; what came of it is result.json there.
"""

import argparse
import hashlib
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.request

sys.dont_write_bytecode = True  # before anything of this tree is imported
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "proc")]

import nemesis
from cells import OVERLAP, Cell
from cluster import TortureCluster
from history_figures import Figures
from lib.testing import Failure, Test, expect, wait_for
from network import REPOSITORY, Network, enter

WARM_UP_SECONDS = 1.0
BEGIN_SECONDS_MAX = 15.0
SETTLE_SECONDS = 45.0
# Of the time with faults, at least so much with enough of them at once.
OVERLAP_SHARE = 0.2
CLIENT_TIMEOUT = 2.0
OPTIONS = {
    "raft.election-timeout": "500ms",
    "raft.heartbeat-interval": "100ms",
    "http.request-timeout": "1s",
    "raft.trailing-bytes": "1MiB",  # so that some need a snapshot
}


class Intervals:
    """When which fault held: a JSON object a line."""

    def __init__(self, path):
        self.path = path
        self.records = []
        self._lock = threading.Lock()

    def add(self, fault, whom, begin, end):
        record = {"kind": fault, "whom": whom, "begin": begin, "end": end}
        with self._lock, open(self.path, "a") as file:
            self.records.append(record)
            file.write(json.dumps(record) + "\n")

    def overlaps(self):
        """(begin, end) of the times with OVERLAP faults at once."""
        moments = sorted([(record["begin"], 1) for record in self.records] +
                         [(record["end"], -1) for record in self.records])
        count = 0
        found = []
        for (moment, change), (following, _) in zip(moments, moments[1:]):
            count += change
            if count >= OVERLAP and following > moment:
                found.append((moment, following))
        return found


class Run:
    """What a fault needs to know of the run that it is part of."""

    def __init__(self, test, cell, seed, seconds):
        self.test = test
        self.cell = cell
        self.clients = ["c1"]
        self.network = Network(seed)
        test.defer(self.network.close)
        for name in ("control", *self.clients):
            self.network.add_host(name)
        enter(self.network.hosts["control"])
        self.cluster = TortureCluster(
            test, self.network, cell.size, OPTIONS,
            has_clocks="clock-jump" in cell.faults)
        self.intervals = Intervals(test.directory / "intervals")
        self.problems = []
        self.ok_min = int(cell.rate_min * seconds)


# ---- The workload ----

class Traffic:
    """The workload: a process on the clients' host."""

    def __init__(self, run, seed):
        self.run = run
        self.history = run.test.directory / "history"
        self.log = open(run.test.directory / "workload.log", "wb")
        header = json.dumps({
            "nemesis": " ".join(run.cell.faults),
            "ok_min": run.ok_min, "intervals_min": OVERLAP,
            "together_min": OVERLAP})
        self.process = subprocess.Popen(
            ["nsenter", f"--net={run.network.hosts['c1']}", "--",
             sys.executable, str(HERE / "workload.py"),
             "--workload", run.cell.workload, "--seed", str(seed),
             "--timeout", str(CLIENT_TIMEOUT), "--header", header,
             "--history", str(self.history),
             *[node.address for node in run.cluster.members()]],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        run.test.defer(self.kill)
        wait_for("the workload runs", self._has_begun, 30)

    def _has_begun(self):
        self.expect_alive()
        return self.history.exists() and \
            self.history.read_bytes().count(b"\n") > 10

    def expect_alive(self):
        expect(self.process.poll() is None,
               "the workload has ended, see workload.log")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def stop(self):
        """Final reads included; the history is whole then."""
        self.expect_alive()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(180)
        except subprocess.TimeoutExpired:
            raise Failure("the workload does not end") from None
        expect(status == 0, f"the workload ended with {status}: "
               "see workload.log")


# ---- The faults ----

def hold_fault(run, name, random, delay, seconds, all_hold):
    """Begins it after a delay, and ends it so long after all hold."""
    try:
        time.sleep(delay)
        fault = nemesis.make(name, run, random)
        whom = fault.begin()
        began = time.monotonic_ns()
        all_hold.wait(BEGIN_SECONDS_MAX)
        time.sleep(seconds)
        ended = time.monotonic_ns()
        fault.end()
        run.intervals.add(name, whom, began, ended)
    except Exception:  # the run fails by it, after all has been healed
        all_hold.abort()
        run.problems.append(f"{name}: {traceback.format_exc()}")


def strike(run, seconds):
    """All faults of the cell at once, begun and ended one after the other."""
    random = run.cell.random
    all_hold = threading.Barrier(len(run.cell.faults))
    threads = [
        threading.Thread(target=hold_fault, args=(
            run, name, type(random)(random.random()),
            random.uniform(0, 0.15) * seconds,
            random.uniform(0.7, 0.85) * seconds, all_hold))
        for name in run.cell.faults]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def strike_for(run, seconds):
    """Rounds of faults, and time to recover between them."""
    until = time.monotonic() + seconds
    while until - time.monotonic() > 2:
        left = until - time.monotonic()
        strike(run, min(left, run.cell.random.uniform(3, 5)))
        time.sleep(max(0, min(until - time.monotonic(),
                              run.cell.random.uniform(2, 3))))


# ---- The verdict ----

def export(node):
    """All that a node holds by itself, as text."""
    url = f"http://{node.address}/export?prefix=&consistency=stale"
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            lines = answer.read().splitlines()
    except OSError as error:
        raise Failure(f"export of {node.name}: {error}") from None
    expect(len(lines) > 1, f"export of {node.name} is empty: {lines}")
    return b"\n".join(lines)


def compare_states(cluster, timeout=20):
    """The revision and hash that all members have."""
    def equal():
        before = cluster.wait_converged()
        hashes = {hashlib.sha256(export(node)).hexdigest()
                  for node in cluster.members()}
        return (before, hashes.pop()) if len(hashes) == 1 else None
    return wait_for("all members hold the same", equal, timeout)


def check_history(history, intervals):
    checker = REPOSITORY / "build" / "check-history"
    done = subprocess.run([checker, "--faults", intervals, history],
                          capture_output=True, text=True)
    text = (done.stdout + done.stderr).strip()
    expect(done.returncode == 0,
           f"check-history ended with {done.returncode}: {text[-1500:]}")
    return text


def expect_not_vacuous(run, figures, seconds):
    expect(figures.ok >= run.ok_min, f"vacuous: {figures.ok} operations "
           f"succeeded, {run.ok_min} are the least")
    overlaps = run.intervals.overlaps()
    overlap = sum(end - begin for begin, end in overlaps) / 1e9
    expect(overlap >= OVERLAP_SHARE * seconds,
           f"vacuous: {OVERLAP} faults at once for {overlap:.1f} s only")
    expect(figures.count_called(overlaps) > 0,
           f"vacuous: no operation while {OVERLAP} faults held")
    return overlap


def run_cell(test, cell, arguments, result):
    run = Run(test, cell, arguments.seed, arguments.seconds)
    cluster = run.cluster.start()
    first_term = cluster.leader(timeout=30).get_cluster()["term"]
    traffic = Traffic(run, arguments.seed)
    time.sleep(WARM_UP_SECONDS)
    strike_for(run, arguments.seconds)
    traffic.expect_alive()
    expect(not run.problems, f"a fault broke: {run.problems}")
    cluster.settle(SETTLE_SECONDS)
    result["elections"] = \
        cluster.leader().get_cluster()["term"] - first_term
    traffic.stop()
    figures = Figures(traffic.history)
    result.update(ok=figures.ok, fail=figures.fail, unknown=figures.unknown,
                  gap=figures.longest_gap)
    expect(not cluster.odd_ends, f"daemons ended: {cluster.odd_ends}")
    revision, digest = compare_states(cluster)
    result.update(revision=revision, digest=digest,
                  packets=run.network.stats())
    result["overlap"] = expect_not_vacuous(run, figures, arguments.seconds)
    result["checked"] = check_history(traffic.history, run.intervals.path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--directory", required=True)
    arguments = parser.parse_args()
    tempfile.tempdir = arguments.directory
    cell = Cell(arguments.name, arguments.seed)
    test = Test("cell", arguments.seed)
    result = {"faults": cell.faults, "reason": None}
    try:
        run_cell(test, cell, arguments, result)
    except Failure as failure:
        result["reason"] = str(failure)
    except Exception as error:
        result["reason"] = f"{type(error).__name__}: {error}"
        traceback.print_exc()
    path = pathlib.Path(arguments.directory) / "result.json"
    path.write_text(json.dumps(result) + "\n")
    test.close(failed=True)  # torture.py decides what is kept
    return 0 if result["reason"] is None else 1


if __name__ == "__main__":
    sys.exit(main())
