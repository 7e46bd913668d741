/*
 * Messages of peers, decoded and given to a cluster of three that runs. The
 * input is a list of what happens. At first all of it is what a network and
 * disks may do (old letters come again, late or twice, nodes crash, links are
 * cut), and the invariants of tests/lib/raft_cluster.h hold. Behind that, one
 * node gets whatever the input makes up, of a member that lies: then the rest
 * of the cluster is of no interest, but that node neither asserts, nor goes
 * back, nor is changed by what it calls malformed. That it stops where it is
 * told of two histories is what it should do.
 */

#include "common/macros.h"
#include "common/mem.h"
#include "common/panic.h"
#include "net/wire.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/raft_cluster.h"

#include <stddef.h>
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
		unsigned what = fuzz_take_u8(input);

		entries[i] = (struct raft_entry){
			.term = what < 200 ? message->term
					   : take_number(input, status),
			.type = (enum raft_entry_type)(what % 5),
			.size = 10,
		};
		if (entries[i].type == RAFT_ENTRY_MEMBERS) {
			take_members(input, &members[i]);
			entries[i].members = &members[i];
		}
	}
}

/* One that a member could send that knows all that this node does. */
static struct raft_message
make_message(const struct solo *solo, const struct raft_status *status,
    enum raft_message_kind kind, raft_id from)
{
	raft_term last_term = solo_term(solo, status->last_index);
	const struct raft_message *asked = &solo->appended[from];

	if (status->last_index == status->compacted_index)
		last_term = solo->disk.compacted_term;
	return (struct raft_message){
		.kind = kind,
		.from = from,
		.to = solo->params.id,
		.term = status->term + (kind == RAFT_VOTE_REQUEST),
		.boot_id = 1000000 * from + 1,
		.to_boot_id = solo->params.id * 1000000 + solo->boot_id,
		.sequence = asked->sequence + 1000,
		.last_index = status->last_index,
		.last_term = last_term,
		.prev_index = status->last_index,
		.prev_term = last_term,
		.commit_index = status->last_index,
		.everywhere_index = status->commit_index,
		.round = asked->round,
		.sent_at = asked->sent_at,
		.read_index = status->commit_index,
		.match_index = asked->prev_index,
		.success = true,
		.granted = true,
	};
}

/* The numbers of a message, in which it may differ from that. */
#define FIELD(name) offsetof(struct raft_message, name)
static const size_t fields[] = { FIELD(from), FIELD(to), FIELD(term),
	FIELD(boot_id), FIELD(to_boot_id), FIELD(sequence), FIELD(last_index),
	FIELD(last_term), FIELD(prev_index), FIELD(prev_term),
	FIELD(commit_index), FIELD(everywhere_index), FIELD(round),
	FIELD(sent_at), FIELD(read_index), FIELD(promise), FIELD(match_index),
	FIELD(rejected_index), FIELD(hint_index), FIELD(hint_term),
	FIELD(snapshot_wanted), FIELD(state_index), FIELD(agreed_index) };

static void
take_message(struct slice *input, const struct solo *solo,
    const struct raft_status *status, struct raft_message *message)
{
	unsigned kind = fuzz_take_below(input, 11);
	raft_id from = take_node(input);
	unsigned changes = fuzz_take_below(input, 5);
	unsigned flags = fuzz_take_u8(input);

	*message =
	    make_message(solo, status, (enum raft_message_kind)kind, from);
	message->transfer = (flags & 1) != 0;
	message->granted = (flags & 2) == 0;
	message->success = (flags & 4) == 0;
	message->repairing = (flags & 8) != 0;
	while (changes-- > 0) {
		size_t field = fields[fuzz_take_below(
		    input, (unsigned)ARRAY_COUNT(fields))];
		uint64_t number = take_number(input, status);

		memcpy((uint8_t *)message + field, &number, sizeof(number));
	}
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
		message->hint_term, message->snapshot_wanted,
		message->state_index, message->agreed_index };

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

/* Terms never fall along a log (section 5.3). */
static void
check_terms(const struct solo *solo, const struct raft_status *status)
{
	raft_term before = 0;

	for (raft_index i = status->compacted_index + 1;
	     i <= status->last_index; i++) {
		raft_term term = solo_term(solo, i);

		ASSERT(term >= before);
		ASSERT(term <= status->term);
		before = term;
	}
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
	check_terms(solo, &after);
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
	check_wire(&message);
	error = solo_receive(solo, &message, &accepted);
	if (error == ERR_INVALID)
		ASSERT(raft_digest(solo->raft) == digest);
	else if (error == ERR_STOPPED)
		ASSERT(solo_status(solo).role == RAFT_STOPPED);
	else
		ASSERT(error == 0);
	solo_settle(solo);
	check_forward(solo, &before);
	solo_clear(solo);
}

static void
listen_to_lies(struct slice *input, struct solo *solo)
{
	solo_settle(solo);
	solo_clear(solo);
	for (unsigned i = 0; i < FORGED_MAX && input->size > 0 &&
			     solo_status(solo).role != RAFT_STOPPED;
	     i++) {
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
