"""Members whose files are damaged become whole again without an operator."""

import shutil
import subprocess

from lib import damage, http
from lib.cluster import EXIT_STOPPED, Cluster, daemon_path
from lib.testing import expect, expect_equal, expect_in, wait_for

# The front of the log is cut in pieces of so many entries.
MANY = 1400
FEW = 40


def log_files(node):
    return [node.data / "log" / "data.mdb", node.data / "log" / "journal"]


def data_file(node):
    """Of the generation that is in use; there is no other."""
    return next(node.data.glob("data*/data.mdb"))


def value_of(number):
    return f"value-{number:06}-{'x' * 60}".encode()


def put_all(cluster, first, count):
    """Keys with values that are found in the files."""
    leader = cluster.leader()
    with http.Client(leader.address) as client:
        for number in range(first, first + count):
            answer = client.request(
                "PUT", http.quote(f"key-{number:06}"), value_of(number))
            expect(answer.status in (200, 201), f"PUT: {answer!r}")


def check_all(cluster, nodes, count):
    for node in nodes:
        for query in ("", "?consistency=stale"):
            answers = http.get_many(node.address, [
                http.quote(f"key-{number:06}") + query
                for number in range(count)])
            for number, answer in enumerate(answers):
                expect_equal((answer.status, answer.body),
                             (200, value_of(number)),
                             f"key {number} of {node.name}, {query!r}")


def begin(test, count, options=None):
    """A cluster with `count` keys, and a follower of it, which is stopped."""
    cluster = Cluster(test, options={
        "raft.checkpoint-interval": "100ms",
        "raft.trailing-bytes": "64KiB", **(options or {})}).start()
    put_all(cluster, 0, count)
    cluster.wait_converged()
    node = cluster.followers()[0]
    # Behind the last checkpoint, as a rule: it is the log's to hold.
    put_all(cluster, count, 5)
    cluster.wait_converged()
    return cluster, node


def expect_mended(cluster, node, count, *texts):
    """It says what it found, and is as the others are."""
    node.restart()
    node.wait_ready(30)
    for text in texts:
        expect_in(text, node.read_log(), f"log of {node.name}")
    check_all(cluster, [node], count + 5)
    cluster.expect_same_items(
        [f"key-{number:06}" for number in range(count + 5)])
    expect_equal(node.get_cluster()["repairing"], False, "repairing")
    # And it takes part again: without another one, it is needed.
    other = next(each for each in cluster.followers() if each is not node)
    other.kill()
    put_all(cluster, count + 5, 3)
    check_all(cluster, [node], count + 8)
    other.restart()
    cluster.wait_ready()
    node.stop()
    node.restart()
    node.wait_ready()
    expect("no operator is needed" not in node.read_log(),
           "nothing is left to mend")


def test_entry_that_the_state_holds(test):
    cluster, node = begin(test, FEW)
    node.stop()
    found = sum(damage.flip_behind(path, value_of(7)[:12], 20)
                for path in log_files(node))
    expect(found > 0, "the log has the entry")
    expect_mended(cluster, node, FEW, "begins behind entry",
                  "no operator is needed")


def test_entry_behind_the_state(test):
    """The state is cut off as well: nothing holds the entry but the others."""
    cluster, node = begin(test, FEW, {"raft.checkpoint-interval": "1h"})
    node.kill()
    # What is only in the journal is damaged with that: it is checked first.
    node.restart()
    node.wait_ready()
    cluster.wait_converged()
    node.kill()
    found = sum(damage.flip_behind(path, value_of(FEW + 1)[:12], 20)
                for path in log_files(node))
    expect(found > 0, "the log has the entry")
    expect_mended(cluster, node, FEW, "the log is cut there",
                  "no operator is needed")


def test_data_record_with_the_whole_log(test):
    cluster, node = begin(test, FEW)
    node.stop()
    found = damage.flip_behind(data_file(node), value_of(7)[:12], 20)
    expect(found > 0, "the data has the record")
    expect_mended(cluster, node, FEW, "the data store is damaged",
                  "made anew from the log")
    expect_equal(node.data.joinpath("data").exists(), False, "the former data")


def test_data_record_with_a_log_that_is_cut(test):
    cluster, node = begin(test, MANY)
    node.stop()
    found = damage.flip_behind(data_file(node), value_of(7)[:12], 20)
    expect(found > 0, "the data has the record")
    expect_mended(cluster, node, MANY, "the data store is damaged",
                  "made anew from a snapshot")


def test_data_structure(test):
    cluster, node = begin(test, MANY)
    node.stop()
    for page in (0, 1):
        damage.flip(data_file(node), page * damage.PAGE + 16)
    expect_mended(cluster, node, MANY, "no operator is needed")


def test_data_that_is_gone(test):
    cluster, node = begin(test, MANY)
    node.stop()
    shutil.rmtree(data_file(node).parent)
    expect_mended(cluster, node, MANY, "made anew from a snapshot")


def test_no_read_from_a_state_that_is_lost(test):
    """Alone, it can get no snapshot, and shows nothing at all."""
    cluster, node = begin(test, MANY)
    for each in cluster:
        each.kill()
    damage.flip_behind(data_file(node), value_of(7)[:12], 20)
    node.restart()
    for query in ("", "?consistency=stale"):
        answer = node.fetch("GET", "/kv/key-000001" + query)
        expect_equal((answer.status, answer.code), (503, "repairing"),
                     f"GET {query}")
    answer = node.fetch("GET", "/readyz?verbose")
    expect_equal(answer.status, 503, "/readyz")
    expect_in("[-]whole: repairing: waits for a snapshot",
              answer.body.decode(), "/readyz")
    expect_equal(node.get_cluster()["repairing"], True, "repairing")
    for each in cluster:
        if each is not node:
            each.start()
    cluster.wait_ready()
    check_all(cluster, cluster, MANY + 5)


def damage_hard_state(node):
    found = sum(damage.flip_behind(path, b"hard", 20)
                for path in log_files(node))
    expect(found > 0, "the log store has the hard state")


def damage_identity(node):
    found = sum(damage.flip_behind(path, b"identity", 20)
                for path in log_files(node))
    expect(found > 0, "the log store has the identity")


def damage_journal(node):
    for offset in range(0, 64, 8):
        damage.flip(node.data / "log" / "journal", offset)


def damage_log_structure(node):
    for page in (0, 1):
        damage.flip(node.data / "log" / "data.mdb", page * damage.PAGE + 16)


def lose_log(node):
    shutil.rmtree(node.data / "log")


def begin_again(test, inflict):
    """Twice: the directory that it begins again with can be damaged too."""
    cluster, node = begin(test, FEW)
    for _ in range(2):
        node.kill()
        inflict(node)
        node.restart()
        node.wait_ready(30)
        expect_in('set aside in "damaged"', node.read_log(), "its log")
        expect("put back" not in node.read_log(), "nobody has to")
        wait_for("damaged is removed",
                 lambda: not (node.data / "damaged").exists())
        cluster.wait_voters(["n1", "n2", "n3"])
        check_all(cluster, [node], FEW + 5)
    cluster.expect_same_items(
        [f"key-{number:06}" for number in range(FEW + 5)])


def test_hard_state(test):
    begin_again(test, damage_hard_state)


def test_identity(test):
    begin_again(test, damage_identity)


def test_journal(test):
    begin_again(test, damage_journal)


def test_log_structure(test):
    begin_again(test, damage_log_structure)


def test_log_that_is_gone(test):
    begin_again(test, lose_log)


def test_leader_begins_again(test):
    """Its place is another's meanwhile."""
    cluster, _ = begin(test, FEW)
    node = cluster.leader()
    node.kill()
    damage_hard_state(node)
    node.restart()
    node.wait_ready(30)
    cluster.wait_voters(["n1", "n2", "n3"])
    check_all(cluster, cluster, FEW + 5)


def recover(node, *arguments):
    return subprocess.run(
        [daemon_path(), "-c", node.config, "--recover", *arguments],
        cwd=node.cluster.directory, capture_output=True, text=True,
        timeout=30, check=False)


def test_waits_until_it_is_in_its_place(test):
    """Killed meanwhile, it goes on; and it says what it waits for."""
    cluster, node = begin(test, FEW)
    others = [each for each in cluster if each is not node]
    for each in others:
        each.stop()
    node.kill()
    damage_hard_state(node)
    for _ in range(2):
        node.restart()
        answer = node.fetch("GET", "/readyz")
        expect_equal(answer.status, 503, "/readyz")
        for text in (answer.body.decode(), node.read_log()):
            expect_in("waits for the leader, which needs a majority without "
                      "this node; the damaged files are kept in "
                      f"{node.data}/damaged", text, "/readyz and its log")
        expect(node.get_cluster()["repairing"], "/cluster says so")
        expect((node.data / "damaged" / "log" / "data.mdb").exists(),
               "what was damaged is kept")
        node.kill()
        expect_in("its damaged files\nare in damaged/: if no other member is "
                  "left, stop it, move damaged/log", recover(node).stdout,
                  "--recover")
    node.restart()
    for each in others:
        each.start()
    cluster.wait_ready(timeout=30)
    cluster.wait_voters(["n1", "n2", "n3"])
    check_all(cluster, cluster, FEW + 5)
    expect(not (node.data / "damaged").exists(), "damaged is removed")


def test_killed_while_it_is_set_aside(test):
    """The log is moved, and the data not yet."""
    cluster, node = begin(test, FEW)
    node.kill()
    damage_hard_state(node)
    (node.data / "damaged").mkdir()
    (node.data / "log").rename(node.data / "damaged" / "log")
    node.restart()
    node.wait_ready(30)
    cluster.wait_voters(["n1", "n2", "n3"])
    check_all(cluster, [node], FEW + 5)


def test_single_node_stops(test):
    """Nobody else has it: nothing is touched."""
    cluster = Cluster(test, 1).start()
    node = cluster["n1"]
    for number in range(FEW):
        node.put(f"key-{number:06}", value_of(number))
    for inflict, text in ((damage_hard_state, "hard state"),
                          (damage_identity, "identity")):
        node.stop()
        kept = test.directory / "kept"
        shutil.copytree(node.data, kept)
        inflict(node)
        for _ in range(2):
            node.start()
            expect_equal(node.wait_end(), EXIT_STOPPED, "status")
            expect_in(text, node.read_log(), "its log")
        expect(not (node.data / "damaged").exists(), "nothing is set aside")
        shutil.rmtree(node.data)
        kept.rename(node.data)
        node.restart()
        node.wait_ready()


def expect_stops(node):
    """Its log is damaged, and nobody could put it in its place."""
    damage_hard_state(node)
    for _ in range(2):
        node.start()
        expect_equal(node.wait_end(), EXIT_STOPPED, "status")
        expect_in("the other voters are no majority", node.read_log(),
                  "its log")
        expect("no operator is needed" not in node.read_log(), "nor its log")
    expect(not (node.data / "damaged").exists(), "nothing is set aside")


def test_last_voters_stop(test):
    """Three by their files, two and then one by what is committed."""
    cluster, _ = begin(test, FEW)
    for left in (2, 1):
        leader = cluster.leader()
        gone = cluster.followers()[0]
        answer = leader.fetch("DELETE", f"/cluster/members/{gone.name}")
        expect_equal(answer.status, 200, f"DELETE: {answer!r}")
        cluster.nodes.remove(gone)
        gone.kill()
        cluster.wait_voters([node.name for node in cluster])
        put_all(cluster, FEW + 5, 3)
        cluster.wait_converged()
        node = leader if left == 1 else cluster.followers()[0]
        wait_for("it is noted", (node.data / "needed").exists)
        node.kill()
        kept = test.directory / "kept"
        shutil.copytree(node.data, kept)
        expect_stops(node)
        shutil.rmtree(node.data)
        kept.rename(node.data)
        node.restart()
        node.wait_ready()


def test_new_cluster_of_one_stops(test):
    """Damaged before its first start; as it grows it is not needed any more."""
    cluster, node = begin(test, FEW)
    for each in cluster:
        each.kill()
    expect(not (node.data / "needed").exists(), "one of three")
    done = recover(node, "--force-new-cluster", "--accept-loss")
    expect_equal(done.returncode, 0, f"--force-new-cluster: {done.stderr}")
    expect("damaged/" not in done.stdout, "nothing was set aside")
    kept = test.directory / "kept"
    shutil.copytree(node.data, kept)
    expect_stops(node)
    shutil.rmtree(node.data)
    kept.rename(node.data)
    for each in list(cluster):
        if each is not node:
            cluster.nodes.remove(each)
    node.restart()
    node.wait_ready()
    expect((node.data / "needed").exists(), "the only one")
    for name in ("n4", "n5"):
        cluster.add_node(name, node).restart()
        cluster.wait_voters([each.name for each in cluster])
    for each in cluster:
        wait_for("it is not needed",
                 lambda each=each: not (each.data / "needed").exists())


def damage_what_is_read(node):
    """In the data file, below a running daemon, which finds it."""
    wait_for("the data has a checkpoint of all", lambda: len(
        damage.find_all(data_file(node), value_of(MANY + 4))) > 0)
    found = damage.flip_behind(data_file(node), value_of(7)[:12], 20)
    expect(found > 0, "the data has the record")
    try:
        answer = node.fetch("GET", "/kv/key-000007?consistency=stale")
        expect(answer.status >= 500, f"a damaged record: {answer!r}")
    except http.Broken:
        pass


def test_reopened_daemon_ends_by_sigterm(test):
    _, node = begin(test, MANY)
    damage_what_is_read(node)
    node.wait_log("all is opened again, verified and mended")
    node.wait_ready(30)
    node.stop()


def test_damage_while_it_serves(test):
    """A read finds it: all is opened again in the same process, and mended."""
    cluster, node = begin(test, MANY)
    process = node.process.pid
    for kind in ("log", "data", "identity"):
        expect_equal(
            node.get_metrics()[f'luminous_repairs_total{{kind="{kind}"}}'],
            0.0, f"repairs of {kind}")
    damage_what_is_read(node)
    node.wait_log("all is opened again, verified and mended")
    node.wait_log("made anew from a snapshot")
    node.wait_ready(30)
    expect_equal(node.process.pid, process, "the process")
    check_all(cluster, [node], MANY + 5)
    expect_equal(node.get_metrics()['luminous_repairs_total{kind="data"}'],
                 1.0, "repairs")
    # Again within a minute: what comes back so soon is not mended by that.
    damage_what_is_read(node)
    expect_equal(node.wait_end(), EXIT_STOPPED, "status")
    node.restart()
    node.wait_ready(30)
    check_all(cluster, [node], MANY + 5)
