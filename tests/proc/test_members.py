"""Members come, go, move and are replaced, while writes go on."""

import re

from lib import http
from lib.cluster import EXIT_CONFIG, Cluster, free_ports
from lib.load import Load
from lib.testing import expect, expect_equal, expect_in, wait_for

ELECTION_SECONDS = 1.0
SLOW = {"raft.election-timeout": "1s", "raft.heartbeat-interval": "100ms"}


def expect_answer(answer, status, code=""):
    expect_equal((answer.status, answer.code), (status, code), f"{answer!r}")


def fetch_again(nodes, method, target, done):
    """Repeats a request, which nodes may break, until an answer is `done`."""
    def ask():
        for node in nodes:
            try:
                answer = node.fetch(method, target)
            except http.Broken:
                continue
            if done(answer):
                return answer
        return None
    return wait_for(f"{method} {target} succeeds", ask, 30)


def replace(via, old, new, wait="30s"):
    return via.fetch("POST", f"/cluster/replace?old={old.name}&new={new.name}"
                     f"&address={new.address}&wait={wait}", timeout=60)


def is_listed(nodes, name):
    for node in nodes:
        status = node.get_cluster()
        if status and any(member["name"] == name
                          for member in status["members"]):
            return True
    return False


def finish(cluster, load, members):
    load.stop()
    cluster.wait_ready(members)
    for node in members:
        load.check(node)
    cluster.expect_same_items(sorted({write.key for write in load.writes}))
    test = cluster.test
    test.note(f"{load.count()} writes")


def kill_one(test, nodes):
    victim = test.random.choice(nodes)
    victim.kill()
    victim.restart()


def remove(cluster, load, name):
    """It is told so, and may go."""
    node = cluster[name]
    others = [other for other in cluster if other is not node]
    load.use(others)
    fetch_again(others, "DELETE", f"/cluster/members/{name}?timeout=2s",
                lambda answer: answer.status == 200 or
                answer.code == "member_not_found")
    kill_one(cluster.test, others)
    cluster.wait_voters([other.name for other in others])
    wait_for(f"{name} says that it is removed",
             lambda: node.get_cluster()["state"] == "removed")
    node.stop()
    cluster.nodes.remove(node)


def test_grow_and_shrink_under_load(test):
    """1 -> 3 -> 5 -> 3, and somebody is killed at each step."""
    cluster = Cluster(test, size=1).start()
    load = Load(cluster).start()
    load.wait_acked(50)
    for number in range(2, 6):
        name = f"n{number}"
        node = cluster.add_node(name, cluster.leader())
        node.restart()
        wait_for(f"{name} is a member",
                 lambda: is_listed(cluster.nodes[:-1], name))
        kill_one(test, cluster.nodes)
        cluster.wait_voters([node.name for node in cluster])
        node.wait_ready()
        load.use(cluster)
        load.wait_acked(50)
    for name in (cluster.leader().name, cluster.followers()[0].name):
        remove(cluster, load, name)
        load.wait_acked(50)
    expect_equal(len(cluster.nodes), 3, "members")
    finish(cluster, load, cluster.nodes)


def test_replace_all_members_under_load(test):
    """Three requests, and no founder is left."""
    cluster = Cluster(test, options=SLOW).start()
    load = Load(cluster).start()
    load.wait_acked(50)
    began = min(write.ended for write in load.writes)
    for number in range(1, 4):
        old = cluster[f"n{number}"]
        new = cluster.add_node(f"n{number + 3}", "wait")
        new.restart()
        members = [node for node in cluster if node not in (old, new)]
        answer = replace(test.random.choice(members), old, new)
        expect_answer(answer, 201)
        expect_equal(answer.json(), {"name": new.name, "address": new.address,
                                     "role": "voter"}, "the answer")
        load.use([*members, new])
        wait_for(f"{old.name} says that it is removed",
                 lambda: old.get_cluster()["state"] == "removed")
        old.stop()
        cluster.nodes.remove(old)
        load.wait_acked(50)
    cluster.wait_voters(["n4", "n5", "n6"])
    gap = load.longest_gap(began)
    test.note(f"longest gap {gap:.2f} s")
    finish(cluster, load, cluster.nodes)
    expect(gap < 3 * ELECTION_SECONDS, f"no write for {gap:.2f} s")


def test_move_to_another_address(test):
    """The node stays who it is; the others find it, and it them."""
    cluster = Cluster(test).start()
    leader = cluster.leader()
    node = cluster.followers()[0]
    leader.put("key", b"before")
    node.stop()
    address = f"127.0.0.1:{free_ports(1)[0]}"
    answer = leader.fetch(
        "PUT", f"/cluster/members/{node.name}?address={address}")
    expect_answer(answer, 200)
    expect_equal(answer.json()["address"], address, "the new address")
    node.address = node.member_address = address
    cluster.write_config(node)
    leader.put("key", b"while it moved")
    node.restart()
    node.wait_ready()
    expect_equal(node.get("key"), b"while it moved", "the value there")
    cluster.kill_all()
    cluster.restart_all()
    for each in cluster:
        addresses = {member["name"]: member["address"]
                     for member in each.get_cluster()["members"]}
        expect_equal(addresses[node.name], address, f"as {each.name} knows")


def test_removed_node_is_refused_at_its_restart(test):
    cluster = Cluster(test).start()
    node = cluster.followers()[0]
    leader = cluster.leader()
    answer = leader.fetch("DELETE", f"/cluster/members/{node.name}")
    expect_answer(answer, 200)
    expect_equal(answer.json(), {"removed": node.name}, "the answer")
    wait_for("it knows", lambda: node.get_cluster()["state"] == "removed")
    expect_answer(node.fetch("GET", "/kv/key"), 503, "removed")
    expect_answer(node.fetch("GET", "/kv/key?consistency=stale"), 503,
                  "removed")
    expect_answer(node.fetch("GET", "/readyz"), 503, "not_ready")
    node.stop()
    node.start()
    expect_equal(node.wait_end(), EXIT_CONFIG, "status at its restart")
    expect_in(f"was removed from cluster {cluster.name}", node.read_log(),
              "log")
    # As the log says: with an empty directory it may come back.
    node.wipe()
    node.join = leader.address
    cluster.write_config(node)
    node.restart()
    cluster.wait_voters(["n1", "n2", "n3"])
    node.wait_ready()


def replace_as_told(cluster, node):
    """The log of a wiped node names the request that replaces it."""
    node.wait_log("POST /cluster/replace")
    target = re.search(r"POST (/cluster/replace\S+)", node.read_log()).group(1)
    node.stop()
    name = re.search("new=([a-z0-9-]+)", target).group(1)
    new = cluster.add_node(name, "wait")
    new.restart()
    target = target.rstrip(";").replace("ADDRESS", new.address)
    others = [each for each in cluster if each not in (node, new)]
    expect_answer(others[0].fetch("POST", target + "&wait=30s", timeout=60),
                  201)
    cluster.nodes.remove(node)
    cluster.wait_voters([each.name for each in cluster])
    new.wait_ready()
    return new


def test_wiped_founder_is_replaced_as_it_says(test):
    cluster = Cluster(test).start()
    cluster["n1"].put("key", b"value")
    node = cluster.followers()[0]
    node.stop()
    node.wipe()
    node.restart()
    new = replace_as_told(cluster, node)
    expect_equal(new.get("key"), b"value", "the value")


def test_wiped_joiner_is_replaced_as_it_says(test):
    """Its node.join does not bring it back: its votes may have counted."""
    cluster = Cluster(test).start()
    node = cluster.add_node("n4", cluster["n1"])
    node.restart()
    cluster.wait_voters(["n1", "n2", "n3", "n4"])
    node.kill()
    node.wipe()
    node.restart()
    replace_as_told(cluster, node)


def test_what_is_refused(test):
    """Names, addresses, and what would lose the quorum."""
    cluster = Cluster(test).start()
    leader = cluster.leader()
    first, second = cluster.followers()
    spare = cluster.add_node("n4", "wait")
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    spare.restart()
    alone = Cluster(test, size=1, directory=test.directory / "alone").start()
    posts = [
        ("members?name=n4", 400, "bad_request"),
        ("members?address=" + nobody, 400, "bad_request"),
        ("members?name=N4&address=" + nobody, 400, "bad_request"),
        ("members?name=n4&address=db4:5864", 400, "bad_request"),
        ("members?name=n4&address=0.0.0.0:1", 400, "bad_request"),
        ("members?name=n4&address=" + nobody, 409, "cannot_join"),
        ("members?name=n5&address=" + spare.address, 409, "cannot_join"),
        ("members?name=n1&address=" + spare.address, 409, "member_exists"),
        ("members?name=n1&address=" + alone["n1"].address, 409,
         "member_exists"),
        ("members?name=n5&address=" + alone["n1"].address, 409,
         "cannot_join"),
        ("replace?old=n9&new=n4&address=" + spare.address, 404,
         "member_not_found"),
        ("replace?old=n1&new=n2&address=" + spare.address, 409,
         "member_exists"),
        ("leader?to=n9", 404, "member_not_found"),
    ]
    for target, status, code in posts:
        for node in (leader, first):
            answer = node.fetch("POST", "/cluster/" + target)
            expect_equal((answer.status, answer.code), (status, code),
                         f"POST /cluster/{target}: {answer!r}")
    expect_answer(leader.fetch("DELETE", "/cluster/members/n9"), 404,
                  "member_not_found")
    expect_answer(leader.fetch(
        "PUT", f"/cluster/members/{first.name}?address={second.address}"),
        409, "member_exists")
    expect_answer(alone["n1"].fetch("DELETE", "/cluster/members/n1"), 400,
                  "bad_request")
    second.kill()
    # Whoever was heard within an election timeout counts as alive.
    wait_for(f"{second.name} is missed",
             lambda: leader.get_cluster()["healthy"] == 2)
    answer = leader.fetch("DELETE", f"/cluster/members/{first.name}")
    expect_answer(answer, 409, "would_lose_quorum")
    expect_in(second.name, answer.json()["detail"], "the reason")
    expect_equal(len(leader.get_cluster()["members"]), 3, "members")
    leader.put("key", b"value")
