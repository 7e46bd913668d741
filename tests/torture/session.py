"""One client of a run: asks, records what it asked and what came of it."""

import json
import socket
import urllib.parse

from history import now
from lib import http

JSON = ("Content-Type", "application/json")


class Client(http.Client):
    """Connects by a hook, which may reach where this process does not."""

    def __init__(self, address, timeout, connect=None):
        super().__init__(address, timeout)
        self.hook = connect

    def connect(self):
        if self.hook is None:
            super().connect()
            return
        self.close()
        try:
            self.socket = self.hook(self.address, self.timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            self.close()
            raise http.Broken(f"connect: {error}", sent=False) from None


def query(**members):
    """?a=b&c=d of the members that are not None; True is a bare name."""
    parts = [name if value is True else
             f"{name}={urllib.parse.quote(str(value), safe='/')}"
             for name, value in members.items() if value is not None]
    return "?" + "&".join(parts) if parts else ""


def revision_of(response):
    return int(response.header("Luminous-Revision") or 0)


def take_item(record, item):
    record["rev"] = item["revision"]
    record["created"] = item["created"]
    record["version"] = item["version"]


def as_row(item):
    return [item["key"], item["value"], item["revision"], item["version"],
            item["created"]]


class Session:
    """
    A sequential client. `pinned`: it asks one node only; others go on to the
    next when a node does not answer, and now and then without a reason.
    """

    def __init__(self, work, place, rng, pinned):
        self.work = work
        self.place = place
        self.rng = rng
        self.pinned = pinned
        self.number = work.draw_number()
        self.writes = 0
        self.clients = {}
        self.last_revision = work.since
        self.known = {}  # key: (value, revision) as last seen, value or None

    def close(self):
        for client in self.clients.values():
            client.close()
        self.clients = {}

    def value(self):
        """Unlike all others of the run; few are longer than they need be."""
        self.writes += 1
        pad = self.rng.choice((0, 0, 0, 0, 0, 0, 20, 200))
        return f"{self.number}-{self.writes}" + "." * pad

    # ---- Asking ----

    def _client(self):
        address = self.work.addresses[self.place % len(self.work.addresses)]
        if address not in self.clients:
            self.clients[address] = Client(
                address, self.work.timeout, self.work.connect)
        return self.clients[address]

    def hop(self):
        if not self.pinned:
            self.place += 1

    def _attempt(self, record, request, understand):
        """One try; its outcome, with what the answer told in `record`."""
        client = self._client()
        client.timeout = self.work.timeout + record.get("wait", 0) / 1000
        if client.socket is not None:
            client.socket.settimeout(client.timeout)
        try:
            response = client.request(*request)
        except http.Broken as error:
            return "info" if error.sent else "fail"
        record["node"] = response.header("Luminous-Node")
        if response.status in (503, 507):
            return "fail"
        if response.status == 504:
            return "info"
        if response.header("Idempotency-Replayed") is not None:
            record["replayed"] = True
        if not understand(record, response):
            record["answer"] = f"{response!r}"
            return "odd"
        self.last_revision = max(self.last_revision, record.get("rev", 0))
        return "ok"

    def ask(self, record, method, target, understand, body=None, headers=(),
            writes=True):
        """
        Asks, and records it. A write with `req` is repeated with the same
        Idempotency-Key while its outcome is not known, and is one operation.
        """
        record = {"client": self.number, **record}
        if "req" in record:
            headers = (*headers, ("Idempotency-Key", record["req"]))
        request = (method, target, body, headers)
        record["call"] = now()
        outcome = self._attempt(record, request, understand)
        tries = 4 if "req" in record else 1
        unknown = outcome == "info"
        while tries > 1 and unknown and outcome in ("info", "fail"):
            tries -= 1
            self.hop()
            self.work.wait(0.05)
            outcome = self._attempt(record, request, understand)
        if outcome == "fail" and unknown:
            outcome = "info"
        record["ret"] = now() if outcome != "info" else None
        record["status"] = outcome
        self.work.history.add(record)
        if outcome in ("info", "fail"):
            self.hop()
            self.work.wait(0.02)
        if outcome == "info" and writes:
            self.number = self.work.draw_number()
            self.writes = 0
        if outcome == "ok" and "req" in record and record["op"] != "lock" \
                and record.get("done", True) and self.rng.random() < 0.2:
            self._repeat(record, request, understand)
        return record

    def _repeat(self, record, request, understand):
        """What was done once is answered again, by whichever node."""
        again = {name: value for name, value in record.items()
                 if name in ("op", "key", "value", "by", "req", "if", "then",
                             "else", "ttl", "lease")}
        again.update(client=self.number, again=True, call=now())
        self.hop()
        outcome = self._attempt(again, request, understand)
        if outcome in ("ok", "odd"):
            again.update(ret=now(), status=outcome)
            self.work.history.add(again)

    def identity(self, share=0.3):
        """`req` in this share of operations."""
        if self.rng.random() >= share:
            return {}
        self.writes += 1
        return {"req": f"{self.work.root}{self.number}-{self.writes}"}

    # ---- Keys ----

    def get(self, key, final=False, stale=False, at=None):
        record = {"op": "get", "key": key}
        if final:
            record["final"] = True
        if stale:
            record["stale"] = True
        if at is not None:
            record["at"] = at
        target = http.quote(key) + query(
            json=True, consistency="stale" if stale else None, at=at)
        record = self.ask(record, "GET", target, self._take_get, writes=False)
        if record["status"] == "ok" and not stale and at is None:
            self.known[key] = (record["out"], record["mod"])
        return record

    @staticmethod
    def _take_get(record, response):
        record["rev"] = revision_of(response)
        record["mod"] = 0
        record["out"] = None
        if response.status == 410 and "at" in record:
            record["gone"] = True
            return True
        if response.status == 404:
            return response.code == "key_not_found"
        if response.status != 200:
            return False
        item = response.json()
        record["out"] = item["value"]
        record["mod"] = item["revision"]
        record["created"] = item["created"]
        record["version"] = item["version"]
        return True

    @staticmethod
    def _take_written(record, response):
        """A put or what is like it; also refused, by a condition or a lease."""
        if response.status in (200, 201):
            item = response.json()
            take_item(record, item)
            if record["op"] == "touch":  # which changes no revision
                record["rev"] = revision_of(response)
            if "value" in item:
                record["out"] = item["value"]
            if record["op"] == "child":
                record["name"] = item["key"]
            if "done" in record:
                record["done"] = True
            return True
        if response.status == 412 and "expect_rev" in record:
            record.update(done=False, rev=revision_of(response),
                          current=response.json()["current"])
            return True
        if response.code in ("lease_not_found", "key_not_found"):
            record.update(done=False, rev=revision_of(response))
            return record["op"] == "touch" or "lease" in record
        return False

    def put(self, key, ttl=None, lease=None):
        """`ttl` in ms."""
        value = self.value()
        record = {"op": "put", "key": key, "value": value, **self.identity()}
        if ttl is not None:
            record["ttl"] = ttl
        if lease is not None:
            record.update(lease=lease, done=None)
        target = http.quote(key) + query(
            ttl=None if ttl is None else f"{ttl}ms", lease=lease)
        record = self.ask(
            record, "PUT", target, self._take_written, value.encode())
        if record["status"] == "ok" and record.get("done", True):
            self.known[key] = (value, record["rev"])
        return record

    def cas(self, key):
        """A put only if nobody wrote since this client last saw the key."""
        expect, expect_rev = self.known.get(key, (None, 0))
        value = self.value()
        record = {"op": "cas", "key": key, "value": value, "expect": expect,
                  "expect_rev": expect_rev, "done": None, **self.identity()}
        if expect_rev == 0:
            headers = (("If-None-Match", "*"),)
        else:
            headers = (("If-Match", f'"{expect_rev}"'),)
        record = self.ask(record, "PUT", http.quote(key), self._take_written,
                          value.encode(), headers)
        self._note_swap(key, record, value)
        return record

    def _note_swap(self, key, record, value):
        if record["status"] == "ok" and record["done"]:
            self.known[key] = (value, record["rev"])
        elif key in self.known:
            del self.known[key]

    def delete(self, key, expect=None):
        """`expect`: (value, revision) without which nothing is deleted."""
        record = {"op": "del", "key": key, **self.identity()}
        headers = ()
        if expect is not None:
            record.update(expect=expect[0], expect_rev=expect[1], done=None)
            headers = (("If-Match", f'"{expect[1]}"'),)
        record = self.ask(record, "DELETE", http.quote(key),
                          self._take_deleted, None, headers)
        self.known.pop(key, None)
        return record

    @staticmethod
    def _take_deleted(record, response):
        if response.status == 412 and "done" in record:
            record.update(done=False, rev=revision_of(response),
                          current=response.json()["current"])
            return True
        if response.status != 200:
            return False
        answer = response.json()
        record.update(rev=answer["revision"], existed=answer["deleted"] == 1)
        if "done" in record:
            record["done"] = True
        return answer["deleted"] in (0, 1)

    def incr(self, key, by=1):
        record = {"op": "incr", "key": key, "by": by, **self.identity(0.6)}
        target = http.quote(key) + query(op="incr", by=by)
        return self.ask(record, "POST", target, self._take_written, b"")

    def append(self, key):
        value = f"({self.value().rstrip('.')})"  # found in no other one
        record = {"op": "append", "key": key, "value": value,
                  **self.identity(0.6)}
        target = http.quote(key) + query(op="append")
        return self.ask(
            record, "POST", target, self._take_written, value.encode())

    def child(self, prefix):
        value = self.value()
        record = {"op": "child", "key": prefix, "value": value,
                  **self.identity(0.6)}
        return self.ask(record, "POST", http.quote(prefix),
                        self._take_written, value.encode())

    def touch(self, key, ttl):
        record = {"op": "touch", "key": key, "ttl": ttl, "done": None}
        target = http.quote(key) + query(op="touch", ttl=f"{ttl}ms")
        return self.ask(record, "POST", target, self._take_written, b"")

    def list(self, prefix, limit=None, at=None, final=False, after=None):
        record = {"op": "list", "prefix": prefix}
        if after is not None:
            record["after"] = after
        if limit is not None:
            record["limit"] = limit
        if at is not None:
            record["at"] = at
        if final:
            record["final"] = True
        target = "/kv" + query(prefix=prefix, limit=limit, at=at,
                                after=after)
        record = self.ask(record, "GET", target, self._take_list, writes=False)
        if record["status"] == "ok" and at is None:
            for key, value, modified, _, _ in record["out"]:
                self.known[key] = (value, modified)
        return record

    @staticmethod
    def _take_list(record, response):
        record["rev"] = revision_of(response)
        record["out"] = []
        if response.status == 410 and "at" in record:
            record["gone"] = True
            return True
        if response.status != 200:
            return False
        answer = response.json()
        if "at" not in record:
            record["rev"] = answer["revision"]
        record["more"] = answer["more"]
        record["out"] = [as_row(item) for item in answer["items"]]
        return True

    # ---- Transactions ----

    def transact(self, conditions, then, otherwise):
        record = {"op": "txn", "if": conditions, "then": then,
                  "else": otherwise, "done": None, **self.identity()}
        body = json.dumps(
            {"if": conditions, "then": then, "else": otherwise}).encode()
        return self.ask(
            record, "POST", "/txn", self._take_transaction, body, (JSON,))

    @staticmethod
    def _take_transaction(record, response):
        if response.status != 200:
            return False
        answer = response.json()
        record.update(rev=answer["revision"], done=answer["succeeded"],
                      out=answer["results"])
        return True

    # ---- Leases and locks ----

    def grant(self, ttl):
        record = {"op": "lease", "ttl": ttl, **self.identity()}
        return self.ask(record, "POST", "/lease" + query(ttl=f"{ttl}ms"),
                        self._take_lease, b"")

    @staticmethod
    def _take_lease(record, response):
        if response.status == 404:
            record.update(done=False, rev=revision_of(response))
            return response.code in ("lease_not_found", "lock_not_found") and \
                record["op"] != "lease"
        if response.status not in (200, 201):
            return False
        answer = response.json()
        record.update(done=True, rev=answer["revision"])
        if record["op"] == "revoke":
            record["deleted"] = answer["deleted"]
        else:
            record["lease"] = answer["lease"]
        return True

    def renew(self, lease):
        record = {"op": "renew", "lease": lease}
        return self.ask(record, "POST", f"/lease/{lease}?op=renew",
                        self._take_lease, b"")

    def revoke(self, lease):
        record = {"op": "revoke", "lease": lease}
        return self.ask(record, "DELETE", f"/lease/{lease}", self._take_lease)

    def lock(self, name, ttl, wait=0):
        holder = self.value()
        record = {"op": "lock", "key": name, "value": holder, "ttl": ttl,
                  "wait": wait, **self.identity()}
        target = "/lock/" + urllib.parse.quote(name) + query(
            ttl=f"{ttl}ms", wait=f"{wait}ms" if wait else None)
        return self.ask(
            record, "PUT", target, self._take_lock, holder.encode())

    @staticmethod
    def _take_lock(record, response):
        answer = response.json()
        if response.status == 409:
            record.update(done=False, rev=revision_of(response))
            return response.code == "lock_held"
        if response.status != 201:
            return False
        record.update(
            done=True, lease=answer["token"], rev=answer["fence"])
        return True

    def unlock(self, name, lease):
        record = {"op": "unlock", "key": name, "lease": lease}
        target = "/lock/" + urllib.parse.quote(name) + query(token=lease)
        return self.ask(record, "DELETE", target, self._take_unlock)

    @staticmethod
    def _take_unlock(record, response):
        answer = response.json()
        if response.status == 404:
            record.update(done=False, rev=revision_of(response))
            return response.code == "lock_not_found"
        if response.status != 200:
            return False
        record.update(done=True, rev=answer["revision"],
                      deleted=answer["deleted"])
        return True

    def look_at_lock(self, name):
        record = {"op": "holder", "key": name}
        return self.ask(record, "GET", "/lock/" + urllib.parse.quote(name),
                        self._take_holder, writes=False)

    @staticmethod
    def _take_holder(record, response):
        record.update(rev=revision_of(response), out=None, fence=0)
        if response.status == 404:
            return response.code == "lock_not_found"
        if response.status != 200:
            return False
        answer = response.json()
        record.update(out=answer["holder"], fence=answer["fence"])
        return True
