"""Starting: in any order, alone, again."""

import itertools

from lib.cluster import Cluster, Node
from lib.testing import expect, expect_equal, expect_in


def test_three_nodes_in_every_order(test):
    """The cluster forms with the last one, whichever that is."""
    orders = itertools.permutations(("n1", "n2", "n3"))
    for number, order in enumerate(orders):
        cluster = Cluster(test, directory=test.directory / str(number))
        for name in order:
            cluster[name].restart()
            last = name == order[-1]
            state = cluster[name].get_cluster()["state"]
            expect(last or state == "forming",
                   f"{name} is {state} before all have met")
        cluster.wait_ready()
        cluster[order[0]].put("key", b"value")
        expect_equal(cluster[order[2]].get("key"), b"value", "the value")
        cluster.close()


def test_waiting_for_the_others_is_said(test):
    """P1: until the cluster is formed a request learns what is missing."""
    cluster = Cluster(test)
    node = cluster["n1"]
    node.restart()
    response = node.fetch("PUT", "/kv/key?timeout=200ms", b"value")
    expect_equal((response.status, response.code), (503, "starting"),
                 "PUT before the cluster is formed")
    expect_in("n2, n3", response.json()["detail"], "who is missing")
    expect_equal(response.header("Retry-After"), "1", "Retry-After")
    expect_equal(node.fetch("GET", "/readyz").status, 503, "/readyz")
    expect_equal(node.fetch("GET", "/livez").status, 200, "/livez")


def test_one_node_without_a_file(test):
    """The defaults are a cluster of one on the loopback address."""
    cluster = Cluster(test, size=1)
    node = cluster["n1"]
    node.config.write_text("")
    node.restart(arguments=["--listen", node.address,
                            "--data-dir", str(node.data)])
    node.wait_ready()
    node.put("key", b"value")
    expect_equal(node.get("key"), b"value", "the value")
    expect_equal(node.data.stat().st_mode & 0o777, 0o700, "mode of the data")


def test_every_node_reads_what_any_wrote(test):
    cluster = Cluster(test).start()
    for number in range(5):
        for writer in cluster:
            key = f"{writer.name}/{number}"
            answer = writer.put(key, key.encode())
            for reader in cluster:
                item = reader.get_items([key])[key]
                expect_equal(item["value"], key, f"{key} on {reader.name}")
                expect_equal(item["revision"], answer["revision"],
                             f"revision of {key} on {reader.name}")


def write_all_shapes(node):
    """Keys of every kind: replaced, deleted, empty, large, binary."""
    keys = {"plain": b"value", "empty": b"", "large": b"x" * (1 << 20),
            "\u00e9 /../\n%": b"odd", "k" * 480: b"longest"}
    for key, value in keys.items():
        node.put(key, b"first")
        node.put(key, value)
    node.put("gone", b"value")
    node.fetch("DELETE", "/kv/gone")
    return [*keys, "gone"]


def test_restart_keeps_values_and_revisions(test):
    """P1: after SIGTERM, after SIGKILL, alone and as three."""
    for size in (1, 3):
        cluster = Cluster(test, size, directory=test.directory / str(size))
        cluster.start()
        keys = write_all_shapes(cluster.leader())
        before = cluster.expect_same_items(keys)
        expect(before["gone"] is None, "a deleted key is there")
        for end in (Node.stop, Node.kill):
            for node in cluster:
                end(node)
            cluster.restart_all()
            after = cluster.nodes[-1].get_items(keys)
            for key in keys:
                expect_equal(after[key], before[key],
                             f"{key[:9]!r} behind a restart")
        revision = cluster.nodes[0].put("next", b"")["revision"]
        expect_equal(revision, 2 * (len(keys) - 1) + 3, "the next revision")
        cluster.close()


def test_restart_is_quick(test):
    """P1: a node that was killed is back within two seconds."""
    cluster = Cluster(test).start()
    node = cluster.followers()[0]
    node.kill()
    node.start()
    node.wait_ready(timeout=2.0)
