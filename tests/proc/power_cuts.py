#!/usr/bin/env python3
"""
Power cuts: records every change that a daemon makes to its files, and starts a
node on what a cut would have left, at each moment: with all that was not synced
lost, kept, with each single part lost or kept, with any, and with torn writes.
Whatever was answered to clients or to other members must be there.

Needs make programs. Exit status 0: each image was good.
"""

import argparse
import random
import signal
import sys

sys.dont_write_bytecode = True  # before anything of this tree is imported

from lib import cuts
from lib.testing import Failure, Test


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10000,
                        help="about so many, of all workloads together")
    parser.add_argument("--seed", type=int,
                        default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--only", choices=cuts.WORKLOADS, default=None,
                        help="one workload, with all of the images")
    return parser.parse_args()


# Of one recording: with fewer, nothing may have been promised before any of
# them; and what it has soon repeats itself.
IMAGES_MIN = 100
IMAGES_MAX = 1000


def run_once(name, images, seed):
    """How many images it was; 0: one was bad."""
    test = Test(name, seed)
    count = 0
    try:
        print(f"== {name}", flush=True)
        count, output = cuts.run(test, name, images)
        print(output, end="", flush=True)
    except Failure as failure:
        print(f"FAIL: {failure}\nlogs: {test.directory}", flush=True)
    finally:
        test.close(count == 0)
    return count


def run(name, images, seed):
    """Records it again and again: how many images; 0: one was bad."""
    count = 0
    while count < images:
        more = run_once(name, max(IMAGES_MIN, min(images - count, IMAGES_MAX)),
                        f"{seed}.{count}")
        if more == 0:
            return 0
        count += more
    return count


def main():
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    print(f"seed {arguments.seed}", flush=True)
    names = [arguments.only] if arguments.only else list(cuts.WORKLOADS)
    parts = sum(cuts.WORKLOADS[name][1] for name in names)
    results = [
        run(name, arguments.images * cuts.WORKLOADS[name][1] // parts,
            arguments.seed)
        for name in names]
    print(f"{sum(results)} images")
    failed = results.count(0)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
