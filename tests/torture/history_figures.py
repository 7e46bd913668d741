"""What a history tells without being checked: how many, and when."""

import bisect
import json


class Figures:
    """Operations by outcome; the watches are not among them."""

    def __init__(self, path):
        self.ok = self.fail = self.unknown = 0
        self._calls = []
        ends = []
        with open(path) as file:
            for line in file:
                record = json.loads(line)
                if "status" not in record or record["op"] == "watch":
                    continue
                self._calls.append(record["call"])
                self.ok += record["status"] == "ok"
                self.fail += record["status"] == "fail"
                self.unknown += record["status"] == "info"
                if record["status"] == "ok":
                    ends.append(record["ret"])
        self._calls.sort()
        ends.sort()
        self.longest_gap = max(
            (b - a for a, b in zip(ends, ends[1:])), default=0) / 1e9

    def count_called(self, intervals):
        """How many began within these, in nanoseconds."""
        return sum(bisect.bisect(self._calls, end) -
                   bisect.bisect(self._calls, begin)
                   for begin, end in intervals)
