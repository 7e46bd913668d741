"""Disks that fail, fill up, or come back as somebody else's."""

import shutil

from lib import http, strace
from lib.cluster import EXIT_CONFIG, EXIT_FULL, EXIT_STOPPED, Cluster
from lib.load import Load
from lib.testing import expect, expect_equal, expect_in, wait_for
from lib.tmpfs import Tmpfs


def expect_stopped(node, *reasons):
    """It has ended, and its log says why."""
    status = EXIT_FULL if "no space" in reasons else EXIT_STOPPED
    expect_equal(node.wait_end(), status, f"status of {node.name}")
    log = node.read_log()
    for reason in ("node stopped: ", *reasons):
        expect_in(reason, log, f"log of {node.name}")


def stop_by_fault(test, size, choose, expression, *reasons):
    """Under load a node's disk fails; it stops, and is fine afterwards."""
    cluster = Cluster(test, size).start()
    load = Load(cluster).start()
    load.wait_acked(50)
    node = choose(cluster)
    with strace.failing(node, expression):
        expect_stopped(node, *reasons)
    if size > 1:
        load.wait_acked(50)
    node.restart()
    cluster.wait_ready()
    load.wait_acked(50)
    load.stop()
    for each in cluster:
        load.check(each)
    cluster.expect_same_items(sorted({write.key for write in load.writes}))


def only(cluster):
    return cluster.nodes[0]


def first_follower(cluster):
    return cluster.followers()[0]


SYNC_FAILS = "fdatasync:error=EIO:when=1+"


def test_D3_sync_fails_alone(test):
    stop_by_fault(test, 1, only, SYNC_FAILS, "log commit", "input/output")


def test_D3_sync_fails_on_leader(test):
    stop_by_fault(test, 3, Cluster.leader, SYNC_FAILS, "log commit")


def test_D3_sync_fails_on_follower(test):
    stop_by_fault(test, 3, first_follower, SYNC_FAILS, "log commit")


def test_D3_sync_fails_once(test):
    """LMDB would go on after it: the daemon must not."""
    stop_by_fault(test, 3, Cluster.leader, "fdatasync:error=EIO:when=1",
                  "log commit")


def test_D4_meta_write_fails(test):
    stop_by_fault(test, 3, first_follower, "pwrite64:error=EIO:when=1+",
                  "log commit")


def test_D1_no_space_for_a_write(test):
    stop_by_fault(test, 3, Cluster.leader,
                  "pwrite64,pwritev:error=ENOSPC:when=1+",
                  "no space")


def test_D12_slow_disk_of_a_follower(test):
    """It does not slow the others' writes, and is said."""
    cluster = Cluster(test).start()
    slow = first_follower(cluster)
    others = [node for node in cluster if node is not slow]
    with strace.failing(slow, "fdatasync:delay_enter=300ms:when=1+"):
        load = Load(others).start()
        load.wait_acked(200, timeout=10)
        load.stop()
        slow.wait_log("slow disk")
    cluster.wait_ready()
    load.check(slow)


def test_P11_stalled_disk_of_the_leader(test):
    """Others take over; what it answers behind the stall is not stale."""
    cluster = Cluster(test).start()
    old = cluster.leader()
    others = [node for node in cluster if node is not old]
    old.put("key", b"before")
    with http.Client(old.address) as writer, \
            http.Client(old.address) as reader:
        with strace.failing(old, "fdatasync:delay_enter=2s:when=1"):
            writer.send(http.encode("PUT", "/kv/other", b"value"))
            new = cluster.leader(others)
            new.put("key", b"after")
            reader.send(http.encode("GET", "/kv/key"))
            answer = reader.receive()
        expect(answer.status == 503 or answer.body == b"after",
               f"a stale read: {answer!r}")
        expect_in(writer.receive().status, (200, 201, 503, 504),
                  "what became of the write")
    cluster.wait_ready()


# ---- Full for good ----

def make_full(test, size, min_free_disk):
    """A cluster whose n1 has its data on a tmpfs of its own."""
    cluster = Cluster(test, size, options={
        "storage.min-free-disk": min_free_disk,
        "raft.checkpoint-interval": "100ms"})
    disk = Tmpfs(test, test.directory / "disk", 24)
    cluster["n1"].data = disk.path / "n1"
    cluster.write_config(cluster["n1"])
    return cluster.start(), disk


def test_D1_little_disk_refuses_puts(test):
    """min-free-disk: puts are refused long before the disk is full."""
    cluster, disk = make_full(test, 1, "4MiB")
    node = cluster["n1"]
    node.put("key", b"value")
    disk.fill(left=2 << 20)

    def refused():
        answer = node.fetch("PUT", "/kv/more", b"value")
        return answer if answer.status == 507 else None

    answer = wait_for("a put is refused", refused)
    expect_equal(answer.code, "quota_exceeded", "code")
    expect_equal(answer.json()["minimum"], 4 << 20, "the limit in the answer")
    expect_in("min-free-disk", answer.json()["hint"], "hint")
    expect_equal(node.get("key"), b"value", "a read")
    deleted = node.fetch("DELETE", "/kv/key")
    expect_equal((deleted.status, deleted.json()["deleted"]), (200, 1),
                 "a delete")
    disk.empty()
    wait_for("a put is taken again", lambda: node.fetch(
        "PUT", "/kv/more", b"value").status in (200, 201))


def fill_until_it_stops(node, disk):
    """Puts until the full disk ends the daemon; the keys acknowledged."""
    disk.fill(left=512 << 10)
    acked = []
    with http.Client(node.address) as client:
        for number in range(100000):
            key = f"key/{number}"
            try:
                answer = client.request(
                    "PUT", http.quote(key), key.encode() * 100)
            except http.Broken:
                return acked
            if answer.status == 201:
                acked.append(key)
    return acked


def test_D1_full_disk_stops_alone(test):
    cluster, disk = make_full(test, 1, "0")
    node = cluster["n1"]
    node.put("key/first", b"key/first" * 100)
    acked = ["key/first", *fill_until_it_stops(node, disk)]
    expect_stopped(node, "no space")
    disk.empty()
    node.restart()
    node.wait_ready()
    for key, item in node.get_items(acked).items():
        expect(item is not None and item["value"] == key * 100,
               f"{key} was acknowledged before the disk was full")
    node.put("more", b"value")
    test.note(f"{len(acked)} puts")


def test_D1_full_disk_stops_one_of_three(test):
    cluster, disk = make_full(test, 3, "0")
    node = cluster["n1"]
    load = Load([cluster["n2"], cluster["n3"]], value_size=2000).start()
    load.wait_acked(20)
    disk.fill(left=0)
    expect_stopped(node, "no space")
    load.wait_acked(50)
    disk.empty()
    node.restart()
    cluster.wait_ready()
    load.wait_acked(20)
    load.stop()
    for each in cluster:
        load.check(each)
    cluster.expect_same_items(sorted({write.key for write in load.writes}))


def test_E26_quota_refuses_puts_and_takes_deletes(test):
    cluster = Cluster(test, options={"storage.quota": "1MiB"}).start()
    leader = cluster.leader()
    via = first_follower(cluster)
    value = b"x" * (256 << 10)
    kept = []
    for number in range(4):
        answer = via.fetch("PUT", f"/kv/{number}", value)
        if answer.status == 507:
            break
        kept.append(f"{number}")
    expect_equal(len(kept), 3, "values of a quarter of the quota that fit")
    for node in (leader, via):
        answer = node.fetch("PUT", "/kv/more", value)
        expect_equal((answer.status, answer.code), (507, "quota_exceeded"),
                     f"a put too many on {node.name}")
        expect_equal(answer.json()["quota"], 1 << 20, "quota in the answer")
    expect_equal(via.fetch("PUT", "/kv/0", b"less").status, 200,
                 "a put that replaces more by less")
    expect_equal(via.fetch("PUT", "/kv/3", value).status, 201,
                 "a put into what that freed")
    expect_equal(via.fetch("PUT", "/kv/4", value).status, 507, "one more")
    expect_equal(via.fetch("DELETE", "/kv/3").json()["deleted"], 1,
                 "a delete at the quota")
    expect_equal(via.fetch("PUT", "/kv/4", value).status, 201,
                 "a put after the delete")
    cluster.expect_same_items(["0", "1", "2", "3", "4", "more"])


# ---- Whose directory ----

def test_P7_second_daemon_on_a_directory(test):
    cluster = Cluster(test, size=2)
    first, second = cluster.nodes
    first.restart()
    second.data = first.data
    cluster.write_config(second)
    second.start()
    expect_equal(second.wait_end(), 1, "status of the second")
    expect_in(f"{first.data}: another luminousd runs on this directory",
              second.read_log(), "log of the second")
    expect(first.is_listening(), "the first does not answer any more")


def refused_directory(test, change):
    """n1 is started on what `change` made of its directory."""
    cluster = Cluster(test).start()
    cluster["n2"].put("key", b"value")
    for node in cluster:
        node.stop()
    node = cluster["n1"]
    change(cluster, node)
    node.start()
    expect_equal(node.wait_end(), EXIT_CONFIG, "status")
    return node.read_log()


def test_D15_directory_of_another_node(test):
    def swap(cluster, node):
        node.data = cluster["n2"].data
        cluster.write_config(node)

    log = refused_directory(test, swap)
    expect_in("belongs to node n2 of cluster proc, not to n1 of proc", log,
              "log")


def test_D15_directory_of_another_cluster(test):
    log = refused_directory(test, lambda cluster, node: cluster.write_config(
        node, cluster__name="other"))
    expect_in("belongs to node n1 of cluster proc, not to n1 of other", log,
              "log")


def test_D15_directory_of_no_node(test):
    """A mistyped data-dir: nothing is written into it."""
    cluster = Cluster(test, size=1)
    node = cluster["n1"]
    node.data.mkdir()
    (node.data / "lost+found").mkdir()
    (node.data / "thesis.tex").write_text("much work")
    node.start()
    expect_equal(node.wait_end(), EXIT_CONFIG, "status")
    expect_in("holds thesis.tex and nothing of a node", node.read_log(), "log")
    expect_equal(sorted(path.name for path in node.data.iterdir()),
                 ["lost+found", "thesis.tex"], "what the directory holds")
    (node.data / "thesis.tex").unlink()
    node.restart()
    node.wait_ready()


def test_E19_directory_without_its_log(test):
    """It is no empty one; a node that has no fellows says so, and stops."""
    cluster = Cluster(test, size=1, options={
        "raft.checkpoint-interval": "100ms"}).start()
    node = cluster["n1"]
    node.put("key", b"value")
    wait_for("the data has a checkpoint", lambda: node.get_metrics()[
        'luminous_fsync_duration_seconds_count{store="data"}'] > 0)
    node.stop()
    shutil.move(node.data / "log", test.directory / "log")
    for _ in range(2):
        node.start()
        expect_equal(node.wait_end(), EXIT_STOPPED, "status")
        expect_in("but the log ends at 0: entries were lost",
                  node.read_log(), "log")
    shutil.rmtree(node.data / "log")
    shutil.move(test.directory / "log", node.data / "log")
    node.restart()
    node.wait_ready()


def expect_outside(cluster, node, *sentences):
    """The node takes no part and says so; the others go on."""
    others = [other for other in cluster if other is not node]
    cluster.wait_ready(others)
    wait_for(f"a log says one of {sentences}", lambda: any(
        sentence in each.read_log() for each in cluster
        for sentence in sentences))
    expect_equal(node.fetch("GET", "/readyz").status, 503,
                 f"/readyz of {node.name}")
    others[0].put("on", b"they go")
    expect_equal(others[1].get("on"), b"they go", "the others' value")
    answer = node.fetch("GET", "/kv/on?timeout=300ms")
    expect_equal(answer.status, 503, f"a read of {node.name}")
    return others


def test_D15_directory_of_a_namesake(test):
    """Same names, but the directory comes from another founding."""
    cluster = Cluster(test).start()
    other = Cluster(test, directory=test.directory / "other")
    for node, namesake in zip(cluster, other):
        namesake.address = namesake.member_address = node.address
    node = cluster["n1"]
    for each in cluster:
        each.stop()
    for namesake in other:
        other.write_config(namesake)
    other.secret.write_text(cluster.secret.read_text())
    other.start()
    for namesake in other:
        namesake.stop()
    node.wipe()
    shutil.copytree(other["n1"].data, node.data)
    for each in cluster:
        each.restart()
    # By the cluster's id, or before that is known by the directory's.
    expect_outside(cluster, node, "another cluster of the same name",
                   "another directory than the cluster knows")


def test_E22_wiped_member_takes_no_part(test):
    cluster = Cluster(test).start()
    cluster["n1"].put("key", b"value")
    node = first_follower(cluster)
    node.stop()
    node.wipe()
    node.restart()
    others = expect_outside(cluster, node, "takes no part")
    node.wait_log("the cluster remembers this node")
    expect_equal(node.get_cluster()["state"], "wiped", "its state")
    expect_in("directory is empty", node.fetch("GET", "/readyz").json()[
        "detail"], "/readyz")
    answer = node.fetch("GET", "/kv/key?consistency=stale")
    expect_equal((answer.status, answer.code), (503, "wiped"),
                 "a stale read of it")
    # Its vote may have counted before it forgot: two are no majority now.
    others[0].stop()
    answer = others[1].fetch("PUT", "/kv/key?timeout=2s", b"two")
    expect_in(answer.status, (503, 504), "a write with one of three")
    others[0].restart()
    cluster.wait_ready(others)
    expect_in(others[0].get("key"), (b"value", b"two"), "the value")


def test_D17_directory_of_an_earlier_time(test):
    """An old copy has forgotten what it acknowledged: both sides say so."""
    cluster = Cluster(test).start()
    leader = cluster.leader()
    node = first_follower(cluster)
    leader.put("early", b"value")
    cluster.wait_converged()
    node.stop()
    shutil.copytree(node.data, test.directory / "copy")
    node.restart()
    node.wait_ready()
    leader.put("late", b"value")
    cluster.wait_converged()
    node.stop()
    node.wipe()
    shutil.copytree(test.directory / "copy", node.data)
    node.restart()
    leader.wait_log(f"the data-dir of {node.name} is an old copy")
    node.wait_log(f"this directory of node {node.name} is an old copy")
    leader.put("later", b"value")
    expect_equal(leader.get("late"), b"value", "the value")


def test_D13_directory_that_cannot_be_used(test):
    cluster = Cluster(test, size=1)
    node = cluster["n1"]
    node.data.write_text("a file")
    node.start()
    expect_equal(node.wait_end(), 1, "status")
    expect_in(f"{node.data}: cannot use this data directory",
              node.read_log(), "log")


def removed_under(test, remove):
    """A node whose directory goes stops soon and says so; others go on."""
    cluster = Cluster(test).start()
    load = Load(cluster).start()
    load.wait_acked(50)
    node = cluster.leader()
    remove(node.data)
    expect_equal(node.wait_end(timeout=5), EXIT_STOPPED, "status")
    expect_in(f"{node.data}: the data directory was removed or replaced",
              node.read_log(), "log")
    load.wait_acked(50)
    load.stop()
    others = [each for each in cluster if each is not node]
    cluster.wait_ready(others)
    for each in others:
        load.check(each)
    return cluster, node


def test_D14_directory_removed_under_a_node(test):
    removed_under(test, shutil.rmtree)


def test_D14_directory_emptied_under_a_node(test):
    def empty(path):
        for entry in path.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    removed_under(test, empty)


def test_D14_directory_moved_under_a_node(test):
    """When it is put back, the node goes on as if it had been stopped."""
    aside = test.directory / "aside"
    cluster, node = removed_under(test, lambda path: path.rename(aside))
    aside.rename(node.data)
    node.restart()
    cluster.wait_ready()
