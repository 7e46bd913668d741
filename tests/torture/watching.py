"""Watchers of a run: they follow streams and polls, and record each line."""

import json
import threading

from history import now
from lib import http
from lib.watch import Ended, Stream
from session import Client, query

# Lines of one record; then the next one goes on with the same stream.
LINES_MAX = 500
# A stream says each 15 s how far it is; one that does not has lost its node.
SILENCE_NS = 20_000_000_000


class HookedStream(Stream):
    """Through the same hook as all other connections of the run."""

    def __init__(self, address, target, work):
        self.target = target
        self.text = b""
        self.client = Client(address, work.timeout, work.connect)
        self.client.send(http.encode("GET", target))
        self.status, _ = self.client.receive_head()


class Watcher:
    """
    Follows one prefix from revision to revision over many connections, each a
    record of its own. `hops`: to any node, cut off at random moments, and with
    all forms of a watch; else always the stream of one node.
    """

    def __init__(self, work, place, prefix, rng=None):
        self.work = work
        self.place = place
        self.prefix = prefix
        self.rng = rng
        self.since = work.since
        self.number = work.draw_number()
        self.stop = threading.Event()
        self.record = None
        self.held = []  # lines of a revision that is not whole yet

    def run(self):
        while not self.stop.is_set():
            if self.rng is not None:
                self.place = self.rng.randrange(len(self.work.addresses))
            try:
                self._watch_once()
            except http.Broken:
                self.stop.wait(0.1)

    def _watch_once(self):
        draw = self.rng.random() if self.rng is not None else 1.0
        if draw < 0.3:
            self.poll(wait="1s")
        elif draw < 0.5:
            self._follow(snapshot=True)
        else:
            self._follow()

    @property
    def address(self):
        return self.work.addresses[self.place % len(self.work.addresses)]

    # ---- Records ----

    def _begin(self, form, goes_on=False):
        self.record = {"client": self.number, "op": "watch", "form": form,
                       "prefix": self.prefix, "call": now(),
                       "place": self.place % len(self.work.addresses) + 1,
                       "lines": []}
        if form != "snapshot":
            self.record["since"] = self.since
        if goes_on:
            self.record["goes_on"] = True

    def _end(self, how, status="ok"):
        self.record.update(end=how, ret=now(), status=status)
        self.work.history.add(self.record)
        self.record = None

    def _take(self, line):
        """One line into the record; moves `since` on behind whole revisions."""
        self.record["lines"].append([now(), line])
        kind = line["type"]
        if kind in ("progress", "synced"):
            self.since = line["revision"]
        elif "resume" in line:
            self.since = line["resume"]
        elif not line.get("more") and self.record.get("form") == "stream":
            self.since = line["revision"]

    # ---- Streams ----

    def _follow(self, snapshot=False):
        target = "/watch" + query(
            prefix=self.prefix, snapshot=1 if snapshot else None,
            since=None if snapshot else self.since)
        self._begin("snapshot" if snapshot else "stream")
        stream = HookedStream(self.address, target, self.work)
        if stream.status != 200:
            self._refused(stream)
            return
        seconds = self.rng.uniform(0.2, 5) if self.rng is not None else None
        how = self._read_lines(stream, seconds)
        stream.close()
        self._end(how)

    def _refused(self, stream):
        stream.close()
        if stream.status == 410:
            self._end("gone", "fail")
            self._forget()
            return
        self._end(str(stream.status), "fail")
        self.stop.wait(0.1)

    def _forget(self):
        """What was before is lost to this one: it goes on with the present."""
        with Client(self.address, self.work.timeout,
                    self.work.connect) as client:
            answer = client.request("GET", "/kv?prefix=&count")
            if answer.status == 200:
                self.since = answer.json()["revision"]

    def _read_lines(self, stream, seconds):
        """Until somebody ends it; who did."""
        until = None if seconds is None else now() + int(seconds * 1e9)
        heard = now()
        while not self.stop.is_set():
            if until is not None and now() > until:
                return "client"
            if now() > heard + SILENCE_NS:
                return "cut"
            try:
                text = stream.read_line(0.2)
            except Ended as end:
                return "closed" if end.in_order else "cut"
            if text is not None:
                heard = now()
                self._take_text(text)
        return "client"

    def _take_text(self, text):
        line = json.loads(text)
        self._take(line)
        if self.record["form"] == "snapshot":
            if line["type"] == "synced":
                # From here on it is a stream behind that revision.
                self._end("goes on")
                self._begin("stream", goes_on=True)
        elif len(self.record["lines"]) >= LINES_MAX and \
                not line.get("more"):
            self._end("goes on")
            self._begin("stream", goes_on=True)

    # ---- Long polls ----

    def poll(self, wait):
        """One long poll; False: it was refused."""
        target = "/watch" + query(
            prefix=self.prefix, since=self.since, wait=wait)
        self._begin("poll")
        with Client(self.address, self.work.timeout + 2,
                    self.work.connect) as client:
            response = client.request("GET", target)
        if response.status != 200:
            self._end(str(response.status), "fail")
            if response.status == 410:
                self._forget()
            self.stop.wait(0.1)
            return False
        answer = response.json()
        for event in answer["events"]:
            self._take(event)
        self._take({"type": "progress", "revision": answer["revision"]})
        self._end("closed")
        return True
