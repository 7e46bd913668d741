"""Locks, leases and identities over the deaths of those who are part of it."""

import socket
import subprocess

from lib import http
from lib.cluster import Cluster
from lib.testing import Skip, expect, expect_equal, wait_for


def start_curl(*arguments):
    try:
        return subprocess.Popen(
            ["curl", "-sS", "-m", "60", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError:
        raise Skip("curl is not installed") from None


def take(node, name, holder, query="ttl=60s"):
    answer = node.fetch("PUT", f"/lock/{name}?{query}", holder)
    expect_equal(answer.status, 201, f"PUT /lock/{name} by {holder}")
    return answer.json()


def release(node, name, token):
    answer = node.fetch("DELETE", f"/lock/{name}?token={token}")
    expect_equal(answer.status, 200, f"DELETE /lock/{name}: {answer}")


def waiting(node, name):
    answer = node.fetch("GET", f"/lock/{name}")
    return answer.json()["waiting"] if answer.status == 200 else -1


def test_client_that_sends_nothing_more_gets_its_lock(test):
    """It looks like one that has gone; but the answer comes at once."""
    cluster = Cluster(test).start()
    for node in cluster:
        with http.Client(node.address) as client:
            client.send(http.encode(
                "PUT", f"/lock/{node.name}?ttl=20s", b"holder"))
            client.socket.shutdown(socket.SHUT_WR)
            answer = client.receive("PUT")
        expect_equal(answer.status, 201, f"PUT through {node.name}")
        release(node, node.name, answer.json()["token"])


def test_place_is_kept_over_a_hand_over(test):
    """Without an identity: who led before answers whoever waits there."""
    cluster = Cluster(test, options={"raft.election-timeout": None,
                                     "raft.heartbeat-interval": None}).start()
    leader = cluster.leader()
    through, next_leader = cluster.followers()
    held = take(through, "l", b"first")
    with http.Client(through.address, timeout=30) as client:
        client.send(http.encode(
            "PUT", "/lock/l?ttl=20s&wait=20s", b"second"))
        wait_for("it waits", lambda: waiting(leader, "l") == 1)
        expect_equal(leader.fetch(
            "POST", f"/cluster/leader?to={next_leader.name}").status, 200,
            "the hand-over")
        wait_for("the other one leads", lambda:
                 through.get_cluster()["leader"] == next_leader.name)
        # Longer than what does not wait is given.
        next_leader.fetch("GET", "/kv/no?wait=1s")
        release(through, "l", held["token"])
        answer = client.receive("PUT")
    expect_equal(answer.status, 201, f"PUT of the one who waits: {answer}")


def test_stopped_curl_leaves_the_queue(test):
    """Through each node: its place is gone long before its time is over."""
    cluster = Cluster(test).start()
    held = take(cluster["n1"], "l", b"first")
    for node in cluster:
        curl = start_curl("-X", "PUT", "-d", "second",
                          f"http://{node.address}/lock/l?ttl=60s&wait=60s")
        wait_for("a place in the queue", lambda: waiting(node, "l") == 1)
        curl.kill()
        curl.communicate()
        wait_for("an empty queue", lambda: waiting(node, "l") == 0)
    release(cluster["n1"], "l", held["token"])
    expect_equal(waiting(cluster["n1"], "l"), -1, "a free lock")


def test_place_is_kept_over_the_death_of_the_leader(test):
    """With an Idempotency-Key: the client's one request gets the lock."""
    cluster = Cluster(test, options={"raft.election-timeout": "300ms",
                                     "raft.heartbeat-interval": "50ms"})
    cluster.start()
    leader = cluster.leader()
    follower = cluster.followers()[0]
    held = take(follower, "l", b"first")
    curl = start_curl("-X", "PUT", "-d", "second", "-w", "\n%{http_code}",
                      "-H", "Idempotency-Key: one",
                      f"http://{follower.address}/lock/l?ttl=60s&wait=60s")
    wait_for("a place in the queue", lambda: waiting(follower, "l") == 1)
    leader.kill()
    cluster.leader(cluster.running())
    expect_equal(waiting(follower, "l"), 1, "places in the queue")
    release(follower, "l", held["token"])
    output, errors = curl.communicate(timeout=20)
    body, status = output.decode().rsplit("\n", 1)
    expect_equal(status.strip(), "201", f"the lock: {body}{errors.decode()}")
    state = follower.fetch("GET", "/lock/l").json()
    expect_equal((state["holder"], state["waiting"]), ("second", 0), "holder")
    expect(state["fence"] > held["fence"], "the fence grows")


def test_increments_are_done_once_over_leader_deaths(test):
    """Every request is sent until it is answered, always with its identity."""
    cluster = Cluster(test, options={"raft.election-timeout": "300ms",
                                     "raft.heartbeat-interval": "50ms"})
    cluster.start()
    sent = 0
    for victim in list(cluster):
        for number in range(30):
            if number == 10:
                victim.kill()
            if number == 20:
                victim.restart()
            sent += 1
            until_done(cluster, f"id-{sent}")
    value = cluster.leader().get("n")
    expect_equal(value, str(sent).encode(), "the counter")
    test.note(f"{sent} increments")


def until_done(cluster, identity):
    def is_done():
        for node in cluster.running():
            try:
                answer = node.fetch("POST", "/kv/n?op=incr",
                                    headers=[("Idempotency-Key", identity)])
            except (http.Broken, OSError):
                continue
            if answer.status == 200:
                return True
            expect(answer.status in (503, 504), f"{identity}: {answer}")
        return False
    wait_for(f"an answer to {identity}", is_done, timeout=20)


def test_leases_end_under_another_leader(test):
    """Never early; and in time, though the one who granted it is gone."""
    cluster = Cluster(test, options={"raft.election-timeout": "300ms",
                                     "raft.heartbeat-interval": "50ms"})
    cluster.start()
    leader = cluster.leader()
    follower = cluster.followers()[0]
    lease = follower.fetch("POST", "/lease?ttl=2s").json()["lease"]
    for key in ("a", "b"):
        answer = follower.fetch("PUT", f"/kv/{key}?lease={lease}", b"x")
        expect_equal(answer.status, 201, f"PUT of {key}")
    leader.kill()
    cluster.leader(cluster.running())
    expect_equal(follower.fetch("GET", f"/lease/{lease}").status, 200,
                 "the lease, within its time")
    wait_for("the end of the lease", lambda: follower.fetch(
        "GET", f"/lease/{lease}").status == 404, timeout=15)
    for key in ("a", "b"):
        expect_equal(follower.fetch("GET", f"/kv/{key}").status, 404, key)
