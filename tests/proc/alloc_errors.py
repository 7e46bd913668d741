#!/usr/bin/env python3
"""
Starts a daemon, asks it for everything and stops it, again and again, and each
time another allocation of it fails: one alone, and then all from that one on.
It must end with status 70 and a word of memory, or go on as if nothing were;
what it acknowledged must be there. Prints 'N passed, N failed'.
"""

import argparse
import sys

sys.dont_write_bytecode = True  # before anything of this tree is imported

from lib import memory
from lib.testing import Failure, Test


def sweep(life, first, last, step):
    passed = failed = 0
    for at in range(first, last + 1, step):
        for count in (1, memory.FOR_EVER):
            try:
                passed += memory.fail_at(life, at, count)
            except Failure as failure:
                failed += 1
                print(f"FAIL {failure}", flush=True)
                life.node.kill()
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", type=int, default=1,
                        help="every one of so many allocations")
    arguments = parser.parse_args()
    test = Test("alloc_errors", 0)
    passed = failed = 0
    try:
        life = memory.Round(test)
        life.run()
        count = life.allocations()
        print(f"{count} allocations", flush=True)
        passed, failed = sweep(life, 1, count, arguments.step)
    finally:
        test.close(failed > 0)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
