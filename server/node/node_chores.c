/*
 * What a leader proposes by itself, once it has applied an entry of its term:
 *
 *	EXPIRE   when the first deadline is there, and for answers kept for
 *	         replays, which can wait
 *	MARK     while anything has a deadline and the log says nothing else:
 *	         the next leader counts on from the last stamp
 *	COMPACT  when history is too old or too large
 *
 * One of each is under way at a time, each of them bounded, and the next
 * follows at once if there is more to do. Without any of this to do an idle
 * cluster writes nothing and wakes up for nothing here.
 *
 * A leader that is cut off proposes as before, and nothing comes of it.
 */

#include "common/panic.h"
#include "node/node_impl.h"

#define US_S UINT64_C(1000000)

/* So late may an expiry be after a change of leaders, and the election. */
#define MARK_INTERVAL_US (5 * US_S)
/* Answers too old to be known may lie about so long in an idle cluster. */
#define REPLAYS_DELAY_US (60 * US_S)
/* What one command ends or deletes at most; its apply blocks all else. */
#define EXPIRE_MAX  1000
#define COMPACT_MAX 1000
/* History may be over its bounds by this part of them, so that many events go
 * at a time instead of one with each write. */
#define HISTORY_SLACK 8
/* Refused for now: the leadership is handed over, or too much is under way. */
#define RETRY_US (100 * UINT64_C(1000))

static void
on_done(struct node_write *write, enum node_outcome outcome,
    const struct kv_result *result)
{
	/* The state machine shows what came of it. */
	(void)write;
	(void)outcome;
	(void)result;
}

void
node_chores_init(struct node *node)
{
	struct node_chores *chores = &node->chores;
	struct node_write *const writes[] = { &chores->expire, &chores->mark,
		&chores->compact };

	for (unsigned i = 0; i < ARRAY_COUNT(writes); i++) {
		writes[i]->done = on_done;
		list_init(&writes[i]->link);
	}
	chores->due_at = RAFT_NEVER;
}

static bool
is_under_way(const struct node_write *write)
{
	return !list_empty(&write->link);
}

/* Whatever was under way belongs to another term. */
static void
forget(struct node_chores *chores)
{
	node_write_cancel(&chores->expire);
	node_write_cancel(&chores->mark);
	node_write_cancel(&chores->compact);
	chores->term = 0;
}

static void
want(struct node_chores *chores, raft_usec at)
{
	chores->due_at = MIN(chores->due_at, at);
}

/* False: refused. Not now, but later, if it is still to be done then. */
static bool
propose(struct node *node, raft_usec now, struct node_write *write,
    struct buf *command)
{
	int error = node_write(node, now, write, buf_slice(command));

	ASSERT(error != ERR_TOO_LARGE);
	buf_release(command);
	if (error != 0)
		node->chores.retry_at = now + RETRY_US;
	return error == 0;
}

/* ---- Expiry ---- */

/* ERR_NOT_FOUND is RAFT_NEVER. */
static int
look(int (*first)(struct kv *kv, uint64_t *ret_us), struct kv *kv,
    uint64_t *ret_us)
{
	int error = first(kv, ret_us);

	if (error != ERR_NOT_FOUND)
		return error;
	*ret_us = RAFT_NEVER;
	return 0;
}

/* Only what is applied changes when something is due. */
static int
look_at_deadlines(struct node *node)
{
	struct node_chores *chores = &node->chores;
	uint64_t replay_us;
	int error;

	if (chores->looked_index == kv_applied_index(node->kv))
		return 0;
	chores->looked_index = kv_applied_index(node->kv);
	error = look(kv_first_deadline, node->kv, &chores->deadline_us);
	if (error == 0)
		error = look(kv_first_replay, node->kv, &replay_us);
	if (error != 0)
		return error;
	chores->expire_us = chores->deadline_us;
	if (replay_us != RAFT_NEVER)
		chores->expire_us =
		    MIN(chores->expire_us, replay_us + REPLAYS_DELAY_US);
	return 0;
}

static void
expire_turn(struct node *node, raft_usec now)
{
	struct node_chores *chores = &node->chores;
	uint64_t time_us = node_stamp_time(node, now);
	struct buf command = { 0 };

	if (chores->expire_us == RAFT_NEVER || is_under_way(&chores->expire))
		return;
	if (chores->expire_us > time_us) {
		want(chores, node_stamp_due(node, chores->expire_us));
		return;
	}
	kv_encode_expire(&command, time_us, EXPIRE_MAX);
	(void)propose(node, now, &chores->expire, &command);
}

/* Any entry is as good as a mark. */
static void
mark_turn(struct node *node, raft_usec now)
{
	struct node_chores *chores = &node->chores;
	struct node_log_state log;
	struct buf command = { 0 };
	uint64_t due_us;

	if (chores->deadline_us == RAFT_NEVER || is_under_way(&chores->mark))
		return;
	node_log_get_state(node->log, &log);
	due_us = log.last_time_us + MARK_INTERVAL_US;
	if (due_us > node_stamp_time(node, now)) {
		want(chores, node_stamp_due(node, due_us));
		return;
	}
	kv_encode_mark(&command);
	(void)propose(node, now, &chores->mark, &command);
}

/* ---- Compaction ---- */

static bool
is_too_large(const struct node *node, uint64_t bytes)
{
	uint64_t most = node->params.history_bytes_max;

	return most != 0 && bytes > most + most / HISTORY_SLACK;
}

static int
find_compaction(
    struct node *node, uint64_t time_us, struct kv_compaction *ret_compaction)
{
	uint64_t age_us = node->params.history_age_us;
	uint64_t bytes_max = node->params.history_bytes_max;
	uint64_t oldest_us = 0;

	if (age_us != 0 && age_us < time_us)
		oldest_us = time_us - age_us;
	if (bytes_max == 0)
		bytes_max = UINT64_MAX;
	return kv_get_compaction(
	    node->kv, oldest_us, bytes_max, COMPACT_MAX, ret_compaction);
}

/* When the first event that stays will be too old; later ones will be so
 * later. */
static uint64_t
next_history_us(const struct node *node, uint64_t time_us,
    const struct kv_compaction *compaction)
{
	uint64_t age_us = node->params.history_age_us;
	uint64_t next_us = compaction->next_time_us;

	if (age_us == 0)
		return RAFT_NEVER;
	return (next_us == 0 ? time_us : next_us) + age_us +
	       age_us / HISTORY_SLACK;
}

static int
compact(struct node *node, raft_usec now, uint64_t time_us)
{
	struct node_chores *chores = &node->chores;
	struct buf command = { 0 };
	struct kv_compaction compaction;
	int error = find_compaction(node, time_us, &compaction);

	if (error != 0)
		return error;
	if (compaction.count != 0) {
		kv_encode_compact(
		    &command, compaction.revision, compaction.count);
		if (!propose(node, now, &chores->compact, &command))
			return 0;
	}
	/* What comes over the bounds meanwhile waits until it is enough: else
	 * a steady load had one with each write. */
	chores->compacting = compaction.more;
	chores->history_us = next_history_us(node, time_us, &compaction);
	return 0;
}

static int
compact_turn(struct node *node, raft_usec now)
{
	struct node_chores *chores = &node->chores;
	uint64_t time_us = node_stamp_time(node, now);
	struct kv_stats stats;
	int error = 0;

	kv_get_stats(node->kv, &stats);
	if (stats.history_count == 0 || is_under_way(&chores->compact))
		return 0;
	if (chores->compacting || chores->history_us <= time_us ||
	    is_too_large(node, stats.history_bytes))
		error = compact(node, now, time_us);
	if (error == 0 && !chores->compacting &&
	    chores->history_us != RAFT_NEVER)
		want(chores, node_stamp_due(node, chores->history_us));
	return error;
}

/* ---- The turn ---- */

static bool
may_propose(struct node *node)
{
	struct node_chores *chores = &node->chores;
	struct raft_status status;

	raft_get_status(node->raft, &status);
	if (status.role != RAFT_LEADER || status.term != node->time.term ||
	    kv_applied_index(node->kv) < node->time.first_index) {
		forget(chores);
		return false;
	}
	if (chores->term != status.term) {
		forget(chores);
		chores->term = status.term;
		chores->looked_index = 0;
		chores->history_us = 0;
		chores->compacting = false;
		chores->retry_at = 0;
	}
	return status.transfer_target == 0;
}

int
node_chores_turn(struct node *node, raft_usec now)
{
	struct node_chores *chores = &node->chores;
	int error;

	chores->due_at = RAFT_NEVER;
	if (!may_propose(node))
		return 0;
	if (now < chores->retry_at) {
		want(chores, chores->retry_at);
		return 0;
	}
	error = look_at_deadlines(node);
	if (error == 0) {
		expire_turn(node, now);
		mark_turn(node, now);
		error = compact_turn(node, now);
	}
	if (error != 0)
		return node_set_fault(
		    node, error, "state machine: %s", err_text(error));
	if (chores->retry_at > now)
		want(chores, chores->retry_at);
	return 0;
}
