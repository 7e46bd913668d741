"""Configuration, and what a node says of the others'."""

import subprocess

from lib.cluster import EXIT_CONFIG, REPOSITORY, Cluster, daemon_path
from lib.testing import expect, expect_equal, expect_in


def run(*arguments):
    return subprocess.run([daemon_path(), *map(str, arguments)], timeout=10,
                          capture_output=True, text=True, check=False)


def test_all_errors_at_once(test):
    """Each with its line, and the daemon does not start."""
    file = test.directory / "bad.conf"
    file.write_text(
        "[cluster]\n"
        "name = a name\n"
        "[members]\n"
        "n1 = 127.0.0.1:1001\n"
        "n2 = db.example:1002\n"
        "n3 = 127.0.0.1:1001\n"
        "[node]\n"
        "name = n9\n"
        "[raft]\n"
        "election-timeout = 5\n"
        "heartbeat-interval = 1m\n"
        "batch-entires = 5\n"
        "[storage]\n"
        "quota = lots\n"
        "[nonsense]\n"
        "a = b\n")
    for arguments in (["-c", file], ["-c", file, "-t"]):
        done = run(*arguments)
        expect_equal(done.returncode, EXIT_CONFIG, f"status of {arguments}")
        for line in (2, 5, 10, 11, 12, 14, 15):
            expect_in(f"{file}:{line}:", done.stderr, f"line {line}")
        expect_in("batch-entries", done.stderr, "the option that was meant")


def test_relations_between_options(test):
    """What is right by itself and wrong together."""
    file = test.directory / "bad.conf"
    file.write_text("[raft]\nelection-timeout = 1s\n"
                    "heartbeat-interval = 500ms\n"
                    "[storage]\nquota = 2GiB\nmap-size = 1GiB\n")
    done = run("-t", "-c", file)
    expect_equal(done.returncode, EXIT_CONFIG, "status")
    for word in ("heartbeat-interval", "election-timeout", "map-size",
                 "quota"):
        expect_in(word, done.stderr, "errors")


def test_command_line_errors(test):
    file = test.directory / "good.conf"
    file.write_text("")
    for arguments in (["--nope"], ["-c"], ["-c", "/nonexistent.conf"],
                      ["-c", file, "surplus"],
                      ["-c", file, "--set", "raft.batch-entries=0"],
                      ["-c", file, "--set", "nonsense"],
                      ["-c", file, "--listen", "example.com:80"],
                      ["-c", file, "--listen", "0.0.0.0:5999"]):
        done = run(*arguments)
        expect_equal(done.returncode, EXIT_CONFIG, f"status of {arguments}")
        expect(done.stderr and not done.stdout, f"{arguments}: {done}")
    for arguments in (["--version"], ["--help"]):
        done = run(*arguments)
        expect_equal(done.returncode, 0, f"status of {arguments}")
        expect(done.stdout and not done.stderr, f"{arguments}: {done}")


def test_no_secret_with_three_members(test):
    cluster = Cluster(test, options={"cluster.secret-file": None})
    node = cluster["n1"]
    node.start()
    expect_equal(node.wait_end(), EXIT_CONFIG, "status")
    expect_in("secret-file", node.read_log(), "log")
    expect(not node.data.exists(), "the data directory was made")


def test_secret_that_others_can_read(test):
    cluster = Cluster(test)
    cluster.secret.chmod(0o644)
    node = cluster["n1"]
    node.start()
    expect_equal(node.wait_end(), EXIT_CONFIG, "status")
    expect_in("chmod o=", node.read_log(), "log")


def test_T_prints_a_configuration(test):
    """What -T lists can be given back, and then -T lists the same."""
    cluster = Cluster(test)
    node = cluster["n2"]
    listed = run("-T", "-c", node.config)
    expect_equal(listed.returncode, 0, f"-T: {listed.stderr}")
    assignments = [line.split(" ;")[0].split(" #")[0].strip()
                   for line in listed.stdout.splitlines()
                   if " =" in line]
    members = [line for line in assignments if line.startswith("members.")]
    expect_equal(len(members), 3, f"members in {assignments}")
    options = []
    for line in assignments:
        name, value = line.split(" =", 1)
        value = value.strip().split("  ")[0]
        options += ["--set", f"{name}={value}"]
    again = run("-T", "-c", "/dev/null", *options)
    expect_equal(again.returncode, 0, f"-T of what -T listed: {again.stderr}")

    def values(text):
        return [line.split("  ")[0] for line in text.splitlines()]

    expect_equal(values(again.stdout), values(listed.stdout), "-T again")


def test_t_says_what_it_understood(test):
    cluster = Cluster(test)
    done = run("-t", "-c", cluster["n3"].config)
    expect_equal(done.returncode, 0, f"-t: {done.stderr}")
    expect_in("3 members, this is n3", done.stdout, "summary")


def test_shipped_files_are_good(test):
    """conf/luminous.conf is all comments: the defaults, alone."""
    done = run("-t", "-c", REPOSITORY / "conf" / "luminous.conf")
    expect_equal(done.returncode, 0, f"conf/luminous.conf: {done.stderr}")


def test_K7_wrong_secret_stays_out(test):
    """It says so, and so do the others, who go on."""
    cluster = Cluster(test).start()
    wrong = test.directory / "wrong"
    wrong.write_text("0123456789abcdef0123456789abcdef\n")
    wrong.chmod(0o600)
    node = cluster.followers()[0]
    others = [other for other in cluster if other is not node]
    node.stop()
    cluster.write_config(node, cluster__secret_file="wrong")
    node.restart()
    for each in cluster:
        each.wait_log("it does not prove the cluster secret")
    term = cluster.leader(others).get_cluster()["term"]
    others[0].put("key", b"value")
    answer = node.fetch("GET", "/kv/key?timeout=500ms")
    expect_equal((answer.status, answer.code), (503, "no_leader"),
                 "a read of the outsider")
    errors = [member["error"] for member in node.get_cluster()["members"]
              if member["name"] != node.name]
    expect(all("secret" in error for error in errors), f"errors: {errors}")
    expect_equal(others[1].get_cluster()["term"], term, "term")
    node.stop()
    cluster.write_config(node)
    node.restart()
    cluster.wait_ready()
    expect_equal(node.get("key"), b"value", "the value, with the right one")


def test_K1_different_member_lists(test):
    """Before the first start all lists must be the same; it is said."""
    cluster = Cluster(test, size=3)
    first, second, third = cluster.nodes
    third.member_address = "127.0.0.1:1"
    cluster.write_config(second)
    first.restart()
    second.restart()
    first.wait_log("another [members] list")
    for node in (first, second):
        expect_equal(node.fetch("GET", "/readyz").status, 503, "/readyz")


def test_K1_changed_member_list_of_a_formed_cluster(test):
    """What the cluster was founded with counts, and the file's is named."""
    cluster = Cluster(test).start()
    node = cluster.followers()[0]
    node.stop()
    text = node.config.read_text()
    node.config.write_text(text.replace(cluster["n1"].address, "127.0.0.1:1")
                           if node is not cluster["n1"] else
                           text.replace(cluster["n2"].address, "127.0.0.1:1"))
    node.restart()
    node.wait_ready()
    node.wait_log("which is not so any more")


def test_D15_address_of_another_service(test):
    """N15: what answers at a member's address is not taken for it."""
    cluster = Cluster(test)
    single = Cluster(test, size=1, directory=test.directory / "single")
    single.start()
    cluster["n3"].member_address = single["n1"].address
    for node in cluster:
        cluster.write_config(node)
    cluster["n1"].restart()
    cluster["n2"].restart()
    cluster["n1"].wait_log("peer n3")
    status = cluster["n1"].get_cluster()
    expect_equal(status["state"], "forming", "state")
    single["n1"].put("key", b"value")
