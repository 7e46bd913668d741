#ifndef RAFT_RAFT_H
#define RAFT_RAFT_H

/*
 * The Raft core: a pure value. Events go in and only change state; raft_take()
 * collects the work that follows from them; the completion of work is itself
 * an event. It knows no clock, no I/O, no payload bytes, and no randomness but
 * its own seeded generator, so that the daemon and the simulator run the same
 * code and a run is repeated by repeating its inputs.
 *
 * The driver's duty, once per turn:
 *
 *	raft_receive / raft_propose / raft_read / raft_timeout ...   any number
 *	raft_take -> SEND what there is, then PERSIST in one durable commit
 *	raft_persisted(ticket)
 *	raft_take -> SEND (answers that waited for the disk), APPLY, READ, ROLE
 *	raft_applied
 *
 * Which answer has to wait for which commit is decided in here (Ongaro's
 * thesis 3.8, 10.2.1): vote requests, granted votes and append
 * acknowledgements leave raft_take() only after the (term, vote, entries) that
 * they promise were reported durable. A leader's appends leave at once, so
 * that the followers' disks work while its own does.
 *
 * Errors are returned for whatever a peer or a client can cause. A breach of
 * the protocol's invariants becomes one RAFT_OP_FATAL, after which every input
 * answers ERR_STOPPED and nothing more is sent.
 *
 * Sections named in comments are those of Ongaro and Ousterhout's paper (the
 * extended version) and, with "thesis", of Ongaro's dissertation.
 */

#include "common/err.h"
#include "common/macros.h"
#include "raft/raft_types.h"
#include <stddef.h>

/* All limits and times in one place. raft_new() checks them. */
struct raft_params {
	raft_id id;
	raft_usec election_timeout;    /* deadlines fall in 1x .. 2x of it */
	raft_usec heartbeat_interval;  /* at most a third of it */
	uint32_t append_entries_max;   /* in one append request */
	uint32_t append_bytes_max;     /* a larger single entry goes alone */
	uint32_t inflight_appends_max; /* per peer, with entries; 1 .. 64 */
	uint32_t inflight_bytes_max;   /* per peer; one append always may */
	uint32_t inflight_rounds_max;  /* rounds under way for reads */
	uint32_t entry_bytes_max;
	uint64_t uncommitted_bytes_max; /* quota of a leader's proposals */
	uint32_t pending_reads_max;
	raft_usec disk_stall_max;   /* a PERSIST open longer: step down */
	raft_usec transfer_timeout; /* of the leadership, then it is kept */
	bool lease_reads; /* reads without a round; bounds clock drift by 5 % */
	uint64_t seed;
};

/* What the driver read from its disk. Everything is borrowed by raft_new(). */
struct raft_boot {
	uint64_t boot_id; /* fresh at each start, never 0 */
	raft_term term;
	raft_id vote; /* 0: none */
	/* The entry before the first kept one: (0, 0) when nothing was cut. */
	raft_index compacted_index;
	raft_term compacted_term;
	const struct raft_entry *entries; /* compacted_index + 1 and on */
	size_t entries_count;
	/*
	 * The membership at compacted_index (the initial one when 0).
	 * Memberships in `entries` take effect over it, in order.
	 */
	struct raft_members members;
	/* What the durable state machine holds. It may lie before
	 * compacted_index: then the state was lost, and a snapshot has to bring
	 * another before anything is applied. */
	raft_index applied_index;
	raft_index commit_hint; /* may lag the truth; 0: unknown */
	/*
	 * Entries up to repair_until were durable here, and maybe acknowledged,
	 * when the term was repair_term; some of them were lost to damage, and
	 * cut. (0, 0): none were. Before a repair has ended the greater of its
	 * repair_until and the log's last index, and the present term, take
	 * in what a second damage takes. See raft_repair.c.
	 */
	raft_index repair_until;
	raft_term repair_term;
};

/* What raft_receive took over from an append request. */
struct raft_accepted {
	raft_index first; /* first entry newly in the log; 0: none */
	uint32_t offset;  /* its place in message->entries */
	uint32_t count;   /* all from `first` on; the log ends with them */
};

enum raft_op_kind {
	RAFT_OP_SEND,
	RAFT_OP_PERSIST,
	RAFT_OP_APPLY,
	RAFT_OP_READ,
	RAFT_OP_ROLE,
	RAFT_OP_MEMBERS,
	RAFT_OP_DROPPED,
	RAFT_OP_SNAPSHOT,
	RAFT_OP_ALARM,
	RAFT_OP_FATAL
};

/*
 * One durable commit: cut the log from truncate_from on (0: nothing), append
 * first .. last (first 0: nothing), store term and vote. All or nothing.
 *
 * With reset_index (0: none), all entries are dropped and the log begins
 * behind that one, and the state machine of the snapshot that was given to
 * raft_install_snapshot takes the place of the present one, in the same commit.
 * With reset_keeps, only the state machine is replaced, and the log, which has
 * that entry, stays as it is. No entries are cut or appended with either.
 */
struct raft_op_persist {
	raft_ticket ticket;
	raft_term term;
	raft_id vote;
	raft_index repair_until; /* as of raft_boot */
	raft_term repair_term;
	raft_index reset_index;
	raft_term reset_term;
	bool reset_keeps;
	raft_index truncate_from;
	raft_index first;
	raft_index last;
	raft_index commit_index; /* a hint, stored without a sync of its own */
};

struct raft_op_send {
	const struct raft_message *message;
	raft_index first; /* index of message->entries[0] */
};

/*
 * Apply first .. last in order, then call raft_applied. They are committed,
 * and durable here too, though others may have committed them earlier.
 */
struct raft_op_apply {
	raft_index first;
	raft_index last;
};

/* status 0: serve the read now. ERR_NOT_LEADER: it was not confirmed. */
struct raft_op_read {
	uint64_t read_id;
	int status;
};

/* What has changed since the last take; raft_get_status() after raft_new. */
struct raft_op_role {
	enum raft_role role;
	raft_term term;
	raft_id leader; /* 0: none known */
};

/*
 * Entries first .. last of `term`, once in this log, were cut and replaced:
 * clients that wait for them will learn their outcome from what is applied.
 */
struct raft_op_dropped {
	raft_index first;
	raft_index last;
	raft_term term;
};

/*
 * The peer needs entries that are cut, or lost its state: send it a snapshot
 * of the state machine at or after at_least. Nothing but heartbeats goes to it until
 * raft_snapshot_sent() says how that ended. A leader that loses its place
 * forgets about it; the driver's transfer may end by itself.
 */
struct raft_op_snapshot {
	raft_id peer;
	raft_index at_least;
};

enum raft_alarm {
	/* The peer's durable log is shorter than it said: it is not moved
	 * back, so it stays behind. Once for each life of the peer. */
	RAFT_ALARM_LOST_TAIL,
	/* The same, but the peer knows and says so: it gets them again. Once
	 * for each life of the peer as well. */
	RAFT_ALARM_REPAIRING
};

struct raft_op_alarm {
	enum raft_alarm alarm;
	raft_id peer;
	raft_index index;
};

struct raft_op_fatal {
	const char *reason; /* static storage, names the invariant */
	raft_index index;
	raft_term term;
};

struct raft_op {
	enum raft_op_kind kind;
	union {
		struct raft_op_send send;
		struct raft_op_persist persist;
		struct raft_op_apply apply;
		struct raft_op_read read;
		struct raft_op_role role;
		const struct raft_members *members; /* now in effect */
		struct raft_op_dropped dropped;
		struct raft_op_snapshot snapshot;
		struct raft_op_alarm alarm;
		struct raft_op_fatal fatal;
	};
};

struct raft;

/*
 * Makes a follower out of the durable state. Copies all it needs. Who is the only
 * voter in every membership of the log has its first deadline at once.
 * ERR_INVALID: parameters out of range; ERR_CORRUPT: a boot state that cannot be
 * (entries above the stored term, ...). A node that is not (yet) a voter of the
 * membership stays quiet, and one that lacks what damage took until a leader has
 * brought it: a sole voter does so for ever, so its driver does not let it come to
 * that.
 */
int raft_new(struct raft **ret_raft, const struct raft_params *params,
    const struct raft_boot *boot, raft_usec now) ATTR_MUST_CHECK;

void raft_free(struct raft *raft); /* NULL is fine */

/* ---- Events. Each changes state at most; none emits. ---- */

/*
 * A message of an authenticated member of this cluster and group, addressed to
 * this node. ERR_INVALID: malformed, nothing changed. The caller keeps the
 * message; *ret_accepted is always written.
 */
int raft_receive(struct raft *raft, raft_usec now,
    const struct raft_message *message, struct raft_accepted *ret_accepted);

/* Time passed. Wanted at raft_deadline(), harmless at any other moment. */
int raft_timeout(struct raft *raft, raft_usec now);

/*
 * Appends `count` entries of type COMMAND (their terms are ignored) to a
 * leader's log: all or none. Gives the index of the first and their term.
 * ERR_NOT_LEADER; ERR_BUSY: the quota of uncommitted bytes is used up;
 * ERR_TOO_LARGE: an entry over entry_bytes_max; ERR_AGAIN: the leadership is
 * being transferred.
 */
int
raft_propose(struct raft *raft, raft_usec now, const struct raft_entry *entries,
    uint32_t count, raft_index *ret_first, raft_term *ret_term) ATTR_MUST_CHECK;

/*
 * Asks for a linearizable read on the leader (thesis 6.4): answered by one
 * RAFT_OP_READ with this id, when a quorum has confirmed a round begun after
 * this call, an entry of the own term is committed, and all committed at the
 * call is applied; or at once within a lease, if lease_reads. `read_id` is the
 * caller's, unique among pending ones.
 *
 * On a follower or learner that knows a leader, the leader is asked for a
 * confirmed read index, and the read waits until that is applied here. It fails
 * when the leader or the term changes, or the answer does not come within an
 * election timeout. ERR_NOT_LEADER: none is known here, or the state is lost;
 * ERR_BUSY.
 */
int
raft_read(struct raft *raft, raft_usec now, uint64_t read_id) ATTR_MUST_CHECK;

/*
 * The PERSIST with this ticket, and all before it, are durable; an older
 * ticket changes nothing, an unknown one is FATAL. There is no call for a
 * failed one: a driver whose commit failed stops the node.
 */
int raft_persisted(struct raft *raft, raft_usec now, raft_ticket ticket);

/* Everything up to `index` is applied to the state machine. */
int raft_applied(struct raft *raft, raft_usec now, raft_index index);

/*
 * The link to `peer` broke: what was in flight to it may be lost. Its appends
 * start over from what it is known to hold.
 */
int raft_peer_unreachable(struct raft *raft, raft_usec now, raft_id peer);

/*
 * The process of `peer` is gone: its connections were reset and a new one was
 * refused. If it led, and leases are off, this node campaigns soon and no
 * longer refuses votes on its behalf (identity of the leader is forgotten).
 */
int raft_peer_refused(struct raft *raft, raft_usec now, raft_id peer);

/*
 * Forgets entries up to `index`, which must be applied, durably (a checkpoint
 * of the state machine holds it), else ERR_INVALID. Whoever still needs them
 * gets a snapshot.
 */
int raft_compact(struct raft *raft, raft_index index);

/* ---- Snapshots (section 7) ---- */

/*
 * The transfer that a RAFT_OP_SNAPSHOT asked for has ended: the peer holds the
 * state at `index`, or, with 0, it failed: it is asked for again after an
 * election timeout, if the peer is alive. Anything unexpected changes nothing.
 */
int raft_snapshot_sent(
    struct raft *raft, raft_usec now, raft_id peer, raft_index index);

/*
 * A complete, verified snapshot of this cluster's state machine at `index`,
 * whose entry there has `term`, lies ready on this node's disk; `members` is
 * the membership at it. Whoever sent it: what is in it is committed.
 *
 * 0: the next PERSIST resets the log to begin behind `index`; until it is
 * completed appends are refused and nothing is applied. ERR_EXISTS: all of it
 * is committed here already, there is nothing to install. ERR_BUSY: a PERSIST
 * or an APPLY is under way, try again behind it. ERR_INVALID: cannot be.
 *
 * Where the state was lost, a snapshot of what is committed brings something
 * too: if the log has the snapshot's entry, the PERSIST has reset_keeps, and
 * applying goes on behind it. One from before the log (its index is below
 * compacted_index) is of no use: ERR_INVALID.
 */
int raft_install_snapshot(struct raft *raft, raft_usec now, raft_index index,
    raft_term term, const struct raft_members *members) ATTR_MUST_CHECK;

/* ---- Membership and leadership ---- */

/*
 * Asks for a membership (section 6; thesis 4). `target` holds the members that
 * shall be, with role_new alone; whoever is not in it is removed. If that
 * changes at most one voter, one entry does it; otherwise a joint membership is
 * entered, and left by whichever leader is there when it is committed. A
 * leader removes or demotes itself as well: when that is committed it hands
 * the leadership over, as in raft_transfer, and steps down.
 * New members come as LEARNER or JOINING, and JOINING ones turn into voters by
 * themselves. Their ids must never have been used: the driver derives them
 * from the index of the entry, which is the last one + 1.
 *
 * The entry, its index and term like those of a proposal, becomes RAFT_OP_MEMBERS
 * and a PERSIST; its payload is the driver's to make.
 * ERR_NOT_LEADER; ERR_AGAIN: no entry of the own term is committed yet, or the
 * leadership is being transferred; ERR_BUSY: a change is under way;
 * ERR_MISMATCH: the membership in effect is not that of `expected_index`;
 * ERR_INVALID: no voter would be left, a voter that was no member, a voter that
 * shall join, too many members (a joint membership holds both), or nothing
 * changes. A `replaces` of somebody who is not in the target is cleared.
 * A LEARNER may be made a VOTER at once, without waiting until it has caught up.
 */
int raft_change_members(struct raft *raft, raft_usec now,
    const struct raft_members *target, raft_index expected_index,
    raft_index *ret_index, raft_term *ret_term) ATTR_MUST_CHECK;

/*
 * The membership keeps its members and roles, but something in its payload,
 * such as an address, changes: one entry, with the errors of a change.
 */
int
raft_renew_members(struct raft *raft, raft_usec now, raft_index expected_index,
    raft_index *ret_index, raft_term *ret_term) ATTR_MUST_CHECK;

/*
 * Hands the leadership over (thesis 3.10) to a voter, or with 0 to the one
 * that is furthest. Proposals answer ERR_AGAIN and leases end at once; the
 * target is brought up to the last entry and told to campaign. It ends when
 * another leader is heard or, after transfer_timeout, by itself. Again for the
 * same target, or for 0: nothing happens; for another: it takes its place.
 * Once the target was told, which cannot be taken back, there is no lease any
 * more in this term.
 * ERR_NOT_LEADER; ERR_INVALID: the target is this node or no voter;
 * ERR_BUSY: a membership change is under way; ERR_NOT_FOUND: the target, or
 * with 0 every voter, has not been heard for an election timeout, or lacks what
 * damage took.
 */
int
raft_transfer(struct raft *raft, raft_usec now, raft_id target) ATTR_MUST_CHECK;

/* ---- Work ---- */

struct raft_ops {
	const struct raft_op *op;
	size_t count;
};

/*
 * Hands out all work since the last call. The ops, and what they point to,
 * stay valid until the next event or take. PERSIST: at most one in a take, and
 * none while an earlier one is not completed. APPLY ranges are contiguous.
 * Order within a take: SEND, PERSIST, DROPPED, SNAPSHOT, APPLY, READ, MEMBERS,
 * ROLE, ALARM, FATAL.
 */
void raft_take(struct raft *raft, struct raft_ops *ret_ops);

/* When raft_timeout is wanted next; RAFT_NEVER if at no time. */
raft_usec raft_deadline(const struct raft *raft);

/* ---- Looking ---- */

struct raft_status {
	enum raft_role role;
	raft_term term;
	raft_id vote;
	raft_id leader;
	raft_index compacted_index;
	raft_index last_index;
	raft_index durable_index;
	raft_index commit_index;
	raft_index applied_index;
	raft_index everywhere_index;
	uint64_t uncommitted_bytes;
	uint64_t round;
	uint64_t elections;       /* candidacies of this life */
	uint64_t leader_changes;  /* in this life */
	raft_id transfer_target;  /* 0: no transfer under way */
	raft_index members_index; /* of the membership in effect */
	bool members_committed;
	raft_index repair_until; /* not 0: does not campaign */
	bool state_lost;         /* waits for a snapshot, and applies nothing */
};

enum raft_peer_state {
	RAFT_PEER_PROBE,
	RAFT_PEER_REPLICATE,
	RAFT_PEER_SNAPSHOT
};

struct raft_peer_status {
	raft_id id;
	enum raft_peer_state state;
	raft_index match_index;
	raft_index next_index;
	uint32_t inflight_appends;
	uint32_t inflight_bytes;
	raft_usec heard_at; /* 0: not in this term */
	raft_usec rtt;      /* of the last echo; 0: none yet */
};

void raft_get_status(const struct raft *raft, struct raft_status *ret_status);

/* The same as in raft_status, for those who ask at each request. */
enum raft_role raft_get_role(const struct raft *raft);
raft_id raft_get_leader(const struct raft *raft);
/* Damage took entries, or the state, that are not back yet. */
bool raft_is_damaged(const struct raft *raft);

/* Until when reads need no round; 0: they do. */
raft_usec raft_lease_until(const struct raft *raft);

/* Leader only: ERR_NOT_LEADER, ERR_NOT_FOUND. */
int raft_get_peer(
    const struct raft *raft, raft_id peer, struct raft_peer_status *ret_peer);

/* The membership in effect; valid until the next event. */
const struct raft_members *raft_get_members(const struct raft *raft);
/* A voter of either half. */
bool raft_members_voter(const struct raft_members *members, raft_id id);
/* The place of `id` in members->member; -1: no member. */
int raft_members_find(const struct raft_members *members, raft_id id);

/* Entry at `index` of the log: ERR_NOT_FOUND when cut or not there. The
 * members pointer is set for RAFT_ENTRY_MEMBERS, valid until the next event. */
int raft_get_entry(
    const struct raft *raft, raft_index index, struct raft_entry *ret_entry);
uint64_t raft_log_epoch(const struct raft *raft);

/* ---- Checks ---- */

/*
 * Every invariant that one node can judge by itself. True if all hold; else
 * `why` (of `size` bytes) says which one does not.
 */
bool raft_check(const struct raft *raft, char *why, size_t size);

/* Hash of the whole state, to compare two runs. */
uint64_t raft_digest(const struct raft *raft);

/*
 * The largest value that a quorum of `members` has reached, where
 * values[i] belongs to members->member[i]; over both halves when joint. One
 * function for commit index, rounds, leases and votes. At least one voter.
 */
uint64_t
raft_quorum_value(const struct raft_members *members, const uint64_t *values);

#endif
