/*
 * Cores alone under a network that drops, duplicates and reorders, disks that
 * are slow, and nodes that crash: every event is followed by the checks of
 * raft_cluster.h, every run ends with a healthy cluster that makes progress.
 * A failure names its seed as the iteration of the test.
 */

#include "tests/lib/raft_cluster.h"
#include "tests/unit/suites.h"

#define SEEDS         200
#define ROUNDS        150
#define ROUND_USEC    15000
#define HEAL_USEC_MAX 3000000

static raft_id
any_node(struct cluster *cluster)
{
	return 1 + rng_below(&cluster->rng, cluster->count);
}

static unsigned
down_count(const struct cluster *cluster)
{
	unsigned count = 0;

	for (raft_id id = 1; id <= cluster->count; id++)
		count += cluster->nodes[id].solo.raft == NULL;
	return count;
}

static void
crash_or_boot(struct cluster *cluster)
{
	raft_id id = any_node(cluster);

	if (cluster->nodes[id].solo.raft == NULL) {
		cluster_boot(cluster, id);
		return;
	}
	cluster_crash(cluster, id);
	/* Now and then the others see the process gone at once. */
	if (rng_below(&cluster->rng, 2) == 0)
		return;
	for (raft_id other = 1; other <= cluster->count; other++) {
		if (cluster->nodes[other].solo.raft != NULL)
			cluster_refused(cluster, other, id);
	}
}

static void
calm_network(struct cluster *cluster)
{
	cluster_heal(cluster);
	cluster->drop_percent = 0;
	cluster->duplicate_percent = 0;
	cluster->latency_max = 2000;
}

static void
change_network(struct cluster *cluster)
{
	switch (rng_below(&cluster->rng, 6)) {
	case 0: cluster_isolate(cluster, any_node(cluster)); break;
	case 1:
		cluster->cut[any_node(cluster)][any_node(cluster)] = true;
		break;
	case 2:
		cluster->drop_percent = (unsigned)rng_below(&cluster->rng, 20);
		cluster->duplicate_percent =
		    (unsigned)rng_below(&cluster->rng, 20);
		cluster->latency_max = 1000 + rng_below(&cluster->rng, 20000);
		break;
	default: calm_network(cluster); break;
	}
}

static void
change_disk(struct cluster *cluster)
{
	struct cluster_node *node = &cluster->nodes[any_node(cluster)];

	node->disk_latency = rng_below(&cluster->rng, 20000);
	node->disk_stalls = rng_below(&cluster->rng, 6) == 0;
}

static void
use(struct cluster *cluster, uint64_t *read_id)
{
	for (raft_id id = 1; id <= cluster->count; id++) {
		struct solo *solo = &cluster->nodes[id].solo;

		if (solo->raft == NULL)
			continue;
		if (rng_below(&cluster->rng, 10) == 0)
			(void)solo_compact(
			    solo, solo_status(solo).applied_index);
		if (rng_below(&cluster->rng, 20) == 0)
			(void)raft_peer_unreachable(
			    solo->raft, solo->now, any_node(cluster));
		for (uint64_t i = rng_below(&cluster->rng, 6); i > 0; i--) {
			(void)cluster_propose(cluster, id,
			    1 + (uint32_t)rng_below(&cluster->rng, 5000));
			if (cluster_read(cluster, id, *read_id) == 0)
				(*read_id)++;
		}
	}
}

static void
heal_all(struct cluster *cluster)
{
	raft_id leader;

	calm_network(cluster);
	for (raft_id id = 1; id <= cluster->count; id++) {
		cluster->nodes[id].disk_stalls = false;
		cluster->nodes[id].disk_latency = 2000;
		if (cluster->nodes[id].solo.raft == NULL)
			cluster_boot(cluster, id);
	}
	cluster_converge(cluster, HEAL_USEC_MAX);
	leader = cluster_leader(cluster);
	ck_assert_int_eq(cluster_propose(cluster, leader, 1), 0);
	cluster_converge(cluster, HEAL_USEC_MAX);
}

static void
run_seed(uint64_t seed)
{
	struct cluster cluster;
	uint64_t read_id = 1;

	cluster_init(&cluster, seed % 3 == 0 ? 5 : 3, seed);
	for (raft_id id = 1; id <= cluster.count; id++)
		cluster.nodes[id].solo.params.lease_reads = seed % 4 == 0;
	cluster_boot_all(&cluster);
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (rng_below(&cluster.rng, 8) == 0)
			change_network(&cluster);
		if (rng_below(&cluster.rng, 8) == 0)
			change_disk(&cluster);
		if (rng_below(&cluster.rng, 10) == 0 ||
		    down_count(&cluster) > 0)
			crash_or_boot(&cluster);
		use(&cluster, &read_id);
		cluster_run(&cluster, ROUND_USEC);
	}
	heal_all(&cluster);
	cluster_release(&cluster);
}

START_TEST(L3_invariants_each_event)
{
	/* Check names the iteration, which is the seed, of a failed one. */
	run_seed((uint64_t)_i);
}
END_TEST

static uint64_t
digest_of_run(uint64_t seed)
{
	struct cluster cluster;
	uint64_t digest = 0;
	uint64_t read_id = 1;

	cluster_init(&cluster, 3, seed);
	cluster.drop_percent = 5;
	cluster.latency_max = 9000;
	cluster_boot_all(&cluster);
	for (unsigned i = 0; i < ROUNDS; i++) {
		use(&cluster, &read_id);
		cluster_run(&cluster, ROUND_USEC);
		for (raft_id id = 1; id <= cluster.count; id++)
			digest = digest * 31 +
				 raft_digest(cluster.nodes[id].solo.raft);
	}
	cluster_release(&cluster);
	return digest;
}

START_TEST(L1_same_seed_same_digest)
{
	ck_assert_uint_eq(digest_of_run(7), digest_of_run(7));
	ck_assert_uint_ne(digest_of_run(7), digest_of_run(8));
}
END_TEST

Suite *
raft_random_suite(void)
{
	Suite *suite = suite_create("raft_random");
	TCase *random = tcase_create("random");

	tcase_add_loop_test(random, L3_invariants_each_event, 1, SEEDS + 1);
	tcase_add_test(random, L1_same_seed_same_digest);
	suite_add_tcase(suite, random);
	return suite;
}
