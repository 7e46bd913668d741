"""Bad input over a real socket: each gets its error, and changes nothing."""

import json

from lib import http
from lib.cluster import Cluster
from lib.peer import Peer
from lib.testing import Failure, expect, expect_equal, expect_in

GOOD = b"PUT /kv/smuggled HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"


def head(line, *headers):
    return "\r\n".join([line, "Host: a", *headers, "", ""]).encode("latin-1")


def chunked(body):
    return head("PUT /kv/x HTTP/1.1", "Transfer-Encoding: chunked") + body


# What cannot be understood, or in two ways: refused, and the connection ends.
# Every case is followed by a good PUT that must not be executed.
MALFORMED = [
    ("chunk size 0x5", chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk size +5", chunked(b"+5\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk size with a blank before", chunked(b" 5\r\nhello\r\n0\r\n\r\n"),
     400),
    ("chunk size with junk", chunked(b"5 junk\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk size -0", chunked(b"-0\r\n\r\n"), 400),
    ("chunk size of nine digits", chunked(b"000000005\r\nhello\r\n"), 400),
    ("no chunk size", chunked(b"\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk without its end", chunked(b"5\r\nhello0\r\n\r\n"), 400),
    ("chunk longer than said", chunked(b"5\r\nhello!\r\n0\r\n\r\n"), 400),
    ("chunk size ends in LF", chunked(b"5\nhello\r\n0\r\n\r\n"), 400),
    ("endless chunk extension", chunked(b"5;" + b"a" * 2000 + b"\r\n"), 400),
    ("NUL in a chunk extension", chunked(b"5;a=\0\r\nhello\r\n0\r\n\r\n"),
     400),
    ("endless trailers", chunked(b"0\r\n" + b"a: b\r\n" * 2000), 400),
    ("bad trailer", chunked(b"0\r\n: b\r\n\r\n"), 400),
    ("length and chunked", head("PUT /kv/x HTTP/1.1", "Content-Length: 5",
                                "Transfer-Encoding: chunked") +
     b"0\r\n\r\n", 400),
    ("chunked and length", head("PUT /kv/x HTTP/1.1",
                                "Transfer-Encoding: chunked",
                                "Content-Length: 5") + b"0\r\n\r\n", 400),
    ("Transfer-Encoding xchunked", head(
        "PUT /kv/x HTTP/1.1", "Transfer-Encoding: xchunked"), 501),
    ("Transfer-Encoding gzip, chunked", head(
        "PUT /kv/x HTTP/1.1", "Transfer-Encoding: gzip, chunked"), 501),
    ("Transfer-Encoding chunked, identity", head(
        "PUT /kv/x HTTP/1.1", "Transfer-Encoding: chunked, identity"), 501),
    ("Transfer-Encoding twice", head(
        "PUT /kv/x HTTP/1.1", "Transfer-Encoding: chunked",
        "Transfer-Encoding: chunked"), 400),
    ("Transfer-Encoding in HTTP/1.0", head(
        "PUT /kv/x HTTP/1.0", "Transfer-Encoding: chunked") +
     b"0\r\n\r\n", 400),
    ("two lengths", head("PUT /kv/x HTTP/1.1", "Content-Length: 1",
                         "Content-Length: 2") + b"xx", 400),
    ("one length twice", head("PUT /kv/x HTTP/1.1", "Content-Length: 1",
                              "Content-Length: 1") + b"x", 400),
    ("length +5", head("PUT /kv/x HTTP/1.1", "Content-Length: +5"), 400),
    ("length -1", head("PUT /kv/x HTTP/1.1", "Content-Length: -1"), 400),
    ("length 5,5", head("PUT /kv/x HTTP/1.1", "Content-Length: 5,5"), 400),
    ("length 0x5", head("PUT /kv/x HTTP/1.1", "Content-Length: 0x5"), 400),
    ("length 5 5", head("PUT /kv/x HTTP/1.1", "Content-Length: 5 5"), 400),
    ("empty length", head("PUT /kv/x HTTP/1.1", "Content-Length:"), 400),
    ("length over the limit", head(
        "PUT /kv/x HTTP/1.1", "Content-Length: 1048577"), 413),
    ("length beyond numbers", head(
        "PUT /kv/x HTTP/1.1", "Content-Length: " + "9" * 30), 413),
    ("too large, with Expect", head(
        "PUT /kv/x HTTP/1.1", "Content-Length: 1048577",
        "Expect: 100-continue"), 413),
    ("chunks over the limit", chunked(
        b"100000\r\n" + b"x" * (1 << 20) + b"\r\n1\r\nx\r\n0\r\n\r\n"), 413),
    ("one chunk over the limit", chunked(b"ffffffff\r\n" +
                                         b"x" * (1 << 20) + b"xx"), 413),
    ("GET with a body", head("GET /kv/x HTTP/1.1", "Content-Length: 5") +
     b"hello", 400),
    ("HEAD with a body", head("HEAD /kv/x HTTP/1.1", "Content-Length: 5") +
     b"hello", 400),
    ("DELETE with a body", head("DELETE /kv/x HTTP/1.1",
                                "Content-Length: 5") + b"hello", 400),
    ("GET, chunked", head("GET /kv/x HTTP/1.1",
                          "Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    ("lines end in LF", b"GET /kv/x HTTP/1.1\nHost: a\n\n", 400),
    ("one line ends in LF", b"GET /kv/x HTTP/1.1\r\nHost: a\n\r\n", 400),
    ("CR in a value", head("GET /kv/x HTTP/1.1", "A: b\rC: d"), 400),
    ("NUL in a value", head("GET /kv/x HTTP/1.1", "A: b\0c"), 400),
    ("control character in a value", head("GET /kv/x HTTP/1.1",
                                          "A: b\x01c"), 400),
    ("blank before the colon", head("GET /kv/x HTTP/1.1", "A : b"), 400),
    ("blank in Host", b"GET /kv/x HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    ("no name", head("GET /kv/x HTTP/1.1", ": b"), 400),
    ("no colon", head("GET /kv/x HTTP/1.1", "abc"), 400),
    ("folded line", head("GET /kv/x HTTP/1.1", "A: b", " c"), 400),
    ("name with a slash", head("GET /kv/x HTTP/1.1", "A/B: c"), 400),
    ("no Host", b"GET /kv/x HTTP/1.1\r\n\r\n", 400),
    ("two Hosts", head("GET /kv/x HTTP/1.1", "Host: b"), 400),
    ("a list of Hosts", b"GET /kv/x HTTP/1.1\r\nHost: a,b\r\n\r\n", 400),
    ("bad Host", b"GET /kv/x HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    ("HTTP/1.9", head("GET /kv/x HTTP/1.9"), 505),
    ("HTTP/2.0", head("GET /kv/x HTTP/2.0"), 505),
    ("HTTP/4294967297.1", head("GET /kv/x HTTP/4294967297.1"), 400),
    ("HTTP/1.10", head("GET /kv/x HTTP/1.10"), 400),
    ("http/1.1", head("GET /kv/x http/1.1"), 400),
    ("no version", b"GET /kv/x\r\n\r\n", 400),
    ("two blanks", head("GET  /kv/x HTTP/1.1"), 400),
    ("a tab", head("GET\t/kv/x HTTP/1.1"), 400),
    ("something behind the version", head("GET /kv/x HTTP/1.1 x"), 400),
    ("lower-case method", head("get /kv/x HTTP/1.1"), 501),
    ("unknown method", head("PATCH /kv/x HTTP/1.1"), 501),
    ("TRACE", head("TRACE /kv/x HTTP/1.1"), 501),
    ("CONNECT", head("CONNECT a:80 HTTP/1.1"), 501),
    ("Upgrade", head("GET /kv/x HTTP/1.1", "Upgrade: h2c"), 400),
    ("unknown expectation", head("PUT /kv/x HTTP/1.1", "Expect: tea",
                                 "Content-Length: 1") + b"x", 417),
    ("target without a slash", head("GET kv/x HTTP/1.1"), 400),
    ("* for GET", head("GET * HTTP/1.1"), 400),
    ("target without a host", head("GET http:///kv/x HTTP/1.1"), 400),
    ("fragment in the target", head("GET /kv/x#y HTTP/1.1"), 400),
    ("control character in the target", head("GET /kv/x\x01 HTTP/1.1"), 400),
    ("target too long", head("GET /kv/" + "x" * 9000 + " HTTP/1.1"), 414),
    ("head too large", head("GET /kv/x HTTP/1.1",
                            *["A: " + "b" * 1000] * 20), 431),
    ("too many headers", head("GET /kv/x HTTP/1.1", *["A: b"] * 100), 431),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ("not HTTP", b"\0\0\0\0\r\n\r\n", 400),
]

# What is understood, and refused.
REFUSED = [
    ("GET", "/nope", (), 404, "unknown_path"),
    ("GET", "/kvx", (), 404, "unknown_path"),
    ("GET", "//kv/x", (), 404, "unknown_path"),
    ("GET", "/kv%2fx", (), 404, "unknown_path"),
    ("GET", "/KV/x", (), 404, "unknown_path"),
    ("GET", "/cluster/", (), 404, "unknown_path"),
    ("GET", "/livez/../kv/x", (), 404, "unknown_path"),
    ("PUT", "/nope", (), 404, "unknown_path"),
    ("GET", "/raft/nope", (), 404, "unknown_path"),
    ("GET", "/raft/append", (), 405, "method_not_allowed"),
    ("POST", "/kv/x", (), 400, "bad_request"),
    ("POST", "/lock/x", (), 405, "method_not_allowed"),
    ("PUT", "/cluster", (), 405, "method_not_allowed"),
    ("DELETE", "/", (), 405, "method_not_allowed"),
    ("POST", "/livez", (), 405, "method_not_allowed"),
    ("PUT", "/metrics", (), 405, "method_not_allowed"),
    ("GET", "/kv/x?nope=1", (), 400, "bad_request"),
    ("GET", "/kv/x?consistency=maybe", (), 400, "bad_request"),
    ("GET", "/kv/x?consistency=stale&consistency=stale", (), 400,
     "bad_request"),
    ("GET", "/kv/x?consistency", (), 400, "bad_request"),
    ("GET", "/kv/x?json=2", (), 400, "bad_request"),
    ("GET", "/kv/x?timeout=soon", (), 400, "bad_request"),
    ("GET", "/kv/x?timeout=0s", (), 400, "bad_request"),
    ("GET", "/kv/x?timeout=-1s", (), 400, "bad_request"),
    ("GET", "/kv/x?timeout=99999999999999999999s", (), 400, "bad_request"),
    ("GET", "/kv/x?%zz=1", (), 400, "bad_request"),
    ("GET", "/kv/x?timeout=%zz", (), 400, "bad_request"),
    ("PUT", "/kv/x?consistency=stale", (), 400, "bad_request"),
    ("DELETE", "/kv/x?json", (), 400, "bad_request"),
    ("PUT", "/kv/x?ttl=0", (), 400, "bad_ttl"),
    ("PUT", "/kv/x?cas=-1", (), 400, "bad_request"),
    ("POST", "/kv/x?op=nope", (), 400, "bad_request"),
    ("PUT", "/lock/x", (), 400, "bad_request"),
    ("GET", "/kv/", (), 400, "bad_request"),
    ("PUT", "/kv/", (), 400, "bad_request"),
    ("PUT", "/kv/a%2", (), 400, "bad_request"),
    ("PUT", "/kv/a%", (), 400, "bad_request"),
    ("PUT", "/kv/a%zz", (), 400, "bad_request"),
    ("PUT", "/kv/" + "x" * 481, (), 414, "too_large"),
    ("GET", "/kv/" + "%ff" * 481, (), 414, "too_large"),
    ("PUT", "/kv/x", [("If-Match", '"1"')], 412, "precondition_failed"),
    ("PUT", "/kv/x", [("If-Match", "*")], 412, "precondition_failed"),
    ("PUT", "/kv/x", [("If-Match", "x")], 400, "bad_request"),
    ("DELETE", "/kv/x", [("If-Match", '"1"')], 412, "precondition_failed"),
    ("PUT", "/kv/x", [("Idempotency-Key", "a b")], 400, "bad_request"),
    ("PUT", "/lock/x?ttl=5s", [("If-Match", "*")], 501, "not_implemented"),
    ("PUT", "/kv/x", [("Content-Range", "bytes 0-1/2")], 501,
     "not_implemented"),
    ("PUT", "/kv/x", [("Sec-Fetch-Site", "cross-site")], 403, "forbidden"),
    ("DELETE", "/kv/x", [("Sec-Fetch-Site", "cross-site")], 403,
     "forbidden"),
    ("PUT", "/kv/x", [("Luminous-Cluster", "00" * 16)], 421,
     "wrong_cluster"),
    ("GET", "/kv/x", [("Luminous-Cluster", "other")], 421, "wrong_cluster"),
]

CODES = {400: "bad_request", 413: "too_large", 414: "too_large",
         417: "expectation_failed", 431: "too_large",
         501: "not_implemented", 505: "version_not_supported"}
LIMITS = {"length over the limit": (1 << 20, "http.max-value"),
          "target too long": (8 << 10, "http.max-target-bytes"),
          "head too large": (16 << 10, "http.max-head-bytes")}


class State:
    """What bad input must not change."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.keys = ["x", "kept", "smuggled"]
        cluster["n1"].put("kept", b"value")
        self.before = self.look()

    def look(self):
        self.cluster.wait_converged()
        status = self.cluster.leader().get_cluster()
        items = self.cluster.expect_same_items(self.keys)
        return (status["term"], status["leader"], status["revision"],
                json.dumps(items))

    def check(self):
        expect_equal(self.look(), self.before,
                     "term, leader, revision and keys")


def check_problem(answer, status, code, what):
    expect_equal((answer.status, answer.code), (status, code), what)
    problem = answer.json()
    expect_equal(problem["status"], status, f"{what}: status in the body")
    expect(problem["title"] and problem["detail"], f"{what}: {problem}")
    expect(answer.body.endswith(b"}\n"), f"{what}: the line has no end")


def receive_problem(client, what, data, status):
    """The answer to a malformed request, checked. HEAD gets no body."""
    method = "HEAD" if data.startswith(b"HEAD ") else "GET"
    try:
        answer = client.receive(method)
    except http.Broken as error:
        raise Failure(f"{what}: {error}") from None
    if method == "HEAD":
        expect_equal(answer.status, status, what)
    else:
        check_problem(answer, status, CODES[status], what)
    return answer


def test_X1_malformed_requests(test):
    """400 and the end of the connection; never two interpretations."""
    cluster = Cluster(test).start()
    state = State(cluster)
    for number, (what, data, status) in enumerate(MALFORMED):
        node = cluster.nodes[number % 3]
        with http.Client(node.address) as client:
            client.send(data + GOOD)
            answer = receive_problem(client, what, data, status)
            expect_equal(answer.header("Connection"), "close", what)
            if what in LIMITS:
                problem = answer.json()
                expect_equal((problem["limit"], problem["option"]),
                             LIMITS[what], what)
    state.check()
    test.note(f"{len(MALFORMED)} cases")


def test_X1_malformed_byte_by_byte(test):
    """N13: the same verdicts when every byte comes alone."""
    cluster = Cluster(test, size=1).start()
    state = State(cluster)
    for what, data, status in MALFORMED:
        if len(data) > 3000:
            continue
        with http.Client(cluster["n1"].address) as client:
            try:
                for at in range(len(data)):
                    client.send(data[at:at + 1])
            except http.Broken:
                continue  # refused before its end, and reset
            receive_problem(client, what, data, status)
    state.check()


def test_X4_refused_requests(test):
    """Each with its status and code; the connection goes on."""
    cluster = Cluster(test).start()
    state = State(cluster)
    for node in cluster:
        with http.Client(node.address) as client:
            for method, target, headers, status, code in REFUSED:
                body = b"value" if method in ("PUT", "POST") else None
                what = f"{method} {target[:40]} {headers}"
                if target.startswith("/raft/") or (
                        body and code in ("unknown_path",
                                          "method_not_allowed")):
                    client.close()
                answer = client.request(method, target, body, headers)
                expect_equal((answer.status, answer.code), (status, code),
                             what)
                if status == 405 and not target.startswith("/raft/"):
                    expect_in("HEAD", answer.header("Allow"), "Allow")
    state.check()
    test.note(f"{len(REFUSED)} cases")


def test_X5_keys_are_bytes(test):
    """No key is anything but its bytes: no path, no text, no pattern."""
    cluster = Cluster(test).start()
    keys = [b"../../etc/passwd", b"a/../b", b"//", b".", b"..", b"a%2Fb",
            b"a/b", b"\0", b"a\0b", b"\r\nA: b", b"\xff\xfe", b"%", b"%s%n",
            b"?x=1", b"#", b" ", b"+", b"\xc3\xa9", b"x" * 480,
            b"\xff" * 480]
    for number, key in enumerate(keys):
        cluster.nodes[number % 3].put(key, b"=" + key)
    for number, key in enumerate(keys):
        value = cluster.nodes[(number + 1) % 3].get(key)
        expect_equal(value, b"=" + key, f"value of {key[:9]!r}")
    expect_equal(cluster.wait_converged(), len(keys), "revision")
    answer = cluster["n1"].fetch("GET", "/kv/%0d%0aA:%20b?json")
    expect_equal(answer.json()["key"], "\r\nA: b", "key in JSON")
    answer = cluster["n1"].fetch("GET", "/kv/%ff%fe?json")
    expect_equal(answer.json()["key_base64"], "//4=", "key in JSON")


def test_L2_limits_of_keys_and_values(test):
    cluster = Cluster(test, options={"http.max-value": "1000B"}).start()
    node = cluster.followers()[0]
    node.put("k" * 480, b"")
    expect_equal(node.get("k" * 480), b"", "the empty value")
    node.put("k", b"x" * 1000)
    answer = node.fetch("PUT", "/kv/k", b"x" * 1001)
    check_problem(answer, 413, "too_large", "1001 bytes")
    expect_equal(answer.json()["limit"], 1000, "limit")
    expect_equal(node.get("k"), b"x" * 1000, "the value")


def test_pipelined_requests_are_answered_in_order(test):
    cluster = Cluster(test).start()
    for node in cluster:
        with http.Client(node.address) as client:
            for number in range(20):
                client.send(http.encode("PUT", f"/kv/{number}", b"x"))
                client.send(http.encode("GET", f"/kv/{number}?json"))
            for number in range(20):
                expect_in(client.receive().status, (200, 201), "PUT")
                expect_equal(client.receive().json()["key"], f"{number}",
                             "order")


def test_errors_as_text(test):
    """For people: one line, with what to do."""
    cluster = Cluster(test, size=1).start()
    answer = cluster["n1"].fetch("GET", "/nope",
                                 headers=[("Accept", "text/plain")])
    expect_equal(answer.status, 404, "status")
    expect_equal(answer.body, b"luminous: there is no path '/nope' "
                 b"(GET / shows what there is)\n", "text")


# ---- Strangers and forgers among the peers ----

def test_X3_messages_without_proof(test):
    """Nothing that a stranger says is looked at, least of all a term."""
    cluster = Cluster(test).start()
    state = State(cluster)
    node, sender = cluster["n1"], cluster["n2"]
    for path in ("/raft/append", "/raft/vote", "/raft/prevote", "/raft/read",
                 "/raft/timeout-now", "/raft/snapshot"):
        with Peer(cluster, node, sender) as peer:
            message = peer.make_append(term=1 << 40)
            if path != "/raft/append":
                message = peer.make_vote(term=1 << 40, last_index=1 << 40)
            answer = peer.send(path, message)
            expect_equal((answer.status, answer.code), (403, "forbidden"),
                         path)
    with Peer(cluster, node, sender) as peer:
        answer = peer.post("/raft/hello", peer.make_hello(peer.learn()))
        expect_equal(answer.status, 200, "a hello")
        answer = peer.send("/raft/append", peer.make_append(term=1 << 40))
        expect_equal((answer.status, answer.code), (403, "forbidden"),
                     "a message behind a hello")
    with Peer(cluster, node, sender) as peer:
        answer = peer.prove(secret=b"not the secret of it")
        expect_equal((answer.status, answer.code), (403, "forbidden"),
                     "a wrong proof")
        answer = peer.send("/raft/append", peer.make_append(term=1 << 40))
        expect_equal(answer.status, 403, "a message behind a wrong proof")
    with Peer(cluster, node, sender) as peer:
        answer = peer.post("/raft/hello", b"x" * 100000)
        expect_equal(answer.status, 413, "a huge hello")
    for body in (b"", b"{}", b"[]", b"null", b"{" * 4000, b"\xff\xfe",
                 b'{"version":99}', json.dumps(
                     {**Peer(cluster, node, sender).make_hello(),
                      "from": 0}).encode()):
        with Peer(cluster, node, sender) as peer:
            answer = peer.post("/raft/hello", body)
            expect_in(answer.status, (400, 421), f"hello {body[:20]!r}")
    expect_in("is refused", node.read_log(), "log")
    state.check()


def test_X3_replayed_proof(test):
    """A proof is for one connection: both sides' nonces are in it."""
    cluster = Cluster(test).start()
    node, sender = cluster["n1"], cluster["n2"]
    with Peer(cluster, node, sender) as peer:
        answer = peer.prove()
        expect_equal(answer.status, 204, "a right proof")
    with Peer(cluster, node, sender) as peer:
        hello = json.dumps(peer.make_hello(peer.learn())).encode()
        own = peer.post("/raft/hello", hello)
        server_proof = own.header("Luminous-Proof")
        answer = peer.post("/raft/proof", b"",
                           [("Luminous-Proof", server_proof)])
        expect_equal(answer.status, 403, "the node's own proof, sent back")


def forged_messages(peer):
    """What passes as a member's but for what it says."""
    append, vote = peer.make_append, peer.make_vote
    huge = (1 << 53) - 1
    yield "/raft/append", append(**{"from": 3})
    yield "/raft/append", append(to=2)
    yield "/raft/append", append(boot="00000000000000aa")
    yield "/raft/append", append(group=2)
    yield "/raft/append", append(kind="vote_request")
    yield "/raft/append", append(kind="append_response")
    yield "/raft/append", append(term=0)
    yield "/raft/append", append(term=-1)
    yield "/raft/append", append(term=1.5)
    yield "/raft/append", append(term="1")
    yield "/raft/append", append(term=1 << 64)
    yield "/raft/append", append(prev_index=huge, prev_term=0)
    yield "/raft/append", append(prev_index=0, prev_term=huge)
    yield "/raft/append", append(entries=["AAAA"])
    yield "/raft/append", append(entries=["not base64!"])
    yield "/raft/append", append(entries=[1])
    yield "/raft/append", append(entries=["AAAA"] * 100000)
    yield "/raft/append", append(entries={})
    yield "/raft/append", append(extra=1)
    yield "/raft/append", b""
    yield "/raft/append", b"{" * 10000
    yield "/raft/append", b"\xff" * 100
    yield "/raft/vote", append()
    yield "/raft/vote", vote(**{"from": 3})
    yield "/raft/vote", vote(kind="prevote_request")
    yield "/raft/vote", vote(last_index=-1)
    yield "/raft/prevote", vote()


def test_X3_forged_messages_of_a_member(test):
    """
    Even who knows the secret cannot stop a node with a message: it is
    refused, or goes unanswered, and the node lives on.
    """
    cluster = Cluster(test).start()
    state = State(cluster)
    node, sender = cluster["n1"], cluster["n2"]
    count = len(list(forged_messages(Peer(cluster, node, sender))))
    for number in range(count):
        with Peer(cluster, node, sender) as peer:
            expect_equal(peer.prove().status, 204, "proof")
            path, message = list(forged_messages(peer))[number]
            what = f"{path} {str(message)[:200]}"
            peer.client.timeout = 0.3
            peer.client.socket.settimeout(0.3)
            try:
                status = peer.send(path, message).status
            except http.Broken:
                status = None
            expect(status is None or status >= 400, f"{what}: {status}")
        expect(node.is_listening(), f"the node ended: {what}")
    with Peer(cluster, node, sender) as peer:
        peer.prove()
        answer = peer.post("/raft/append", peer.make_append(),
                           [("Luminous-Crc32c", "00000000")])
        expect_equal((answer.status, answer.code), (400, "damaged_message"),
                     "a wrong checksum")
    state.check()
    test.note(f"{count} messages")
