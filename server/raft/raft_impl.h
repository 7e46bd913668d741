#ifndef RAFT_RAFT_IMPL_H
#define RAFT_RAFT_IMPL_H

/*
 * The insides of the Raft core, for the files of this directory only. Each
 * part of `struct raft` is owned by one file: the others read it, and change
 * it through that file's functions.
 */

#include "common/rng.h"
#include "raft/raft.h"

/* Times above this, some 35 years, are a mistake. */
#define RAFT_DURATION_MAX (UINT64_C(1) << 50)
/* The window of a peer is part of its struct, so that nothing is allocated. */
#define RAFT_INFLIGHT_MAX 64
/* Senders with unanswered requests: members, and as many strangers. */
#define RAFT_CALLERS_MAX (2 * RAFT_MEMBERS_MAX)
/* Campaigns with short deadlines after a leader's process died. */
#define RAFT_FAST_CAMPAIGNS_MAX 3

/* ---- raft_log.c: what is known of the entries ---- */

struct raft_slot {
	uint32_t size;
	uint32_t type; /* enum raft_entry_type */
};

/* Entries from `first` up to the next run's first have this term. */
struct raft_run {
	raft_index first;
	raft_term term;
};

struct raft_log {
	raft_index compacted_index; /* the entry before the first kept one */
	raft_term compacted_term;
	raft_index last_index;
	raft_index commit_index;
	raft_index handed_index;  /* given to a PERSIST, open or done */
	raft_index durable_index; /* on disk, and the same there as here */
	raft_index truncate_from; /* what the disk has to cut; 0: nothing */
	uint64_t uncommitted_bytes;
	uint64_t epoch;          /* counts truncations */
	struct raft_slot *slots; /* a ring: entry i at i % capacity */
	size_t slots_capacity;   /* a power of two */
	struct raft_run *runs;
	size_t runs_count;
	size_t runs_capacity;
};

/* An empty log whose entries up to `compacted_index` are cut. */
void raft_log_init(
    struct raft_log *log, raft_index compacted_index, raft_term compacted_term);
void raft_log_release(struct raft_log *log);

/* The term of an entry from compacted_index to last_index. */
raft_term raft_log_term(const struct raft_log *log, raft_index index);
static inline raft_term
raft_log_last_term(const struct raft_log *log)
{
	return log->runs_count == 0 ? log->compacted_term
				    : log->runs[log->runs_count - 1].term;
}

/* The meta of a kept entry. */
const struct raft_slot *
raft_log_slot(const struct raft_log *log, raft_index index);

/*
 * The largest index not above `index` whose term is not above `term`; the
 * compacted index if there is none kept. One step per run.
 */
raft_index
raft_log_find(const struct raft_log *log, raft_index index, raft_term term);

void raft_log_append(
    struct raft_log *log, raft_term term, uint32_t type, uint32_t size);
/* Moves the commit index forward to `index`. */
void raft_log_commit(struct raft_log *log, raft_index index);
/* Forgets entries up to `index`, which is committed and durable. */
void raft_log_compact(struct raft_log *log, raft_index index);

/* ---- raft_members.c: memberships in effect and before ---- */

/*
 * The memberships that the log knows, oldest first. The first is the one at
 * the compacted index or before, the last is in effect.
 */
struct raft_history {
	struct raft_members *members;
	size_t count;
	size_t capacity;
};

bool raft_members_valid(const struct raft_members *members);

void raft_history_push(struct raft_history *history,
    const struct raft_members *members, raft_index index);
/* Drops memberships at `from` and after; true if any was dropped. */
bool raft_history_truncate(struct raft_history *history, raft_index from);
void raft_history_compact(struct raft_history *history, raft_index index);
/* The newest membership that is committed if all up to `commit_index` is. */
const struct raft_members *raft_history_committed(
    const struct raft_history *history, raft_index commit_index);
/* The membership that the entry `index` holds. */
const struct raft_members *
raft_history_at(const struct raft_history *history, raft_index index);

/* ---- raft_answer.c: answers that are owed ---- */

struct raft_answer {
	bool owed;
	bool positive; /* granted, or accepted */
	bool entries;  /* the request carried some */
	uint64_t sequence;
	uint64_t boot_id;
	uint64_t round;
	raft_usec sent_at;
	raft_term term;  /* judged in this term; pre-vote: the one asked for */
	raft_index need; /* to be durable before this leaves */
	raft_index rejected_index;
	raft_index hint_index;
	raft_term hint_term;
};

struct raft_caller {
	raft_id id;
	struct raft_answer prevote;
	struct raft_answer vote;
	/* Covered by what a PERSIST was given so far, and beyond it. */
	struct raft_answer append_handed;
	struct raft_answer append_later;
	/* Waits until `round` is confirmed; `need` is the read index. */
	struct raft_answer read;
};

/* ---- raft_progress.c, raft_elect.c: the other members ---- */

struct raft_inflight {
	raft_index last; /* of the append's entries */
	uint64_t sequence;
	raft_usec sent_at;
	uint32_t bytes;
};

enum raft_verdict { RAFT_VERDICT_NONE, RAFT_VERDICT_YES, RAFT_VERDICT_NO };

struct raft_peer {
	raft_id id;

	/* A campaign of this node. */
	bool ask; /* a request is to be sent */
	enum raft_verdict verdict;

	/* This node as leader. */
	enum raft_peer_state state;
	raft_index match_index; /* durable there and equal, match < next */
	raft_index next_index;  /* PROBE: guessed; REPLICATE: sent below it */
	/* PROBE: the first append sent with this next_index; 0: none yet. */
	uint64_t probe_sequence;
	/* The last request sent when match_index was learnt: answers to newer
	 * ones come from a peer that has said that it holds all up to it. */
	uint64_t match_sequence;
	uint64_t alarmed_boot_id;
	/* As its newest answer says: it is not whole after damage. */
	bool repairing;
	raft_index snapshot_wanted; /* its state is lost; 0: it is not */
	/* SNAPSHOT: the driver sends one; else when to ask it to. */
	bool snapshot_asked;
	raft_usec snapshot_at;
	/* The last request sent when a snapshot was in place there. */
	uint64_t snapshot_sequence;
	bool sent; /* any append in this term */
	raft_usec sent_at;
	uint64_t round_sent;
	uint64_t round_echoed;
	raft_usec promised_until; /* refuses votes so long, on our clock */
	/* JOINING: the round ends when it holds all up to here; 0: none. */
	raft_index catch_up_index;
	raft_usec catch_up_since;
	raft_usec heard_at; /* 0: not in this term */
	raft_usec rtt;
	uint32_t inflight_head;
	uint32_t inflight_count;
	uint32_t inflight_bytes;
	struct raft_inflight inflight[RAFT_INFLIGHT_MAX];
};

/* ---- raft_transfer.c: the leadership goes to another ---- */

struct raft_transfer {
	raft_id target;     /* 0: no transfer under way */
	raft_usec deadline; /* given up then */
	raft_usec told_at;  /* last TIMEOUT_NOW to the target; 0: none */
	bool told;          /* somebody was, in this term */
};

/* ---- raft_snapshot.c ---- */

/* A snapshot that takes the place of the state, and of the log. */
struct raft_install {
	raft_index index; /* 0: none */
	raft_term term;
	bool keeps; /* the log, which has this entry, stays */
	struct raft_members members;
};

/* ---- raft_repair.c ---- */

/* As in raft_boot; (0, 0): the log is whole. */
struct raft_repair {
	raft_index until;
	raft_term term;
};

/* ---- raft_read.c ---- */

struct raft_pending_read {
	uint64_t id;
	/* Has to be confirmed; 0: none, a lease held, or the leader says. */
	uint64_t round;
	raft_index index; /* RAFT_INDEX_UNKNOWN: the leader has not said yet */
};

#define RAFT_INDEX_UNKNOWN UINT64_MAX

/* A ring in order of arrival. */
struct raft_reads {
	struct raft_pending_read *ring;
	size_t capacity; /* a power of two */
	size_t head;
	size_t count;
	size_t failed;     /* so many from the head on */
	bool round_wanted; /* one waits for a round that has not begun */
	/* Elsewhere than on a leader: the last `unasked` have come since the
	 * leader was asked, for the `asked` ones before them. */
	size_t asked;
	size_t unasked;
	uint64_t asked_sequence;
	raft_usec asked_at;
};

/* ---- raft_take.c: work to hand out ---- */

struct raft_outgoing {
	struct raft_message message;
	raft_index first;
	size_t arena_offset;
};

struct raft_out {
	struct raft_outgoing *sends;
	size_t sends_count;
	size_t sends_capacity;
	struct raft_entry *arena; /* entries of the messages */
	size_t arena_count;
	size_t arena_capacity;
	/* What lies in the arena last, to share it between peers. */
	raft_index arena_first;
	uint32_t arena_entries;
	struct raft_op *ops;
	size_t ops_count;
	size_t ops_capacity;
	/* Collected by events, handed out by the next take. */
	struct raft_op_dropped *dropped;
	size_t dropped_count;
	size_t dropped_capacity;
	struct raft_op_alarm alarms[2 * RAFT_MEMBERS_MAX];
	size_t alarms_count;
	bool members_changed;
	struct raft_op_role role_told;
	struct raft_op_fatal fatal;
	bool fatal_told;
};

struct raft_persist {
	bool open;
	raft_ticket ticket; /* the last one given */
	raft_usec opened_at;
	raft_term term; /* given to the last PERSIST */
	raft_id vote;
	raft_index repair_until;
	raft_term durable_term;
	raft_id durable_vote;
};

struct raft {
	struct raft_params params;
	uint64_t boot_id;
	struct rng rng;
	raft_usec now; /* the greatest that was told */

	/* Section 5.2, figure 2. Changed in raft_role.c and by a vote. */
	raft_term term;
	raft_id vote;
	enum raft_role role;
	raft_id leader;      /* believed to be there; 0: none */
	raft_id term_leader; /* whoever led in this term; 0: not known */

	raft_usec deadline; /* of the election timer; not for a leader */
	/* Votes are refused until then, a leader was heard (thesis 4.2.3). */
	raft_usec sticky_until;
	/* And until then, whatever becomes of it: a former life may have
	 * promised so. Not after sticky_until. */
	raft_usec promised_until;
	unsigned fast_campaigns;    /* left, with short deadlines */
	uint64_t sequence;          /* of the last request sent */
	uint64_t campaign_sequence; /* of the campaign's first request */
	bool campaign_transfer;     /* the leader has asked for it */
	uint64_t elections;
	uint64_t leader_changes;

	struct raft_log log;
	struct raft_history history;
	raft_index verified_index; /* equal to this term's leader's log */
	raft_index applying_index; /* given to an APPLY */
	raft_index applied_index;
	raft_index everywhere_index;

	/* Parallel to the active membership's member[], this node included. */
	struct raft_peer peers[RAFT_MEMBERS_MAX];
	raft_index term_start;  /* the leader's first own entry */
	raft_usec quorum_since; /* it leads, or the quorum is this one */
	uint64_t round;         /* the newest begun */
	uint64_t round_confirmed;

	struct raft_transfer transfer;
	struct raft_reads reads;
	struct raft_caller callers[RAFT_CALLERS_MAX];
	size_t callers_count;
	struct raft_persist persist;
	struct raft_install install;
	struct raft_repair repair;
	struct raft_out out;
};

static inline const struct raft_members *
raft_active(const struct raft *raft)
{
	return &raft->history.members[raft->history.count - 1];
}

/* A snapshot waits for the PERSIST that puts it in place. */
static inline bool
raft_installing(const struct raft *raft)
{
	return raft->install.index != 0;
}

/* Entries that this node acknowledged are lost. */
static inline bool
raft_repairing(const struct raft *raft)
{
	return raft->repair.until != 0;
}

/* The state machine does not reach the log: nothing can be applied. */
static inline bool
raft_state_lost(const struct raft *raft)
{
	return raft->applied_index < raft->log.compacted_index;
}

/* This peer lacks what damage took: it does not lead, nor begin to vote. */
static inline bool
raft_peer_damaged(const struct raft_peer *peer)
{
	return peer->repairing || peer->snapshot_wanted != 0;
}

/* ---- raft.c ---- */

/* Invariant broken: stops this node for good. `reason` is a literal. */
void raft_stop(struct raft *raft, const char *reason, raft_index index);
/* A PERSIST has been open for longer than disk_stall_max. */
bool raft_disk_stalled(const struct raft *raft);
/* (term, vote) as they are now would survive a crash. */
bool raft_vote_durable(const struct raft *raft);

/* ---- raft_log.c, together with the membership ---- */

/* Appends one entry and lets a membership in it take effect. */
void raft_append_entry(struct raft *raft, const struct raft_entry *entry);
/* Cuts the log from `from` on, with what depends on it. */
void raft_cut_entries(struct raft *raft, raft_index from);
/* The log begins behind `index`, at which `members` is in effect. */
void raft_reset_entries(struct raft *raft, raft_index index, raft_term term,
    const struct raft_members *members);
/* Fills `entries` with `count` kept entries from `first` on. */
void raft_copy_entries(const struct raft *raft, raft_index first,
    uint32_t count, struct raft_entry *entries);

/* ---- raft_role.c: the only doors between the roles ---- */

/* `leader` 0: not known. A term above the present one forgets the vote. */
void raft_become_follower(struct raft *raft, raft_term term, raft_id leader);
void raft_become_precandidate(struct raft *raft);
/* `transfer`: as the leader wishes, without a pre-vote. */
void raft_become_candidate(struct raft *raft, bool transfer);
void raft_become_leader(struct raft *raft);
void raft_become_stopped(struct raft *raft);

/* ---- raft_elect.c ---- */

/* Draws a deadline anew, 1x .. 2x of the election timeout from now. */
void raft_elect_reset(struct raft *raft);
/* The election timer fired. */
void raft_elect_timeout(struct raft *raft);
/* Counts the votes; moves on if the campaign is decided. */
void raft_elect_count(struct raft *raft);
/* Prepares requests to all other voters; nobody has answered yet. */
void raft_elect_begin(struct raft *raft);
/*
 * This node may campaign: it is a voter of the membership in effect, or of the
 * last one that is known as committed. The latter may be needed to elect
 * somebody while its removal is not committed (thesis 4.2.2). Not while it
 * lacks what damage took.
 */
bool raft_elect_allowed(const struct raft *raft);
/* A leader is believed alive: votes are refused. */
bool raft_elect_sticky(const struct raft *raft);
void raft_elect_request(struct raft *raft, const struct raft_message *message);
void
raft_elect_prerequest(struct raft *raft, const struct raft_message *message);
void raft_elect_response(struct raft *raft, const struct raft_message *message);
/* Sends the requests that may leave. */
void raft_elect_collect(struct raft *raft);

/* ---- raft_append.c: the follower's side of section 5.3 ---- */

void raft_append_request(struct raft *raft, const struct raft_message *message,
    struct raft_accepted *ret_accepted);

/* ---- raft_progress.c: the leader's side of section 5.3 ---- */

/* The peer array follows the active membership. */
void raft_progress_members(struct raft *raft);
/* All peers start anew, for a new leader. */
void raft_progress_begin(struct raft *raft);
/* Start over from where this peer's log is known, or guessed, to agree. */
void raft_progress_probe(struct raft *raft, struct raft_peer *peer);
/* The log was cut at its front. */
void raft_progress_compacted(struct raft *raft);
int
raft_progress_response(struct raft *raft, const struct raft_message *message);
/* Commits what a quorum has, and learns what every member has. */
void raft_progress_commit(struct raft *raft);
/* The leader's time rules: quorum heard, appends lost. */
void raft_progress_timeout(struct raft *raft);
raft_usec raft_progress_deadline(const struct raft *raft);
void raft_progress_collect(struct raft *raft);
/* New entries need not be made durable here yet. */
bool raft_progress_waits(const struct raft *raft);
struct raft_peer *raft_peer_find(struct raft *raft, raft_id id);

/* ---- raft_snapshot.c ---- */

/* The log no longer holds what this peer lacks. */
void raft_snapshot_need(struct raft *raft, struct raft_peer *peer);
void raft_snapshot_collect(struct raft *raft);
/* When this peer's snapshot is asked for; RAFT_NEVER. */
raft_usec
raft_snapshot_deadline(const struct raft *raft, const struct raft_peer *peer);
/* The PERSIST with the reset is completed. */
void raft_snapshot_installed(struct raft *raft);

/* ---- raft_repair.c ---- */

/* Log, commit index or verified index moved: the log may be whole again. */
void raft_repair_check(struct raft *raft);
/* The candidate's log has all that this node ever had; true if it is whole. */
bool
raft_repair_covers(const struct raft *raft, const struct raft_message *message);
/* This node cannot lead, for damage. */
bool raft_repair_bars(const struct raft *raft);
/* This leader can give the snapshot that the peer says it needs. */
bool raft_repair_wants(const struct raft *raft, const struct raft_peer *peer);
/* Learns from an append response what the peer has lost. */
void raft_repair_heard(struct raft *raft, struct raft_peer *peer,
    const struct raft_message *message);

/* ---- raft_change.c ---- */

/* How many voters the incoming half of one has and that of the other lacks. */
unsigned
raft_change_voters(const struct raft_members *a, const struct raft_members *b);
/* The commit index moved: the leader goes on with what waits for that. */
void raft_change_committed(struct raft *raft);
/* A member has acknowledged: if it has caught up, its role changes. */
void raft_change_caught_up(struct raft *raft, raft_id id);

/* ---- raft_transfer.c ---- */

/* Hands over to the best, for a leader that leaves; false: nobody is there. */
bool raft_transfer_leave(struct raft *raft);
/* Votes may be given although the voters have just heard this leader. */
bool raft_transfer_voids_lease(const struct raft *raft);
/* TIMEOUT_NOW to a target that holds all. */
void raft_transfer_collect(struct raft *raft);
void raft_transfer_timeout(struct raft *raft);
raft_usec raft_transfer_deadline(const struct raft *raft);
/* TIMEOUT_NOW has come. */
void raft_transfer_told(struct raft *raft, const struct raft_message *message);

/* ---- raft_read.c ---- */

/* Starts a round if reads wait for one and there is room. */
void raft_read_begin_round(struct raft *raft);
/* Learns from echoes which rounds are confirmed. */
void raft_read_confirm(struct raft *raft);
void raft_read_fail_all(struct raft *raft);
void raft_read_collect(struct raft *raft);
/* Asks the leader for those that have come, one request at a time. */
void raft_read_ask(struct raft *raft);
void raft_read_request(struct raft *raft, const struct raft_message *message);
void raft_read_response(struct raft *raft, const struct raft_message *message);
/* The leader has not answered for too long. */
void raft_read_timeout(struct raft *raft);
raft_usec raft_read_deadline(const struct raft *raft);
/* Until when a promise binds that was made for an append of `sent_at`; less
 * the drift of clocks. 0: none was made. */
raft_usec raft_read_promise(raft_usec sent_at, raft_usec promise);
struct raft_pending_read *
raft_read_at(const struct raft_reads *reads, size_t place);

/* ---- raft_answer.c ---- */

/*
 * Where to note what `message` is answered with; NULL if too many callers
 * wait, or if a newer request of the same kind does. The common fields are
 * set, and it is owed.
 */
struct raft_answer *
raft_answer_vote(struct raft *raft, const struct raft_message *message);
/* As above, for an append that waits until `need` is durable. */
struct raft_answer *raft_answer_append(
    struct raft *raft, const struct raft_message *message, raft_index need);
/* As above, for a read at another node. */
struct raft_answer *
raft_answer_read(struct raft *raft, const struct raft_message *message);
/* A PERSIST was given all entries: nothing lies beyond it. */
void raft_answer_handed(struct raft *raft);
void raft_answer_collect(struct raft *raft);
/* When a slow disk lets an answer go without it; RAFT_NEVER. */
raft_usec raft_answer_deadline(const struct raft *raft);

/* ---- raft_message.c ---- */

/* Every field is one that a peer of this version could have sent. */
bool
raft_message_valid(const struct raft *raft, const struct raft_message *message);

/* ---- raft_take.c ---- */

/* A message to be filled in, valid until the next call. */
struct raft_message *
raft_out_message(struct raft *raft, enum raft_message_kind kind, raft_id to);
/* Gives the message made last `count` entries from `first` on. */
void raft_out_entries(struct raft *raft, raft_index first, uint32_t count);
struct raft_op *raft_out_op(struct raft *raft, enum raft_op_kind kind);
void raft_out_dropped(
    struct raft *raft, raft_index first, raft_index last, raft_term term);
void raft_out_alarm(
    struct raft *raft, enum raft_alarm alarm, raft_id peer, raft_index index);
void raft_out_release(struct raft_out *out);

/* `array` with room for `count` objects of `size` bytes, grown by doubling. */
void *raft_reserve(void *array, size_t *capacity, size_t count, size_t size);

#endif
