"""What test_input.py and test_flood.py do not have: shapes of requests that
two readers could take for different ones, documents that are larger inside
than outside, forgers who know the secret, ten thousand slow clients, and more
requests than can be answered."""

import os
import socket
import time

from lib import http
from lib.cluster import Cluster
from lib.open_loop import OpenLoop, raise_file_limit
from lib.peer import Peer
from lib.testing import Failure, Skip, expect, expect_equal, wait_for

CRLF = "\r\n"
SMUGGLED = "PUT /kv/smuggled HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"


def head(line, *headers):
    return CRLF.join([line, "Host: a", *headers, "", ""])


def put(*headers, body=""):
    return head("PUT /kv/x HTTP/1.1", *headers) + body


def chunks(body):
    return put("Transfer-Encoding: chunked", body=body)


GET = head("GET /kv/kept HTTP/1.1")
OPEN, CLOSED = False, True

# Bytes, what is answered to them one after the other, and whether that ends
# the connection. What it does not end is followed by one more request.
SHAPES = [
    # One request, whatever a lenient reader would make of it.
    ("a blank line before", CRLF + GET, [200], OPEN),
    ("absolute form", head("GET http://b/kv/kept HTTP/1.1"), [200], OPEN),
    ("absolute form, upper case", head("GET HTTP://b/kv/kept HTTP/1.1"),
     [200], OPEN),
    ("OPTIONS *", head("OPTIONS * HTTP/1.1"), [404], OPEN),
    ("HTTP/1.0", "GET /kv/kept HTTP/1.0\r\n\r\n", [200], CLOSED),
    ("HTTP/1.0, kept alive",
     "GET /kv/kept HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", [200], OPEN),
    ("Connection: close", head("GET /kv/kept HTTP/1.1", "Connection: close"),
     [200], CLOSED),
    ("Connection: x, Close", head("GET /kv/kept HTTP/1.1",
                                  "Connection: x, Close"), [200], CLOSED),
    ("Connection: close, keep-alive",
     head("GET /kv/kept HTTP/1.1", "Connection: close, keep-alive"), [200],
     CLOSED),
    ("GET with length 0", head("GET /kv/kept HTTP/1.1", "Content-Length: 0"),
     [200], OPEN),
    ("DELETE with length 0", head("DELETE /kv/none HTTP/1.1",
                                  "Content-Length: 0"), [200], OPEN),
    ("a field called Content_Length", put(
        "Content_Length: 1", "Content-Length: 3", body="abc"), [200], OPEN),
    ("a field called Transfer_Encoding", put(
        "Transfer_Encoding: chunked", "Content-Length: 3", body="abc"),
     [200], OPEN),
    ("a method in a field", head("GET /kv/kept HTTP/1.1",
                                 "X-HTTP-Method-Override: DELETE"), [200],
     OPEN),
    ("blanks around a length", put("Content-Length:  \t3 \t", body="abc"),
     [200], OPEN),
    ("a tab before chunked", put("Transfer-Encoding:\tchunked",
                                 body="3\r\nabc\r\n0\r\n\r\n"), [200], OPEN),
    ("CHUNKED", put("transfer-encoding: CHUNKED",
                    body="3\r\nabc\r\n0\r\n\r\n"), [200], OPEN),
    ("a chunk extension", chunks('3;a="b;c"\r\nabc\r\n0\r\n\r\n'), [200],
     OPEN),
    ("chunk sizes with zeros", chunks(
        "00000003\r\nabc\r\n00000000\r\n\r\n"), [200], OPEN),
    ("trailers that frame", chunks(
        "3\r\nabc\r\n0\r\nContent-Length: 50\r\nTransfer-Encoding: x\r\n"
        "\r\n"), [200], OPEN),
    ("bytes above ASCII in a value", head(
        "GET /kv/kept HTTP/1.1", "A: \xff\x80"), [200], OPEN),
    ("an empty value", head("GET /kv/kept HTTP/1.1", "A:"), [200], OPEN),
    ("Host with a port", "GET /kv/kept HTTP/1.1\r\nHost: [::1]:1\r\n\r\n",
     [200], OPEN),
    # Several.
    ("three in one", GET + put("Content-Length: 3", body="abc") + GET,
     [200, 200, 200], OPEN),
    ("HEAD, whose answer has no body", head("HEAD /kv/kept HTTP/1.1") + GET,
     [200, 200], OPEN),
    ("a request in a body", put(f"Content-Length: {len(SMUGGLED)}",
                                body=SMUGGLED) + GET, [200, 200], OPEN),
    ("a request in a chunk", chunks(
        f"{len(SMUGGLED):x}\r\n{SMUGGLED}\r\n0\r\n\r\n") + GET, [200, 200],
     OPEN),
    ("two good, a bad and a good one",
     GET + GET + head("GET /kv/kept HTTP/1.1", "A : b") + SMUGGLED,
     [200, 200, 400], CLOSED),
    ("more body than said", put("Content-Length: 3", body="abcdef") +
     SMUGGLED, [200, 501], CLOSED),
    ("behind the last that is kept alive",
     head("GET /kv/kept HTTP/1.1", "Connection: close") + SMUGGLED, [200],
     CLOSED),
    ("behind HTTP/1.0", "GET /kv/kept HTTP/1.0\r\n\r\n" + SMUGGLED, [200],
     CLOSED),
    ("Expect, and a body at once", put(
        "Content-Length: 3", "Expect: 100-continue", body="abc") + GET,
     [200, 200], OPEN),
    # None.
    ("Transfer-Encoding with a blank, and a length", put(
        "Transfer-Encoding : chunked", "Content-Length: 3",
        body="0\r\n\r\n" + SMUGGLED), [400], CLOSED),
    ("vertical tab before chunked", put(
        "Transfer-Encoding:\x0bchunked", body="0\r\n\r\n" + SMUGGLED),
     [400], CLOSED),
    ("chunked on a folded line", put(
        "Transfer-Encoding:", " chunked", body="0\r\n\r\n" + SMUGGLED),
     [400], CLOSED),
    ("chunked, chunked", put("Transfer-Encoding: chunked, chunked",
                             body="0\r\n\r\n" + SMUGGLED), [501], CLOSED),
    ("chunked and a parameter", put("Transfer-Encoding: chunked;q=1",
                                    body="0\r\n\r\n" + SMUGGLED), [501],
     CLOSED),
    ("an empty Transfer-Encoding", put(
        "Transfer-Encoding:", "Content-Length: 3", body="abc" + SMUGGLED),
     [501], CLOSED),
    ("no-break space before chunked", put(
        "Transfer-Encoding: \xa0chunked", body="0\r\n\r\n" + SMUGGLED),
     [501], CLOSED),
    ("a field before the first is folded",
     "GET /kv/kept HTTP/1.1\r\n Host: a\r\n\r\n" + SMUGGLED, [400], CLOSED),
    ("CR CR LF", "GET /kv/kept HTTP/1.1\r\r\nHost: a\r\n\r\n" + SMUGGLED,
     [400], CLOSED),
    ("CR alone ends a line", "GET /kv/kept HTTP/1.1\rHost: a\r\r" + SMUGGLED,
     [400], CLOSED),
    ("LF before", "\n" + GET + SMUGGLED, [400], CLOSED),
    ("NUL in the target", head("GET /kv/kept\0 HTTP/1.1") + SMUGGLED, [400],
     CLOSED),
    ("a byte above ASCII in a name", head("GET /kv/kept HTTP/1.1",
                                          "Content-L\xe9ngth: 1") + SMUGGLED,
     [400], CLOSED),
    ("blank before the method", " " + GET + SMUGGLED, [400], CLOSED),
    ("an answer", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
     [400], CLOSED),
    ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [505],
     CLOSED),
    ("SSH", "SSH-2.0-OpenSSH_9.2\r\n\r\n", [400], CLOSED),
    ("a blank behind a chunk size", chunks("3 \r\nabc\r\n0\r\n\r\n" +
                                           SMUGGLED), [400], CLOSED),
    ("a tab behind a chunk size", chunks("3\t\r\nabc\r\n0\r\n\r\n" +
                                         SMUGGLED), [400], CLOSED),
    ("CR without LF behind a chunk size", chunks(
        "3\rXabc\r\n0\r\n\r\n" + SMUGGLED), [400], CLOSED),
    ("a chunk size that is none", chunks("g\r\n" + SMUGGLED), [400], CLOSED),
    ("a chunk of 64 bits", chunks("10000000000000003\r\nabc\r\n" + SMUGGLED),
     [400], CLOSED),
    ("a line between chunks", chunks("3\r\nabc\r\n\r\n0\r\n\r\n" + SMUGGLED),
     [400], CLOSED),
    ("LF behind a chunk", chunks("3\r\nabc\n0\r\n\r\n" + SMUGGLED), [400],
     CLOSED),
    ("a folded trailer", chunks("0\r\nA: b\r\n c\r\n\r\n" + SMUGGLED), [400],
     CLOSED),
    ("a length in letters", put("Content-Length: three", body=SMUGGLED),
     [400], CLOSED),
    ("a length with a point", put("Content-Length: 3.0", body=SMUGGLED),
     [400], CLOSED),
    ("a length in other digits", put("Content-Length: \xb3", body=SMUGGLED),
     [400], CLOSED),
    ("lengths in one field", put("Content-Length: 3, 3", body=SMUGGLED),
     [400], CLOSED),
    ("empty Host", "GET /kv/kept HTTP/1.1\r\nHost:\r\n\r\n", [200], OPEN),
    ("a host with a user", "GET http://u@b/kv/kept HTTP/1.1\r\nHost: a\r\n"
     "\r\n" + SMUGGLED, [400], CLOSED),
]


def read_statuses(client, data, count):
    """Of the answers, until there are so many or the connection ends."""
    methods = [line.split()[0] for line in data.split(CRLF) if
               " HTTP/1." in line and "kv/smuggled" not in line]
    statuses = []
    while len(statuses) < count:
        method = "HEAD" if methods[len(statuses):][:1] == ["HEAD"] else "GET"
        try:
            statuses.append(client.receive(method).status)
        except http.Broken as error:
            return statuses + [str(error)]
    return statuses


def check_shape(node, what, data, wanted, closes):
    with http.Client(node.address, timeout=10) as client:
        client.send(data.encode("latin-1"))
        statuses = read_statuses(client, data, len(wanted))
        expect_equal(statuses, wanted, what)
        if closes:
            expect_equal(client.buffer, b"", f"{what}: more was answered")
            expect(client.is_closed_by_server(10), f"{what}: it stays open")
            return
        client.send(http.encode("GET", "/livez"))
        try:
            expect_equal(client.receive().status, 200, f"{what}: the next")
        except http.Broken as error:
            raise Failure(f"{what}: the next: {error}") from None


def test_X1_shapes_of_requests(test):
    """Each means one thing, and what follows it is not taken for more."""
    cluster = Cluster(test, size=1).start()
    node = cluster["n1"]
    node.put("kept", b"value")
    node.put("x", b"before")
    for what, data, wanted, closes in SHAPES:
        check_shape(node, what, data, wanted, closes)
    expect_equal(node.get("smuggled"), None, "what was smuggled")
    expect_equal(node.get("kept"), b"value", "the value")
    test.note(f"{len(SHAPES)} cases")


# ---- Documents ----

def bombs(size):
    """JSON that asks for more memory, or time, than its bytes say."""
    def fill(begin, part, end):
        count = (size - len(begin) - len(end)) // len(part)
        return (begin + part * count)[:-1] + end if part.endswith(",") else \
            begin + part * count + end
    yield "empty objects", fill('{"then":[', "{},", "]}")
    yield "empty arrays", fill('{"then":[', "[],", "]}")
    yield "operations", fill('{"then":[', '{"put":"a","value":"1"},', "]}")
    yield "numbers", fill('{"then":[', "1,", "]}")
    yield "small texts", fill('{"then":[', '"",', "]}")
    yield "arrays in arrays", '{"then":' + "[" * (size // 2)
    yield "objects in objects", '{"a":' * (size // 5)
    yield "members", "{" + ",".join(
        f'"{n}":0' for n in range(size // 11)) + "}"
    yield "the same member", fill("{", '"then":[],', "}")
    yield "one number of many digits", fill('{"then":[', "9", "]}")
    yield "a number beyond doubles", '{"then":[{"incr":"n","by":1e999999}]}'
    yield "digits behind the point", fill('{"then":[1.', "0", "1]}")
    yield "escapes", fill('{"then":[{"put":"a","value":"', "\\u00e9", '"}]}')
    yield "NUL characters", fill('{"then":[{"put":"', "\\u0000", '"}]}')
    yield "a lone surrogate", '{"then":[{"put":"\\ud800","value":"1"}]}'
    yield "surrogates", fill('{"then":[{"put":"a","value":"',
                             "\\ud83d\\ude00", '"}]}')
    yield "blanks", fill('{"then":[', " ", "]}")
    yield "no end of a text", fill('{"then":["', "a", "")
    yield "conditions", fill('{"if":[', '{"key":"a"},', '],"then":[]}')


def read_peak(node):
    """Resident bytes at most since forget_peak, and now."""
    fields = {}
    with open(f"/proc/{node.process.pid}/status") as file:
        for line in file:
            name, value = line.split(":", 1)
            fields[name] = value
    return [int(fields[name].split()[0]) << 10 for name in ("VmHWM", "VmRSS")]


def forget_peak(node):
    with open(f"/proc/{node.process.pid}/clear_refs", "w") as file:
        file.write("5")


BOMB_BYTES = 3 << 20  # a transaction may have 4 MiB
GROWTH_MAX = 4  # of memory, by the bytes of the body


def test_X2_documents_that_grow(test):
    """Refused, or done, in four times the memory of their bytes."""
    cluster = Cluster(test, size=1).start()
    node = cluster["n1"]
    worst = (0.0, "none")
    for what, text in bombs(BOMB_BYTES):
        forget_peak(node)
        _, before = read_peak(node)
        answer = node.fetch("POST", "/txn", text.encode(), timeout=60, headers=[
            ("Content-Type", "application/json")])
        peak, _ = read_peak(node)
        growth = (peak - before) / BOMB_BYTES
        worst = max(worst, (growth, what))
        expect(400 <= answer.status < 500 or (
            what in ("escapes", "surrogates") and answer.status == 200),
            f"{what}: {answer!r}")
        expect(growth <= GROWTH_MAX, f"{what}: {growth:.1f} times its bytes")
    test.note(f"at most {worst[0]:.1f} times the body, by {worst[1]}")


# ---- Forgers ----

HUGE = (1 << 62) - 1  # the largest term that is no malformed number


def forged_hellos(peer, known):
    """Of somebody who has the secret, and is not who he should be."""
    hello = peer.make_hello(known)
    yield "another cluster's name", {**hello, "cluster": "other"}, 421
    yield "another cluster", {**hello, "cluster_id": "ab" * 16}, 421
    yield "another recipient", {**hello, "to": 3}, 421
    yield "nobody", {**hello, "from": 0}, 400
    yield "the node itself", {**hello, "from": hello["to"]}, 421
    yield "another address", {**hello, "to_address": "127.0.0.1:1"}, 421
    yield "another protocol", {**hello, "version": 2}, 421
    yield "another directory", {**hello, "directory": "cd" * 16}, 421


def check_forged_hello(cluster, what, number):
    node, sender = cluster["n1"], cluster["n2"]
    with Peer(cluster, node, sender) as peer:
        peer.take_life()
        known = peer.learn()
        _, hello, status = list(forged_hellos(peer, known))[number]
        hello = {**hello, "term": HUGE, "last_index": HUGE}
        answer = peer.prove_hello(hello)
        expect_equal(answer.status, status, what)
        answer = peer.send("/raft/vote", peer.make_vote(
            term=HUGE, last_index=HUGE, last_term=HUGE - 1))
        expect_equal(answer.status, 403, f"{what}: a vote request")


def test_X3_terms_of_forgers(test):
    """No hello, and nothing of who is no member, raises a term."""
    cluster = Cluster(test, options={"raft.election-timeout": "2s"}).start()
    before = cluster.leader().get_cluster()
    with Peer(cluster, cluster["n1"], cluster["n2"]) as peer:
        names = [row[0] for row in forged_hellos(peer, peer.learn())]
    for number, what in enumerate(names):
        check_forged_hello(cluster, what, number)
    with Peer(cluster, cluster["n1"], cluster["n2"]) as peer:
        hello = {**peer.make_hello(peer.learn()), "from": 9, "name": "n9"}
        status = peer.prove_hello(hello).status
        peer.sender = 9
        if status == 204:
            peer.client.timeout = 0.5
            peer.client.socket.settimeout(0.5)
            try:
                peer.send("/raft/vote", peer.make_vote(
                    term=HUGE, last_index=HUGE, last_term=HUGE - 1))
            except http.Broken:
                pass
    after = cluster.leader().get_cluster()
    expect_equal((after["term"], after["leader"]),
                 (before["term"], before["leader"]), "term and leader")
    for node in cluster:
        expect_equal(node.get_cluster()["term"], before["term"],
                     f"the term at {node.name}")
    test.note(f"{len(names) + 1} forgers; who is no member: {status}")


# ---- Crowds ----

SLOW_CLIENTS = 10000
# Connections that are made at a time: whoever finds the kernel's queue full
# comes again a second later.
BACKLOG = 1000
RESIDENT_BYTES_MAX = 256 << 20
VALUE = b"v" * 200000  # for each of those that do not read

HEAD = ("head", b"G", b"ET /kv/large HTTP/1.1\r\nA: b" + b"c" * 99)
BODY = ("body", b"PUT /kv/none HTTP/1.1\r\nHost: a\r\n"
        b"Content-Length: 1000\r\n\r\n", b"x" * 1000)
# Stale, so that they wait for their reader and not for the leader.
DEAF = ("never reads", http.encode("GET", "/kv/large?consistency=stale") * 10,
        b"")
# What is sent at once, and what follows byte by byte. Few are deaf: the kernel
# takes a megabyte for each before the daemon has anything left.
SLOW = 8 * [HEAD, BODY] + [DEAF]


def count_files(node):
    return len(os.listdir(f"/proc/{node.process.pid}/fd"))


class Crowd:
    """Clients of each kind of SLOW, one after the other."""

    def __init__(self, test, node, count):
        host, port = node.address.split(":")
        self.clients = []
        for number in range(count):
            _, begin, rest = SLOW[number % len(SLOW)]
            client = socket.socket()
            test.defer(client.close)
            if not rest:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            # A source for each few thousand: ports are 16 bits.
            client.bind((f"127.0.0.{2 + number // 4000}", 0))
            client.setblocking(False)
            client.connect_ex((host, int(port)))
            self.clients.append((client, begin, rest))
            if number % BACKLOG == BACKLOG - 1:
                self._begin(number + 1 - BACKLOG)
                wait_for("they are accepted", lambda: count_files(
                    node) > len(self.clients), timeout=60)

    def _begin(self, first):
        """Waits until they are connected, and sends what begins it."""
        for client, begin, _ in self.clients[first:]:
            client.settimeout(20)
            client.sendall(begin)
            client.setblocking(False)

    def send_a_byte(self, place):
        for client, _, rest in self.clients:
            try:
                client.send(rest[place:place + 1])
            except (BlockingIOError, ConnectionError):
                pass


def test_L4_ten_thousand_slow_clients(test):
    """
    Heads and bodies of a byte a second, and readers that do not read, at the
    leader: it stays below 256 MB and leads, and others are served.
    """
    if not raise_file_limit(SLOW_CLIENTS + 4096):
        raise Skip("so many files may not be open")
    cluster = Cluster(test, options={
        "raft.election-timeout": "2s",
        "http.header-timeout": "60s", "http.body-timeout": "60s",
        "http.write-timeout": "60s", "http.max-input": "64MiB"}).start()
    leader = cluster.leader()
    before = leader.get_cluster()
    leader.put("large", VALUE)
    crowd = Crowd(test, leader, SLOW_CLIENTS)
    slowest = 0.0
    for place in range(2):
        began = time.monotonic()
        crowd.send_a_byte(place)
        while time.monotonic() < began + 1.0:
            asked = time.monotonic()
            leader.put("key", b"%d" % place)
            expect_equal(leader.fetch("GET", "/readyz").status, 200,
                         "/readyz")
            slowest = max(slowest, time.monotonic() - asked)
    peak, _ = read_peak(leader)
    test.note(f"{count_files(leader)} files, {peak >> 20} MiB at most, "
              f"a PUT and /readyz in {slowest:.2f} s at most")
    expect(count_files(leader) > SLOW_CLIENTS, "some are gone")
    expect(peak > 20 << 20, f"nothing is unsent: {peak >> 20} MiB")
    expect(peak < RESIDENT_BYTES_MAX, f"{peak >> 20} MiB are in use")
    after = cluster.leader().get_cluster()
    expect_equal((after["term"], after["leader"]),
                 (before["term"], before["leader"]), "term and leader")


def test_L1_clients_that_do_not_wait(test):
    """
    Far more than it can do, for seconds (overload.py has the figures): nobody
    is elected, what is acknowledged is there, and it goes on afterwards.
    """
    cluster = Cluster(test, options={"raft.election-timeout": "2s"}).start()
    before = cluster.leader().get_cluster()
    loop = OpenLoop(cluster, 150, "o")
    test.defer(loop.close)
    asked, good = loop.run(4.0, rate=50000)
    loop.close()
    wait_for("a PUT is taken at once again", lambda: cluster.leader().put(
        "after", b"value") is not None, timeout=10)
    counts = loop.count()
    test.note(f"{asked:.0f}/s asked, {good:.0f}/s acknowledged, {counts}")
    expect(set(counts) <= {200, 201, 503, 504}, f"odd answers: {counts}")
    expect(sum(counts.values()) > 100, f"it did nothing: {counts}")
    after = cluster.leader().get_cluster()
    expect_equal((after["term"], after["leader"]),
                 (before["term"], before["leader"]), "term and leader")
    expect_equal(loop.find_lost(cluster.leader())[:5], [],
                 "acknowledged writes that are not there")
