#!/usr/bin/env python3
"""
Real daemons, real packets, several faults at once: runs cells, which are
combinations of a workload, a fault and a size of the cluster, by name, as
mixed.kill-leader.3. The named fault strikes together with two of other kinds,
chosen by the seed. Afterwards all is healed: the members have to agree on one
state, and the history of all that clients saw has to be linearizable. A cell
with too few operations, or without three faults at once, fails as vacuous.

Needs root, /dev/net/tun, strace and libfaketime; not netem. Cells run in
namespaces of their own and share nothing, so that any number of runs can go on
side by side; a run that is killed takes all of it along. Failed cells keep
their directory, with the history and the logs.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # before anything of this tree is imported
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "proc")]

import cells

PREFIX = "luminous-torture-"
SMOKE_SECONDS = 7
# Beside its time with faults: start, recovery, final reads, checks.
MORE_SECONDS_MAX = 300


class Job:
    """A cell that runs, as the first process of a PID namespace: when that
    ends, so does everything in it; and it ends with this process."""

    def __init__(self, name, arguments, directory):
        self.name = name
        self.directory = directory / name
        self.directory.mkdir()
        self.deadline = time.monotonic() + arguments.seconds + MORE_SECONDS_MAX
        with open(self.directory / "cell.log", "wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL",
                 "unshare", "--mount", "--pid", "--fork", "--kill-child",
                 "--mount-proc", sys.executable, str(HERE / "cell.py"), name,
                 "--seconds", str(arguments.seconds),
                 "--seed", str(arguments.seed),
                 "--directory", str(self.directory)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def is_done(self):
        if self.process.poll() is None and time.monotonic() > self.deadline:
            self.process.kill()
            self.process.wait()
        return self.process.poll() is not None

    def result(self):
        """A cell that died without one says what it printed last."""
        path = self.directory / "result.json"
        if path.exists():
            return json.loads(path.read_text())
        text = (self.directory / "cell.log").read_text(errors="replace")
        return {"reason": f"it ended with {self.process.returncode}: "
                f"{text.strip()[-500:]}"}

    def finish(self, arguments):
        """Prints its line; True if it passed."""
        result = self.result()
        passed = result["reason"] is None
        print(f"{'ok' if passed else 'FAIL':4}  {self.name}  "
              f"{describe(result)}", flush=True)
        if passed and not arguments.keep:
            shutil.rmtree(self.directory)
        if not passed:
            print(f"      {result['reason']}\n      kept: {self.directory}\n"
                  f"      again: scripts/torture.sh --cells {self.name} "
                  f"--seconds {arguments.seconds:g} --seed {arguments.seed}",
                  flush=True)
        return passed


def describe(result):
    """The figures that it got to."""
    parts = [f"{result[name]} {name}" for name in
             ("ok", "fail", "unknown", "elections") if name in result]
    if "gap" in result:
        parts.append(f"longest gap {result['gap']:.1f} s")
    if "overlap" in result:
        parts.append(f"{result['overlap']:.0f} s of three faults")
    return ", ".join(parts) + f"  [{' '.join(result.get('faults', []))}]"


def is_alive(pid):
    return pathlib.Path(f"/proc/{pid}").exists()


def make_directory():
    """A directory that says whose it is. Those of runs that were killed go."""
    root = pathlib.Path(tempfile.gettempdir())
    for path in root.glob(PREFIX + "*"):
        try:
            pid = int((path / "running").read_text())
        except (OSError, ValueError):
            continue  # its run has ended, and left it on purpose
        if not is_alive(pid):
            shutil.rmtree(path, ignore_errors=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix=PREFIX))
    (directory / "running").write_text(str(os.getpid()))
    return directory


def run(names, arguments, directory):
    """How many passed and failed."""
    waiting = list(names)
    running = []
    counts = {True: 0, False: 0}
    while waiting or running:
        while waiting and len(running) < arguments.jobs:
            running.append(Job(waiting.pop(0), arguments, directory))
        for job in [job for job in running if job.is_done()]:
            running.remove(job)
            counts[job.finish(arguments)] += 1
        time.sleep(0.05)
    return counts[True], counts[False]


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="torture.sh", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--cells", metavar="NAME,...",
                      help="these, or patterns as of files: 'mixed.*.3'")
    what.add_argument("--smoke", action="store_true",
                      help=f"{len(cells.SMOKE)} cells of {SMOKE_SECONDS} s")
    what.add_argument("--all", action="store_true")
    what.add_argument("--list", action="store_true",
                      help="print the names, run nothing")
    parser.add_argument("--count", type=int,
                        help="so many of them only, drawn by the seed")
    parser.add_argument("--seconds", type=float,
                        help="with faults, of each cell (60)")
    parser.add_argument("--seed", type=int,
                        default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--jobs", type=int, default=2,
                        help="cells at a time (2)")
    parser.add_argument("--keep", action="store_true",
                        help="the directories of cells that passed, too")
    arguments = parser.parse_args()
    if not (arguments.cells or arguments.smoke or arguments.all or
            arguments.list or arguments.count):
        parser.error("which cells? --list tells their names")
    if arguments.seconds is None:
        arguments.seconds = SMOKE_SECONDS if arguments.smoke else 60.0
    return arguments


def choose(arguments):
    names = cells.names()
    if arguments.smoke:
        names = list(cells.SMOKE)
    elif arguments.cells:
        names = cells.match(arguments.cells.split(","))
    if arguments.count is not None and arguments.count < len(names):
        names = random.Random(arguments.seed).sample(names, arguments.count)
    return names


def main():
    arguments = parse_arguments()
    names = choose(arguments)
    if arguments.list:
        print("\n".join(names))
        return 0
    if not names:
        print(f"no cell is called {arguments.cells}; see --list")
        return 2
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        print("FAIL  root and /dev/net/tun are needed")
        print(f"0 passed, {len(names)} failed")
        return 1
    directory = make_directory()
    print(f"seed {arguments.seed}, {len(names)} cells of "
          f"{arguments.seconds:g} s, {directory}", flush=True)
    passed, failed = run(names, arguments, directory)
    (directory / "running").unlink()
    if failed == 0 and not arguments.keep:
        shutil.rmtree(directory)
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
