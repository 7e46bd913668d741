#include "tests/unit/node_runs.h"

#include <check.h>
#include <stdio.h>

static void
make_item(unsigned number, unsigned run, char *key, char *value)
{
	snprintf(key, 16, "key%08u", number);
	memset(value, 'a' + (int)(run % 26), RUN_VALUE_SIZE);
	value[RUN_VALUE_SIZE] = '\0';
}

void
run_write(struct machine *leader, unsigned count, unsigned run)
{
	struct machine_put put;
	char key[16];
	char value[RUN_VALUE_SIZE + 1];

	for (unsigned i = 0; i < count; i++) {
		make_item(i, run, key, value);
		ck_assert_int_eq(machine_put(leader, &put, key, value), 0);
		node_cluster_settle(leader->cluster);
		node_write_cancel(&put.write);
	}
}

void
run_check(struct machine *machine, unsigned count, unsigned run)
{
	char key[16];
	char value[RUN_VALUE_SIZE + 1];

	for (unsigned i = 0; i < count; i++) {
		make_item(i, run, key, value);
		machine_check_value(machine, key, value);
	}
}

struct node_status
machine_status(const struct machine *machine)
{
	struct node_status status;

	node_get_status(machine->node, machine->cluster->now, &status);
	return status;
}

struct machine *
follower_of(struct machine *leader)
{
	struct node_cluster *cluster = leader->cluster;

	return &cluster->machine[leader->id % cluster->founders_count];
}

struct machine *
run_cut_off(struct machine *leader, unsigned count)
{
	struct machine *follower = follower_of(leader);

	follower->isolated = true;
	run_write(leader, count, 0);
	node_cluster_pass(leader->cluster, 2 * RUN_SECOND);
	ck_assert_uint_gt(machine_status(leader).raft.compacted_index,
	    machine_status(follower).raft.last_index);
	return follower;
}

void
run_check_same(struct node_cluster *cluster)
{
	struct machine *leader = node_cluster_leader(cluster);
	char why[256];

	ck_assert_ptr_nonnull(leader);
	for (unsigned i = 0; i < cluster->count; i++) {
		struct machine *machine = &cluster->machine[i];

		if (machine->node == NULL)
			continue;
		if (!node_check(machine->node, why, sizeof(why)))
			ck_abort_msg("machine %u: %s", i + 1, why);
		ck_assert_uint_eq(kv_state_hash(node_kv(machine->node)),
		    kv_state_hash(node_kv(leader->node)));
	}
}

void
run_start(struct machine *machine, run_tune_fn *tune)
{
	struct node_params params;

	machine->boot_id++;
	params = machine_params(machine);
	tune(&params);
	if (machine_start_with(machine, &params) != 0)
		ck_abort_msg("%s", machine->why);
}

struct node_cluster *
run_cluster_new(unsigned count, run_tune_fn *tune)
{
	struct node_cluster *cluster = node_cluster_new(count);

	for (unsigned i = 0; i < count; i++) {
		struct machine *machine = &cluster->machine[i];

		machine_stop(machine);
		machine_wipe(machine);
		run_start(machine, tune);
	}
	return cluster;
}

void
run_command(struct machine *machine, struct buf *command)
{
	struct machine_put put = { .write = { .done = machine_put_done } };

	ck_assert_int_eq(node_write(machine->node, machine->cluster->now,
			     &put.write, buf_slice(command)),
	    0);
	buf_release(command);
	node_cluster_settle(machine->cluster);
	node_write_cancel(&put.write);
}

void
run_op(struct machine *machine, const struct kv_identity *identity,
    const struct kv_op *op)
{
	struct buf command = { 0 };

	kv_encode_transaction(&command, identity);
	kv_encode_op(&command, KV_THEN, op);
	run_command(machine, &command);
}

void
run_put_ttl(struct machine *machine, const char *key, uint64_t ttl_us)
{
	const struct kv_op op = { .kind = KV_PUT,
		.key = slice_from_text(key),
		.lifetime = KV_LIFETIME_TTL,
		.ttl_us = ttl_us };

	run_op(machine, NULL, &op);
}

void
run_put(struct machine *machine, const char *key)
{
	const struct kv_op op = { .kind = KV_PUT,
		.key = slice_from_text(key),
		.value = slice_from_text("value") };

	run_op(machine, NULL, &op);
}

raft_index
run_last_index(const struct machine *machine)
{
	return machine_status(machine).raft.last_index;
}
