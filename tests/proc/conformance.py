#!/usr/bin/env python3
"""
The HTTP API as its users know it: every case of conformance.txt, with real curl
against a real cluster of three nodes, once through the leader and once through
a follower. One line for each case that fails; the last line is
'N passed, N failed', and the exit status 0 if none failed.

	conformance.py [-k PATTERN]	only cases whose name has PATTERN in it
"""

import argparse
import pathlib
import re
import subprocess
import sys

sys.dont_write_bytecode = True  # before anything of this tree is imported

from lib.cluster import Cluster
from lib.testing import Test

CASE_SECONDS_MAX = 60

# Small enough for the cases that go to the limits.
OPTIONS = {
    "history.max-size": "256KiB",
    "storage.quota": "8MiB",
    "http.require-cas": "guarded/",
    "http.request-timeout": "3s",
}

# What the cases may use. $URL is the node under test, $OTHER one that is not,
# $LEADER the leader; $DIR an empty directory, in which a case runs.
PRELUDE = r"""
set -o pipefail
code() { curl -s -o /dev/null -w '%{http_code}\n' "$@"; }
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
put() { curl -sS --fail-with-body -o /dev/null -X PUT --data-binary "$2" "$URL/kv/$1"; }
revision() { curl -sS -o /dev/null -w '%{header_json}' "$URL/kv?count" |
	python3 -c 'import json, sys; print(json.load(sys.stdin)["luminous-revision"][0])'; }
# until_gives PATTERN COMMAND...: again and again until it prints that.
until_gives() { local pattern=$1; shift
	until "$@" 2>/dev/null | grep -e "$pattern" >/dev/null; do sleep 0.05; done; }
# follow PATTERN COMMAND...: what it prints until that has come; then it is
# killed: the status is 143, or that with which it ended by itself.
follow() { local pattern=$1; shift
	"$@" >followed & local process=$!
	until grep -q -e "$pattern" followed || ! kill -0 $process 2>/dev/null; do sleep 0.05; done
	kill $process 2>/dev/null; wait $process; local status=$?
	cat followed; return $status; }
"""


class Case:
    """A script, what it prints, in this order, and how it ends."""

    def __init__(self, name, text):
        self.name = name
        self.script = text
        self.wanted = re.findall(r"^# (->|=>|!>) (.*)$", text, re.M)
        status = re.search(r"^# exit (\d+)$", text, re.M)
        self.status = int(status.group(1)) if status else 0

    def judge(self, status, output):
        """What is wrong, or None."""
        if status != self.status:
            return f"exit status {status}, not {self.status}"
        rest = output
        for kind, wanted in self.wanted:
            pattern = re.escape(wanted) if kind != "=>" else wanted
            found = re.search(pattern, rest, re.M)
            if kind == "!>":
                if found:
                    return f"{wanted!r} was printed"
                continue
            if not found:
                return f"{wanted!r} is not printed (there)"
            rest = rest[found.end():]
        return None


def read_cases(path):
    parts = re.split(r"^## (.*)\n", path.read_text(), flags=re.M)
    return [Case(name, text) for name, text in zip(parts[1::2], parts[2::2])]


def run_case(case, environment, directory):
    directory.mkdir()
    try:
        ended = subprocess.run(
            ["bash", "-c", PRELUDE + case.script], cwd=directory,
            env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=CASE_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return f"not finished within {CASE_SECONDS_MAX} s", ""
    output = ended.stdout.decode(errors="replace")
    return case.judge(ended.returncode, output), output


def empty(url):
    """Deletes all keys, those that must not go without a condition with one."""
    for arguments in (["-f", f"{url}/kv?start=&end=guarded/"],
                      ["-f", f"{url}/kv?start=guarded0"],
                      ["-H", "If-Match: *", f"{url}/kv/guarded/a"]):
        subprocess.run(["curl", "-sS", "-o", "/dev/null", "-X", "DELETE",
                        *arguments], check=True)


def run_through(role, cluster, cases, counts):
    leader = cluster.leader()
    followers = cluster.followers()
    node = leader if role == "leader" else followers[0]
    other = followers[0] if role == "leader" else leader
    for number, case in enumerate(cases):
        empty(f"http://{leader.address}")
        directory = cluster.directory / f"{role}-{number}"
        environment = {
            "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8",
            "URL": f"http://{node.address}", "OTHER": f"http://{other.address}",
            "LEADER": f"http://{leader.address}", "DIR": str(directory),
            "NODE": node.name, "LEADER_NAME": leader.name,
        }
        wrong, output = run_case(case, environment, directory)
        counts[0 if wrong is None else 1] += 1
        if wrong is not None:
            print(f"FAILED through the {role}: {case.name}: {wrong}")
            print("\n".join(f"    {line}" for line in
                            output.strip()[-1500:].splitlines()), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", metavar="PATTERN", default="")
    arguments = parser.parse_args()
    path = pathlib.Path(__file__).with_name("conformance.txt")
    cases = [case for case in read_cases(path) if arguments.k in case.name]
    counts = [0, 0]
    test = Test("conformance", seed=0)
    failed = True
    try:
        cluster = Cluster(test, 3, options=OPTIONS).start()
        for role in ("leader", "follower"):
            run_through(role, cluster, cases, counts)
        for node in cluster:
            node.stop(timeout=60)
        failed = counts[1] > 0
    finally:
        test.close(failed)
    print(f"{counts[0]} passed, {counts[1]} failed")
    return 0 if counts[1] == 0 and counts[0] > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
