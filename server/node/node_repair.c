/*
 * From two stores that may be damaged to a log and a state machine that fit.
 * What is damaged is never guessed: it is cut away, and the others have it.
 *
 *	hard state damaged, or not this log's   what was promised is not known:
 *	                                        ERR_CORRUPT
 *	entry damaged that the state holds      the log begins behind the state
 *	entry damaged behind the state          the log ends before it, and the
 *	                                        hard state says how far it went:
 *	                                        until it has that again, the core
 *	                                        votes only for who has it
 *	state damaged, or of another history    an empty data store takes its
 *	                                        place: the log is replayed or, if
 *	                                        its beginning is cut, a snapshot
 *	                                        has to come
 *	state ahead of the log                  the log has lost its end, and what
 *	                                        else is not known: ERR_CORRUPT
 *
 * One commit of the log does it, at the open, before anything is sent.
 */

#include "common/panic.h"
#include "node/node_impl.h"
#include "node/node_snapshot.h"

#include <inttypes.h>
#include <stdio.h>

struct opening {
	struct node *node;
	const struct node_visitor *visitor;
	void *context;
	raft_index front; /* the entry for which the front was cut; 0: none */
	raft_index bad;   /* the entry from which on the end is cut; 0: none */
	const char *data; /* what is wrong with the data store; NULL: nothing */
	char *why;
	size_t size;
};

/* ---- Data ---- */

static void
close_data(struct node *node)
{
	kv_close(node->kv);
	node->kv = NULL;
	store_close(node->data_store);
	node->data_store = NULL;
}

static int
open_generation(struct opening *opening, uint64_t generation, bool empty)
{
	struct node *node = opening->node;
	const struct node_host *host = &node->host;
	int error;

	error = host->open_data(
	    host->context, generation, empty, &node->data_store);
	if (error == 0)
		error = kv_open(node->data_store, true, &node->kv);
	if (error != 0) {
		close_data(node);
		snprintf(
		    opening->why, opening->size, "data: %s", err_text(error));
	}
	return error;
}

/* The data store that the log names. */
static int
open_data(struct opening *opening)
{
	struct node *node = opening->node;
	struct node_log_state state;
	int error;

	node_log_get_state(node->log, &state);
	error = open_generation(opening, state.data_generation, false);
	if (error == ERR_CORRUPT) {
		opening->data = "is damaged";
		return 0;
	}
	if (error != 0)
		return error;
	/* Only what is durable in the log is applied: it went back in time. */
	if (kv_applied_index(node->kv) > state.durable_index) {
		snprintf(opening->why, opening->size,
		    "the data holds entry %" PRIu64
		    " but the log ends at %" PRIu64
		    ": entries were lost, and votes with them",
		    kv_applied_index(node->kv), state.durable_index);
		return ERR_CORRUPT;
	}
	return 0;
}

/* The data's note of the last entry that it holds. */
static int
read_base(const struct node *node, struct node_log_base *ret_base)
{
	struct slice bytes;
	int error;

	error = kv_get_meta(node->kv, NODE_BASE_META, &bytes);
	if (error == 0)
		error = node_base_decode(bytes, ret_base);
	if (error == 0 && ret_base->index != kv_applied_index(node->kv))
		error = ERR_CORRUPT;
	return error == ERR_NOT_FOUND ? ERR_CORRUPT : error;
}

/* Is the state one of this log's history? Gives its base, if it has one. */
static int
judge_data(struct opening *opening, struct node_log_base *ret_base)
{
	struct node *node = opening->node;
	struct node_log_state state;
	int error;

	*ret_base = (struct node_log_base){ .index = 0 };
	if (opening->data != NULL)
		return 0;
	node_log_get_state(node->log, &state);
	if (kv_applied_index(node->kv) < state.compacted_index) {
		opening->data = "ends before the log begins";
		return 0;
	}
	if (kv_applied_index(node->kv) == 0)
		return 0;
	error = read_base(node, ret_base);
	if (error == 0)
		error = node_log_prove(node->log, ret_base);
	if (error != ERR_CORRUPT && error != ERR_MISMATCH)
		return error;
	opening->data = "is not proved to be of the log's history";
	return 0;
}

/* ---- Log ---- */

static int
load(struct opening *opening, const struct node_log_base *front)
{
	return node_log_load(opening->node->log, front, opening->visitor->visit,
	    opening->context, &opening->bad, opening->why, opening->size);
}

/* An entry that the state holds is not missed. */
static int
load_log(struct opening *opening, const struct node_log_base *base)
{
	int error;

	error = load(opening, NULL);
	if (error != 0 || opening->bad == 0 || opening->data != NULL ||
	    opening->bad > base->index)
		return error;
	opening->front = opening->bad;
	opening->visitor->forget(opening->context);
	return load(opening, base);
}

/* ---- Who else has it? ---- */

static bool
has_voter_but(const struct raft_members *members, raft_id id)
{
	for (unsigned i = 0; i < members->count; i++) {
		const struct raft_member *member = &members->member[i];

		if (member->id != id &&
		    (member->role_old == RAFT_MEMBER_VOTER ||
			member->role_new == RAFT_MEMBER_VOTER))
			return true;
	}
	return false;
}

/* As far as it is known here: of the log or its note, whichever is newer, else
 * the identity. */
static bool
is_only_voter(const struct opening *opening)
{
	struct node *node = opening->node;
	const struct raft_members *logged =
	    opening->visitor->last_members(opening->context);
	struct slice note = node_log_get_members(node->log);
	uint8_t cluster_id[NODE_NONCE_SIZE];
	struct node_membership membership;

	if (note.size == 0 ||
	    node_membership_note_decode(note, cluster_id, &membership) != 0)
		node_base_membership(node, &membership);
	/* The log may have been cut before the newest. */
	if (logged != NULL && logged->index > membership.roles.index)
		return !has_voter_but(logged, node->id);
	return !has_voter_but(&membership.roles, node->id);
}

/* ---- Repair ---- */

bool
node_state_lost(const struct node *node)
{
	struct node_log_state state;

	node_log_get_state(node->log, &state);
	return kv_applied_index(node->kv) < state.compacted_index;
}

static void
describe_log(const struct opening *opening)
{
	struct node *node = opening->node;
	struct node_log_state state;
	char *text = node->repairs[NODE_REPAIR_LOG];

	node_log_get_state(node->log, &state);
	if (opening->bad != 0)
		snprintf(text, NODE_REPAIR_TEXT_SIZE,
		    "log entry %" PRIu64 " is damaged or missing: the log is "
		    "cut there, and the leader sends what it held up to entry "
		    "%" PRIu64 "; until then this node is not elected; no "
		    "operator is needed",
		    opening->bad, state.repair_until);
	else if (opening->front != 0)
		snprintf(text, NODE_REPAIR_TEXT_SIZE,
		    "log entry %" PRIu64 " is damaged or missing, but the data "
		    "holds what it did: the log now begins behind entry "
		    "%" PRIu64 "; nothing is lost, no operator is needed",
		    opening->front, state.compacted_index);
}

static void
describe_data(const struct opening *opening)
{
	struct node *node = opening->node;
	char *text = node->repairs[NODE_REPAIR_DATA];

	if (opening->data != NULL)
		snprintf(text, NODE_REPAIR_TEXT_SIZE,
		    "the data store %s: it is made anew from %s; no operator "
		    "is needed",
		    opening->data,
		    node_state_lost(node) ? "a snapshot of the leader"
					  : "the log");
}

static int
refuse(const struct opening *opening)
{
	if (opening->bad != 0)
		snprintf(opening->why, opening->size,
		    "log entry %" PRIu64 " is damaged or missing, and this "
		    "node is the only voter: put back a data-dir that is whole",
		    opening->bad);
	else
		snprintf(opening->why, opening->size,
		    "the data store %s, and this node is the only voter: put "
		    "back a data-dir that is whole",
		    opening->data);
	return ERR_STOPPED;
}

/* An empty store, of a generation that was never in use. */
static int
replace_data(struct opening *opening, uint64_t generation)
{
	close_data(opening->node);
	return open_generation(opening, generation, true);
}

/* What is cut from the front may be the entry that it came from. */
static int
keep_members(const struct opening *opening)
{
	struct slice note;
	int error;

	if (opening->data != NULL)
		return 0;
	error = kv_get_meta(opening->node->kv, NODE_MEMBERSHIP_META, &note);
	if (error == 0)
		node_log_note_members(opening->node->log, note);
	if (error == 0 || error == ERR_NOT_FOUND)
		return 0;
	snprintf(opening->why, opening->size, "data: membership: %s",
	    err_text(error));
	return error;
}

static int
repair(struct opening *opening)
{
	struct node *node = opening->node;
	struct node_log_state state;
	bool was_empty;
	int error = 0;

	if (opening->bad == 0 && opening->front == 0 && opening->data == NULL)
		return 0;
	node_log_get_state(node->log, &state);
	if ((opening->bad != 0 ||
		(opening->data != NULL && state.compacted_index != 0)) &&
	    is_only_voter(opening))
		return refuse(opening);
	/* Of a start before: the snapshot has not come yet. */
	was_empty = node->kv != NULL && kv_applied_index(node->kv) == 0;
	if (opening->data != NULL && !was_empty)
		error = replace_data(opening, ++state.data_generation);
	if (error == 0)
		error = node_log_repair(node->log, state.data_generation,
		    opening->why, opening->size);
	if (error != 0)
		return error;
	describe_log(opening);
	describe_data(opening);
	return 0;
}

const char *
node_get_repair(const struct node *node, enum node_repair repair)
{
	return node->repairs[repair][0] == '\0' ? NULL : node->repairs[repair];
}

/* ---- All of it ---- */

int
node_repair_open(struct node *node, const struct node_visitor *visitor,
    void *context, char *why, size_t size)
{
	struct opening opening = {
		.node = node,
		.visitor = visitor,
		.context = context,
		.why = why,
		.size = size,
	};
	struct node_log_state state;
	struct node_log_base base;
	int error;

	error = node_log_open(node->log_store, node->params.cache_bytes_max,
	    &node->log, why, size);
	if (error == 0)
		error = open_data(&opening);
	if (error != 0)
		return error;
	error = judge_data(&opening, &base);
	if (error != 0) {
		snprintf(why, size, "data: %s", err_text(error));
		return error;
	}
	error = load_log(&opening, &base);
	if (error == 0)
		error = keep_members(&opening);
	if (error == 0)
		error = repair(&opening);
	if (error != 0)
		return error;
	/* Whatever else lies there is of no use. */
	node_log_get_state(node->log, &state);
	error = node->host.remove_data_but(
	    node->host.context, state.data_generation);
	if (error != 0)
		snprintf(
		    why, size, "removing data of before: %s", err_text(error));
	return error;
}
