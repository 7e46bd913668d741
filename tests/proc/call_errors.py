#!/usr/bin/env python3
"""
Makes each system call of the daemon fail, with each error of a table
(lib/calls.py), at each of its first occurrences, by strace. A daemon that goes
on must have said nothing wrong; one that ends must say why, with a status of
its own, and starts again; nothing may take ten seconds. One line for each call
and error; exit status 0 if all held.
"""

import argparse
import collections
import random
import signal
import sys

sys.dont_write_bytecode = True  # before anything of this tree is imported

from lib import calls
from lib.testing import Failure, Test

FAILURES_MAX = 3  # of one call and error; others would be alike


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--occurrences", type=int, default=200,
                        help="of each call, at most")
    parser.add_argument("--first", type=int, default=1,
                        help="the occurrence to begin with")
    parser.add_argument("--only", metavar="CALL", action="append",
                        choices=calls.ERRORS, help="this call; may be repeated")
    parser.add_argument("--from", metavar="CALL", dest="begin",
                        choices=calls.ERRORS, default="openat",
                        help="the table from this call on")
    parser.add_argument("--error", metavar="ERROR", help="this error")
    parser.add_argument("--nodes", type=int, default=1, choices=(1, 3))
    parser.add_argument("--kill", action="store_true",
                        help="end each life by SIGKILL, not by SIGTERM")
    parser.add_argument("--seed", type=int,
                        default=random.SystemRandom().randrange(1 << 32))
    return parser.parse_args()


def survey_calls(arguments):
    test = Test("survey", arguments.seed)
    try:
        survey = calls.Survey(test, arguments.nodes)
        survey.check_table()
        return survey
    finally:
        test.close(False)


def try_case(arguments, survey, *case):
    """What run_case gave, or the Failure."""
    test = Test("call", arguments.seed)
    result = None
    try:
        result = calls.run_case(
            test, survey, arguments.nodes, *case, kills=arguments.kill)
    except Failure as failure:
        result = failure
        print(f"FAIL: {failure}\nlogs: {test.directory}", flush=True)
    try:
        test.close(isinstance(result, Failure))
    except Failure as failure:
        result = failure
        print(f"FAIL: {case}: {failure}", flush=True)
    return result


def sweep(arguments, survey, call, error):
    """How many cases there were, and how many failed."""
    ends = collections.Counter()
    failed = 0
    last = arguments.first + arguments.occurrences
    for number in range(arguments.first, last):
        result = try_case(
            arguments, survey, call, calls.fault_of(error), number)
        if result is None:
            break
        if isinstance(result, Failure):
            failed += 1
            if failed == FAILURES_MAX:
                break
        else:
            ends[result] += 1
    statuses = ", ".join(f"{count} with status {status}"
                         for status, count in sorted(ends.items()))
    print(f"{call} {error}: {statuses or 'none'}"
          + (f", {failed} FAILED" if failed else ""), flush=True)
    return sum(ends.values()) + failed, failed


def wanted_cases(arguments):
    names = list(calls.ERRORS)
    names = arguments.only or names[names.index(arguments.begin):]
    return [(call, error) for call in names
            for error in calls.ERRORS[call].split()
            if arguments.error in (None, error)]


def main():
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    try:
        survey = survey_calls(arguments)
    except Failure as failure:
        print(f"FAIL: {failure}")
        return 1
    count = failed = 0
    for call, error in wanted_cases(arguments):
        more, bad = sweep(arguments, survey, call, error)
        count += more
        failed += bad
    if count == 0:
        print("no call failed: nothing was tested")
        return 3
    print(f"{count - failed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
