"""What a client of a run does next: one step, of one operation or a few."""

ACCOUNTS = 6
BALANCE = 100


# ---- Registers ----

def read_register(work, session):
    key = work.keys["register"].draw(session.rng)
    draw = session.rng.random()
    if draw < 0.15:
        session.get(key, stale=True)
    elif draw < 0.25 and session.last_revision > work.since:
        at = session.rng.randint(
            max(work.since + 1, session.last_revision - 500),
            session.last_revision)
        session.get(key, at=at)
    else:
        session.get(key)


def put_register(work, session):
    session.put(work.keys["register"].draw(session.rng))


def delete_register(work, session):
    key = work.keys["register"].draw(session.rng)
    value, revision = session.known.get(key, (None, 0))
    if revision != 0 and session.rng.random() < 0.5:
        session.delete(key, expect=(value, revision))
    else:
        session.delete(key)


def swap_register(work, session):
    key = work.keys["register"].draw(session.rng)
    if session.rng.random() < 0.5:
        session.get(key)
    session.cas(key)


# ---- Transactions ----

def prepare(work, session):
    """Accounts with money, before anybody uses them."""
    names = account_names(work)
    record = {"status": None}
    while record["status"] != "ok":
        record = session.transact(
            [{"key": names[0], "exists": False}],
            [{"put": name, "value": f"{BALANCE}#{session.value()}"}
             for name in names],
            [{"get": names[0]}])


def account_names(work):
    return [f"{work.root}x/{number}" for number in range(ACCOUNTS)]


def transfer(work, session):
    """From one account to another, if neither changed since they were read."""
    source, target = session.rng.sample(account_names(work), 2)
    seen = session.transact([], [{"get": source}, {"get": target}], [])
    if seen["status"] != "ok":
        return
    before = [item["value"] for item in seen["out"]]
    money = [int(value.split("#")[0]) for value in before]
    amount = session.rng.randint(1, 10)
    if money[0] < amount:
        return
    after = [f"{money[0] - amount}#{session.value()}",
             f"{money[1] + amount}#{session.value()}"]
    session.transact(
        [{"key": source, "value": before[0]},
         {"key": target, "value": before[1]}],
        [{"put": source, "value": after[0]},
         {"put": target, "value": after[1]}],
        [{"get": source}, {"get": target}])


def list_accounts(work, session):
    session.list(f"{work.root}x/")


def write_several(work, session):
    """Without a condition: several keys, one of them may go."""
    keys = [f"{work.root}t/{number}" for number in range(8)]
    first, second, third, fourth = session.rng.sample(keys, 4)
    session.transact([], [
        {"put": first, "value": session.value()},
        {"put": second, "value": session.value()},
        {"delete": third}, {"get": fourth}, {"get": first}], [])


# ---- Counters, lists, queues ----

def increment(work, session):
    key = work.keys["counter"].draw(session.rng)
    if session.rng.random() < 0.3:
        session.get(key)
    else:
        session.incr(key, session.rng.choice((1, 1, 5)))


def append(work, session):
    key = work.keys["append"].draw(session.rng)
    if session.rng.random() < 0.3:
        session.get(key)
    else:
        session.append(key)


def list_some(work, session):
    prefix = work.root + session.rng.choice(("r/", "t/", "c/", "r/2", ""))
    draw = session.rng.random()
    if draw < 0.3 and session.last_revision > work.since:
        at = session.rng.randint(
            max(work.since + 1, session.last_revision - 500),
            session.last_revision)
        session.list(prefix, limit=100, at=at)
    else:
        session.list(prefix, limit=3 if draw < 0.5 else 1000)


def enqueue(work, session):
    session.child(work.keys["queue"].draw(session.rng) + "/")


def dequeue(work, session):
    prefix = work.keys["queue"].draw(session.rng) + "/"
    jobs = session.list(prefix, limit=3)
    if jobs["status"] != "ok" or not jobs["out"]:
        return
    key, value, revision, _, _ = jobs["out"][0]
    session.delete(key, expect=(value, revision))


# ---- Locks and lifetimes ----

def use_lock(work, session):
    """Takes it, proves now and then that it is held, and gives it back, or
    forgets to."""
    rng = session.rng
    name = work.keys["lock"].draw(rng)
    ttl = rng.choice((500, 1000, 3000))
    taken = session.lock(name, ttl, wait=rng.choice((0, 500, 1500)))
    if taken["status"] != "ok" or not taken["done"]:
        session.look_at_lock(name)
        return
    for _ in range(rng.randrange(4)):
        if rng.random() < 0.5:
            session.renew(taken["lease"])
        else:
            session.put(f"{work.root}g/{rng.randrange(3)}",
                        lease=taken["lease"])
        work.wait(rng.uniform(0, 0.2))
    session.look_at_lock(name)
    if rng.random() < 0.85:
        session.unlock(name, taken["lease"])


def put_for_a_while(work, session):
    rng = session.rng
    key = work.keys["ttl"].draw(rng)
    draw = rng.random()
    if draw < 0.4:
        session.put(key, ttl=rng.choice((150, 400, 1000, 2500)))
    elif draw < 0.5:
        session.touch(key, rng.choice((300, 1500)))
    elif draw < 0.55:
        session.put(key)
    else:
        session.get(key)


def use_lease(work, session):
    rng = session.rng
    granted = session.grant(rng.choice((300, 800, 2000)))
    if granted["status"] != "ok":
        return
    for _ in range(rng.randrange(1, 4)):
        session.put(work.keys["ttl"].draw(rng), lease=granted["lease"])
        if rng.random() < 0.5:
            session.renew(granted["lease"])
        work.wait(rng.uniform(0, 0.2))
    if rng.random() < 0.4:
        session.revoke(granted["lease"])


# ---- Together ----

# (step, weight); weights are relative.
REGISTER = [(read_register, 40), (put_register, 30), (delete_register, 10),
            (swap_register, 20)]
TXN = [(transfer, 50), (list_accounts, 20), (write_several, 30)]
COUNTER = [(increment, 70), (append, 30)]
LIST = [(list_some, 40), (put_register, 30), (delete_register, 10),
        (write_several, 20)]
QUEUE = [(enqueue, 50), (dequeue, 50)]
LOCK = [(use_lock, 80), (put_register, 20)]
TTL = [(put_for_a_while, 80), (use_lease, 20)]

WORKLOADS = {
    "register": REGISTER,
    "txn": TXN,
    "counter": COUNTER,
    "list": LIST,
    "queue": QUEUE,
    "watch": REGISTER + TXN + QUEUE,
    "lock": LOCK,
    "ttl": TTL,
    # The steps of the last two take long, and would be most of the time.
    "mixed": [(step, share * weight / sum(w for _, w in steps))
              for steps, share in ((REGISTER, 40), (TXN, 15), (COUNTER, 15),
                                   (LIST, 10), (QUEUE, 14), (LOCK, 3),
                                   (TTL, 3))
              for step, weight in steps],
}

# What has to succeed at least once, or a run is vacuous.
KINDS = {
    "register": ("get", "put", "del", "cas"),
    "txn": ("txn", "list"),
    "counter": ("incr", "append", "get"),
    "list": ("list", "put", "txn"),
    "queue": ("child", "del", "list"),
    "watch": ("watch", "put", "txn", "child"),
    "lock": ("lock", "unlock", "renew"),
    "ttl": ("put", "touch", "lease"),
    "mixed": ("get", "put", "del", "cas", "txn", "incr", "append", "child",
              "list", "watch"),
}
