/* When checkpoints are made: node_checkpoint.c. */

#include "tests/unit/node_runs.h"
#include "tests/unit/suites.h"
#include <stdio.h>

#define PUTS 2000

static void
tune_by_bytes(struct node_params *params)
{
	params->checkpoint_interval = UINT64_C(3600) * RUN_SECOND;
	params->checkpoint_bytes = 1 << 12;
}

static raft_index
checkpoint_index(const struct machine *machine)
{
	struct kv_stats stats;

	kv_get_stats(node_kv(machine->node), &stats);
	return stats.checkpoint_index;
}

static void
put_one(struct node_cluster *cluster, struct machine *leader, unsigned number)
{
	struct machine_put write;
	char key[16];

	(void)snprintf(key, sizeof(key), "key%u", number);
	ck_assert_int_eq(machine_put(leader, &write, key, "value"), 0);
	node_cluster_settle(cluster);
}

/* How often one of them made its checkpoint together with another. */
START_TEST(members_do_not_make_checkpoints_together)
{
	struct node_cluster *cluster = run_cluster_new(3, tune_by_bytes);
	struct machine *leader = node_cluster_elect(cluster);
	raft_index before[3] = { 0 };
	unsigned alone = 0;
	unsigned together = 0;

	for (unsigned n = 0; n < PUTS; n++) {
		unsigned made = 0;

		put_one(cluster, leader, n);
		for (unsigned i = 0; i < 3; i++) {
			raft_index now = checkpoint_index(&cluster->machine[i]);

			made += now != before[i];
			before[i] = now;
		}
		alone += made == 1;
		together += made > 1;
	}
	ck_assert_uint_gt(alone, 30);
	ck_assert_uint_lt(together, alone / 4);
	node_cluster_free(cluster);
}
END_TEST

Suite *
node_checkpoint_suite(void)
{
	Suite *suite = suite_create("node_checkpoint");
	TCase *tcase = tcase_create("when");

	tcase_add_test(tcase, members_do_not_make_checkpoints_together);
	suite_add_tcase(suite, tcase);
	return suite;
}
