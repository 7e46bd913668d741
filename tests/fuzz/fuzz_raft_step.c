/*
 * Messages of peers, decoded and given to a cluster of three that runs. The
 * input is a list of what happens. At first all of it is what a network and
 * disks may do (old letters come again, late or twice, nodes crash, links are
 * cut), and the invariants of tests/lib/raft_cluster.h hold. Behind that, one
 * node gets whatever the input makes up, of a member that lies: then the rest
 * of the cluster is of no interest, but that node neither asserts, nor goes
 * back, nor is changed by what it calls malformed.
 */

#include "common/macros.h"
#include "common/mem.h"
#include "common/panic.h"
#include "net/wire.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/raft_cluster.h"

#include <stdlib.h>

#define NODES_COUNT 3
#define EVENTS_MAX  120
#define FORGED_MAX  60
#define KEPT_MAX    16
#define ENTRIES_MAX 4
#define RUN_US      4000

struct stage {
	struct cluster cluster;
	struct solo_message kept[KEPT_MAX];
	unsigned kept_count;
	uint64_t reads;
};

static struct solo *
solo_of(struct stage *stage, raft_id id)
{
	return &stage->cluster.nodes[id].solo;
}

static raft_id
take_node(struct slice *input)
{
	return 1 + fuzz_take_below(input, NODES_COUNT);
}

/* ---- What networks and disks do ---- */

static void
copy_letter(struct solo_message *to, const struct solo_message *from)
{
	struct raft_message message = from->message;
	struct raft_entry *entries =
	    mem_zalloc(from->log.count, sizeof(*entries));

	for (size_t i = 0; i < from->log.count; i++)
		entries[i] = from->log.entries[i].entry;
	message.entries = entries;
	solo_message_copy(to, &message);
	free(entries);
}

/* Remembers a letter that is under way. */
static void
keep_letter(struct stage *stage, struct slice *input)
{
	struct cluster *cluster = &stage->cluster;
	struct solo_message *place = &stage->kept[stage->kept_count % KEPT_MAX];

	if (cluster->letters_count == 0)
		return;
	if (stage->kept_count >= KEPT_MAX)
		free(place->log.entries);
	copy_letter(place, &cluster
				->letters[fuzz_take_below(
				    input, (unsigned)cluster->letters_count)]
				.letter);
	stage->kept_count++;
}

/* It arrives once more, maybe after all else that is under way. */
static void
repeat_letter(struct stage *stage, struct slice *input)
{
	struct cluster *cluster = &stage->cluster;
	unsigned count = MIN(stage->kept_count, KEPT_MAX);
	struct cluster_letter letter = {
		.arrives_at =
		    cluster->now + (uint64_t)fuzz_take_u8(input) * 100,
		.number = cluster->letters_number++,
	};

	if (count == 0)
		return;
	copy_letter(
	    &letter.letter, &stage->kept[fuzz_take_below(input, count)]);
	if (cluster->letters_count == cluster->letters_capacity) {
		cluster->letters_capacity =
		    MAX(16, cluster->letters_capacity * 2);
		cluster->letters = mem_realloc(cluster->letters,
		    cluster->letters_capacity, sizeof(*cluster->letters));
	}
	cluster->letters[cluster->letters_count++] = letter;
}

static void
change_member(struct stage *stage, struct slice *input, raft_id id)
{
	struct raft_member member = {
		.id = take_node(input),
		.role_new = fuzz_take_below(input, 2) == 0
				? RAFT_MEMBER_VOTER
				: RAFT_MEMBER_LEARNER,
	};

	(void)cluster_set_member(&stage->cluster, id, &member);
}

/* Of a node that is up. */
static void
ask(struct stage *stage, struct slice *input, unsigned what, raft_id id)
{
	struct cluster *cluster = &stage->cluster;

	switch (what) {
	case 0: (void)cluster_propose(cluster, id, 10); break;
	case 1: (void)cluster_read(cluster, id, ++stage->reads); break;
	case 2: (void)cluster_transfer(cluster, id, take_node(input)); break;
	case 3: change_member(stage, input, id); break;
	case 4:
		(void)solo_compact(
		    solo_of(stage, id), solo_of(stage, id)->disk.applied_index);
		break;
	default: cluster_crash(cluster, id); break;
	}
}

static void
happen(struct stage *stage, struct slice *input, unsigned what)
{
	struct cluster *cluster = &stage->cluster;
	raft_id id = take_node(input);

	switch (what % 16) {
	case 0:
	case 1:
	case 2: cluster_run(cluster, RUN_US); break;
	case 3: cluster_run(cluster, SOLO_ELECTION_TIMEOUT); break;
	case 4: keep_letter(stage, input); break;
	case 5: repeat_letter(stage, input); break;
	case 6: cluster_isolate(cluster, id); break;
	case 7: cluster_heal(cluster); break;
	case 8: (void)cluster_step(cluster); break;
	case 9: cluster->drop_percent = fuzz_take_below(input, 30); break;
	default:
		if (solo_of(stage, id)->raft == NULL)
			cluster_boot(cluster, id);
		else
			ask(stage, input, what % 16 - 10, id);
		break;
	}
}

/* ---- What a liar says ---- */

/* Near to what the node knows, or to what it must refuse. */
static uint64_t
take_number(struct slice *input, const struct raft_status *status)
{
	const uint64_t numbers[] = { 0, 1, status->term, status->term + 1,
		status->term - 1, status->last_index, status->last_index + 1,
		status->commit_index, status->commit_index + 1,
		status->compacted_index, status->applied_index,
		status->members_index, status->round, RAFT_NUMBER_MAX,
		RAFT_NUMBER_MAX + 1, UINT64_MAX };
	unsigned choice = fuzz_take_u8(input);

	if (choice < ARRAY_COUNT(numbers))
		return numbers[choice];
	return choice % 32;
}

static void
take_members(struct slice *input, struct raft_members *members)
{
	*members = (struct raft_members){
		.count = fuzz_take_below(input, 5),
		.joint = fuzz_take_below(input, 2) != 0,
	};
	for (unsigned i = 0; i < members->count; i++) {
		unsigned roles = fuzz_take_u8(input);

		members->member[i] = (struct raft_member){
			.id = i + 1 + roles / 128,
			.role_old = (enum raft_member_role)(roles % 4),
			.role_new = (enum raft_member_role)(roles / 4 % 4),
			.replaces = roles / 16 % 4,
		};
	}
}

static void
take_entries(struct slice *input, const struct raft_status *status,
    struct raft_message *message, struct raft_entry *entries,
    struct raft_members *members)
{
	message->entries_count = fuzz_take_below(input, ENTRIES_MAX + 1);
	message->entries = entries;
	for (uint32_t i = 0; i < message->entries_count; i++) {
		unsigned type = fuzz_take_below(input, 5);

		entries[i] = (struct raft_entry){
			.term = take_number(input, status),
			.type = (enum raft_entry_type)type,
			.size = 10,
		};
		if (type == RAFT_ENTRY_MEMBERS) {
			take_members(input, &members[i]);
			entries[i].members = &members[i];
		}
	}
}

/* The members that only an answer to an append has. */
static void
take_append_answer(struct slice *input, const struct raft_status *status,
    struct raft_message *message)
{
	message->promise = take_number(input, status);
	message->match_index = take_number(input, status);
	message->rejected_index = take_number(input, status);
	message->hint_index = take_number(input, status);
	message->hint_term = take_number(input, status);
	message->snapshot_wanted = take_number(input, status);
}

static void
take_message(struct slice *input, const struct solo *solo,
    const struct raft_status *status, struct raft_message *message)
{
	unsigned flags = fuzz_take_u8(input);
	unsigned from = fuzz_take_below(input, 8);

	*message = (struct raft_message){
		.kind = (enum raft_message_kind)fuzz_take_below(input, 11),
		.from = from,
		.to = flags < 250 ? solo->params.id : flags,
		.term = take_number(input, status),
		.boot_id = (flags & 1) != 0 ? 1000000 * from + 1 : flags / 2,
		.to_boot_id = (flags & 2) != 0
				  ? solo->params.id * 1000000 + solo->boot_id
				  : 0,
		.sequence = take_number(input, status),
		.last_index = take_number(input, status),
		.last_term = take_number(input, status),
		.transfer = (flags & 4) != 0,
		.granted = (flags & 8) != 0,
		.success = (flags & 8) != 0,
		.repairing = (flags & 16) != 0,
		.prev_index = take_number(input, status),
		.prev_term = take_number(input, status),
		.commit_index = take_number(input, status),
		.everywhere_index = take_number(input, status),
		.round = take_number(input, status),
		.sent_at = solo->now - (flags & 32),
		.read_index = take_number(input, status),
	};
}

/* What no member sends, for its own core would refuse it. */
static bool
can_be_written(const struct raft_message *message)
{
	const uint64_t numbers[] = { message->from, message->to, message->term,
		message->sequence, message->last_index, message->last_term,
		message->prev_index, message->prev_term, message->commit_index,
		message->everywhere_index, message->round, message->sent_at,
		message->read_index, message->promise, message->match_index,
		message->rejected_index, message->hint_index,
		message->hint_term, message->snapshot_wanted };

	for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
		if (numbers[i] > RAFT_NUMBER_MAX)
			return false;
	}
	return message->kind >= RAFT_PREVOTE_REQUEST &&
	       message->kind <= RAFT_READ_RESPONSE;
}

/* On the wire it is the same. */
static void
check_wire(const struct raft_message *message)
{
	struct node_entry entry[ENTRIES_MAX] = { 0 };
	struct node_entry *entries[ENTRIES_MAX];
	struct wire_records records;
	struct raft_message decoded;
	struct buf once = { 0 };
	struct buf twice = { 0 };

	if (!can_be_written(message))
		return;
	for (unsigned i = 0; i < ENTRIES_MAX; i++) {
		entry[i].record = slice_from_text("record");
		entries[i] = &entry[i];
	}
	wire_records_init(&records, ENTRIES_MAX);
	wire_append_message(&once, message, entries);
	ASSERT(wire_decode_message(buf_slice(&once), &records, &decoded) == 0);
	wire_append_message(&twice, &decoded, entries);
	ASSERT(slice_equal(buf_slice(&once), buf_slice(&twice)));
	for (unsigned i = 0; i < ENTRIES_MAX; i++)
		free(entry[i].wire_text);
	wire_records_release(&records);
	buf_release(&once);
	buf_release(&twice);
}

static void
check_forward(const struct solo *solo, const struct raft_status *before)
{
	struct raft_status after = solo_status(solo);

	ASSERT(after.term >= before->term);
	ASSERT(after.commit_index >= before->commit_index);
	ASSERT(after.applied_index >= before->applied_index);
	if (after.term == before->term && before->vote != 0)
		ASSERT(after.vote == before->vote);
	if (before->role == RAFT_STOPPED)
		ASSERT(after.role == RAFT_STOPPED);
}

static void
lie(struct slice *input, struct solo *solo)
{
	struct raft_status before = solo_status(solo);
	uint64_t digest = raft_digest(solo->raft);
	struct raft_entry entries[ENTRIES_MAX];
	struct raft_members members[ENTRIES_MAX];
	struct raft_message message;
	struct raft_accepted accepted;
	int error;

	take_message(input, solo, &before, &message);
	if (message.kind == RAFT_APPEND_REQUEST)
		take_entries(input, &before, &message, entries, members);
	if (message.kind == RAFT_APPEND_RESPONSE)
		take_append_answer(input, &before, &message);
	check_wire(&message);
	error = solo_receive(solo, &message, &accepted);
	ASSERT(error == 0 || error == ERR_INVALID);
	if (error != 0)
		ASSERT(raft_digest(solo->raft) == digest);
	solo_settle(solo);
	check_forward(solo, &before);
	solo_clear(solo);
}

static void
listen_to_lies(struct slice *input, struct solo *solo)
{
	solo_settle(solo);
	solo_clear(solo);
	for (unsigned i = 0; i < FORGED_MAX && input->size > 0; i++) {
		unsigned what = fuzz_take_u8(input);

		if (what < 200)
			lie(input, solo);
		else if (what < 230)
			solo_timeout(solo);
		else
			solo_advance(solo, what * 100);
	}
}

/* ---- Input ---- */

static void
stage_release(struct stage *stage)
{
	for (unsigned i = 0; i < MIN(stage->kept_count, KEPT_MAX); i++)
		free(stage->kept[i].log.entries);
	cluster_release(&stage->cluster);
}

void
fuzz_raft_step(struct slice input)
{
	struct stage stage = { .reads = 0 };
	raft_id victim;

	cluster_init(&stage.cluster, NODES_COUNT, fuzz_take_u8(&input));
	cluster_boot_all(&stage.cluster);
	(void)cluster_elect(&stage.cluster, 100 * SOLO_ELECTION_TIMEOUT);
	for (unsigned i = 0; i < EVENTS_MAX && input.size > 0; i++) {
		unsigned what = fuzz_take_u8(&input);

		if (what >= 250)
			break;
		happen(&stage, &input, what);
	}
	victim = take_node(&input);
	if (solo_of(&stage, victim)->raft != NULL)
		listen_to_lies(&input, solo_of(&stage, victim));
	stage_release(&stage);
}
