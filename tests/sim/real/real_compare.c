/* What was sent against what came. */

#include "common/macros.h"
#include "tests/sim/real/real_stream.h"

/* Whatever a node puts into a message is for the other side, and must come,
 * but for log_epoch and entries, which are for the driver. */
static const char *
compare_fields(const struct raft_message *a, const struct raft_message *b)
{
#define COMPARE(member)                                                        \
	if (a->member != b->member)                                            \
		return #member;
	COMPARE(kind)
	COMPARE(from)
	COMPARE(to)
	COMPARE(term)
	COMPARE(boot_id)
	COMPARE(to_boot_id)
	COMPARE(sequence)
	COMPARE(last_index)
	COMPARE(last_term)
	COMPARE(transfer)
	COMPARE(granted)
	COMPARE(prev_index)
	COMPARE(prev_term)
	COMPARE(commit_index)
	COMPARE(everywhere_index)
	COMPARE(round)
	COMPARE(sent_at)
	COMPARE(entries_count)
	COMPARE(state_index)
	COMPARE(state_hash)
	COMPARE(agreed_index)
	COMPARE(agreed_hash)
	COMPARE(read_index)
	COMPARE(success)
	COMPARE(promise)
	COMPARE(match_index)
	COMPARE(rejected_index)
	COMPARE(hint_index)
	COMPARE(hint_term)
	COMPARE(repairing)
	COMPARE(snapshot_wanted)
#undef COMPARE
	return NULL;
}

const char *
real_compare_messages(const struct sim_packet *sent,
    const struct raft_message *came, const struct slice *records)
{
	const char *difference = compare_fields(&sent->message, came);

	for (uint32_t i = 0; difference == NULL && i < came->entries_count;
	     i++) {
		if (!slice_equal(sent->records[i], records[i]))
			difference = "records";
	}
	return difference;
}

static const char *
compare_members(const struct node_members *a, const struct node_members *b)
{
	if (a->count != b->count)
		return "members.count";
	for (unsigned i = 0; i < a->count; i++) {
		const struct node_member *one = &a->member[i];
		const struct node_member *other = &b->member[i];

		if (one->id != other->id ||
		    strcmp(one->name, other->name) != 0 ||
		    strcmp(one->address, other->address) != 0 ||
		    memcmp(one->directory, other->directory,
			sizeof(one->directory)) != 0)
			return "members.member";
	}
	return NULL;
}

const char *
real_compare_hellos(const struct node_hello *a, const struct node_hello *b)
{
#define COMPARE(member)                                                        \
	if (a->member != b->member)                                            \
		return #member;
#define COMPARE_BYTES(member)                                                  \
	if (memcmp(a->member, b->member, sizeof(a->member)) != 0)              \
		return #member;
#define COMPARE_TEXT(member)                                                   \
	if (strcmp(a->member, b->member) != 0)                                 \
		return #member;
	COMPARE(stage)
	COMPARE(from)
	COMPARE(to)
	COMPARE_TEXT(to_address)
	COMPARE(boot_id)
	COMPARE(incarnation)
	COMPARE_BYTES(former_boot_ids)
	COMPARE(term)
	COMPARE(last_index)
	COMPARE(generation)
	COMPARE(damaged)
	COMPARE_BYTES(cluster_id)
	COMPARE_BYTES(directory)
	COMPARE_BYTES(known_directory)
	COMPARE(known_incarnation)
	COMPARE(known_boot_id)
	COMPARE(known_last_index)
	COMPARE_TEXT(cluster)
	COMPARE_TEXT(name)
	COMPARE(members_index)
	COMPARE(to_votes)
#undef COMPARE
#undef COMPARE_BYTES
#undef COMPARE_TEXT
	return compare_members(&a->members, &b->members);
}
