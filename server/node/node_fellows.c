/*
 * Copies of directories, and old ones that were put back.
 *
 * A directory that lacks votes and acknowledgements which it once gave must
 * not take part: they may have counted. Three things give it away:
 *
 *	its starts are counted durably before it says anything, and the
 *	others remember, durably as well, the highest count that they have
 *	heard and the random id of that life: a lower count is a copy of
 *	before, and so is the same with another id, or a higher one if that
 *	life is not among those that the directory had, unless its log has
 *	more than was heard of that life
 *
 *	its durable term never goes back
 *
 *	its log holds what it has acknowledged to the present leader, or did
 *	before damage took it
 *
 * It is refused by whoever knows better, and each hello tells the receiver
 * what the sender knows of it: so it sees by itself that it is outdated, notes
 * that durably, and does not come back by being started more often. What nobody
 * has heard who is up, nobody can tell: a copy that meets no such member, or
 * that needs none, as it is of the time of a sole voter, is not recognised.
 *
 * Of two that run at a time, the one that was started more often counts, as it
 * does when a process is started again: messages of the other are not taken
 * any more, whatever connections it has. Members that are put back together,
 * all of one time, remember no more than what each of them is.
 */

#include "node/node_fellows.h"

#include "common/codec.h"
#include "common/hash.h"
#include "node/node_impl.h"

#include <inttypes.h>
#include <stdio.h>

enum { FELLOWS_VERSION = 1 };

/* ---- The record ---- */

static struct slice
fellows_key(void)
{
	return slice_from_text("fellows");
}

static int
decode(struct slice bytes, struct node_fellows *ret_fellows)
{
	struct node_fellows fellows = { .count = 0 };
	struct codec_reader reader;
	struct slice directory;
	struct slice summed;

	if (bytes.size < 4)
		return ERR_CORRUPT;
	summed = slice_of(bytes.data, bytes.size - 4);
	if (codec_load_u32(bytes.data + summed.size) != crc32c(0, summed))
		return ERR_CORRUPT;
	codec_reader_init(&reader, summed);
	if (codec_read_u8(&reader) != FELLOWS_VERSION)
		return ERR_VERSION;
	fellows.count = codec_read_u8(&reader);
	if (fellows.count > NODE_MEMBERS_MAX)
		return ERR_CORRUPT;
	for (unsigned i = 0; i < fellows.count; i++) {
		struct node_fellow *fellow = &fellows.fellow[i];

		fellow->id = codec_read_u64(&reader);
		directory = codec_read_raw(&reader, NODE_NONCE_SIZE);
		if (reader.failed)
			return ERR_CORRUPT;
		memcpy(fellow->directory, directory.data, NODE_NONCE_SIZE);
		fellow->member = codec_read_u8(&reader) != 0;
		fellow->incarnation = codec_read_u64(&reader);
		fellow->boot_id = codec_read_u64(&reader);
		fellow->term = codec_read_u64(&reader);
		fellow->last_index = codec_read_u64(&reader);
	}
	if (!codec_reader_done(&reader))
		return ERR_CORRUPT;
	*ret_fellows = fellows;
	return 0;
}

int
node_fellows_load(struct store *log, struct node_fellows *ret_fellows)
{
	struct store_txn *txn;
	struct slice bytes;
	int error;

	*ret_fellows = (struct node_fellows){ .count = 0 };
	error = store_begin(log, false, &txn);
	if (error != 0)
		return error;
	error = store_get(txn, NODE_TABLE_IDENTITY, fellows_key(), &bytes);
	if (error == 0)
		error = decode(bytes, ret_fellows);
	else if (error == ERR_NOT_FOUND)
		error = 0;
	store_abort(txn);
	return error;
}

static void
encode(struct buf *to, const struct node_fellows *fellows)
{
	codec_append_u8(to, FELLOWS_VERSION);
	codec_append_u8(to, (uint8_t)fellows->count);
	for (unsigned i = 0; i < fellows->count; i++) {
		const struct node_fellow *fellow = &fellows->fellow[i];

		codec_append_u64(to, fellow->id);
		buf_append(to, fellow->directory, NODE_NONCE_SIZE);
		codec_append_u8(to, fellow->member ? 1 : 0);
		codec_append_u64(to, fellow->incarnation);
		codec_append_u64(to, fellow->boot_id);
		codec_append_u64(to, fellow->term);
		codec_append_u64(to, fellow->last_index);
	}
	codec_append_u32(to, crc32c(0, buf_slice(to)));
}

static int
save(struct store *log, const struct node_fellows *fellows)
{
	struct buf bytes = { 0 };
	struct store_txn *txn;
	int error;

	error = store_begin(log, true, &txn);
	if (error != 0)
		return error;
	encode(&bytes, fellows);
	error = store_put(
	    txn, NODE_TABLE_IDENTITY, fellows_key(), buf_slice(&bytes));
	buf_release(&bytes);
	if (error != 0) {
		store_abort(txn);
		return error;
	}
	return store_commit(txn);
}

static const struct node_fellow *
find(const struct node_fellows *fellows, raft_id id)
{
	for (unsigned i = 0; i < fellows->count; i++) {
		if (fellows->fellow[i].id == id)
			return &fellows->fellow[i];
	}
	return NULL;
}

/* ---- Remembering ---- */

int
node_fellows_open(struct node *node, char *why, size_t size)
{
	int error = node_fellows_load(node->log_store, &node->fellows);

	if (error != 0)
		snprintf(why, size, "what is known of the other members: %s",
		    err_text(error));
	return error;
}

int
node_fellows_turn(struct node *node)
{
	int error;

	if (!node->fellows_changed)
		return 0;
	node->fellows_changed = false;
	error = save(node->log_store, &node->fellows);
	if (error != 0)
		return node_set_fault(node, error,
		    "what is known of the other members: %s", err_text(error));
	return 0;
}

/* The place of `id`; of one that is gone if there is no other. NULL: those
 * remembered are all members, and this one is none that is known here. */
static struct node_fellow *
place_of(struct node *node, raft_id id)
{
	struct node_fellows *fellows = &node->fellows;
	struct node_fellow *gone = NULL;

	for (unsigned i = 0; i < fellows->count; i++) {
		struct node_fellow *fellow = &fellows->fellow[i];

		if (fellow->id == id)
			return fellow;
		if (node_members_find(&node->active.members, fellow->id) ==
		    NULL)
			gone = fellow;
	}
	return fellows->count < NODE_MEMBERS_MAX
		   ? &fellows->fellow[fellows->count++]
		   : gone;
}

/* Hellos may overtake each other: one of the life that is known already says
 * nothing new, whatever its term and log. */
static bool
is_same_life(const struct node_fellow *fellow, const struct node_hello *hello)
{
	return fellow->incarnation == hello->incarnation &&
	       fellow->boot_id == hello->boot_id;
}

/* What is known of the directory that a hello is of; NULL: nothing. */
static const struct node_fellow *
find_same(const struct node *node, const struct node_hello *hello)
{
	const struct node_fellow *fellow = find(&node->fellows, hello->from);

	/* Before a cluster is founded, a directory may be begun anew. */
	if (fellow == NULL ||
	    memcmp(fellow->directory, hello->directory, NODE_NONCE_SIZE) != 0)
		return NULL;
	return fellow;
}

/* In memory; the next turn makes it durable before anything follows of it. */
void
node_remember_life(struct node *node, const struct node_hello *hello)
{
	const struct node_fellow *known = find_same(node, hello);
	struct node_fellow heard = {
		.id = hello->from,
		.member = hello->stage == NODE_HELLO_MEMBER,
		.incarnation = hello->incarnation,
		.boot_id = hello->boot_id,
		.term = hello->term,
		.last_index = hello->last_index,
	};
	struct node_fellow *place;

	memcpy(heard.directory, hello->directory, NODE_NONCE_SIZE);
	if (known != NULL && is_same_life(known, hello)) {
		heard.member |= known->member;
		if (heard.term < known->term) {
			heard.term = known->term;
			heard.last_index = known->last_index;
		}
		if (heard.member == known->member && heard.term == known->term)
			return;
	}
	place = place_of(node, hello->from);
	if (place == NULL)
		return;
	*place = heard;
	node->fellows_changed = true;
	node->again = true;
}

/* A session of the time when the sender waited to found the cluster goes on
 * when it is a member: then it shows by what it sends. */
bool
node_is_newest_life(struct node *node, raft_id id, uint64_t boot_id)
{
	for (unsigned i = 0; i < node->fellows.count; i++) {
		struct node_fellow *fellow = &node->fellows.fellow[i];

		if (fellow->id != id)
			continue;
		if (fellow->boot_id != boot_id)
			return false;
		node->fellows_changed |= !fellow->member;
		fellow->member = true;
	}
	return true;
}

/* ---- What is known of a log ---- */

/* What `id` acknowledged to this node in its present term, as its leader. */
static raft_index
acknowledged_here(const struct node *node, raft_id id)
{
	struct raft_peer_status peer;

	if (!node_is_leader(node) || node_get_peer(node, id, &peer) != 0)
		return 0;
	return peer.match_index;
}

/* The last entry that a log of this fellow, of a new life, must hold. */
static raft_index
known_last_index(const struct node *node, const struct node_hello *hello)
{
	struct raft_status status;

	if (node->raft == NULL)
		return 0;
	raft_get_status(node->raft, &status);
	/* In a later term it may have been cut for that term's leader. */
	return hello->term > status.term ? 0
					 : acknowledged_here(node, hello->from);
}

void
node_fellows_tell(const struct node *node, raft_id to, struct node_hello *hello)
{
	const struct node_fellow *fellow = find(&node->fellows, to);

	hello->known_last_index = acknowledged_here(node, to);
	if (fellow == NULL || !fellow->member)
		return;
	hello->known_incarnation = fellow->incarnation;
	hello->known_boot_id = fellow->boot_id;
}

/* ---- Judging others ---- */

static int
refuse_life(
    const struct node_hello *hello, const char *what, char *why, size_t size)
{
	const char *name = hello->name;

	snprintf(why, size,
	    "the data-dir of %s is an old copy (%s): put back the newest one, "
	    "or start it as a new node (say %sb) at another address with "
	    "node.join = wait and an empty node.data-dir, and POST "
	    "/cluster/replace?old=%s&new=%sb&address=ADDRESS",
	    name, what, name, name, name);
	return ERR_MISMATCH;
}

/*
 * Is that life none of those that the directory of a higher count had? What is
 * too long ago is believed.
 */
static bool
is_of_another_line(
    const struct node_hello *hello, const struct node_fellow *fellow)
{
	uint64_t since = hello->incarnation - fellow->incarnation;
	uint64_t boot_id;

	if (since > NODE_FORMER_LIVES)
		return false;
	boot_id = hello->former_boot_ids[since - 1];
	return boot_id != 0 && boot_id != fellow->boot_id;
}

/*
 * It has more than that life had at its start, and so is no copy of before: it
 * was that life which was one, heard where nobody knew better.
 */
static bool
is_further(const struct node_hello *hello, const struct node_fellow *fellow)
{
	if (hello->term != fellow->term)
		return hello->term > fellow->term;
	return hello->last_index > fellow->last_index;
}

static int
refuse_starts(const struct node *node, const struct node_fellow *fellow,
    const struct node_hello *hello, char *why, size_t size)
{
	char what[160];

	if (hello->incarnation < fellow->incarnation)
		snprintf(what, sizeof(what),
		    "it was started %" PRIu64 " times, and %s has heard start "
		    "%" PRIu64 " of it",
		    hello->incarnation, node->identity.name,
		    fellow->incarnation);
	else
		snprintf(what, sizeof(what),
		    "%s has heard its start %" PRIu64
		    " of another copy, which may still run",
		    node->identity.name, fellow->incarnation);
	return refuse_life(hello, what, why, size);
}

static int
judge_log(const struct node *node, const struct node_hello *hello, char *why,
    size_t size)
{
	raft_index known = known_last_index(node, hello);
	char what[160];

	if (hello->last_index >= known)
		return 0;
	snprintf(what, sizeof(what),
	    "its log ends at entry %" PRIu64 ", and %s knows that it held "
	    "%" PRIu64,
	    hello->last_index, node->identity.name, known);
	return refuse_life(hello, what, why, size);
}

static int
judge_term(const struct node *node, const struct node_fellow *fellow,
    const struct node_hello *hello, char *why, size_t size)
{
	char what[160];

	if (hello->term >= fellow->term)
		return 0;
	snprintf(what, sizeof(what),
	    "its term is %" PRIu64 ", and %s has heard term %" PRIu64 " of it",
	    hello->term, node->identity.name, fellow->term);
	return refuse_life(hello, what, why, size);
}

/* It is none that is known. */
static int
judge_new_life(const struct node *node, const struct node_fellow *fellow,
    const struct node_hello *hello, char *why, size_t size)
{
	if (hello->incarnation <= fellow->incarnation ||
	    (is_of_another_line(hello, fellow) && !is_further(hello, fellow)))
		return refuse_starts(node, fellow, hello, why, size);
	/* Late is only who was not there before. */
	if (hello->stage == NODE_HELLO_FOUNDING && fellow->member)
		return refuse_life(hello,
		    "it waits to found the cluster, and was a member already",
		    why, size);
	return judge_term(node, fellow, hello, why, size);
}

int
node_judge_life(const struct node *node, const struct node_hello *hello,
    char *why, size_t size)
{
	const struct node_fellow *fellow = find_same(node, hello);
	int error = 0;

	if (fellow != NULL && is_same_life(fellow, hello))
		return 0;
	if (fellow != NULL)
		error = judge_new_life(node, fellow, hello, why, size);
	return error != 0 ? error : judge_log(node, hello, why, size);
}

/* ---- Judging ourselves ---- */

void
node_refuse_outdated(const struct node *node, char *why, size_t size)
{
	const char *name = node->identity.name;

	snprintf(why, size,
	    "this directory of node %s is an old copy: a newer one took part "
	    "in cluster %s since it was made, and what that did is not in it; "
	    "put back the newest one (or, if that runs as %s elsewhere by "
	    "mistake, stop it there and move it here), or start a new node "
	    "(say %sb) at another address with node.join = wait and an empty "
	    "node.data-dir, and POST "
	    "/cluster/replace?old=%s&new=%sb&address=ADDRESS",
	    name, node->identity.cluster, name, name, name, name);
}

static bool
is_outdated(const struct node *node, const struct node_hello *hello)
{
	const struct node_identity *identity = &node->identity;
	struct node_log_state log;

	if (hello->known_incarnation > identity->incarnation ||
	    (hello->known_incarnation == identity->incarnation &&
		hello->known_boot_id != node->params.boot_id))
		return true;
	node_log_get_state(node->log, &log);
	/* Of a leader that is none any more it may have been cut since. */
	return hello->term == log.term &&
	       hello->known_last_index >
		   MAX(log.durable_index, log.repair_until);
}

int
node_hear_own_life(
    struct node *node, const struct node_hello *hello, char *why, size_t size)
{
	if (!is_outdated(node, hello))
		return 0;
	if (!node->identity_changed)
		node_formation_outdate(node);
	node_refuse_outdated(node, why, size);
	return ERR_MISMATCH;
}
