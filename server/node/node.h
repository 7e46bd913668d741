#ifndef NODE_NODE_H
#define NODE_NODE_H

/*
 * One replica of one Raft group: the core, its log on disk, the state machine,
 * and the clients that wait. Told the time, handed two stores and a host.
 *
 * Events (node_receive, node_write, node_read, ...) only note what happened.
 * node_turn() then does everything, once, in the one order that is right; see
 * node.c. Callbacks come from within node_turn() only.
 */

#include "common/list.h"
#include "kv/kv_read.h"
#include "node/transport.h"
#include "store/store.h"

/* The tables of the log store, by position, in this order. */
#define NODE_LOG_TABLES_COUNT 3
extern const char *const node_log_tables[NODE_LOG_TABLES_COUNT];

struct node_params {
	struct raft_params raft; /* its id and seed are set by the node */
	char cluster[NODE_CLUSTER_SIZE_MAX + 1];
	char name[NODE_NAME_SIZE_MAX + 1]; /* one of the members */
	/* Used by an empty directory only. None: it waits to be made a member
	 * of a cluster that exists. */
	struct node_members members;
	char address[NODE_ADDRESS_SIZE_MAX + 1]; /* of this node */
	/* The directory is empty because damage was found in the one of before:
	 * it waits to be put in that one's place, or, if it is a member already,
	 * to be a voter again. No members then. */
	bool damaged;
	/* Random, fresh at each start, from the operating system. */
	uint64_t boot_id;                         /* not 0 */
	uint8_t directory_nonce[NODE_NONCE_SIZE]; /* for an empty directory */
	uint8_t cluster_id[NODE_NONCE_SIZE]; /* if this node founds a cluster */
	/* A checkpoint follows when about this many bytes would be written,
	 * or this long after the first change, whichever is earlier; or up to
	 * half more of both, so that members do not make theirs together. */
	uint64_t checkpoint_bytes;
	raft_usec checkpoint_interval;
	uint64_t cache_bytes_max; /* of applied entries kept for peers */
	/* The log keeps applied entries that a member lacks up to so many
	 * bytes, at least; beyond, that member gets a snapshot. */
	uint64_t trailing_bytes_min;
	uint64_t trailing_bytes_max;
	uint32_t snapshot_piece_bytes; /* about this much in a piece */
	uint64_t snapshot_rate;        /* bytes a second for each; 0: any */
	raft_usec snapshot_age_max;    /* of a pinned state, without progress */
	/* What a leader lets history come to, and an eighth above; 0: any. */
	uint64_t history_age_us;
	uint64_t history_bytes_max;
	/* See node_scrub.h. */
	uint64_t scrub_rate; /* bytes a second; 0: it is off */
	raft_usec scrub_pause;
};

enum node_state {
	NODE_FORMING,  /* waits to hear every listed member, empty as itself */
	NODE_JOINING,  /* empty, waits for a leader that makes it a member */
	NODE_WIPED,    /* an empty directory, but the cluster remembers it */
	NODE_REMOVED,  /* the cluster goes on without it, for good */
	NODE_OUTDATED, /* an old copy of a member's directory; likewise */
	NODE_MEMBER    /* takes part */
};

struct node;

/*
 * Opens the replica in `log`, which stays the caller's and outlives it, and
 * the data store that the log names (host.open_data): verifies all records,
 * applies up to the stored commit hint. On failure
 * `why` (of `size` bytes) says what was found and what to do:
 * ERR_MISMATCH: the directory belongs to another node or cluster, or to a
 * member that was removed, or is an old copy; ERR_INVALID: this node is none
 * of the members; ERR_VERSION: a newer format; or the store's error. Damage
 * that the other members can make good is mended: node_get_repair says so. Else
 * ERR_CORRUPT: what this node promised is not known any more, and it must begin
 * again in another directory, see `damaged`; ERR_STOPPED: nobody else has what
 * is damaged, as there is no other voter.
 */
int node_new(struct node **ret_node, const struct node_params *params,
    struct store *log, const struct node_host *host, raft_usec now, char *why,
    size_t size) ATTR_MUST_CHECK;

/* What node_new mended, each kind at most once. */
enum node_repair { NODE_REPAIR_LOG, NODE_REPAIR_DATA, NODE_REPAIRS_COUNT };
#define NODE_REPAIR_TEXT_SIZE 256

/* What was found and what is done about it, a sentence; NULL: nothing. */
const char *node_get_repair(const struct node *node, enum node_repair repair);

/* Waiting writes and reads are forgotten without a call. NULL is fine. */
void node_free(struct node *node);

/* ---- The turn ---- */

/*
 * Does all that follows from the events since the last turn. 0, or an error
 * after which the node must not be used any more: node_fault() names the
 * reason, and the process ends.
 */
int node_turn(struct node *node, raft_usec now) ATTR_MUST_CHECK;

/* When the next turn is wanted if nothing happens; RAFT_NEVER for none. */
raft_usec node_deadline(const struct node *node);

/* Why a turn failed: "log commit: no space left". */
const char *node_fault(const struct node *node);

/* ---- Clients ---- */

enum node_outcome {
	NODE_DONE, /* applied; the result is there */
	NODE_LOST  /* surely not applied: another entry took its place */
};

/*
 * A write that waits for its outcome (owned by the caller until done or
 * cancelled). If neither comes by the caller's deadline, cancel it: its
 * outcome is unknown. Losing the leadership answers nobody.
 */
struct node_write {
	/* `result` only with NODE_DONE, and of a command. */
	void (*done)(struct node_write *write, enum node_outcome outcome,
	    const struct kv_result *result);
	/* The node's own. */
	struct list link;
	raft_index index;
	raft_term term;
};

/*
 * Proposes a command (kv_encode_...; copied). 0: `write` waits. ERR_NOT_LEADER,
 * ERR_BUSY, ERR_TOO_LARGE, ERR_AGAIN (the leadership is being transferred):
 * nothing happened, `write` is not used.
 */
int node_write(struct node *node, raft_usec now, struct node_write *write,
    struct slice command) ATTR_MUST_CHECK;
/* Stops waiting; the command may be applied all the same. */
void node_write_cancel(struct node_write *write);

/*
 * A linearizable read that waits until it may be served from node_kv().
 * status 0: now, within the call. ERR_NOT_LEADER: ask elsewhere.
 */
struct node_read {
	void (*done)(struct node_read *read, int status);
	struct list link; /* the node's own */
};

/* On any member that knows a leader. ERR_NOT_LEADER, ERR_BUSY: not waiting. */
int node_read(struct node *node, struct node_read *read) ATTR_MUST_CHECK;
void node_read_cancel(struct node_read *read);

/* The state machine, for reading. ERR_... from it other than ERR_NOT_FOUND:
 * tell node_fail. */
struct kv *node_kv(struct node *node);

/*
 * Cluster time, microseconds, as this node knows it, for showing it: that of a
 * leader is what it stamps entries with; others count on from the last stamp
 * they applied. Never back on one node, so after a change of leaders it stands
 * still until the new one's stamps have caught up.
 */
uint64_t node_cluster_time(const struct node *node, raft_usec now);

/* Damage was found while reading: the next turn fails with this reason. */
void node_fail(struct node *node, int error, const char *reason);

/* ---- Peers ---- */

void node_get_hello(
    const struct node *node, raft_id to, struct node_hello *ret_hello);

/*
 * Judges a peer's hello, and learns from it whether the cluster can be formed
 * or remembers this node's lost directory. 0: messages of this peer may be
 * handed over. ERR_MISMATCH: they may not; `why` says what differs.
 */
int node_hear(struct node *node, const struct node_hello *hello, char *why,
    size_t size) ATTR_MUST_CHECK;

/*
 * A message from a peer whose hello was accepted. `records` are the
 * message->entries_count records of an append request; message->entries is
 * ignored. ERR_INVALID: malformed or damaged on the way, nothing changed;
 * ERR_AGAIN: this node does not take part (yet), or the peer does not any more:
 * the connection ends. Any other error: the next turn fails with it.
 */
int node_receive(struct node *node, raft_usec now,
    const struct raft_message *message, const struct slice *records);

/* See raft_peer_unreachable and raft_peer_refused. */
void node_peer_unreachable(struct node *node, raft_usec now, raft_id peer);
void node_peer_refused(struct node *node, raft_usec now, raft_id peer);

/* ---- Snapshots ---- */

/*
 * A piece of a snapshot from a peer whose hello was accepted; the answer is
 * appended to `ret_answer`. ERR_INVALID: malformed, nothing changed; ERR_AGAIN:
 * this node does not take part.
 */
int node_receive_snapshot(struct node *node, raft_usec now, raft_id from,
    struct slice piece, struct buf *ret_answer) ATTR_MUST_CHECK;
/* The answer to the last host.send_snapshot to `peer`; empty: the link broke
 * or it was refused, and the node goes on where the receiver is. */
void node_snapshot_answered(
    struct node *node, raft_usec now, raft_id peer, struct slice answer);

/* ---- Membership and leadership: on the leader, else ERR_NOT_LEADER ---- */

/* See raft_change_members for the other errors; `write` waits as in
 * node_write and is done when the entry is applied. */
struct node_change {
	enum {
		NODE_ADD, /* a member that joins, and becomes a voter */
		NODE_REMOVE,
		NODE_REPLACE, /* add `member`; when it votes, `name` goes */
		/* `name` begins again, in the directory of `member`: its id
		 * goes, and one of its name and address joins, at once */
		NODE_RENEW,
		NODE_MOVE /* `name` gets the address of `member` */
	} kind;
	char name[NODE_NAME_SIZE_MAX + 1]; /* of a present member; not ADD */
	/* ADD, REPLACE, MOVE: the id is given by the node. ADD and REPLACE:
	 * directory as the joining node's hello said. */
	struct node_member member;
	/* REMOVE and REPLACE: although those left that are heard are no quorum;
	 * MOVE: so are the others, or the member answers at the address. */
	bool force;
};

/*
 * ERR_NOT_FOUND: there is no member `name`. ERR_EXISTS: the new name or
 * address is taken. ERR_DENIED: would_lose_quorum, see `why` (also set for the
 * others: a sentence for the operator). ERR_TOO_LARGE: too many members.
 */
int node_change_members(struct node *node, raft_usec now,
    const struct node_change *change, struct node_write *write, char *why,
    size_t size) ATTR_MUST_CHECK;

/* See raft_transfer. `name` NULL: the best one. ERR_NOT_FOUND: no such
 * member, or nobody is alive. */
int node_transfer(
    struct node *node, raft_usec now, const char *name) ATTR_MUST_CHECK;

/*
 * Judges the hello of a node that may be added: is it empty, of this cluster
 * name, and joining? `why` says what to do otherwise. ERR_MISMATCH.
 */
int node_judge_joining(const struct node *node, const struct node_hello *hello,
    const char *name, char *why, size_t size) ATTR_MUST_CHECK;

/* ---- Looking ---- */

struct node_snapshot_status {
	int refused; /* why `peer` refused the last one: ERR_...; 0 */
	bool sending;
	raft_index index; /* 0: it waits for a checkpoint */
	uint64_t bytes_sent;
	uint64_t pieces;
	raft_usec since;
};

/* Of a snapshot to `peer`; not sending: zeros, but for `refused`. */
void node_get_snapshot(const struct node *node, raft_id peer,
    struct node_snapshot_status *ret_status);

struct node_status {
	enum node_state state;
	raft_id id;
	bool cluster_id_known;
	uint8_t cluster_id[NODE_NONCE_SIZE];
	uint32_t generation;     /* above 1: made anew by force; 0: not known */
	struct raft_status raft; /* zeros (follower) unless NODE_MEMBER */
	unsigned quorum;         /* voters needed */
	unsigned reached; /* leader: voters heard within an election timeout,
	                     itself included; forming: members heard */
	uint64_t log_entries;
	uint64_t log_bytes; /* of the records in the log */
	uint64_t revision;
	uint64_t snapshots_sent;
	uint64_t snapshots_installed;
	uint64_t snapshots_refused; /* of those offered to it */
	int snapshot_refusal;       /* why it refused the last: ERR_... */
	bool receiving_snapshot;
	/* Damage was found: raft.state_lost and raft.repair_until say what is
	 * to come from the others before this member is whole. */
	bool repairing;
	/* Repairing, and node_params.damaged: JOINING, it waits to be put in
	 * the place that it had; a member, it has not all of it yet: until it
	 * is a voter by what is committed, and has applied that. */
	bool begun_again;
	uint64_t data_generation;
	uint64_t scrub_bytes;  /* read since the start */
	uint64_t scrub_passes; /* over all data and log */
};

void node_get_status(
    const struct node *node, raft_usec now, struct node_status *ret_status);
int node_get_peer(const struct node *node, raft_id peer,
    struct raft_peer_status *ret_peer) ATTR_MUST_CHECK;
/* In effect; JOINING: none. */
const struct node_members *node_get_members(const struct node *node);
/* Whose place a member takes once it votes; 0: nobody's. */
raft_id node_get_replaced(const struct node *node, raft_id id);
/*
 * The other voters are no majority, by the membership in effect or the one that
 * is committed: without this node nobody can change the members. False unless
 * it is a member.
 */
bool node_is_needed(const struct node *node);
/* The role of a member in the membership in effect; NONE: no member. */
enum raft_member_role node_get_role(const struct node *node, raft_id id);
/*
 * All that a leader had committed at this time is applied here; 0: it never
 * was. For reads that may be stale by so much, and by the election timeout,
 * within which a leader finds out that it is none any more. A leader: now.
 */
raft_usec node_heard_leader_at(const struct node *node, raft_usec now);
/* Of the data store in use. */
void node_get_data_stat(const struct node *node, struct store_stat *ret_stat);
/* NULL if there is none. */
const struct node_member *node_find_member(const struct node *node, raft_id id);
const struct node_member *
node_find_member_name(const struct node *node, const char *name);
bool node_is_leader(const struct node *node);
/* As in node_status, for those who ask at each request. */
bool node_is_repairing(const struct node *node);
/* 0: none known. */
raft_id node_leader(const struct node *node);
/* Until when a leader's reads need no round; 0: they do. */
raft_usec node_lease_until(const struct node *node);

/* Invariants of the core and between log, core and state machine. */
bool node_check(const struct node *node, char *why, size_t size);
/* Hash of the core's state and the state machine, to compare runs. */
uint64_t node_digest(const struct node *node);
/* For the simulator's checker: entry at `index` of the log, ERR_NOT_FOUND. */
int
node_get_record(struct node *node, raft_index index, struct buf *ret_record);

#endif
