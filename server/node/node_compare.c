#include "node/node_compare.h"

#include "common/macros.h"

#include <string.h>

void
node_compare_clear(struct node_compare *compare)
{
	memset(compare, 0, sizeof(*compare));
}

/* ---- Samples ---- */

static struct node_sample *
ring_at(struct node_compare *compare, raft_index index)
{
	size_t place = index / NODE_SAMPLE_INTERVAL;

	return &compare->ring[place & (NODE_SAMPLES_COUNT - 1)];
}

/* The hash at an index that was applied here; false: it is not known. */
static bool
find(const struct node_compare *compare, const struct node_sample *state,
    raft_index index, uint64_t *ret_hash)
{
	size_t place = index / NODE_SAMPLE_INTERVAL;
	const struct node_sample *sample =
	    &compare->ring[place & (NODE_SAMPLES_COUNT - 1)];

	if (index == 0)
		return false;
	if (index == state->index)
		sample = state;
	if (sample->index != index)
		return false;
	*ret_hash = sample->hash;
	return true;
}

bool
node_compare_wants(const struct node_compare *compare, raft_index index)
{
	return index % NODE_SAMPLE_INTERVAL == 0 ||
	       index == compare->awaited.index;
}

void
node_compare_note(struct node_compare *compare, const struct node_sample *state)
{
	if (state->index % NODE_SAMPLE_INTERVAL == 0)
		*ring_at(compare, state->index) = *state;
	if (state->index != compare->awaited.index)
		return;
	if (state->hash != compare->awaited.hash)
		compare->differs_at = state->index;
	compare->awaited.index = 0;
}

/* ---- Leader ---- */

/* What every voter answers next: 1 for those who gave this hash. */
static bool
has_majority(const struct node_compare *compare,
    const struct raft_members *members, uint64_t hash)
{
	uint64_t said[RAFT_MEMBERS_MAX] = { 0 };

	for (unsigned i = 0; i < members->count; i++) {
		for (unsigned k = 0; k < compare->answers_count; k++) {
			if (compare->answers[k].id == members->member[i].id &&
			    compare->answers[k].hash == hash)
				said[i] = 1;
		}
	}
	return raft_quorum_value(members, said) == 1;
}

static void
judge(struct node_compare *compare, const struct raft_members *members)
{
	for (unsigned i = 0; i < compare->answers_count; i++) {
		uint64_t hash = compare->answers[i].hash;

		if (!has_majority(compare, members, hash))
			continue;
		compare->decided = true;
		compare->agreed = (struct node_sample){
			.index = compare->question.index,
			.hash = hash,
		};
		if (hash != compare->question.hash)
			compare->differs_at = compare->question.index;
		return;
	}
}

/* The question was not decided: is that because voters differ? */
static void
look_for_split(struct node_compare *compare, const struct raft_members *members)
{
	const struct node_answer_hash *first = NULL;

	for (unsigned i = 0; i < compare->answers_count; i++) {
		const struct node_answer_hash *answer = &compare->answers[i];

		if (!raft_members_voter(members, answer->id))
			continue;
		if (first == NULL)
			first = answer;
		if (answer->hash == first->hash)
			continue;
		compare->split_told = true;
		compare->split = (struct node_split){
			.index = compare->question.index,
			.a = first->id,
			.b = answer->id,
		};
		return;
	}
}

/* The newest that was not asked yet; index 0: none. */
static struct node_sample
next_question(const struct node_compare *compare,
    const struct node_compare_leader *leader)
{
	const struct node_sample *state = &leader->state;
	struct node_sample next = {
		.index = state->index - state->index % NODE_SAMPLE_INTERVAL,
	};

	if (next.index > compare->question.index &&
	    find(compare, state, next.index, &next.hash))
		return next;
	if (leader->idle && state->index > compare->question.index)
		return *state;
	return (struct node_sample){ .index = 0 };
}

static void
ask_next(struct node_compare *compare, const struct node_compare_leader *leader)
{
	struct node_sample next = next_question(compare, leader);

	if (next.index == 0)
		return;
	compare->question = next;
	compare->asked_at = leader->now;
	compare->decided = false;
	compare->answers_count = 1;
	compare->answers[0] = (struct node_answer_hash){
		.id = leader->id,
		.hash = next.hash,
	};
}

static void
begin_term(struct node_compare *compare, raft_term term)
{
	compare->term = term;
	compare->question.index = 0;
	compare->decided = true; /* there is none */
	compare->agreed.index = 0;
	compare->split_told = false;
}

void
node_compare_ask(struct node_compare *compare,
    const struct node_compare_leader *leader, struct raft_message *request)
{
	bool late;

	if (compare->term != leader->term)
		begin_term(compare, leader->term);
	late = !compare->decided &&
	       leader->now - MIN(leader->now, compare->asked_at) >=
		   leader->patience;
	if (late && !compare->split_told)
		look_for_split(compare, leader->members);
	if (late || compare->decided)
		ask_next(compare, leader);
	if (!compare->decided)
		request->state_index = compare->question.index;
	request->agreed_index = compare->agreed.index;
	request->agreed_hash = compare->agreed.hash;
}

/* The first answer of a member counts; NULL: there is no room. */
static void
take_answer(struct node_compare *compare, raft_id id, uint64_t hash)
{
	for (unsigned i = 0; i < compare->answers_count; i++) {
		if (compare->answers[i].id == id)
			return;
	}
	if (compare->answers_count < RAFT_MEMBERS_MAX)
		compare->answers[compare->answers_count++] =
		    (struct node_answer_hash){ .id = id, .hash = hash };
}

void
node_compare_hear(struct node_compare *compare,
    const struct raft_members *members, const struct raft_message *response)
{
	if (compare->term != response->term || compare->decided ||
	    response->state_index == 0 ||
	    response->state_index != compare->question.index ||
	    raft_members_find(members, response->from) < 0)
		return;
	take_answer(compare, response->from, response->state_hash);
	judge(compare, members);
}

/* ---- Follower ---- */

void
node_compare_obey(struct node_compare *compare, const struct node_sample *state,
    const struct raft_message *request)
{
	const struct node_sample agreed = {
		.index = request->agreed_index,
		.hash = request->agreed_hash,
	};
	uint64_t hash;

	compare->asked_by = request->from;
	compare->asked_index = request->state_index;
	/* The one that is awaited is reached first, so that a member which is
	 * always a little behind is judged as well. */
	if (agreed.index > state->index) {
		if (compare->awaited.index <= state->index)
			compare->awaited = agreed;
		return;
	}
	if (find(compare, state, agreed.index, &hash) && hash != agreed.hash)
		compare->differs_at = agreed.index;
}

void
node_compare_answer(const struct node_compare *compare,
    const struct node_sample *state, struct raft_message *response)
{
	uint64_t hash;

	if (response->to != compare->asked_by ||
	    !find(compare, state, compare->asked_index, &hash))
		return;
	response->state_index = compare->asked_index;
	response->state_hash = hash;
}
