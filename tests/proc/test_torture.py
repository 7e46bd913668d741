"""What judges the cells of the torture fails where it has to."""

import json
import pathlib
import sys
import types

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "torture"))

import cell
import cells
import nemesis
from history_figures import Figures
from lib.cluster import Cluster
from lib.testing import Failure, expect, expect_equal, expect_in
from network import MERGE


def expect_failure(text, function, *arguments):
    try:
        function(*arguments)
    except Failure as failure:
        expect_in(text, str(failure), "the failure")
        return
    raise Failure(f"no failure that says {text!r}")


def test_cells_have_three_faults_of_different_kinds(test):
    names = cells.names()
    expect(len(names) >= 150, f"{len(names)} cells")
    expect_equal(len(set(names)), len(names), "different names")
    expect_equal(set(cells.SMOKE) - set(names), set(), "unknown smoke cells")
    for name in names:
        chosen = cells.Cell(name, test.random.randrange(1 << 32)).faults
        groups = {nemesis.FAULTS[fault][0] for fault in chosen}
        expect_equal(len(groups), cells.OVERLAP, f"kinds of {chosen}")
    again = [cells.Cell(names[0], 7).faults for _ in range(2)]
    expect_equal(again[0], again[1], "the same seed")


def write_history(test, operations):
    path = test.directory / "history"
    path.write_text("".join(json.dumps(line) + "\n" for line in [
        {"history": 1}, *operations, {"end": True}]))
    return Figures(path)


def operation(call, status="ok"):
    return {"op": "get", "status": status, "call": call * 10**9,
            "ret": None if status == "info" else (call + 1) * 10**9}


def test_vacuous_cells_fail(test):
    """Too few operations, too little overlap, and none during it."""
    intervals = cell.Intervals(test.directory / "intervals")
    run = types.SimpleNamespace(ok_min=3, intervals=intervals)
    figures = write_history(test, [operation(n) for n in (1, 2, 3, 9)] +
                            [operation(4, "fail"), operation(5, "info")])
    expect_equal((figures.ok, figures.fail, figures.unknown), (4, 1, 1),
                 "counts")
    expect_equal(figures.longest_gap, 6.0, "the longest gap")
    for fault, begin, end in (("a", 1, 6), ("b", 2, 7)):
        intervals.add(fault, "n1", begin * 10**9, end * 10**9)
    expect_failure("faults at once for 0.0 s", cell.expect_not_vacuous, run,
                   figures, 10)
    intervals.add("c", "n2", 3 * 10**9, 8 * 10**9)
    expect_equal(intervals.overlaps(), [(3 * 10**9, 6 * 10**9)], "overlaps")
    expect_equal(cell.expect_not_vacuous(run, figures, 10), 3.0, "overlap")
    expect_failure("3 faults at once for 3.0 s", cell.expect_not_vacuous, run,
                   figures, 100)
    run.ok_min = 5
    expect_failure("4 operations succeeded", cell.expect_not_vacuous, run,
                   figures, 10)
    run.ok_min = 1
    early = write_history(test, [operation(0), operation(20)])
    expect_failure("no operation while", cell.expect_not_vacuous, run, early,
                   10)


def test_rules_add_up(_):
    """Two faults on one link: as bad as both together."""
    expect_equal([MERGE["delay"](5, 7), MERGE["loss"](500, 500),
                  MERGE["rate"](5, 7), MERGE["block"](0, 1)],
                 [12, 750, 5, 1], "both together")


def test_different_states_are_seen(test):
    """Two clusters taken for one, at one revision, with other values."""
    one = Cluster(test, size=1, directory=test.directory / "one").start()
    two = Cluster(test, size=1, directory=test.directory / "two").start()
    one["n1"].put("key", b"value")
    two["n1"].put("key", b"value")
    both = types.SimpleNamespace(
        members=lambda: [one["n1"], two["n1"]], wait_converged=lambda: 1)
    first = cell.export(one["n1"])
    expect(b"key" in first, f"the export: {first}")
    two["n1"].put("key", b"other")
    expect_failure("all members hold the same", cell.compare_states, both, 1)
