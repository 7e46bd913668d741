#ifndef NET_PEER_IMPL_H
#define NET_PEER_IMPL_H

/*
 * Inside of peer.h. Callbacks of connections only note what happened; what
 * follows from it (dialling again, telling the node, the next forwarded
 * request) is done in peers_expire(), right behind the pass of the loop.
 *
 *	peer_members.c  whom to dial: peers that come, move and go
 *	peer_dial.c     one connection to a node: connects and proves
 *	peer_link.c     the links for messages, dialled again when they break
 *	peer_snapshot.c the connection for pieces of a snapshot
 *	peer_pool.c     the pool of connections for forwarded requests
 *	peer_probe.c    who answers at an address?
 *	peer_server.c   requests below /raft/
 *	peer_pending.c  requests that wait for the node's answer
 *	peer_message.c  paths, fields and the CRC
 *	peer_proof.c    the HMAC
 *	peer_seal.c     the CRC of forwarded requests and their answers
 */

#include "common/list.h"
#include "common/metrics.h"
#include "common/rng.h"
#include "net/peer.h"
#include "net/peer_message.h"
#include "net/peer_proof.h"
#include "net/wire.h"

/* ---- Limits ---- */

/* Messages under way on a link. The core's own window bounds their bytes. */
#define PEER_LINK_PIPELINE_MAX 32
/* Appends with a larger body take the bulk link. */
#define PEER_BULK_BODY_MIN (UINT32_C(256) << 10)
/* A bulk link that moves fewer bytes in a second is given up. */
#define PEER_BULK_RATE_MIN (UINT64_C(1) << 20)
/* Requests of one sender that wait for the node. */
#define PEER_PENDING_MAX HTTP_PIPELINE_MAX
/* Between attempts to dial, growing by two; a link's first follows at once. */
#define PEER_BACKOFF_MIN_US UINT64_C(20000)
#define PEER_BACKOFF_MAX_US UINT64_C(1000000)
/*
 * A link that stays open so long is one, even if it was not used, as those
 * from follower to leader are not: its loss is looked into at once, and so a
 * leader's death soon after its start is found as fast as any.
 */
#define PEER_SETTLED_US UINT64_C(100000)
/* Connections to a member for forwarded requests, and waiting requests. */
#define PEER_POOL_CONNECTIONS_MAX 64
#define PEER_POOL_WAITING_MAX     1024
/* Of forwarded requests whose answer may take minutes; each has a connection
 * beyond those. */
#define PEER_POOL_PATIENT_MAX 1024
/* A snapshot's connection is closed when it was not used for so long ... */
#define PEER_SNAPSHOT_IDLE_US UINT64_C(10000000)
/* ... or when a piece under way does not move, or is not answered. */
#define PEER_SNAPSHOT_STALL_US UINT64_C(10000000)
#define PEER_PROBES_MAX        4
#define PEER_PROBE_TIMEOUT_US  UINT64_C(3500000)
/* The largest answer to a message. */
#define PEER_REPLY_SIZE_MAX 16384
/* And to a forwarded request: a transaction may show KV_OUTPUT_BYTES_MAX of
 * values, of which JSON may make six times as much. */
#define PEER_FORWARD_REPLY_SIZE_MAX (32u << 20)

/* Refused senders that are no members are logged once in this time. */
#define PEER_STRANGER_LOG_US UINT64_C(1000000)

#define PEER_REASON_SIZE 512

/* The members of now, and those that have just gone. */
#define PEER_UNANSWERED_MAX (2 * NODE_MEMBERS_MAX)

struct peer;

/* ---- peer_dial.c ---- */

enum peer_dial_state {
	PEER_DIAL_CLOSED,
	PEER_DIAL_CONNECTING,
	PEER_DIAL_HELLO, /* our hello is under way */
	PEER_DIAL_PROOF, /* theirs was right, our proof is under way */
	PEER_DIAL_OPEN,
	PEER_DIAL_FAILED /* until its owner closes it in peers_expire() */
};

struct peer_dial {
	struct peers *peers;
	struct peer *peer; /* NULL: a probe's */
	const char *address;
	enum wire_purpose purpose;
	uint64_t timeout_us; /* of each step until it is open */
	enum peer_dial_state state;
	struct http_client *client;
	struct buf hello; /* ours, as sent */
	raft_id own_id;   /* what it said of us */
	uint64_t own_boot_id;
	uint64_t boot_id;         /* theirs; from PEER_DIAL_PROOF on */
	struct node_hello *heard; /* a probe's: theirs, not judged */
	bool reached;             /* somebody listens there */
	bool proved;              /* and has proved itself */
	/* Why it failed; the reason stays until it is open again. */
	bool refused;
	int error; /* see peers_probe */
	char reason[PEER_REASON_SIZE];
};

void peer_dial_init(struct peer_dial *dial, struct peer *peer,
    enum wire_purpose purpose, uint32_t pipeline_max, uint64_t reply_bytes_max);
/* `address` and `heard` stay the caller's and outlive it. */
void peer_dial_init_probe(struct peer_dial *dial, struct peers *peers,
    const char *address, struct node_hello *heard);
void peer_dial_release(struct peer_dial *dial);
/* Of a closed one. It may have failed when this returns. */
void peer_dial_begin(struct peer_dial *dial);
/* Notes the failure; the owner acts on it in peers_expire(). */
ATTR_PRINTF(3, 4)
void peer_dial_fail(struct peer_dial *dial, int error, const char *format, ...);
/* The same for an answer with an unexpected status, with its detail. */
void peer_dial_fail_reply(
    struct peer_dial *dial, const struct http_client_reply *reply);
/* Ends what is under way. */
void peer_dial_close(struct peer_dial *dial);
uint64_t peer_dial_deadline(const struct peer_dial *dial);
void peer_dial_expire(struct peer_dial *dial, uint64_t now_us);

/* ---- peer_link.c ---- */

struct peer_link {
	struct peer_dial dial;
	bool was_open; /* the dial had come to PEER_DIAL_OPEN */
	uint64_t opened_at_us;
	bool useful;          /* a message was taken since it opened */
	uint32_t attempts;    /* failed ones since it last was open */
	uint64_t retry_at_us; /* when closed; UINT64_MAX: not started */
	uint64_t backoff_us;  /* 0: the next attempt follows at once */
	uint32_t under_way;
	uint64_t drained_at_us; /* bulk: when it has moved all, at the latest */
	bool unflushed;
	bool lost;    /* it broke with messages under way */
	bool dropped; /* an append with entries found no room */
	bool flaps;   /* the last time it was open it did not settle */
	/* What was logged last, so that each change is logged once. */
	bool reported_up;
	char reported[PEER_REASON_SIZE]; /* why it is down */
};

void peer_link_init(
    struct peer_link *link, struct peer *peer, enum wire_purpose purpose);
void peer_link_release(struct peer_link *link);
void peer_link_start(struct peer_link *link);
/* The peer was heard: a link that waits to dial need not wait. */
void peer_link_wake(struct peer_link *link);
bool peer_link_is_open(const struct peer_link *link);
/* `text` is the encoded message. */
void peer_link_send(struct peer_link *link, const struct raft_message *message,
    struct slice text);
void peer_link_flush(struct peer_link *link);
uint64_t peer_link_deadline(const struct peer_link *link);
void peer_link_expire(struct peer_link *link, uint64_t now_us);

/* ---- peer_snapshot.c ---- */

enum peer_snapshot_state {
	PEER_SNAPSHOT_IDLE,
	PEER_SNAPSHOT_WAITING, /* a piece waits for the connection */
	PEER_SNAPSHOT_UNDER_WAY
};

struct peer_snapshot {
	struct peer_dial dial;
	enum peer_snapshot_state state;
	struct buf piece;     /* that waits */
	bool useful;          /* a piece was answered since it opened */
	uint64_t moved_bytes; /* when something moved last */
	uint64_t until_us;    /* idle, or under way without a move */
	uint64_t retry_at_us; /* when closed; not dialled before */
	uint64_t backoff_us;  /* 0: the last connection was useful */
	char reported[PEER_REASON_SIZE]; /* the failure that was logged last */
};

void peer_snapshot_init(struct peer_snapshot *snapshot, struct peer *peer);
void peer_snapshot_release(struct peer_snapshot *snapshot);
/* The peer goes: a piece of its gets the empty answer. */
void peer_snapshot_abandon(struct peer_snapshot *snapshot);
uint64_t peer_snapshot_deadline(const struct peer_snapshot *snapshot);
void peer_snapshot_expire(struct peer_snapshot *snapshot, uint64_t now_us);
/* Gives the node the empty answers that are due. */
void peer_snapshot_tell_unanswered(struct peers *peers);

/* ---- peer_pool.c ---- */

struct peer_pool {
	struct list connections;
	unsigned connections_count;
	struct list waiting; /* forwards without a connection, oldest first */
	unsigned waiting_count;
	unsigned patient_count; /* that may take minutes, sent or not */
	/* None of them ends before, and UINT64_MAX when there is none. It may
	 * be that of one which no longer waits. */
	uint64_t waiting_until_us;
	/* Not 0: a dial failed, and none is made before. */
	uint64_t dial_again_us;
	uint64_t backoff_us; /* 0: the last dial came to PEER_DIAL_OPEN */
};

void peer_pool_init(struct peer_pool *pool);
void peer_pool_release(struct peer_pool *pool);
uint64_t peer_pool_deadline(const struct peer_pool *pool);
void peer_pool_expire(struct peer *peer, uint64_t now_us);
/* Of a peer that goes: ends all but the requests under way. True if there are
 * none. */
bool peer_pool_drain(struct peer_pool *pool, uint64_t now_us);

/* ---- peer_pending.c ---- */

/* Requests of this sender that wait. */
unsigned peer_pending_count(const struct peers *peers, raft_id from);
/* The request waits for the answer to `message`. */
void peer_pending_add(struct peers *peers, struct http_request *request,
    const struct raft_message *message, uint64_t now_us);
/* `response` answers the request with its sequence and those before it. */
void
peer_pending_answer(struct peers *peers, const struct raft_message *response);
uint64_t peer_pending_deadline(const struct peers *peers);
/* Ends those that the node leaves without an answer. */
void peer_pending_expire(struct peers *peers, uint64_t now_us);

/* ---- peer_probe.c ---- */

void peer_probes_release(struct peers *peers);
uint64_t peer_probes_deadline(const struct peers *peers);
void peer_probes_expire(struct peers *peers, uint64_t now_us);

/* ---- peer_server.c ---- */

/* Why a request below /raft/ is refused. */
enum peer_refusal {
	PEER_REFUSE_PATH,          /* 404 */
	PEER_REFUSE_METHOD,        /* 405 */
	PEER_REFUSE_FORBIDDEN,     /* 403: not proved */
	PEER_REFUSE_WRONG_CLUSTER, /* 421 */
	PEER_REFUSE_WRONG_ADDRESS, /* 421: not this node was dialled */
	PEER_REFUSE_VERSION,       /* 421: of the protocol */
	PEER_REFUSE_MALFORMED,     /* 400 */
	PEER_REFUSE_DAMAGED,       /* 400: the CRC */
	PEER_REFUSE_UNSEALED,      /* 503: the same of a forwarded request */
	PEER_REFUSE_FORGED,        /* 400: not what the hello said */
	PEER_REFUSE_NOT_READY,     /* 503 */
	PEER_REFUSE_BUSY,          /* 503 */
	PEER_REFUSALS_COUNT
};

#define PEER_VERSION_CODE "other_version"

void peer_server_register_metrics(struct peers *peers);

/* ---- peer_members.c ---- */

/* Frees all peers without a word to anybody. */
void peer_members_release(struct peers *peers);
/* Of the peers that are gone. */
uint64_t peer_members_deadline(const struct peers *peers);
void peer_members_expire(struct peers *peers, uint64_t now_us);

/* ---- peer.c ---- */

enum { PEER_SENT, PEER_RECEIVED };
enum { PEER_CONNECT_OK, PEER_CONNECT_REFUSED, PEER_CONNECT_FAILED };

struct peer {
	struct list link; /* in peers->gone, or alone */
	struct peers *peers;
	struct node_member member;
	struct peer_link append;
	struct peer_link bulk;
	struct peer_snapshot snapshot;
	struct peer_pool pool;
	/* It was connected since ops->refused was last called. */
	bool was_up;
	/* The refusal of its requests that was logged last. */
	char refused[PEER_REASON_SIZE];
	struct metric *bytes[2];    /* by PEER_SENT, PEER_RECEIVED */
	struct metric *connects[3]; /* by PEER_CONNECT_... */
};

struct peers {
	struct loop *loop;
	struct peers_params params; /* `secret` and `address` are those below */
	struct buf secret;
	char address[NODE_ADDRESS_SIZE_MAX + 1];
	const struct peers_ops *ops;
	void *context;
	struct rng rng;
	bool due;        /* peers_expire has something to do at once */
	struct buf text; /* of the message being sent */
	struct wire_records records; /* of the message being received */
	struct metric *refusals[PEER_REFUSALS_COUNT];
	struct metric *damaged_answers; /* to forwarded requests */
	/* Of senders that are no peers, or did not prove it; as in struct
	 * peer. */
	char refused[PEER_REASON_SIZE];
	uint64_t refused_until_us; /* when the next may be logged */
	struct list pending;       /* requests, by time of arrival */
	struct list probes;
	unsigned probes_count;
	uint64_t probe_logged_until_us; /* when the next may be logged */
	/* Whose piece of a snapshot gets the empty answer. */
	unsigned unanswered_count;
	raft_id unanswered[PEER_UNANSWERED_MAX];
	raft_id self; /* 0: no member */
	/* All members but this one. A peer keeps its place in memory until
	 * it has been gone for a while, whatever becomes of the list. */
	unsigned count;
	struct peer *peer[NODE_MEMBERS_MAX];
	/* Removed or moved ones, until their forwarded requests have ended. */
	struct list gone;
};

/* NULL if there is none, or it is this node. */
struct peer *peers_find(const struct peers *peers, raft_id id);

/* ---- peer_seal.c ---- */

/* Adds the seal to a forwarded request's headers, as their last. */
void peer_seal_request(struct buf *headers, enum http_method method,
    struct slice target, struct slice body);
bool peer_request_is_sealed(const struct http_request *request);
/* Between http_reply_begin and http_reply_end, as the last header. `body` is
 * all that follows. */
void peer_seal_answer(struct http_request *request, struct slice body);
bool peer_answer_is_sealed(const struct http_client_reply *reply);

/* ---- */

/*
 * Copies text that a peer sent, for logs and answers: cut to
 * PEER_REASON_SIZE - 1, other than printable ASCII replaced.
 */
void peer_copy_reason(char ret_reason[PEER_REASON_SIZE], struct slice text);

#endif
