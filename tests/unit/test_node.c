#include "common/mem.h"
#include "common/rng.h"
#include "node/node.h"
#include "tests/lib/store_mem.h"
#include "tests/unit/suites.h"

#include <stdio.h>
#include <stdlib.h>

#define NODES_MAX 3

/*
 * Up to three nodes in one process. Messages are carried by hand: queued by
 * send, delivered by deliver(). Time moves only when the test says so.
 */
struct cluster;

struct member {
	struct cluster *cluster;
	raft_id id;
	struct store_mem_disk *log_disk;
	struct store_mem_disk *data_disk;
	struct store *log;
	struct store *data;
	struct node *node;
	unsigned commits;
	unsigned checkpoints;
	uint64_t boot_id;
	bool sent_before_commit;
	char why[512];
};

struct packet {
	struct packet *next;
	struct raft_message message;
	struct slice *records;
};

struct cluster {
	raft_usec now;
	unsigned count;
	struct member member[NODES_MAX];
	struct packet *first;
	struct packet **last;
};

static raft_usec
host_now(void *context)
{
	return ((struct member *)context)->cluster->now;
}

static void
host_send(void *context, const struct raft_message *message,
    struct node_entry *const *entries)
{
	struct member *member = context;
	struct packet *packet = mem_zalloc(1, sizeof(*packet));

	packet->message = *message;
	packet->records =
	    mem_zalloc(message->entries_count, sizeof(struct slice));
	for (uint32_t i = 0; i < message->entries_count; i++) {
		struct slice record = entries[i]->record;

		packet->records[i] =
		    slice_of(mem_copy(record.data, record.size), record.size);
		member->sent_before_commit =
		    entries[i]->index > member->commits;
	}
	*member->cluster->last = packet;
	member->cluster->last = &packet->next;
}

static void
host_flush(void *context)
{
	(void)context;
}

static void
host_on_change(void *context)
{
	(void)context;
}

static void
host_on_commit(void *context, bool checkpoint, raft_usec took)
{
	struct member *member = context;

	ck_assert_uint_eq(took, 0);
	if (checkpoint)
		member->checkpoints++;
	else
		member->commits++;
}

static void
host_on_alarm(void *context, enum raft_alarm alarm, raft_id peer)
{
	(void)context;
	ck_abort_msg("alarm %d about %d", (int)alarm, (int)peer);
}

static struct node_params
make_params(const struct cluster *cluster, const struct member *member)
{
	struct node_params params = {
		.raft = {
		    .election_timeout = 1000000,
		    .heartbeat_interval = 100000,
		    .append_entries_max = 64,
		    .append_bytes_max = 1 << 20,
		    .inflight_appends_max = 4,
		    .inflight_bytes_max = 4 << 20,
		    .inflight_rounds_max = 2,
		    .entry_bytes_max = 2 << 20,
		    .uncommitted_bytes_max = 16 << 20,
		    .pending_reads_max = 1000,
		    .disk_stall_max = 1000000,
		},
		.cluster = "test",
		.members = { .count = cluster->count },
		.boot_id = member->boot_id,
		.checkpoint_bytes = 1 << 20,
		.checkpoint_interval = 500000,
		.cache_bytes_max = 1 << 20,
	};

	snprintf(params.name, sizeof(params.name), "n%u", (unsigned)member->id);
	for (unsigned i = 0; i < cluster->count; i++) {
		struct node_member *entry = &params.members.member[i];

		entry->id = i + 1;
		snprintf(entry->name, sizeof(entry->name), "n%u", i + 1);
		snprintf(entry->address, sizeof(entry->address),
		    "10.0.0.%u:5864", i + 1);
	}
	memset(params.directory_nonce, (int)(member->boot_id & 0xff),
	    NODE_NONCE_SIZE);
	memset(params.cluster_id, (int)(16 + member->id), NODE_NONCE_SIZE);
	return params;
}

static int
start_with(struct member *member, const struct node_params *params)
{
	const struct node_host host = {
		.context = member,
		.now = host_now,
		.send = host_send,
		.flush = host_flush,
		.on_change = host_on_change,
		.on_commit = host_on_commit,
		.on_alarm = host_on_alarm,
	};

	member->log = store_mem_open(member->log_disk);
	member->data = store_mem_open(member->data_disk);
	return node_new(&member->node, params, member->log, member->data, &host,
	    member->cluster->now, member->why, sizeof(member->why));
}

static int
start(struct member *member)
{
	struct node_params params;

	member->boot_id++;
	params = make_params(member->cluster, member);
	return start_with(member, &params);
}

static void
stop(struct member *member)
{
	node_free(member->node);
	member->node = NULL;
	store_close(member->log);
	store_close(member->data);
}

static void
wipe(struct member *member)
{
	store_mem_disk_free(member->log_disk);
	store_mem_disk_free(member->data_disk);
	member->log_disk = store_mem_disk_new(NODE_LOG_TABLES_COUNT);
	member->data_disk = store_mem_disk_new(KV_TABLES_COUNT);
}

static struct cluster *
cluster_new(unsigned count)
{
	struct cluster *cluster = mem_zalloc(1, sizeof(*cluster));

	cluster->now = 1000000;
	cluster->count = count;
	cluster->last = &cluster->first;
	for (unsigned i = 0; i < count; i++) {
		struct member *member = &cluster->member[i];

		member->cluster = cluster;
		member->id = i + 1;
		member->boot_id = 100 * (i + 1);
		wipe(member);
		ck_assert_int_eq(start(member), 0);
	}
	return cluster;
}

static void
packet_free(struct packet *packet)
{
	for (uint32_t i = 0; i < packet->message.entries_count; i++)
		free((void *)(uintptr_t)packet->records[i].data);
	free(packet->records);
	free(packet);
}

static struct packet *
next_packet(struct cluster *cluster)
{
	struct packet *packet = cluster->first;

	if (packet == NULL)
		return NULL;
	cluster->first = packet->next;
	if (cluster->first == NULL)
		cluster->last = &cluster->first;
	return packet;
}

static void
cluster_free(struct cluster *cluster)
{
	struct packet *packet;

	while ((packet = next_packet(cluster)) != NULL)
		packet_free(packet);
	for (unsigned i = 0; i < cluster->count; i++) {
		struct member *member = &cluster->member[i];

		stop(member);
		store_mem_disk_free(member->log_disk);
		store_mem_disk_free(member->data_disk);
	}
	free(cluster);
}

static int
hear(struct member *from, struct member *to)
{
	struct node_hello hello;

	node_get_hello(from->node, to->id, &hello);
	return node_hear(to->node, &hello, to->why, sizeof(to->why));
}

static void
hear_all(struct cluster *cluster)
{
	for (unsigned a = 0; a < cluster->count; a++) {
		for (unsigned b = 0; b < cluster->count; b++) {
			if (a != b)
				ck_assert_int_eq(hear(&cluster->member[a],
						     &cluster->member[b]),
				    0);
		}
	}
}

/* Turns and messages until nothing is left to do at this time. */
static void
settle(struct cluster *cluster)
{
	struct packet *packet;

	do {
		for (unsigned i = 0; i < cluster->count; i++) {
			struct node *node = cluster->member[i].node;

			while (
			    node != NULL && node_deadline(node) <= cluster->now)
				ck_assert_int_eq(
				    node_turn(node, cluster->now), 0);
		}
		packet = next_packet(cluster);
		if (packet == NULL)
			return;
		if (cluster->member[packet->message.to - 1].node != NULL)
			(void)node_receive(
			    cluster->member[packet->message.to - 1].node,
			    cluster->now, &packet->message, packet->records);
		packet_free(packet);
	} while (true);
}

static void
pass_time(struct cluster *cluster, raft_usec us)
{
	raft_usec until = cluster->now + us;

	while (cluster->now < until) {
		cluster->now += 10000;
		settle(cluster);
	}
}

static struct member *
leader_of(struct cluster *cluster)
{
	for (unsigned i = 0; i < cluster->count; i++) {
		if (cluster->member[i].node != NULL &&
		    node_is_leader(cluster->member[i].node))
			return &cluster->member[i];
	}
	return NULL;
}

static struct member *
wait_for_leader(struct cluster *cluster)
{
	struct member *leader;

	pass_time(cluster, 5000000);
	leader = leader_of(cluster);
	if (leader == NULL)
		ck_abort_msg("nobody was elected");
	return leader;
}

static struct member *
elect(struct cluster *cluster)
{
	hear_all(cluster);
	return wait_for_leader(cluster);
}

/* ---- Clients ---- */

struct put {
	struct node_write write;
	unsigned done;
	enum node_outcome outcome;
	struct kv_result result;
};

static void
put_done(struct node_write *write, enum node_outcome outcome,
    const struct kv_result *result)
{
	struct put *put = CONTAINER_OF(write, struct put, write);

	put->done++;
	put->outcome = outcome;
	if (result != NULL)
		put->result = *result;
}

static int
put(struct member *member, struct put *put, const char *key, const char *value)
{
	struct buf command = { 0 };
	int error;

	*put = (struct put){ .write = { .done = put_done } };
	kv_encode_put(&command, slice_from_text(key), slice_from_text(value));
	error = node_write(member->node, member->cluster->now, &put->write,
	    buf_slice(&command));
	buf_release(&command);
	return error;
}

struct get {
	struct node_read read;
	unsigned done;
	int status;
};

static void
get_done(struct node_read *read, int status)
{
	struct get *get = CONTAINER_OF(read, struct get, read);

	get->done++;
	get->status = status;
}

static void
check_value(struct member *member, const char *key, const char *value)
{
	struct kv_item item;

	ck_assert_int_eq(
	    kv_get(node_kv(member->node), slice_from_text(key), &item), 0);
	ck_assert(slice_equal(item.value, slice_from_text(value)));
}

/* ---- One node ---- */

START_TEST(A21_single_node_leads_and_writes)
{
	struct cluster *cluster = cluster_new(1);
	struct member *n1 = elect(cluster);
	struct node_status status;
	struct put put1;

	ck_assert_int_eq(put(n1, &put1, "key", "value"), 0);
	ck_assert_uint_eq(put1.done, 0);
	settle(cluster);
	ck_assert_uint_eq(put1.done, 1);
	ck_assert_int_eq(put1.outcome, NODE_DONE);
	ck_assert_int_eq(put1.result.outcome, KV_CREATED);
	ck_assert_uint_eq(put1.result.revision, 1);
	check_value(n1, "key", "value");
	node_get_status(n1->node, cluster->now, &status);
	ck_assert(status.cluster_id_known);
	ck_assert_uint_eq(status.cluster_id[0], 17);
	cluster_free(cluster);
}
END_TEST

START_TEST(F17_writes_of_one_turn_share_one_commit)
{
	struct cluster *cluster = cluster_new(1);
	struct member *n1 = elect(cluster);
	unsigned before = n1->commits;
	struct put puts[50];

	for (unsigned i = 0; i < 50; i++)
		ck_assert_int_eq(put(n1, &puts[i], "key", "value"), 0);
	settle(cluster);
	ck_assert_uint_eq(n1->commits, before + 1);
	for (unsigned i = 0; i < 50; i++)
		ck_assert_uint_eq(puts[i].result.revision, i + 1);
	cluster_free(cluster);
}
END_TEST

START_TEST(L23_idle_node_writes_nothing)
{
	struct cluster *cluster = cluster_new(1);
	struct member *n1 = elect(cluster);
	unsigned commits;
	unsigned checkpoints;

	pass_time(cluster, 1000000);
	commits = n1->commits;
	checkpoints = n1->checkpoints;
	pass_time(cluster, 60000000);
	ck_assert_uint_eq(n1->commits, commits);
	ck_assert_uint_eq(n1->checkpoints, checkpoints);
	cluster_free(cluster);
}
END_TEST

START_TEST(E20_restart_replays_what_no_checkpoint_held)
{
	struct cluster *cluster = cluster_new(1);
	struct member *n1 = elect(cluster);
	struct put write;

	pass_time(cluster, 1000000);
	ck_assert_int_eq(put(n1, &write, "a", "1"), 0);
	settle(cluster);
	pass_time(cluster, 1000000);
	ck_assert_int_eq(put(n1, &write, "a", "2"), 0);
	settle(cluster);
	ck_assert_int_eq(put(n1, &write, "b", "3"), 0);
	settle(cluster);
	stop(n1);
	ck_assert_int_eq(start(n1), 0);
	pass_time(cluster, 5000000);
	check_value(n1, "a", "2");
	check_value(n1, "b", "3");
	ck_assert_int_eq(put(n1, &write, "a", "4"), 0);
	settle(cluster);
	ck_assert_uint_eq(write.result.revision, 4);
	ck_assert_uint_eq(write.result.version, 3);
	cluster_free(cluster);
}
END_TEST

/* E9, E26: every operation of a write's commit fails once; nothing that was
 * acknowledged is gone after a restart, and the fault is named. */
START_TEST(E9_failed_commit_stops_the_node)
{
	bool failed = true;

	for (uint64_t n = 1; failed; n++) {
		struct cluster *cluster = cluster_new(1);
		struct member *n1 = elect(cluster);
		struct put first;
		struct put second;
		struct put third;

		ck_assert_int_eq(put(n1, &first, "a", "1"), 0);
		settle(cluster);
		store_mem_seed(n1->log_disk, n);
		store_mem_fail_operation(n1->log_disk, n, ERR_NO_SPACE);
		ck_assert_int_eq(put(n1, &second, "b", "2"), 0);
		failed = node_turn(n1->node, cluster->now) != 0;
		store_mem_fail_operation(n1->log_disk, 0, 0);
		if (failed) {
			ck_assert_uint_eq(second.done, 0);
			ck_assert_str_eq(
			    node_fault(n1->node), "log commit: no space left");
			ck_assert_int_ne(node_turn(n1->node, cluster->now), 0);
			ck_assert_int_eq(
			    put(n1, &third, "c", "3"), ERR_NOT_LEADER);
		} else {
			ck_assert_uint_eq(second.done, 1);
		}
		stop(n1);
		ck_assert_int_eq(start(n1), 0);
		pass_time(cluster, 5000000);
		check_value(n1, "a", "1");
		if (!failed)
			check_value(n1, "b", "2");
		cluster_free(cluster);
	}
}
END_TEST

START_TEST(E9_failed_checkpoint_stops_the_node)
{
	struct cluster *cluster = cluster_new(1);
	struct member *n1 = elect(cluster);
	struct put write;
	int error = 0;

	ck_assert_int_eq(put(n1, &write, "a", "1"), 0);
	settle(cluster);
	store_mem_fail_commit(n1->data_disk, 1, ERR_IO);
	for (unsigned i = 0; i < 200 && error == 0; i++) {
		cluster->now += 10000;
		error = node_turn(n1->node, cluster->now);
	}
	ck_assert_int_eq(error, ERR_IO);
	ck_assert_ptr_nonnull(strstr(node_fault(n1->node), "checkpoint"));
	store_mem_fail_commit(n1->data_disk, 0, 0);
	stop(n1);
	ck_assert_int_eq(start(n1), 0);
	pass_time(cluster, 5000000);
	check_value(n1, "a", "1");
	cluster_free(cluster);
}
END_TEST

START_TEST(E19_data_ahead_of_the_log_refuses)
{
	struct cluster *cluster = cluster_new(1);
	struct member *n1 = elect(cluster);
	struct store_mem_disk *old_log;
	struct put write;

	pass_time(cluster, 1000000);
	old_log = store_mem_disk_clone(n1->log_disk);
	ck_assert_int_eq(put(n1, &write, "a", "1"), 0);
	settle(cluster);
	pass_time(cluster, 1000000);
	stop(n1);
	store_mem_disk_free(n1->log_disk);
	n1->log_disk = old_log;
	ck_assert_int_eq(start(n1), ERR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(n1->why, "the log ends at"));
	store_close(n1->log);
	store_close(n1->data);
	wipe(n1);
	ck_assert_int_eq(start(n1), 0);
	cluster_free(cluster);
}
END_TEST

/* Without its log it is no empty directory: that would be told as a wiped
 * one only after a peer was heard. */
START_TEST(E19_data_without_a_log_refuses)
{
	struct cluster *cluster = cluster_new(1);
	struct member *n1 = elect(cluster);
	struct put write;

	ck_assert_int_eq(put(n1, &write, "a", "1"), 0);
	settle(cluster);
	pass_time(cluster, 1000000);
	stop(n1);
	store_mem_disk_free(n1->log_disk);
	n1->log_disk = store_mem_disk_new(NODE_LOG_TABLES_COUNT);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(start(n1), ERR_CORRUPT);
		ck_assert_ptr_nonnull(strstr(n1->why, "the log is empty"));
		store_close(n1->log);
		store_close(n1->data);
	}
	wipe(n1);
	ck_assert_int_eq(start(n1), 0);
	cluster_free(cluster);
}
END_TEST

START_TEST(D15_directory_of_another_node_refuses)
{
	struct cluster *cluster = cluster_new(1);
	struct member *n1 = &cluster->member[0];
	struct node_params params = make_params(cluster, n1);

	stop(n1);
	snprintf(params.name, sizeof(params.name), "n9");
	ck_assert_int_eq(start_with(n1, &params), ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(n1->why, "belongs to node n1"));
	store_close(n1->log);
	store_close(n1->data);
	ck_assert_int_eq(start(n1), 0);
	cluster_free(cluster);
}
END_TEST

/* ---- Formation ---- */

START_TEST(formation_waits_for_every_member)
{
	struct cluster *cluster = cluster_new(3);
	struct node_status status;

	ck_assert_int_eq(hear(&cluster->member[1], &cluster->member[0]), 0);
	pass_time(cluster, 10000000);
	node_get_status(cluster->member[0].node, cluster->now, &status);
	ck_assert_int_eq(status.state, NODE_FORMING);
	ck_assert_uint_eq(status.reached, 2);
	ck_assert_ptr_null(leader_of(cluster));
	ck_assert_int_eq(hear(&cluster->member[2], &cluster->member[0]), 0);
	settle(cluster);
	node_get_status(cluster->member[0].node, cluster->now, &status);
	ck_assert_int_eq(status.state, NODE_MEMBER);
	(void)elect(cluster);
	cluster_free(cluster);
}
END_TEST

START_TEST(formation_is_durable)
{
	struct cluster *cluster = cluster_new(3);
	struct node_status status;

	hear_all(cluster);
	settle(cluster);
	for (unsigned i = 0; i < 3; i++) {
		stop(&cluster->member[i]);
		ck_assert_int_eq(start(&cluster->member[i]), 0);
		node_get_status(cluster->member[i].node, cluster->now, &status);
		ck_assert_int_eq(status.state, NODE_MEMBER);
	}
	(void)wait_for_leader(cluster);
	cluster_free(cluster);
}
END_TEST

START_TEST(E24_other_member_lists_refuse_each_other)
{
	struct cluster *cluster = cluster_new(3);
	struct member *n1 = &cluster->member[0];
	struct node_params params = make_params(cluster, n1);

	stop(n1);
	wipe(n1);
	snprintf(params.members.member[2].address, NODE_ADDRESS_SIZE_MAX,
	    "10.0.0.9:5864");
	ck_assert_int_eq(start_with(n1, &params), 0);
	ck_assert_int_eq(hear(&cluster->member[1], n1), ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(n1->why, "[members]"));
	cluster_free(cluster);
}
END_TEST

START_TEST(E22_wiped_node_finds_out_and_stays_out)
{
	struct cluster *cluster = cluster_new(3);
	struct member *leader = elect(cluster);
	struct member *wiped = &cluster->member[leader->id % 3];
	struct node_status status;

	stop(wiped);
	wipe(wiped);
	ck_assert_int_eq(start(wiped), 0);
	ck_assert_int_eq(hear(wiped, leader), ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(leader->why, "wiped"));
	ck_assert_int_eq(hear(leader, wiped), ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(wiped->why, "remembers"));
	pass_time(cluster, 5000000);
	node_get_status(wiped->node, cluster->now, &status);
	ck_assert_int_eq(status.state, NODE_WIPED);
	ck_assert_ptr_eq(leader_of(cluster), leader);
	cluster_free(cluster);
}
END_TEST

/* A late node that never formed and a wiped one cannot outvote the data. */
START_TEST(wiped_and_late_node_do_not_form_a_second_cluster)
{
	struct cluster *cluster = cluster_new(3);
	struct member *n1 = &cluster->member[0];
	struct member *n2 = &cluster->member[1];
	struct member *n3 = &cluster->member[2];
	struct node_status status;

	ck_assert_int_eq(hear(n1, n2), 0);
	ck_assert_int_eq(hear(n3, n2), 0);
	ck_assert_int_eq(hear(n2, n1), 0);
	ck_assert_int_eq(hear(n3, n1), 0);
	settle(cluster);
	stop(n2);
	wipe(n2);
	ck_assert_int_eq(start(n2), 0);
	ck_assert_int_eq(hear(n2, n3), 0);
	ck_assert_int_eq(hear(n3, n2), 0);
	pass_time(cluster, 5000000);
	node_get_status(n2->node, cluster->now, &status);
	ck_assert_int_eq(status.state, NODE_FORMING);
	ck_assert_int_eq(hear(n1, n2), ERR_MISMATCH);
	ck_assert_int_eq(hear(n1, n3), 0);
	pass_time(cluster, 5000000);
	node_get_status(n2->node, cluster->now, &status);
	ck_assert_int_eq(status.state, NODE_WIPED);
	cluster_free(cluster);
}
END_TEST

/* ---- Three nodes ---- */

START_TEST(three_nodes_hold_the_same_state)
{
	struct cluster *cluster = cluster_new(3);
	struct member *leader = elect(cluster);
	uint64_t hash;
	struct put write;

	for (unsigned i = 0; i < 100; i++) {
		ck_assert_int_eq(put(leader, &write, "key", "value"), 0);
		settle(cluster);
		ck_assert_uint_eq(write.done, 1);
	}
	pass_time(cluster, 1000000);
	hash = kv_state_hash(node_kv(leader->node));
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(
		    kv_state_hash(node_kv(cluster->member[i].node)), hash);
	cluster_free(cluster);
}
END_TEST

/* Parallel leader append: peers' disks work while ours does. */
START_TEST(append_leaves_before_the_own_commit)
{
	struct cluster *cluster = cluster_new(3);
	struct member *leader = elect(cluster);
	struct put write;

	leader->commits = 0;
	leader->sent_before_commit = false;
	ck_assert_int_eq(put(leader, &write, "key", "value"), 0);
	ck_assert_int_eq(node_turn(leader->node, cluster->now), 0);
	ck_assert(leader->sent_before_commit);
	ck_assert_uint_eq(leader->commits, 1);
	cluster_free(cluster);
}
END_TEST

START_TEST(K3_deposed_leader_answers_nobody_until_it_knows)
{
	struct cluster *cluster = cluster_new(3);
	struct member *old = elect(cluster);
	struct member *other;
	struct put lost;
	struct put kept;
	struct packet *packet;

	/* Proposed, made durable here, and cut off before anybody heard. */
	ck_assert_int_eq(put(old, &lost, "key", "lost"), 0);
	ck_assert_int_eq(node_turn(old->node, cluster->now), 0);
	while ((packet = next_packet(cluster)) != NULL)
		packet_free(packet);
	other = old;
	for (unsigned i = 0; i < 1000 && other == old; i++) {
		cluster->now += 10000;
		for (unsigned m = 0; m < 3; m++) {
			struct member *member = &cluster->member[m];

			if (member != old)
				ck_assert_int_eq(
				    node_turn(member->node, cluster->now), 0);
			if (member != old && node_is_leader(member->node))
				other = member;
		}
		while ((packet = next_packet(cluster)) != NULL) {
			struct raft_message *message = &packet->message;

			if (message->to != old->id)
				(void)node_receive(
				    cluster->member[message->to - 1].node,
				    cluster->now, message, packet->records);
			packet_free(packet);
		}
	}
	ck_assert_ptr_ne(other, old);
	ck_assert_uint_eq(lost.done, 0);
	ck_assert_int_eq(put(other, &kept, "key", "kept"), 0);
	pass_time(cluster, 3000000);
	ck_assert_uint_eq(kept.done, 1);
	ck_assert_int_eq(kept.outcome, NODE_DONE);
	ck_assert_uint_eq(lost.done, 1);
	ck_assert_int_eq(lost.outcome, NODE_LOST);
	check_value(old, "key", "kept");
	cluster_free(cluster);
}
END_TEST

START_TEST(J6_reads_of_one_turn_share_one_round)
{
	struct cluster *cluster = cluster_new(3);
	struct member *leader = elect(cluster);
	struct raft_status before;
	struct node_status status;
	struct get reads[100];

	node_get_status(leader->node, cluster->now, &status);
	before = status.raft;
	for (unsigned i = 0; i < 100; i++) {
		reads[i] = (struct get){ .read = { .done = get_done } };
		ck_assert_int_eq(node_read(leader->node, &reads[i].read), 0);
	}
	settle(cluster);
	for (unsigned i = 0; i < 100; i++) {
		ck_assert_uint_eq(reads[i].done, 1);
		ck_assert_int_eq(reads[i].status, 0);
	}
	node_get_status(leader->node, cluster->now, &status);
	ck_assert_uint_eq(status.raft.round, before.round + 1);
	cluster_free(cluster);
}
END_TEST

START_TEST(reads_and_writes_are_refused_by_followers)
{
	struct cluster *cluster = cluster_new(3);
	struct member *leader = elect(cluster);
	struct member *follower = &cluster->member[leader->id % 3];
	struct get read = { .read = { .done = get_done } };
	struct put write;

	ck_assert_int_eq(put(follower, &write, "key", "value"), ERR_NOT_LEADER);
	ck_assert_int_eq(node_read(follower->node, &read.read), ERR_NOT_LEADER);
	ck_assert_uint_eq(node_leader(follower->node), leader->id);
	cluster_free(cluster);
}
END_TEST

START_TEST(log_is_cut_when_all_have_it_and_the_checkpoint_holds_it)
{
	struct cluster *cluster = cluster_new(3);
	struct member *leader = elect(cluster);
	struct node_status status;
	struct put write;

	for (unsigned i = 0; i < 2000; i++) {
		ck_assert_int_eq(put(leader, &write, "key", "value"), 0);
		settle(cluster);
		if (i % 100 == 0)
			pass_time(cluster, 600000);
	}
	pass_time(cluster, 1000000);
	for (unsigned i = 0; i < 3; i++) {
		node_get_status(cluster->member[i].node, cluster->now, &status);
		ck_assert_uint_lt(status.log_entries, 700);
	}
	for (unsigned i = 0; i < 3; i++) {
		stop(&cluster->member[i]);
		ck_assert_int_eq(start(&cluster->member[i]), 0);
	}
	check_value(wait_for_leader(cluster), "key", "value");
	cluster_free(cluster);
}
END_TEST

START_TEST(damaged_record_from_a_peer_changes_nothing)
{
	struct cluster *cluster = cluster_new(3);
	struct member *leader = elect(cluster);
	struct put write;
	struct packet *packet;
	unsigned damaged = 0;

	ck_assert_int_eq(put(leader, &write, "key", "value"), 0);
	ck_assert_int_eq(node_turn(leader->node, cluster->now), 0);
	while ((packet = next_packet(cluster)) != NULL) {
		struct node *to = cluster->member[packet->message.to - 1].node;
		uint64_t digest = node_digest(to);

		if (packet->message.entries_count == 1) {
			((uint8_t *)(uintptr_t)packet->records[0].data)[50] ^=
			    1;
			ck_assert_int_eq(node_receive(to, cluster->now,
					     &packet->message, packet->records),
			    ERR_INVALID);
			ck_assert_uint_eq(node_digest(to), digest);
			damaged++;
		}
		packet_free(packet);
	}
	ck_assert_uint_eq(damaged, 2);
	cluster_free(cluster);
}
END_TEST

Suite *
node_suite(void)
{
	Suite *suite = suite_create("node");
	TCase *one = tcase_create("one node");
	TCase *formation = tcase_create("formation");
	TCase *three = tcase_create("three nodes");

	tcase_add_test(one, A21_single_node_leads_and_writes);
	tcase_add_test(one, F17_writes_of_one_turn_share_one_commit);
	tcase_add_test(one, L23_idle_node_writes_nothing);
	tcase_add_test(one, E20_restart_replays_what_no_checkpoint_held);
	tcase_add_test(one, E9_failed_commit_stops_the_node);
	tcase_add_test(one, E9_failed_checkpoint_stops_the_node);
	tcase_add_test(one, E19_data_ahead_of_the_log_refuses);
	tcase_add_test(one, E19_data_without_a_log_refuses);
	tcase_add_test(one, D15_directory_of_another_node_refuses);
	suite_add_tcase(suite, one);
	tcase_add_test(formation, formation_waits_for_every_member);
	tcase_add_test(formation, formation_is_durable);
	tcase_add_test(formation, E24_other_member_lists_refuse_each_other);
	tcase_add_test(formation, E22_wiped_node_finds_out_and_stays_out);
	tcase_add_test(
	    formation, wiped_and_late_node_do_not_form_a_second_cluster);
	suite_add_tcase(suite, formation);
	tcase_add_test(three, three_nodes_hold_the_same_state);
	tcase_add_test(three, append_leaves_before_the_own_commit);
	tcase_add_test(three, K3_deposed_leader_answers_nobody_until_it_knows);
	tcase_add_test(three, J6_reads_of_one_turn_share_one_round);
	tcase_add_test(three, reads_and_writes_are_refused_by_followers);
	tcase_add_test(
	    three, log_is_cut_when_all_have_it_and_the_checkpoint_holds_it);
	tcase_add_test(three, damaged_record_from_a_peer_changes_nothing);
	suite_add_tcase(suite, three);
	return suite;
}
