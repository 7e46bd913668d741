#ifndef RAFT_RAFT_TYPES_H
#define RAFT_RAFT_TYPES_H

/*
 * The words that the Raft core shares with its driver and with the wire: ids,
 * entries, memberships and messages.
 */

#include <stdbool.h>
#include <stdint.h>

typedef uint64_t raft_id;     /* a member, never 0 and never used again */
typedef uint64_t raft_index;  /* of a log entry, the first is 1 */
typedef uint64_t raft_term;   /* 0 before the first election */
typedef uint64_t raft_ticket; /* of a PERSIST, growing by one */
typedef uint64_t raft_usec;   /* monotonic microseconds, told by the driver */

#define RAFT_NEVER       UINT64_MAX /* a deadline that does not come */
#define RAFT_MEMBERS_MAX 9
/* Terms and indices above this are refused as malformed (scenario A36). */
#define RAFT_NUMBER_MAX (UINT64_C(1) << 62)

enum raft_role {
	RAFT_FOLLOWER,
	RAFT_PRECANDIDATE,
	RAFT_CANDIDATE,
	RAFT_LEADER,
	RAFT_STOPPED /* after RAFT_OP_FATAL */
};

/* The lower-case name of a role: "follower", "pre-candidate", ... */
const char *raft_role_name(enum raft_role role);

enum raft_entry_type {
	RAFT_ENTRY_NOOP = 1, /* a new leader's first entry, section 8 */
	RAFT_ENTRY_COMMAND = 2,
	RAFT_ENTRY_MEMBERS = 3 /* the membership from this entry on */
};

enum raft_member_role {
	RAFT_MEMBER_NONE,
	RAFT_MEMBER_VOTER,
	RAFT_MEMBER_LEARNER, /* gets everything, counts nowhere */
	/* A learner that the leader makes a voter by itself, as soon as it has
	 * caught up (thesis 4.2.1). */
	RAFT_MEMBER_JOINING
};

struct raft_member {
	raft_id id;
	enum raft_member_role role_old; /* in the outgoing half; see below */
	enum raft_member_role role_new; /* in the incoming half */
	/* JOINING: the member that leaves by the same change that makes this
	 * one a voter; 0: none. */
	raft_id replaces;
};

/* "none", "voter", "learner", "joining". */
const char *raft_member_role_name(enum raft_member_role role);

/*
 * A membership. When `joint` (section 6), a quorum needs a majority of
 * role_old voters and one of role_new voters; otherwise only role_new counts
 * and role_old equals it. Ids ascend. A voter that is none in the incoming
 * half is NONE or LEARNER there, and so learns until the joint one is left.
 */
struct raft_members {
	raft_index index; /* of the entry that holds it; 0: the initial one */
	bool joint;
	unsigned count;
	struct raft_member member[RAFT_MEMBERS_MAX];
};

/* What the core keeps of an entry; the bytes stay with the driver. */
struct raft_entry {
	raft_term term;
	enum raft_entry_type type;
	/* Of the encoded entry, for limits and quotas; 0 for the entries that
	 * a leader adds itself. */
	uint32_t size;
	/* Only for RAFT_ENTRY_MEMBERS; borrowed during the call. */
	const struct raft_members *members;
};

enum raft_message_kind {
	RAFT_PREVOTE_REQUEST = 1, /* thesis 9.6 */
	RAFT_PREVOTE_RESPONSE,
	RAFT_VOTE_REQUEST, /* section 5.2 */
	RAFT_VOTE_RESPONSE,
	RAFT_APPEND_REQUEST, /* section 5.3; without entries: a heartbeat */
	RAFT_APPEND_RESPONSE,
	RAFT_TIMEOUT_NOW,  /* thesis 3.10: campaign at once; not answered */
	RAFT_READ_REQUEST, /* thesis 6.4, of a follower or learner */
	RAFT_READ_RESPONSE
};

/*
 * A response repeats its request's sequence, boot_id, round and sent_at. Each
 * request is answered, but one response answers all of its kind from the same
 * life of the same peer up to its sequence.
 */
struct raft_message {
	enum raft_message_kind kind;
	raft_id from;
	raft_id to;
	raft_term term; /* the sender's; in a pre-vote the one it would take */
	uint64_t boot_id;    /* the sender's life */
	uint64_t to_boot_id; /* response: the boot_id that asked; else 0 */
	uint64_t sequence;   /* of the request, growing within a life */

	/*
	 * Vote and pre-vote requests: the candidate's last durable entry.
	 * TIMEOUT_NOW: the leader's last entry, which the receiver must hold.
	 */
	raft_index last_index;
	raft_term last_term;
	/* Vote requests: the leader asked for this campaign, so that it does
	 * not disturb a live one. */
	bool transfer;
	/* Vote and pre-vote responses. */
	bool granted;

	/* Append requests. */
	raft_index prev_index;
	raft_term prev_term;
	raft_index commit_index;
	raft_index everywhere_index; /* all members hold all up to here */
	uint64_t round;              /* see raft_read; echoed */
	raft_usec sent_at;           /* on the leader's clock; echoed */
	uint32_t entries_count;
	/* In: borrowed during raft_receive. Out: valid as the op is. */
	const struct raft_entry *entries;
	/*
	 * Out only: changes whenever entries were cut from the log's end. A
	 * driver that fills in bytes later drops the message if
	 * raft_log_epoch() has moved on (scenario C24).
	 */
	uint64_t log_epoch;

	/*
	 * Append requests and responses: the driver's, who compares states by
	 * them. Carried, but not looked at.
	 */
	raft_index state_index;  /* request: asked for; response: 0 or that */
	uint64_t state_hash;     /* response: of the state at state_index */
	raft_index agreed_index; /* request: 0, or what a majority has there */
	uint64_t agreed_hash;

	/* Read responses: true if confirmed, then all up to read_index has to
	 * be applied before the read is served. */
	raft_index read_index;

	/* Append responses; read responses have `success` only. */
	bool success;
	/* For so long from sent_at on the sender, which runs with lease_reads,
	 * refuses votes, over a restart and a refused connection as well; its
	 * own election timeout, which need not be the leader's. 0: it makes no
	 * such promise. */
	raft_usec promise;
	raft_index match_index; /* success: durable and equal up to here */
	/* Refusal: the request's prev_index, and where to try next: the
	 * last index of the run of hint_term that may agree (thesis 5.3). */
	raft_index rejected_index;
	raft_index hint_index;
	raft_term hint_term;
	/* Append responses: entries that the sender once acknowledged are lost;
	 * it holds what this response says, and no more. */
	bool repairing;
	/* Append responses: the sender's state is lost. It needs a snapshot at
	 * or after this index; 0: it does not. */
	raft_index snapshot_wanted;
};

#endif
