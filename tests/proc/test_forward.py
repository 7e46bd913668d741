"""Any node takes any request: followers hand it to the leader, one hop."""

import os
import subprocess

from lib import http
from lib.cluster import Cluster
from lib.testing import Skip, expect, expect_equal, expect_in


def curl(*arguments, data=None):
    """What curl prints; it must succeed."""
    try:
        done = subprocess.run(["curl", "-sS", "-m", "20", *arguments],
                              input=data, capture_output=True, check=False)
    except FileNotFoundError:
        raise Skip("curl is not installed") from None
    expect_equal(done.returncode, 0,
                 f"curl {arguments}: {done.stderr.decode().strip()}")
    return done.stdout


def test_methods_through_a_follower(test):
    cluster = Cluster(test).start()
    leader = cluster.leader()
    for follower in cluster.followers():
        path = f"/kv/{follower.name}"
        with http.Client(follower.address) as client:
            answer = client.request("PUT", path, b"value")
            expect_equal(answer.status, 201, "PUT of a new key")
            etag = answer.header("ETag")
            expect_equal(etag, f'"{answer.json()["revision"]}"', "ETag")
            answer = client.request("GET", path)
            expect_equal((answer.status, answer.body), (200, b"value"), "GET")
            expect_equal(answer.header("ETag"), etag, "ETag of the GET")
            expect_equal(answer.header("Luminous-Node"), follower.name,
                         "who received it")
            expect_equal(answer.header("Luminous-Leader"), leader.name,
                         "who decided")
            head = client.request("HEAD", path)
            expect_equal((head.status, head.body), (200, b""), "HEAD")
            expect_equal(head.header("Content-Length"), "5", "its length")
            answer = client.request("GET", path,
                                    headers=[("If-None-Match", etag)])
            expect_equal((answer.status, answer.body), (304, b""),
                         "GET of what is known")
            answer = client.request("PUT", path, b"other",
                                    headers=[("Prefer", "return=minimal")])
            expect_equal((answer.status, answer.body), (204, b""),
                         "PUT, return=minimal")
            item = client.request("GET", path + "?json").json()
            expect_equal((item["value"], item["version"]), ("other", 2),
                         "GET as JSON")
            answer = client.request("DELETE", path)
            expect_equal((answer.status, answer.json()["deleted"]), (200, 1),
                         "DELETE")
            answer = client.request("DELETE", path)
            expect_equal((answer.status, answer.json()["deleted"]), (200, 0),
                         "DELETE again")
            answer = client.request("GET", path)
            expect_equal((answer.status, answer.code),
                         (404, "key_not_found"), "GET of no key")


def test_L2_largest_body_through_each_node(test):
    """1 MiB with a length, with Expect, and chunked; one byte more is 413."""
    cluster = Cluster(test).start()
    value = os.urandom(1 << 20)
    file = test.directory / "value"
    file.write_bytes(value)
    for node in cluster:
        base = f"http://{node.address}/kv/{node.name}"
        node.put(f"{node.name}/length", value)
        quickest = 1.0
        for _ in range(3):
            answer = curl("-T", str(file), base + "/expect", "-w",
                          "%{http_code} %{time_total}")
            code, seconds = answer.split()[-2:]
            expect(code in (b"200", b"201"), f"curl -T FILE: {answer!r}")
            quickest = min(quickest, float(seconds))
        expect(quickest < 0.9, f"curl -T FILE took {quickest} s each time: "
               "it waited for 100 Continue")
        curl("-T", "-", base + "/chunked", data=value)
        for kind in ("length", "expect", "chunked"):
            for reader in cluster:
                expect(reader.get(f"{node.name}/{kind}") == value,
                       f"{kind} through {node.name} differs "
                       f"on {reader.name}")
        answer = node.fetch("PUT", f"/kv/{node.name}/more", value + b"x")
        expect_equal((answer.status, answer.code), (413, "too_large"),
                     "one byte more")
        expect_equal(answer.json()["limit"], 1 << 20, "the limit in it")


def test_limits_of_a_leader_that_has_others(test):
    """What it refuses for its size is refused, not unknown; and at once."""
    cluster = Cluster(test)
    for node in cluster:
        cluster.write_config(node, http__max_value="2MiB")
    cluster.start()
    leader = cluster.leader()
    cluster.write_config(leader, http__max_value="1MiB")
    leader.stop()
    leader.restart()
    cluster.wait_ready()
    others = [node for node in cluster if node is not leader]
    expect_equal(others[0].fetch("POST", f"/cluster/leader?to={leader.name}")
                 .status, 200, "handing over")
    for node in others:
        answer = node.fetch("PUT", "/kv/large", b"v" * 1_500_000)
        expect_equal((answer.status, answer.code), (413, "too_large"),
                     f"1.5 MB through {node.name}")
    # The leader gets some more than the client has sent.
    for count in (59, 61):
        answer = others[0].fetch(
            "PUT", "/kv/a", b"v", [("Accept", "*/*")] * count)
        expect_in(answer.status, (200, 201, 431), f"{count} lines of Accept")


def test_X6_forwarded_by_of_a_client_does_not_count(test):
    """Only members may say so; a client's word does not stop the hop."""
    cluster = Cluster(test).start()
    for node in cluster.followers():
        answer = node.fetch("PUT", "/kv/key", b"value",
                            headers=[("Luminous-Forwarded-By", "n1")])
        expect_in(answer.status, (200, 201), "PUT with the header")
        answer = node.fetch("GET", "/kv/key",
                            headers=[("Luminous-Forwarded-By", "1")])
        expect_equal(answer.body, b"value", "GET with the header")


def test_followers_go_on_over_a_change_of_the_leader(test):
    """A client that stays with one follower sees no error but unknowns."""
    cluster = Cluster(test).start()
    leader = cluster.leader()
    follower = cluster.followers()[0]
    with http.Client(follower.address) as client:
        client.request("PUT", "/kv/key", b"before")
        leader.kill()
        answer = client.request("GET", "/kv/key")
        expect_equal((answer.status, answer.body), (200, b"before"),
                     "GET while another is elected")
        answer = client.request("PUT", "/kv/key", b"after")
        expect_in(answer.status, (200, 504), "PUT behind it")


def test_metrics_of_forwarding(test):
    cluster = Cluster(test).start()
    follower = cluster.followers()[0]
    name = 'luminous_http_forwarded_total{result="relayed"}'
    before = follower.get_metrics().get(name, 0)
    for number in range(5):
        follower.put(f"{number}", b"value")
    expect_equal(follower.get_metrics()[name], before + 5, name)
