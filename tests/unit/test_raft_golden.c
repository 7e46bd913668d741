/*
 * Stories: what three nodes do in a few scenarios, line by line, compared with
 * golden/NAME.txt. A line tells the time in milliseconds, the node, what came
 * ("n2 < n1" is from n1 to n2), and what was decided, with positions of both
 * logs as index/tTERM. Heartbeats that change nothing are left out.
 *
 * A change of behaviour shows as a difference to review. To write the files
 * anew, from the top of the tree: RAFT_GOLDEN=write build/unit raft_golden
 */

#include "tests/lib/raft_cluster.h"
#include "tests/unit/suites.h"

#include <stdio.h>
#include <stdlib.h>

#define GOLDEN_SIZE_MAX 65536
#define SECOND          1000000

static struct cluster cluster;

static void
set_up(void)
{
	cluster_init(&cluster, 3, 17);
}

static void
tear_down(void)
{
	cluster_release(&cluster);
}

static void
write_golden(const char *path)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(
	    fwrite(cluster.trace.data, 1, cluster.trace.size, file),
	    cluster.trace.size);
	ck_assert_int_eq(fclose(file), 0);
}

/* The text from the beginning of line `line`, which is one of the text's. */
static const char *
line_of(const char *text, unsigned line)
{
	while (line-- > 1)
		text = strchr(text, '\n') + 1;
	return text;
}

static void
compare_golden(const char *name)
{
	static char golden[GOLDEN_SIZE_MAX];
	const char *mode = getenv("RAFT_GOLDEN");
	const char *trace;
	unsigned line = 1;
	char path[80];
	FILE *file;
	size_t size;

	(void)snprintf(path, sizeof(path), "tests/unit/golden/%s.txt", name);
	if (mode != NULL && strcmp(mode, "write") == 0)
		write_golden(path);
	file = fopen(path, "r");
	ck_assert_msg(file != NULL, "cannot read %s", path);
	size = fread(golden, 1, sizeof(golden) - 1, file);
	golden[size] = '\0';
	ck_assert_int_eq(fclose(file), 0);
	buf_append(&cluster.trace, "", 1);
	trace = (const char *)cluster.trace.data;
	for (size_t i = 0; i <= size; i++) {
		ck_assert_msg(golden[i] == trace[i],
		    "%s, line %u\n  expected: %.120s\n  traced:   %.120s", path,
		    line, line_of(golden, line), line_of(trace, line));
		line += golden[i] == '\n';
	}
}

/* A healthy cluster whose story begins now; its leader. */
static raft_id
healthy(void)
{
	cluster_boot_all(&cluster);
	(void)cluster_elect(&cluster, SECOND);
	cluster_converge(&cluster, SECOND);
	cluster.tracing = true;
	return cluster_leader(&cluster);
}

START_TEST(golden_election)
{
	cluster.tracing = true;
	cluster_boot_all(&cluster);
	(void)cluster_elect(&cluster, SECOND);
	cluster_converge(&cluster, SECOND);
	compare_golden("election");
}
END_TEST

START_TEST(golden_write)
{
	raft_id leader = healthy();

	ck_assert_int_eq(cluster_propose(&cluster, leader, 10), 0);
	cluster_run(&cluster, 1500);
	/* These come while the disks are busy, and share the next write. */
	ck_assert_int_eq(cluster_propose(&cluster, leader, 11), 0);
	ck_assert_int_eq(cluster_propose(&cluster, leader, 12), 0);
	cluster_converge(&cluster, SECOND);
	compare_golden("write");
}
END_TEST

START_TEST(golden_read)
{
	raft_id leader = healthy();

	ck_assert_int_eq(cluster_read(&cluster, leader, 1), 0);
	cluster_run(&cluster, 500);
	ck_assert_int_eq(cluster_read(&cluster, leader, 2), 0);
	ck_assert_int_eq(cluster_read(&cluster, leader, 3), 0);
	cluster_run(&cluster, 10000);
	/* An old leader finds out that nobody confirms it. */
	cluster_isolate(&cluster, leader);
	ck_assert_int_eq(cluster_read(&cluster, leader, 4), 0);
	cluster_run(&cluster, SOLO_ELECTION_TIMEOUT);
	compare_golden("read");
}
END_TEST

START_TEST(golden_conflict)
{
	static const raft_term n1[] = { 1, 1, 3, 3 };
	static const raft_term n2[] = { 1, 1, 2, 2, 2 };
	static const raft_term n3[] = { 1, 1 };

	/* n1 led in term 3 after n2 had led in term 2; both were cut off. */
	solo_preset(&cluster.nodes[1].solo, 3, 1, n1, 4);
	solo_preset(&cluster.nodes[2].solo, 2, 2, n2, 5);
	solo_preset(&cluster.nodes[3].solo, 3, 1, n3, 2);
	cluster.tracing = true;
	cluster_boot(&cluster, 1);
	cluster_boot(&cluster, 3);
	ck_assert_uint_eq(cluster_elect(&cluster, SECOND), 1);
	cluster_boot(&cluster, 2);
	cluster_converge(&cluster, SECOND);
	compare_golden("conflict");
}
END_TEST

START_TEST(golden_leader_crash)
{
	raft_id leader = healthy();

	ck_assert_int_eq(cluster_propose(&cluster, leader, 10), 0);
	cluster_run(&cluster, 4500); /* it is committed, and nobody knows */
	cluster_crash(&cluster, leader);
	for (raft_id id = 1; id <= 3; id++) {
		if (id != leader)
			cluster_refused(&cluster, id, leader);
	}
	cluster_run(&cluster, SOLO_ELECTION_TIMEOUT);
	cluster_boot(&cluster, leader);
	cluster_converge(&cluster, SECOND);
	compare_golden("leader_crash");
}
END_TEST

START_TEST(golden_partition)
{
	raft_id old = healthy();

	cluster_isolate(&cluster, old);
	ck_assert_int_eq(cluster_propose(&cluster, old, 10), 0);
	cluster_run(&cluster, 3 * SOLO_ELECTION_TIMEOUT);
	ck_assert_uint_ne(cluster_leader(&cluster), 0);
	ck_assert_int_eq(
	    cluster_propose(&cluster, cluster_leader(&cluster), 11), 0);
	cluster_run(&cluster, SOLO_ELECTION_TIMEOUT / 2);
	cluster_heal(&cluster);
	cluster_converge(&cluster, SECOND);
	compare_golden("partition");
}
END_TEST

START_TEST(golden_transfer)
{
	raft_id leader = healthy();

	ck_assert_int_eq(cluster_propose(&cluster, leader, 10), 0);
	ck_assert_int_eq(cluster_transfer(&cluster, leader, 0), 0);
	cluster_run(&cluster, SOLO_ELECTION_TIMEOUT / 4);
	cluster_converge(&cluster, SECOND);
	compare_golden("transfer");
}
END_TEST

START_TEST(golden_replace)
{
	raft_id leader = healthy();
	raft_id dead = leader == 1 ? 2 : 1;
	const struct raft_member member = {
		.id = cluster_add(&cluster),
		.role_new = RAFT_MEMBER_JOINING,
		.replaces = dead,
	};

	cluster_crash(&cluster, dead);
	cluster_boot(&cluster, member.id);
	ck_assert_int_eq(cluster_set_member(&cluster, leader, &member), 0);
	cluster_run(&cluster, SOLO_ELECTION_TIMEOUT);
	ck_assert_int_eq(solo_role(&cluster.nodes[leader].solo, member.id),
	    RAFT_MEMBER_VOTER);
	cluster_converge(&cluster, SECOND);
	compare_golden("replace");
}
END_TEST

START_TEST(golden_repair)
{
	raft_id leader = healthy();
	raft_id damaged = leader == 1 ? 2 : 1;
	struct solo *solo = &cluster.nodes[damaged].solo;

	for (uint32_t size = 10; size < 14; size++)
		ck_assert_int_eq(cluster_propose(&cluster, leader, size), 0);
	cluster_converge(&cluster, SECOND);
	/* Two entries, which it acknowledged and had not applied for good. */
	cluster_crash(&cluster, damaged);
	solo->disk.applied_index = 2;
	cluster_damage_log(&cluster, damaged, 4);
	cluster_boot(&cluster, damaged);
	cluster_converge(&cluster, SECOND);
	cluster_run(&cluster, SOLO_HEARTBEAT_INTERVAL);
	/* And the state of a log that was cut. */
	ck_assert_int_eq(solo_compact(solo, 3), 0);
	cluster_crash(&cluster, damaged);
	cluster_lose_state(&cluster, damaged);
	cluster_boot(&cluster, damaged);
	cluster_converge(&cluster, SECOND);
	cluster_run(&cluster, SOLO_HEARTBEAT_INTERVAL);
	compare_golden("repair");
}
END_TEST

Suite *
raft_golden_suite(void)
{
	Suite *suite = suite_create("raft_golden");
	TCase *golden = tcase_create("golden");

	tcase_add_checked_fixture(golden, set_up, tear_down);
	tcase_add_test(golden, golden_election);
	tcase_add_test(golden, golden_write);
	tcase_add_test(golden, golden_read);
	tcase_add_test(golden, golden_conflict);
	tcase_add_test(golden, golden_leader_crash);
	tcase_add_test(golden, golden_partition);
	tcase_add_test(golden, golden_transfer);
	tcase_add_test(golden, golden_replace);
	tcase_add_test(golden, golden_repair);
	suite_add_tcase(suite, golden);
	return suite;
}
