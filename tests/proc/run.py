#!/usr/bin/env python3
"""
Tests of real luminousd processes. Every function test_NAME(test) in a file
test_FILE.py is one test, FILE.NAME. One line each; the last line is
'N passed, N failed', and the exit status 0 if none failed.

The daemon is build/luminousd, or $LUMINOUSD. The directory of a failed test,
with configuration, data and logs, is kept and named.
"""

import argparse
import importlib
import os
import pathlib
import random
import signal
import sys
import time
import traceback

sys.dont_write_bytecode = True  # before anything of this tree is imported

from lib.cluster import daemon_path
from lib.testing import Failure, Skip, Test

# No test takes nearly as long; one that hangs must not stop the others.
TEST_SECONDS_MAX = 180


def find_tests():
    """(name, function) in the order of the files, and in each as written."""
    directory = pathlib.Path(__file__).resolve().parent
    for path in sorted(directory.glob("test_*.py")):
        module = importlib.import_module(path.stem)
        for name, function in vars(module).items():
            if name.startswith("test_") and callable(function):
                yield (f"{path.stem[5:]}.{name[5:]}", function)


def on_alarm(*_):
    raise Failure(f"not finished within {TEST_SECONDS_MAX} s")


def on_terminate(*_):
    """Unwinds, so that no daemon outlives its test."""
    sys.exit("ended by SIGTERM")


def place_of(error):
    """The line of the test function in which it failed."""
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        if os.path.basename(frame.filename).startswith("test_"):
            return f"{os.path.basename(frame.filename)}:{frame.lineno}"
    return "the end of the test"


def describe(error):
    if isinstance(error, Failure):
        return f"{place_of(error)}: {error}"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return (f"{place_of(error)}: {type(error).__name__}: {error} "
            f"({os.path.basename(last.filename)}:{last.lineno})")


def run_function(test, function):
    signal.alarm(TEST_SECONDS_MAX)
    try:
        function(test)
    finally:
        signal.alarm(0)


def run_test(name, function, seed):
    """Prints its line, and returns "ok", "FAIL" or "skip"."""
    test = Test(name, seed)
    began = time.monotonic()
    outcome, reason = "ok", ""
    try:
        run_function(test, function)
    except Skip as error:
        outcome, reason = "skip", str(error)
    except Exception as error:  # any failure of one test ends that test only
        outcome, reason = "FAIL", describe(error)
    except BaseException:
        test.close(failed=True)
        raise
    try:
        test.close(failed=outcome == "FAIL")
    except Exception as error:
        outcome, reason = "FAIL", describe(error)
    if outcome == "FAIL":
        reason += f" [logs: {test.directory}]"
    elif test.notes:
        reason = "; ".join(filter(None, [reason, *test.notes]))
    seconds = time.monotonic() - began
    print(f"{outcome:4}  {name}  {seconds:.1f} s  {reason}".rstrip(),
          flush=True)
    return outcome


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", metavar="PATTERN", default="",
                        help="only tests with this in their name")
    parser.add_argument("--list", action="store_true",
                        help="print the names, run nothing")
    parser.add_argument("--seed", type=int, default=None,
                        help="of the random choices; printed at the start")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    tests = [(name, function) for name, function in find_tests()
             if arguments.k in name]
    if arguments.list:
        print("\n".join(name for name, _ in tests))
        return 0
    if not os.access(daemon_path(), os.X_OK):
        print(f"{daemon_path()} is not there: run make")
        return 1
    if not tests:
        print("no such test; see --list")
        return 2
    seed = arguments.seed
    if seed is None:
        seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}, {daemon_path()}", flush=True)
    signal.signal(signal.SIGALRM, on_alarm)
    signal.signal(signal.SIGTERM, on_terminate)
    outcomes = [run_test(name, function, seed) for name, function in tests]
    if "skip" in outcomes:
        print(f"{outcomes.count('skip')} skipped")
    failed = outcomes.count("FAIL")
    print(f"{outcomes.count('ok')} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
