#ifndef NET_PEER_H
#define NET_PEER_H

/*
 * The other members, over HTTP + JSON on the same port as the clients:
 *
 *	POST /raft/hello     who I am and what I know, with a nonce
 *	POST /raft/proof     HMAC of both hellos under the cluster secret
 *	POST /raft/append, /raft/vote, /raft/prevote, /raft/read,
 *	     /raft/timeout-now
 *	POST /raft/snapshot  a piece of a snapshot, and its answer, as bytes
 *
 * Each connection begins with hello and proof, both ways; before that nothing
 * a sender says is parsed but the hello itself. To each peer there are separate
 * connections for appends and votes, for appends with large bodies and for
 * snapshots (so that a heartbeat never queues behind them), and a bounded pool
 * for forwarded requests of clients.
 * Broken ones are dialled again, with back-off and jitter. Messages, forwarded
 * requests and their answers carry a CRC, pieces of snapshots their own.
 *
 * An answer that waits for our disk is a pending HTTP request: messages the
 * node sends as responses are matched to it by (peer, sequence). A response
 * that covers several append requests answers the last with the message and
 * the ones before with 204.
 */

#include "net/http_client.h"
#include "net/http_server.h"
#include "node/transport.h"

struct peers;

/*
 * What peers ask of, and tell, the node. Called within loop_pass() or
 * peers_expire().
 */
struct peers_ops {
	void (*get_hello)(
	    void *context, raft_id to, struct node_hello *ret_hello);
	/* See node_hear. */
	int (*hear)(void *context, const struct node_hello *hello, char *why,
	    size_t size);
	/* See node_receive. */
	int (*receive)(void *context, const struct raft_message *message,
	    const struct slice *records);
	void (*unreachable)(void *context, raft_id peer);
	void (*refused)(void *context, raft_id peer);
	/* See node_receive_snapshot and node_snapshot_answered. */
	int (*receive_snapshot)(void *context, raft_id from, struct slice piece,
	    struct buf *ret_answer);
	void (*snapshot_answered)(
	    void *context, raft_id peer, struct slice answer);
};

struct peers_params {
	struct slice secret; /* copied; empty: peers are refused */
	/* Where the others find this node, by its own configuration: canonical,
	 * and copied. */
	const char *address;
	raft_usec
	    election_timeout; /* an answer later than this breaks a link */
	/* http.idle-timeout of every member: idle connections for forwarding
	 * are closed well before it. */
	uint64_t idle_timeout_us;
	uint64_t body_bytes_max;     /* of an append, as JSON */
	uint64_t snapshot_bytes_max; /* of a piece of a snapshot */
	uint32_t records_max;        /* in one append */
	uint64_t seed;               /* of the jitter */
};

struct peers *peers_new(struct loop *loop, const struct peers_params *params,
    const struct peers_ops *ops, void *context);
/*
 * After the HTTP server that hands requests over: every request must have been
 * answered or abandoned. NULL is fine.
 */
void peers_free(struct peers *peers);

/*
 * Takes over whom to dial (copied); nobody before the first call. Keeps the
 * connections of members whose address and directory stay (that a founder's
 * directory becomes known is no change), ends those of others, and dials the
 * new ones. Forwarded requests under way to a member that goes may still be
 * answered.
 * `self` is this node's id; 0: it is no member, and dials nobody.
 *
 * Whoever knows the secret is heard, also if it is not in the list, which may
 * be an old one: its messages go to ops->receive, and what is sent in answer
 * goes back on its connection. Callable within any of the ops.
 */
void peers_set_members(
    struct peers *peers, const struct node_members *members, raft_id self);

/*
 * Asks the node at `address` who it is, with proof both ways: its hello, which
 * is not judged here, or an error with a sentence for the operator, until
 * `deadline_us` and within a few seconds. `fn` is called once, within
 * peers_expire(), unless peers_probe_cancel came first; `hello` or `why`, the
 * other is NULL, is borrowed. ERR_NOT_FOUND: nobody can be reached there;
 * ERR_CLOSED: the connection broke; ERR_TIMEOUT; ERR_DENIED: it does not know the secret;
 * ERR_INVALID: it is no Luminous node; ERR_VERSION: it speaks another version;
 * ERR_MISMATCH: it refuses this node; ERR_UNSUPPORTED: this node has no secret.
 *
 * Whoever may ask for a probe must not learn of others what they did not prove
 * to mean for this cluster: `why` is the same for all of them, and the log says
 * more. Only the refusal of a node that knows the secret is quoted in it.
 *
 * peers_probe itself, without a call: ERR_INVALID: no numeric address;
 * ERR_BUSY: too many at a time.
 */
struct peers_probe;
typedef void peers_probe_fn(
    void *context, const struct node_hello *hello, int error, const char *why);
int peers_probe(struct peers *peers, const char *address, uint64_t deadline_us,
    peers_probe_fn *fn, void *context,
    struct peers_probe **ret_probe) ATTR_MUST_CHECK;
void peers_probe_cancel(struct peers *peers, struct peers_probe *probe);

/*
 * node_host's send_snapshot and cancel_snapshot: one piece at a time for each
 * member. ops->snapshot_answered follows for each that is not cancelled, never
 * from within these calls.
 */
void peers_send_snapshot(struct peers *peers, raft_id to, struct slice piece);
void peers_cancel_snapshot(struct peers *peers, raft_id to);

/* node_host's send and flush. Flush once more behind the turn, for messages
 * that had to wait for its commit. */
void peers_send(struct peers *peers, const struct raft_message *message,
    struct node_entry *const *entries);
void peers_flush(struct peers *peers);

/* ---- Server side: requests below /raft/ ---- */

bool peers_owns(const struct http_request *request);
uint64_t
peers_body_max(const struct peers *peers, const struct http_request *request);
void peers_request(struct peers *peers, struct http_request *request);
void peers_abandoned(struct peers *peers, struct http_request *request);

/*
 * The member that has proved itself on this request's connection; 0: none, as
 * for a probe, which only looks. Only then Luminous-Forwarded-By counts. The
 * connection's context belongs to the peers.
 */
raft_id peers_proved(const struct http_request *request);

/* Before a request that is not below /raft/ is served. True: another node
 * forwarded it, it was damaged on its way, and it is answered. */
bool peers_refuse_damaged(struct peers *peers, struct http_request *request);
/* The last header before http_reply_end with this body, for whatever was not
 * refused for its form. Does nothing but for a node that forwards. */
void peers_seal(struct http_request *request, struct slice body);

/* ---- Forwarding clients' requests ---- */

/*
 * Sends a client's request to a member over a proved connection, one at a time
 * each, with Luminous-Forwarded-By added. `waits`: its answer may take minutes,
 * so its connection is beyond those that there are for others, and is closed if
 * it is cancelled. ERR_BUSY: too many are waiting already; ERR_CLOSED: the
 * member cannot be reached now.
 * Neither calls `fn`. Otherwise fn is called once, as of http_client_request,
 * within loop_pass() or peers_expire(); `sent` false means that nothing was
 * sent, ERR_INVALID also that the answer was damaged on its way. `ret_forward`
 * is for peers_cancel until then.
 */
struct peers_forward;
int peers_forward(struct peers *peers, raft_id to, enum http_method method,
    struct slice target, struct slice headers, struct slice body, bool waits,
    uint64_t deadline_us, http_client_reply_fn *fn, void *context,
    struct peers_forward **ret_forward) ATTR_MUST_CHECK;
/*
 * `leader` leads now. What was forwarded to others, and does not wait there, has
 * half an election timeout left: one that was deposed learns within it how its
 * writes ended, and one that has vanished is not waited for.
 */
void peers_hasten_others(struct peers *peers, raft_id leader);
/* The caller no longer wants the answer; fn is not called. */
void peers_cancel(struct peers *peers, struct peers_forward *forward);

/* ---- Looking ---- */

struct peers_link {
	bool connected;       /* the append connection is proved */
	uint32_t attempts;    /* failed ones since it last was */
	char last_error[512]; /* why not; empty if nothing was wrong */
};

int peers_get_link(const struct peers *peers, raft_id peer,
    struct peers_link *ret_link) ATTR_MUST_CHECK;

/* When peers_expire is wanted next; call it behind every loop_pass(), before
 * the turn: it tells the node what the pass found out about the links. */
uint64_t peers_deadline(const struct peers *peers);
void peers_expire(struct peers *peers, uint64_t now_us);

#endif
