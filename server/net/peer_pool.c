#include "net/peer_impl.h"

#include "common/err.h"
#include "common/mem.h"
#include "common/panic.h"

#include <stdlib.h>

/* A connection is kept so long for the answer to a cancelled request. */
#define CANCELLED_US UINT64_C(10000000)

/*
 * Connections to one member for forwarded requests, one at a time on each.
 * A request waits in pool->waiting until peers_forward() or
 * peer_pool_expire() finds a free connection for it. Dialled are as many as
 * requests wait, up to the limit; those that stay idle are closed. Patient ones
 * count for nothing in that limit: else a few clients that wait for a lock
 * would keep all others from the member.
 */
struct pooled {
	struct list link; /* in pool->connections, last used at the end */
	struct peer_dial dial;
	struct peers_forward *forward; /* under way; NULL: free */
	bool was_open;                 /* the dial had come to PEER_DIAL_OPEN */
	uint64_t used_at_us;
};

/* The caller's request, copied. */
struct peers_forward {
	struct list link; /* in pool->waiting, or alone */
	struct peer_pool *pool;
	struct pooled *pooled; /* NULL: waits */
	enum http_method method;
	struct buf target;
	struct buf headers;
	struct buf body;
	bool is_patient;
	uint64_t deadline_us;
	http_client_reply_fn *fn; /* NULL: cancelled */
	void *context;
};

void
peer_pool_init(struct peer_pool *pool)
{
	*pool = (struct peer_pool){ .waiting_until_us = UINT64_MAX };
	list_init(&pool->connections);
	list_init(&pool->waiting);
}

static void
forward_free(struct peers_forward *forward)
{
	if (forward->is_patient)
		forward->pool->patient_count--;
	buf_release(&forward->target);
	buf_release(&forward->headers);
	buf_release(&forward->body);
	free(forward);
}

/* Takes it off the queue. */
static void
forward_unqueue(struct peers_forward *forward)
{
	struct peer_pool *pool = forward->pool;

	list_remove(&forward->link);
	pool->waiting_count--;
	if (pool->waiting_count == 0)
		pool->waiting_until_us = UINT64_MAX;
}

static void
pooled_free(struct peer_pool *pool, struct pooled *pooled)
{
	list_remove(&pooled->link);
	pool->connections_count--;
	peer_dial_release(&pooled->dial);
	if (pooled->forward != NULL)
		forward_free(pooled->forward);
	free(pooled);
}

void
peer_pool_release(struct peer_pool *pool)
{
	struct list *node;
	struct list *following;

	LIST_EACH_SAFE(node, following, &pool->connections)
		pooled_free(pool, CONTAINER_OF(node, struct pooled, link));
	LIST_EACH_SAFE(node, following, &pool->waiting)
		forward_free(CONTAINER_OF(node, struct peers_forward, link));
}

/* ---- Sending ---- */

static void
on_reply(
    void *context, int error, bool sent, const struct http_client_reply *reply)
{
	struct pooled *pooled = context;
	struct peers_forward *forward = pooled->forward;
	struct peers *peers = pooled->dial.peers;

	if (error == 0 && !peer_answer_is_sealed(reply)) {
		metric_add(peers->damaged_answers, 1);
		error = ERR_INVALID;
		reply = NULL;
		peer_dial_fail(&pooled->dial, error, "its answer was damaged");
	}
	if (forward->fn != NULL)
		forward->fn(forward->context, error, sent, reply);
	/* Only now the connection is free for what `fn` may have asked. */
	pooled->forward = NULL;
	pooled->used_at_us = loop_now(peers->loop);
	forward_free(forward);
	peers->due = true;
}

static bool
is_free(const struct pooled *pooled)
{
	return pooled->dial.state == PEER_DIAL_OPEN &&
	       pooled->forward == NULL &&
	       http_client_room(pooled->dial.client) > 0;
}

static bool
is_on_its_way(const struct pooled *pooled)
{
	switch (pooled->dial.state) {
	case PEER_DIAL_CONNECTING:
	case PEER_DIAL_HELLO:
	case PEER_DIAL_PROOF: return true;
	case PEER_DIAL_CLOSED:
	case PEER_DIAL_OPEN:
	case PEER_DIAL_FAILED: break;
	}
	return false;
}

/* The free connection that was used last, so that others become idle. */
static struct pooled *
find_free(struct peer_pool *pool)
{
	struct list *node = pool->connections.previous;

	for (; node != &pool->connections; node = node->previous) {
		struct pooled *pooled = CONTAINER_OF(node, struct pooled, link);

		if (is_free(pooled))
			return pooled;
	}
	return NULL;
}

static void
send_on(struct pooled *pooled, struct peers_forward *forward)
{
	struct slice body = buf_slice(&forward->body);

	forward_unqueue(forward);
	forward->pooled = pooled;
	pooled->forward = forward;
	list_remove(&pooled->link);
	list_push(&forward->pool->connections, &pooled->link);
	http_client_request(pooled->dial.client, forward->method,
	    buf_slice(&forward->target), buf_slice(&forward->headers), &body, 1,
	    forward->deadline_us, on_reply, pooled);
	http_client_flush(pooled->dial.client);
	if (forward->is_patient)
		http_client_keep_alive(pooled->dial.client);
}

static unsigned
count_on_their_way(const struct peer_pool *pool)
{
	struct list *node;
	unsigned count = 0;

	LIST_EACH(node, &pool->connections) {
		if (is_on_its_way(CONTAINER_OF(node, struct pooled, link)))
			count++;
	}
	return count;
}

static void
dial_another(struct peer *peer)
{
	struct pooled *pooled = mem_zalloc(1, sizeof(*pooled));

	peer_dial_init(
	    &pooled->dial, peer, WIRE_FORWARD, 1, PEER_FORWARD_REPLY_SIZE_MAX);
	pooled->used_at_us = loop_now(peer->peers->loop);
	list_push(&peer->pool.connections, &pooled->link);
	peer->pool.connections_count++;
	peer_dial_begin(&pooled->dial);
}

/* Gives waiting requests to free connections, and dials for the others. */
static void
dispatch(struct peer *peer)
{
	struct peer_pool *pool = &peer->pool;
	struct pooled *pooled;
	unsigned coming;

	while (
	    !list_empty(&pool->waiting) && (pooled = find_free(pool)) != NULL)
		send_on(pooled, CONTAINER_OF(pool->waiting.next,
				    struct peers_forward, link));
	if (list_empty(&pool->waiting) || pool->dial_again_us != 0)
		return;
	for (coming = count_on_their_way(pool);
	     coming < pool->waiting_count &&
	     pool->connections_count <
		 PEER_POOL_CONNECTIONS_MAX + pool->patient_count;
	     coming++)
		dial_another(peer);
}

int
peers_forward(struct peers *peers, raft_id to, enum http_method method,
    struct slice target, struct slice headers, struct slice body, bool waits,
    uint64_t deadline_us, http_client_reply_fn *fn, void *context,
    struct peers_forward **ret_forward)
{
	struct peer *peer = peers_find(peers, to);
	struct peers_forward *forward;

	ASSERT(fn != NULL);
	if (peer == NULL || !peer_link_is_open(&peer->append))
		return ERR_CLOSED;
	if (peer->pool.waiting_count >= PEER_POOL_WAITING_MAX ||
	    (waits && peer->pool.patient_count >= PEER_POOL_PATIENT_MAX))
		return ERR_BUSY;
	forward = mem_zalloc(1, sizeof(*forward));
	forward->pool = &peer->pool;
	forward->method = method;
	buf_append_slice(&forward->target, target);
	buf_append_slice(&forward->headers, headers);
	buf_append_text(&forward->headers, "Luminous-Forwarded-By: ");
	buf_append_u64(&forward->headers, peers->self);
	buf_append_text(&forward->headers, "\r\n");
	peer_seal_request(&forward->headers, method, target, body);
	buf_append_slice(&forward->body, body);
	forward->is_patient = waits;
	forward->deadline_us = deadline_us;
	forward->fn = fn;
	forward->context = context;
	list_push(&peer->pool.waiting, &forward->link);
	peer->pool.waiting_count++;
	peer->pool.patient_count += waits;
	peer->pool.waiting_until_us =
	    MIN(peer->pool.waiting_until_us, deadline_us);
	dispatch(peer);
	*ret_forward = forward;
	return 0;
}

void
peers_cancel(struct peers *peers, struct peers_forward *forward)
{
	if (forward->pooled == NULL) {
		forward_unqueue(forward);
		forward_free(forward);
		return;
	}
	/* The answer is on its way and has to be read, unless that may last, or
	 * has no worth where nobody waits for it. */
	forward->fn = NULL;
	if (!forward->is_patient &&
	    forward->deadline_us <= loop_now(peers->loop) + CANCELLED_US)
		return;
	forward->pooled->was_open = true; /* no failure to back off from */
	peer_dial_fail(
	    &forward->pooled->dial, ERR_CLOSED, "the request was cancelled");
}

/* ---- Time ---- */

/* One that waits is told by its connection that the member has gone; a member
 * that was deposed goes on waiting for it. */
static void
hasten(struct peers_forward *forward, uint64_t deadline_us)
{
	if (forward->is_patient)
		return;
	forward->deadline_us = MIN(forward->deadline_us, deadline_us);
	if (forward->pooled != NULL)
		http_client_hasten(forward->pooled->dial.client, deadline_us);
	else
		forward->pool->waiting_until_us =
		    MIN(forward->pool->waiting_until_us, deadline_us);
}

static void
hasten_all(struct peer_pool *pool, uint64_t deadline_us)
{
	struct list *node;

	LIST_EACH(node, &pool->waiting)
		hasten(CONTAINER_OF(node, struct peers_forward, link),
		    deadline_us);
	LIST_EACH(node, &pool->connections) {
		struct pooled *pooled = CONTAINER_OF(node, struct pooled, link);

		if (pooled->forward != NULL)
			hasten(pooled->forward, deadline_us);
	}
}

void
peers_hasten_others(struct peers *peers, raft_id leader)
{
	uint64_t deadline_us =
	    loop_now(peers->loop) + peers->params.election_timeout / 2;
	struct list *node;

	for (unsigned i = 0; i < peers->count; i++) {
		if (peers->peer[i]->member.id != leader)
			hasten_all(&peers->peer[i]->pool, deadline_us);
	}
	LIST_EACH(node, &peers->gone) {
		struct peer *peer = CONTAINER_OF(node, struct peer, link);

		if (peer->member.id != leader)
			hasten_all(&peer->pool, deadline_us);
	}
}

/* Well before the other side closes it: a request sent into that moment
 * would have an outcome that nobody knows. */
static uint64_t
idle_until(const struct pooled *pooled)
{
	return pooled->used_at_us +
	       pooled->dial.peers->params.idle_timeout_us / 2;
}

uint64_t
peer_pool_deadline(const struct peer_pool *pool)
{
	uint64_t deadline_us = pool->waiting_until_us;
	struct list *node;

	if (pool->dial_again_us != 0 && !list_empty(&pool->waiting))
		deadline_us = MIN(deadline_us, pool->dial_again_us);
	LIST_EACH(node, &pool->connections) {
		struct pooled *pooled = CONTAINER_OF(node, struct pooled, link);

		deadline_us =
		    MIN(deadline_us, peer_dial_deadline(&pooled->dial));
		if (is_free(pooled))
			deadline_us = MIN(deadline_us, idle_until(pooled));
	}
	return deadline_us;
}

/*
 * Ends requests that were not sent: those whose deadline has passed, or all.
 * They are set apart first, since `fn` may forward and cancel others.
 */
static void
give_up(struct peer_pool *pool, uint64_t now_us, int error)
{
	struct list given_up;
	struct list *node;
	struct list *following;

	if (pool->waiting_until_us > now_us)
		return;
	pool->waiting_until_us = UINT64_MAX;
	list_init(&given_up);
	LIST_EACH_SAFE(node, following, &pool->waiting) {
		uint64_t deadline_us =
		    CONTAINER_OF(node, struct peers_forward, link)->deadline_us;

		if (deadline_us <= now_us) {
			list_remove(node);
			list_push(&given_up, node);
			continue;
		}
		pool->waiting_until_us =
		    MIN(pool->waiting_until_us, deadline_us);
	}
	while (!list_empty(&given_up)) {
		struct peers_forward *forward =
		    CONTAINER_OF(given_up.next, struct peers_forward, link);

		forward_unqueue(forward);
		forward->fn(forward->context, error, false, NULL);
		forward_free(forward);
	}
}

/* Several dials that failed at a time are one failure. */
static void
back_off(struct peer_pool *pool, uint64_t now_us)
{
	if (pool->dial_again_us > now_us)
		return;
	pool->backoff_us = pool->backoff_us == 0
			       ? PEER_BACKOFF_MIN_US
			       : MIN(pool->backoff_us * 2, PEER_BACKOFF_MAX_US);
	pool->dial_again_us = now_us + pool->backoff_us;
}

static void
note_open(struct peer_pool *pool, struct pooled *pooled)
{
	if (pooled->was_open || pooled->dial.state != PEER_DIAL_OPEN)
		return;
	pooled->was_open = true;
	pool->backoff_us = 0;
	pool->dial_again_us = 0;
}

/* True if a connection was lost or could not be made. */
static bool
expire_connections(struct peer_pool *pool, uint64_t now_us)
{
	struct list *node;
	struct list *following;
	bool failed = false;

	LIST_EACH_SAFE(node, following, &pool->connections) {
		struct pooled *pooled = CONTAINER_OF(node, struct pooled, link);

		note_open(pool, pooled);
		peer_dial_expire(&pooled->dial, now_us);
		if (pooled->dial.state == PEER_DIAL_FAILED) {
			failed = true;
			if (!pooled->was_open)
				back_off(pool, now_us);
			peer_dial_close(&pooled->dial);
			pooled_free(pool, pooled);
		} else if (is_free(pooled) && now_us >= idle_until(pooled)) {
			pooled_free(pool, pooled);
		}
	}
	return failed;
}

void
peer_pool_expire(struct peer *peer, uint64_t now_us)
{
	struct peer_pool *pool = &peer->pool;
	bool failed = expire_connections(pool, now_us);

	if (pool->dial_again_us <= now_us)
		pool->dial_again_us = 0;
	give_up(pool, now_us, ERR_TIMEOUT);
	/* Nobody will take those that wait: the last connection has failed. */
	if (failed && list_empty(&pool->connections))
		give_up(pool, UINT64_MAX, ERR_CLOSED);
	dispatch(peer);
}

bool
peer_pool_drain(struct peer_pool *pool, uint64_t now_us)
{
	struct list *node;
	struct list *following;

	give_up(pool, UINT64_MAX, ERR_CLOSED);
	(void)expire_connections(pool, now_us);
	LIST_EACH_SAFE(node, following, &pool->connections) {
		struct pooled *pooled = CONTAINER_OF(node, struct pooled, link);

		if (pooled->forward == NULL)
			pooled_free(pool, pooled);
	}
	return list_empty(&pool->connections);
}
