"""What clients of a cluster saw while its leader was killed, as judged by
build/check-history; and that it says no to the same with one thing changed."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time

from lib.cluster import Cluster
from lib.testing import Skip, expect, expect_equal

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "torture"))

from workload import Workload

SECONDS = 3.0


def judge(history, faults=None):
    """(exit status, what it said)"""
    program = os.environ.get("CHECK_HISTORY", ROOT / "build/check-history")
    if not os.access(program, os.X_OK):
        raise Skip("make check-history builds what judges it")
    options = ["--faults", str(faults)] if faults else []
    result = subprocess.run([str(program), *options, str(history)],
                            capture_output=True, text=True, timeout=120)
    return result.returncode, result.stdout + result.stderr


def expect_verdict(verdict, wanted, text, what):
    status, said = verdict
    expect_equal(status, wanted, f"{what}: {said}")
    expect(text in said, f"{what}: {text!r} is not in {said!r}")


def run_with_a_kill(cluster, workload):
    """The faults as they were."""
    workload.start([node.address for node in cluster], 1)
    time.sleep(SECONDS / 2)
    leader = cluster.leader()
    begin = time.monotonic_ns()
    leader.kill()
    time.sleep(SECONDS / 4)
    leader.restart()
    fault = {"kind": "kill", "begin": begin, "end": time.monotonic_ns()}
    time.sleep(SECONDS / 4)
    cluster.wait_ready()
    workload.stop()
    return json.dumps(fault) + "\n"


def change_one(records, path, fits, change):
    """Another history, in which one record that fits is changed."""
    lines = []
    changed = False
    for record in records:
        if not changed and fits(record):
            record = json.loads(json.dumps(record))
            change(record)
            changed = True
        lines.append(json.dumps(record) + "\n")
    expect(changed, f"nothing to change for {path.name}")
    path.write_text("".join(lines))
    return path


def forget_event(record):
    lines = record["lines"]
    del lines[next(i for i, (_, line) in enumerate(lines)
                   if line["type"] == "put")]


def test_history_of_a_leaders_death(test):
    """Real answers are right; altered ones are found out."""
    cluster = Cluster(test).start()
    header = {"ok_min": 300, "intervals_min": 1, "nemesis": "kill"}
    path = test.directory / "history"
    faults = test.directory / "faults"
    workload = Workload(path, "mixed", header=header,
                        connect=socket.create_connection)
    faults.write_text(run_with_a_kill(cluster, workload))
    expect_verdict(judge(path, faults), 0, "9 passed, 0 failed", "the run")
    test.note(f"{workload.history.count('ok')} operations, "
              f"{workload.history.count('info')} unknown")

    records = [json.loads(line) for line in path.read_text().splitlines()]
    stale = change_one(
        records, test.directory / "stale",
        lambda record: record.get("op") == "get" and record.get("final")
        and record["out"] is not None,
        lambda record: record.update(out="0-0"))
    expect_verdict(judge(stale, faults), 1, "FAIL reads", "a false read")
    lost = change_one(
        records, test.directory / "lost",
        lambda record: record.get("op") == "watch" and any(
            line["type"] == "put" for _, line in record["lines"]),
        forget_event)
    expect_verdict(judge(lost, faults), 1, "FAIL watches", "a lost event")
    cut = test.directory / "cut"
    cut.write_text("".join(
        json.dumps(record) + "\n" for record in records[:-1]))
    expect_verdict(judge(cut, faults), 3, "FAIL vacuity", "a cut history")
    expect_verdict(judge(path), 3, "0 faults", "a run without faults")
