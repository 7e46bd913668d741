#include "tests/unit/node_cluster.h"

#include "common/mem.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define STEP_US 10000

/* ---- Host ---- */

static raft_usec
host_now(void *context)
{
	return ((struct machine *)context)->cluster->now;
}

static bool
is_reachable(const struct machine *a, const struct machine *b)
{
	return a->node != NULL && b->node != NULL && !a->isolated &&
	       !b->isolated;
}

/* As daemons do: answers go back over the connection of the request. */
static bool
is_answer(enum raft_message_kind kind)
{
	return kind == RAFT_PREVOTE_RESPONSE || kind == RAFT_VOTE_RESPONSE ||
	       kind == RAFT_APPEND_RESPONSE || kind == RAFT_READ_RESPONSE;
}

/* Whom `id` means to this machine; NULL: it has no connection there. */
static struct machine *
machine_of(struct machine *from, raft_id id, bool answer)
{
	struct node_cluster *cluster = from->cluster;

	if (!cluster->dials)
		return id <= cluster->count ? &cluster->machine[id - 1] : NULL;
	for (unsigned i = 0; i < cluster->count; i++) {
		if ((answer ? from->callers[i] : from->links[i]) == id)
			return &cluster->machine[i];
	}
	return NULL;
}

static void
queue(struct node_cluster *cluster, struct node_packet *packet)
{
	*cluster->last = packet;
	cluster->last = &packet->next;
}

static void
host_send(void *context, const struct raft_message *message,
    struct node_entry *const *entries)
{
	struct machine *machine = context;
	struct machine *to =
	    machine_of(machine, message->to, is_answer(message->kind));
	struct node_packet *packet;

	for (uint32_t i = 0; i < message->entries_count; i++)
		machine->sent_before_commit =
		    entries[i]->index > machine->commits;
	if (to == NULL)
		return;
	packet = mem_zalloc(1, sizeof(*packet));
	packet->from = machine;
	packet->to = to;
	packet->message = *message;
	packet->records =
	    mem_zalloc(message->entries_count, sizeof(struct slice));
	for (uint32_t i = 0; i < message->entries_count; i++) {
		struct slice record = entries[i]->record;

		packet->records[i] =
		    slice_of(mem_copy(record.data, record.size), record.size);
	}
	queue(machine->cluster, packet);
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
	struct machine *machine = context;

	ck_assert_uint_eq(took, 0);
	if (checkpoint)
		machine->checkpoints++;
	else
		machine->commits++;
}

static void
host_on_alarm(void *context, enum raft_alarm alarm, raft_id peer)
{
	if (alarm == RAFT_ALARM_REPAIRING) {
		((struct machine *)context)->repairing_alarms++;
		return;
	}
	ck_abort_msg("alarm %d about %d", (int)alarm, (int)peer);
}

static void
host_on_difference(void *context, raft_id a, raft_id b, raft_index index)
{
	struct machine *machine = context;

	machine->splits++;
	machine->split = (struct node_split){ .index = index, .a = a, .b = b };
}

static const struct node_member *
find_address(const struct node_members *members, const struct machine *machine)
{
	for (unsigned i = 0; i < members->count; i++) {
		if (strcmp(members->member[i].address, machine->address) == 0)
			return &members->member[i];
	}
	return NULL;
}

/* Connections to those who are no members any more, or not there, end. */
static void
host_on_members(void *context, const struct node_members *members)
{
	struct machine *machine = context;
	struct node_cluster *cluster = machine->cluster;

	/* While it gets the log, the memberships of before it was added do
	 * not count. */
	if (machine->joins && members->count != 0)
		ck_assert_ptr_nonnull(find_address(members, machine));
	machine->book = *members;
	for (unsigned i = 0; i < cluster->count; i++) {
		const struct node_member *member =
		    find_address(members, &cluster->machine[i]);

		if (member == NULL || member->id != machine->links[i])
			machine->links[i] = 0;
	}
}

static void
host_send_snapshot(void *context, raft_id id, struct slice piece)
{
	struct machine *machine = context;
	struct machine *to = machine_of(machine, id, false);
	struct node_packet *packet = mem_zalloc(1, sizeof(*packet));

	packet->from = machine;
	packet->to = to;
	packet->message.to = id;
	packet->piece = slice_of(mem_copy(piece.data, piece.size), piece.size);
	queue(machine->cluster, packet);
}

static void
host_cancel_snapshot(void *context, raft_id id)
{
	struct machine *machine = context;
	struct node_cluster *cluster = machine->cluster;
	struct node_packet **place = &cluster->first;

	while (*place != NULL) {
		struct node_packet *packet = *place;

		if (packet->piece.size == 0 || packet->from != machine ||
		    packet->message.to != id) {
			place = &packet->next;
			continue;
		}
		*place = packet->next;
		node_packet_free(packet);
	}
	cluster->last = place;
}

static int
host_open_data(
    void *context, uint64_t generation, bool empty, struct store **ret_store)
{
	struct machine *machine = context;
	struct store_mem_disk **disk =
	    &machine->data_disks[generation % MACHINE_GENERATIONS];

	if (empty) {
		store_mem_disk_free(*disk);
		*disk = NULL;
	}
	if (*disk == NULL)
		*disk = store_mem_disk_new(KV_TABLES_COUNT);
	*ret_store = store_mem_open(*disk);
	return 0;
}

static int
host_remove_data_but(void *context, uint64_t generation)
{
	struct machine *machine = context;

	for (unsigned i = 0; i < MACHINE_GENERATIONS; i++) {
		if (i == generation % MACHINE_GENERATIONS)
			continue;
		store_mem_disk_free(machine->data_disks[i]);
		machine->data_disks[i] = NULL;
	}
	return 0;
}

/* ---- Machines ---- */

struct node_params
machine_params(const struct machine *machine)
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
		    .transfer_timeout = 1000000,
		},
		.cluster = "test",
		.boot_id = machine->boot_id,
		.damaged = machine->damaged,
		.checkpoint_bytes = 1 << 20,
		.checkpoint_interval = 500000,
		.cache_bytes_max = 1 << 20,
		.trailing_bytes_min = 1 << 16,
		.trailing_bytes_max = 1 << 20,
		.snapshot_piece_bytes = 1 << 12,
		.snapshot_age_max = 5000000,
	};

	snprintf(
	    params.name, sizeof(params.name), "n%u", (unsigned)machine->id);
	memcpy(params.address, machine->address, sizeof(params.address));
	for (unsigned i = 0; !machine->joins && !machine->damaged &&
			     i < machine->cluster->founders_count;
	     i++) {
		struct node_member *entry = &params.members.member[i];

		entry->id = i + 1;
		snprintf(entry->name, sizeof(entry->name), "n%u", i + 1);
		snprintf(entry->address, sizeof(entry->address),
		    "10.0.0.%u:5864", i + 1);
		params.members.count++;
	}
	memset(params.directory_nonce, (int)(machine->boot_id & 0xff),
	    NODE_NONCE_SIZE);
	params.directory_nonce[0] = (uint8_t)machine->id;
	memset(params.cluster_id, (int)(16 + machine->id), NODE_NONCE_SIZE);
	return params;
}

static void
cut_links(struct machine *machine)
{
	struct node_cluster *cluster = machine->cluster;

	memset(machine->links, 0, sizeof(machine->links));
	memset(machine->callers, 0, sizeof(machine->callers));
	for (unsigned i = 0; i < cluster->count; i++) {
		cluster->machine[i].links[machine->id - 1] = 0;
		cluster->machine[i].callers[machine->id - 1] = 0;
	}
}

/* A member that was started again says hello to the others, as it would with
 * `dials`; what a test is about, it says itself. */
static void
greet(struct machine *machine)
{
	struct node_cluster *cluster = machine->cluster;

	for (unsigned i = 0; i < cluster->count; i++) {
		struct machine *other = &cluster->machine[i];

		if (other == machine || other->node == NULL ||
		    machine_state(other) != NODE_MEMBER)
			continue;
		(void)machine_hear(machine, other);
		(void)machine_hear(other, machine);
	}
}

int
machine_start_with(struct machine *machine, const struct node_params *params)
{
	const struct node_host host = {
		.context = machine,
		.now = host_now,
		.send = host_send,
		.flush = host_flush,
		.on_change = host_on_change,
		.on_commit = host_on_commit,
		.on_alarm = host_on_alarm,
		.on_difference = host_on_difference,
		.on_members = host_on_members,
		.send_snapshot = host_send_snapshot,
		.cancel_snapshot = host_cancel_snapshot,
		.open_data = host_open_data,
		.remove_data_but = host_remove_data_but,
	};
	int error;

	machine->log = store_mem_open(machine->log_disk);
	error = node_new(&machine->node, params, machine->log, &host,
	    machine->cluster->now, machine->why, sizeof(machine->why));
	if (error == 0) {
		if (!machine->cluster->dials &&
		    machine_state(machine) == NODE_MEMBER)
			greet(machine);
		return 0;
	}
	machine->node = NULL;
	store_close(machine->log);
	machine->log = NULL;
	return error;
}

int
machine_start(struct machine *machine)
{
	struct node_params params;

	machine->boot_id++;
	params = machine_params(machine);
	return machine_start_with(machine, &params);
}

void
machine_stop(struct machine *machine)
{
	cut_links(machine);
	node_free(machine->node);
	machine->node = NULL;
	store_close(machine->log);
	machine->log = NULL;
}

static void
free_disks(struct machine *machine)
{
	store_mem_disk_free(machine->log_disk);
	machine->log_disk = NULL;
	for (unsigned i = 0; i < MACHINE_GENERATIONS; i++) {
		store_mem_disk_free(machine->data_disks[i]);
		machine->data_disks[i] = NULL;
	}
}

void
machine_wipe(struct machine *machine)
{
	free_disks(machine);
	machine->log_disk = store_mem_disk_new(NODE_LOG_TABLES_COUNT);
}

enum node_state
machine_state(const struct machine *machine)
{
	struct node_status status;

	node_get_status(machine->node, machine->cluster->now, &status);
	return status.state;
}

/* ---- Clusters ---- */

static struct machine *
add_machine(struct node_cluster *cluster, bool joins)
{
	struct machine *machine = &cluster->machine[cluster->count++];

	machine->cluster = cluster;
	machine->id = cluster->count;
	machine->boot_id = 100 * machine->id;
	machine->joins = joins;
	snprintf(machine->address, sizeof(machine->address), "10.0.0.%u:5864",
	    (unsigned)machine->id);
	machine_wipe(machine);
	ck_assert_int_eq(machine_start(machine), 0);
	return machine;
}

struct node_cluster *
node_cluster_new(unsigned count)
{
	struct node_cluster *cluster = mem_zalloc(1, sizeof(*cluster));

	cluster->now = 1000000;
	cluster->founders_count = count;
	cluster->last = &cluster->first;
	cluster->carry = node_cluster_carry;
	for (unsigned i = 0; i < count; i++)
		(void)add_machine(cluster, false);
	return cluster;
}

struct machine *
node_cluster_join(struct node_cluster *cluster)
{
	return add_machine(cluster, true);
}

void
node_packet_free(struct node_packet *packet)
{
	for (uint32_t i = 0; i < packet->message.entries_count; i++)
		free((void *)(uintptr_t)packet->records[i].data);
	free((void *)(uintptr_t)packet->piece.data);
	free(packet->records);
	free(packet);
}

struct node_packet *
node_cluster_next_packet(struct node_cluster *cluster)
{
	struct node_packet *packet = cluster->first;

	if (packet == NULL)
		return NULL;
	cluster->first = packet->next;
	if (cluster->first == NULL)
		cluster->last = &cluster->first;
	return packet;
}

void
node_cluster_free(struct node_cluster *cluster)
{
	struct node_packet *packet;

	for (unsigned i = 0; i < cluster->count; i++) {
		machine_stop(&cluster->machine[i]);
		free_disks(&cluster->machine[i]);
	}
	while ((packet = node_cluster_next_packet(cluster)) != NULL)
		node_packet_free(packet);
	free(cluster);
}

int
machine_hear(struct machine *from, struct machine *to)
{
	struct node_hello hello;

	node_get_hello(from->node, to->id, &hello);
	return node_hear(to->node, &hello, to->why, sizeof(to->why));
}

void
node_cluster_hear_all(struct node_cluster *cluster)
{
	for (unsigned a = 0; a < cluster->count; a++) {
		for (unsigned b = 0; b < cluster->count; b++) {
			if (a != b)
				ck_assert_int_eq(
				    machine_hear(&cluster->machine[a],
					&cluster->machine[b]),
				    0);
		}
	}
}

/* ---- Dialling ---- */

/* Hello of the dialler, the answer, and the proof, after which it counts. */
static void
dial(struct machine *from, struct machine *to, raft_id id)
{
	raft_usec now = from->cluster->now;
	struct node_hello ours;
	struct node_hello theirs;

	node_get_hello(from->node, id, &ours);
	node_get_hello(to->node, ours.from, &theirs);
	if (theirs.from != id && theirs.stage != NODE_HELLO_JOINING)
		return;
	if (node_hear(from->node, &theirs, from->why, sizeof(from->why)) != 0 ||
	    node_hear(to->node, &ours, to->why, sizeof(to->why)) != 0)
		return;
	/* What was sent while there was no connection is lost. */
	node_peer_unreachable(from->node, now, id);
	from->links[to->id - 1] = id;
	to->callers[from->id - 1] = ours.from;
}

static void
dial_all(struct machine *machine)
{
	struct node_cluster *cluster = machine->cluster;
	struct node_status status;

	node_get_status(machine->node, cluster->now, &status);
	for (unsigned i = 0; i < cluster->count; i++) {
		struct machine *other = &cluster->machine[i];
		const struct node_member *member =
		    find_address(&machine->book, other);

		if (!is_reachable(machine, other)) {
			machine->links[i] = 0;
			machine->callers[i] = 0;
		} else if (member != NULL && machine->links[i] == 0 &&
			   status.id != 0 && status.id != member->id) {
			dial(machine, other, member->id);
		}
	}
}

/* ---- Running ---- */

void
node_cluster_carry(struct node_packet *packet)
{
	struct machine *from = packet->from;
	struct machine *to = packet->to;
	struct buf answer = { 0 };
	struct node_status status;

	node_get_status(from->node, from->cluster->now, &status);
	/* A refusal answers nothing. */
	if (to != NULL && is_reachable(from, to) &&
	    node_receive_snapshot(to->node, to->cluster->now, status.id,
		packet->piece, &answer) != 0)
		buf_reset(&answer);
	node_snapshot_answered(from->node, from->cluster->now,
	    packet->message.to, buf_slice(&answer));
	buf_release(&answer);
}

static void
deliver(struct node_packet *packet)
{
	struct machine *to = packet->to;

	if (packet->from->node == NULL)
		return;
	if (packet->piece.size != 0)
		packet->from->cluster->carry(packet);
	else if (is_reachable(packet->from, to) &&
		 node_receive(to->node, to->cluster->now, &packet->message,
		     packet->records) == ERR_AGAIN) {
		/* The connection ends. */
		packet->from->links[to->id - 1] = 0;
		to->callers[packet->from->id - 1] = 0;
	}
}

static void
take_turns(struct machine *machine)
{
	raft_usec now = machine->cluster->now;

	while (machine->node != NULL && node_deadline(machine->node) <= now) {
		machine->error = node_turn(machine->node, now);
		if (machine->error == 0)
			continue;
		if (!machine->may_fail)
			ck_abort_msg("%s", node_fault(machine->node));
		snprintf(machine->why, sizeof(machine->why), "%s",
		    node_fault(machine->node));
		machine_stop(machine);
	}
}

void
node_cluster_settle(struct node_cluster *cluster)
{
	struct node_packet *packet;

	for (unsigned i = 0; cluster->dials && i < cluster->count; i++) {
		if (cluster->machine[i].node != NULL)
			dial_all(&cluster->machine[i]);
	}
	do {
		for (unsigned i = 0; i < cluster->count; i++)
			take_turns(&cluster->machine[i]);
		packet = node_cluster_next_packet(cluster);
		if (packet == NULL)
			return;
		deliver(packet);
		node_packet_free(packet);
	} while (true);
}

void
node_cluster_pass(struct node_cluster *cluster, raft_usec us)
{
	raft_usec until = cluster->now + us;

	while (cluster->now < until) {
		cluster->now += STEP_US;
		node_cluster_settle(cluster);
	}
}

struct machine *
node_cluster_leader(struct node_cluster *cluster)
{
	struct machine *leader = NULL;
	raft_term term = 0;

	for (unsigned i = 0; i < cluster->count; i++) {
		struct machine *machine = &cluster->machine[i];
		struct node_status status;

		if (machine->node == NULL || !node_is_leader(machine->node))
			continue;
		node_get_status(machine->node, cluster->now, &status);
		if (status.raft.term > term) {
			term = status.raft.term;
			leader = machine;
		}
	}
	return leader;
}

struct machine *
node_cluster_wait_for_leader(struct node_cluster *cluster)
{
	struct machine *leader;

	node_cluster_pass(cluster, 5000000);
	leader = node_cluster_leader(cluster);
	if (leader == NULL)
		ck_abort_msg("nobody was elected");
	return leader;
}

struct machine *
node_cluster_elect(struct node_cluster *cluster)
{
	node_cluster_hear_all(cluster);
	return node_cluster_wait_for_leader(cluster);
}

/* ---- Clients ---- */

void
machine_put_done(struct node_write *write, enum node_outcome outcome,
    const struct kv_result *result)
{
	struct machine_put *put =
	    CONTAINER_OF(write, struct machine_put, write);

	put->done++;
	put->outcome = outcome;
	if (result != NULL)
		put->result = *result;
}

int
machine_put(struct machine *machine, struct machine_put *put, const char *key,
    const char *value)
{
	struct buf command = { 0 };
	int error;

	*put = (struct machine_put){ .write = { .done = machine_put_done } };
	kv_encode_put(&command, slice_from_text(key), slice_from_text(value));
	error = node_write(machine->node, machine->cluster->now, &put->write,
	    buf_slice(&command));
	buf_release(&command);
	return error;
}

void
machine_check_value(struct machine *machine, const char *key, const char *value)
{
	struct kv_item item;

	ck_assert_int_eq(
	    kv_get(node_kv(machine->node), slice_from_text(key), &item), 0);
	ck_assert(slice_equal(item.value, slice_from_text(value)));
}
