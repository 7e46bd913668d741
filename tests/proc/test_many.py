"""Many keys at once, with real curl: lists, copies between clusters, imports."""

import base64
import json
import random
import re
import socket
import subprocess
import threading

from lib import http
from lib.cluster import QUICK, REPOSITORY, Cluster
from lib.testing import Skip, expect, expect_equal, expect_in


def shell(script, **variables):
    """What a script prints, and how its last command ended."""
    try:
        done = subprocess.run(["bash", "-c", script], capture_output=True,
                              env={"PATH": "/usr/bin:/bin", **variables},
                              check=False)
    except FileNotFoundError:
        raise Skip("bash is not installed") from None
    return done.returncode, done.stdout


def read_export(node, prefix=""):
    """{key: value} of an export, which must be whole."""
    status, output = shell("curl -sS --fail-with-body $URL/export?prefix=$P",
                           URL=node.address, P=prefix)
    expect_equal(status, 0, f"status of an export: {output[:300]}")
    lines = [json.loads(line) for line in output.splitlines()]
    expect_equal(lines[-1].get("end"), True, "the end line")
    expect_equal(lines[-1]["count"], len(lines) - 1, "its count")
    return {take_bytes(line, "key"): take_bytes(line, "value")
            for line in lines[:-1]}


def take_bytes(line, name):
    if name in line:
        return line[name].encode()
    return base64.b64decode(line[name + "_base64"])


def make_line(key, value):
    return json.dumps({
        "key_base64": base64.b64encode(key).decode(),
        "value_base64": base64.b64encode(value).decode()}) + "\n"


def make_items(rng, count):
    """Keys and values of any bytes."""
    return {rng.randbytes(rng.randint(1, 40)):
            rng.randbytes(rng.choice((0, 5, 100, 3000)))
            for _ in range(count)}


def test_names_through_a_shell(test):
    """`while read` over plain text reaches every key, as curl sends paths."""
    cluster = Cluster(test, size=1).start()
    node = cluster["n1"]
    keys = [b"app/db", b"a b", b"a\nb", b"a//b", b"a/../b", b"./x", b"%41",
            b"a+b&c=d#e?f", "ä".encode(), b"\xff\x00", b"'$(id)\"", b"-v"]
    for key in keys:
        node.fetch("PUT", "/kv/" + "".join(f"%{byte:02x}" for byte in key),
                   key)
    status, output = shell(
        "curl -fsS -H 'Accept: text/plain' $URL/kv | while read -r key; do "
        "curl -fsS $URL/kv/$key | od -An -tx1 | tr -d ' \\n'; echo; done",
        URL=node.address)
    expect_equal(status, 0, "exit status")
    got = [bytes.fromhex(line.decode()) for line in output.split(b"\n")[:-1]]
    expect_equal(got, sorted(keys), "what the keys hold, in order")


def test_copy_into_another_cluster(test):
    """export | import, follower to follower, byte for byte."""
    source = Cluster(test, directory=test.directory / "source").start()
    target = Cluster(test, directory=test.directory / "target").start()
    items = make_items(test.random, 3000)
    lines = "".join(make_line(key, value) for key, value in items.items())
    answer = source.followers()[0].fetch("PUT", "/import", lines.encode(),
                                         timeout=60)
    expect_equal(answer.json()["imported"], len(items), repr(answer))
    status, output = shell(
        "set -o pipefail; curl -fsS $FROM/export | curl -fsS -T - $TO/import",
        FROM=source.followers()[0].address, TO=target.followers()[0].address)
    expect_equal(status, 0, "exit status")
    expect_equal(json.loads(output)["imported"], len(items), "imported")
    expect_equal(read_export(target["n1"]), items, "what the other one has")
    status, output = shell(
        "curl -fsS $FROM/export | curl -fsS -T - $TO/import?if=absent",
        FROM=source["n1"].address, TO=target["n1"].address)
    answer = json.loads(output)
    expect_equal((answer["imported"], answer["skipped"]), (0, len(items)),
                 "imported again, and skipped")


def test_cut_export_is_noticed(test):
    """A pipe that breaks makes no import that looks whole."""
    cluster = Cluster(test, size=1).start()
    node = cluster["n1"]
    lines = "".join(make_line(b"k%05d" % i, b"v" * 500) for i in range(5000))
    node.fetch("PUT", "/import", lines.encode(), timeout=60)
    _, output = shell("curl -sS $URL/export | head -c 1000000 | "
                      "curl -sS -T - $URL/import", URL=node.address)
    answer = json.loads(output)
    expect_equal((answer["status"], answer["code"]), (400, "bad_json"),
                 "the answer")
    _, output = shell("curl -sS $URL/export | head -n 2000 | "
                      "curl -sS -T - $URL/import", URL=node.address)
    answer = json.loads(output)
    expect_in("cut on its way", answer["detail"], "the answer to whole lines")
    expect_equal((answer["imported"], answer["line"]), (1000, 2001),
                 "how far it came")


def test_export_that_is_filtered(test):
    """As the README says; else the end line counts another number of keys."""
    cluster = Cluster(test, size=1).start()
    node = cluster["n1"]
    for key in ("old/a", "b", "c%FF"):
        node.fetch("PUT", f"/kv/{key}", b"v")
    readme = (REPOSITORY / "README.md").read_text()
    wanted = re.search(r"`jq -c ('[^']*')`", readme)[1]
    status, output = shell(
        f"set -o pipefail; curl -fsS $URL/export | jq -c {wanted} | "
        "curl -sS --fail-with-body -T - $URL/import", URL=node.address)
    expect_equal((status, json.loads(output).get("imported")), (0, 2),
                 f"the import: {output}")
    _, output = shell("curl -fsS $URL/export | grep -v old/ | "
                      "curl -sS -T - $URL/import", URL=node.address)
    expect_in("leave out the end line", json.loads(output)["detail"],
              "one that keeps the end line")


def test_import_of_a_client_that_sends_nothing_more(test):
    """`nc -N`: the first batch waits for its commit when the end is read."""
    cluster = Cluster(test, size=1).start()
    lines = [make_line(b"k%05d" % i, b"v").encode() for i in range(1050)]
    parts = [b"".join(lines[:1000]), b"".join(lines[1000:]), b""]
    with http.Client(cluster["n1"].address) as client:
        client.send(b"PUT /import HTTP/1.1\r\nHost: a\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n")
        client.send(b"".join(b"%x\r\n%s\r\n" % (len(part), part)
                             for part in parts))
        client.socket.shutdown(socket.SHUT_WR)
        answer = client.receive("PUT")
    expect_equal((answer.status, answer.json().get("imported")), (200, 1050),
                 "the answer")


def test_import_while_the_leader_dies(test):
    """Through a follower: what it says was imported is there."""
    cluster = Cluster(test, options=QUICK).start()
    leader = cluster.leader()
    follower = cluster.followers()[0]
    count = 20000
    lines = "".join(make_line(b"k%05d" % i, b"v%d" % i) for i in range(count))
    half = len(lines) // 2
    half = lines.index("\n", half) + 1
    answers = []

    def run():
        with http.Client(follower.address, timeout=60) as client:
            client.connect()
            client.send((f"PUT /import HTTP/1.1\r\nHost: a\r\n"
                         f"Content-Length: {len(lines)}\r\n\r\n").encode())
            client.send(lines[:half].encode())
            leader.kill()
            client.send(lines[half:].encode())
            answers.append(client.receive("PUT"))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(timeout=90)
    expect(answers, "the import was not answered")
    answer = answers[0].json()
    test.note(f"import: {answers[0].status} {answer}")
    cluster.wait_ready(cluster.running(), timeout=30)
    items = read_export(follower)
    for i in range(answer["imported"]):
        expect_equal(items.get(b"k%05d" % i), b"v%d" % i, f"key {i}")
    if answers[0].status == 200:
        expect_equal(len(items), count, "keys of a whole import")
    else:
        expect_equal(answer["code"], "outcome_unknown", "why it ended")
    # As the answer says, it may be repeated.
    answer = follower.fetch("PUT", "/import", lines.encode(), timeout=60)
    expect_equal(answer.json()["imported"], count, "imported again")
    expect_equal(len(read_export(follower)), count, "keys in the end")


def test_transfers_by_transactions(test):
    """Sums stay, whoever transfers and through whichever node."""
    cluster = Cluster(test).start()
    accounts = [f"acct/{i}" for i in range(5)]
    for account in accounts:
        cluster["n1"].put(account, b"100")

    def transfer(node, rng):
        a, b = rng.sample(accounts, 2)
        with http.Client(node.address) as client:
            for _ in range(60):
                ask(client, {"then": [{"incr": a, "by": -1},
                                      {"incr": b, "by": 1}]})
                swap(client, a, b)

    def ask(client, body):
        answer = client.request(
            "POST", "/txn", json.dumps(body).encode(),
            headers=[("Content-Type", "application/json")])
        expect(answer.status in (200, 412), repr(answer))
        return answer.json()

    def swap(client, a, b):
        old = ask(client, {"then": [{"get": a}, {"get": b}]})["results"]
        ask(client, {"if": [{"key": a, "revision": old[0]["revision"]},
                            {"key": b, "revision": old[1]["revision"]}],
                     "then": [{"put": a, "value": old[1]["value"]},
                              {"put": b, "value": old[0]["value"]}]})

    threads = [threading.Thread(target=transfer,
                                args=(node, random.Random(test.random.random())))
               for node in cluster]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for node in cluster:
        items = read_export(node, "acct/")
        expect_equal(sum(int(value) for value in items.values()), 500,
                     f"the sum at {node.name}")
