#ifndef TESTS_LIB_RAFT_SOLO_H
#define TESTS_LIB_RAFT_SOLO_H

/*
 * One Raft core with its disk, driven by hand: what raft_take() gives is
 * recorded, a PERSIST is completed when the test says so, and a crash leaves
 * what was completed. After each take the core's invariants are asserted.
 * The size of an entry stands for its content.
 */

#include "raft/raft.h"

/* Microseconds in the defaults of solo_init. */
#define SOLO_ELECTION_TIMEOUT   100000
#define SOLO_HEARTBEAT_INTERVAL 20000

/* Ids of nodes in tests are not above this. */
#define SOLO_ID_MAX 40

struct solo_entry {
	struct raft_entry entry;
	struct raft_members members;
};

struct solo_log {
	struct solo_entry *entries; /* compacted_index + 1 and on */
	size_t count;
	size_t capacity;
};

/* What survives a crash. */
struct solo_disk {
	raft_term term;
	raft_id vote;
	raft_index compacted_index;
	raft_term compacted_term;
	struct solo_log log;
	struct raft_members members; /* at compacted_index */
	raft_index commit_hint;
	raft_index applied_index;
	raft_index repair_until;
	raft_term repair_term;
	/* Nowhere but in the memory of the test: what damage took. */
	struct solo_log lost;
	raft_index lost_first;
};

/* A message with entries of its own. */
struct solo_message {
	struct raft_message message;
	struct solo_log log;
};

struct solo {
	struct raft_params params;
	struct raft *raft; /* NULL: crashed */
	raft_usec now;
	uint64_t boot_id;
	struct solo_disk disk;

	bool persist_open;
	struct raft_op_persist persist;
	struct solo_log persist_log;
	struct raft_members install_members; /* by solo_install */
	struct raft_accepted accepted;       /* by solo_append */
	uint64_t sequence;                   /* of solo_append and solo_ask */
	bool hold_apply; /* APPLY is not answered by raft_applied */

	/* What the takes gave since solo_clear, oldest first. */
	struct solo_message *sent;
	size_t sent_count;
	size_t sent_capacity;
	struct raft_op_read *reads;
	size_t reads_count;
	size_t reads_capacity;
	struct raft_op_dropped *dropped;
	size_t dropped_count;
	size_t dropped_capacity;
	/* The newest append to each, kept over solo_clear; no entries. */
	struct raft_message appended[SOLO_ID_MAX + 1];
	size_t snapshots_count;
	struct raft_op_snapshot snapshot;
	raft_index snapshot_for[SOLO_ID_MAX + 1]; /* at_least; 0: none */
	size_t persists_count;
	raft_index apply_first; /* all APPLY ranges together; 0: none */
	raft_index apply_last;
	size_t roles_count;
	struct raft_op_role role;
	size_t alarms_count;
	struct raft_op_alarm alarm;
	bool members_changed;
	size_t fatals_count;
	struct raft_op_fatal fatal;
};

/* `count` voters 1 .. count; `id` is this one. Small limits, see the code. */
void solo_init(struct solo *solo, raft_id id, unsigned count);
void solo_release(struct solo *solo);

/* Adds entries with these terms, size 1 each, to the disk before a boot. */
void solo_preset(struct solo *solo, raft_term term, raft_id vote,
    const raft_term *entry_terms, size_t count);

/* Starts a core from the disk, with a new boot id; asserts that it could. */
void solo_boot(struct solo *solo);
/* As above, and the first election timeout, without votes, is over. */
void solo_boot_voter(struct solo *solo);
void solo_crash(struct solo *solo);

/* raft_compact, and the same on the disk. Returns what raft_compact does. */
int solo_compact(struct solo *solo, raft_index index);

/* raft_install_snapshot; the disk follows with the PERSIST. */
int solo_install(struct solo *solo, raft_index index, raft_term term,
    const struct raft_members *members);
/* The membership at `index` of the core's log, from its front on. */
struct raft_members solo_members_at(const struct solo *solo, raft_index index);

/* One raft_take, recorded. False if it gave nothing. */
bool solo_take(struct solo *solo);
/* Completes the open PERSIST. */
void solo_persisted(struct solo *solo);
/* Takes and completes until nothing is left to do. */
void solo_settle(struct solo *solo);
void solo_clear(struct solo *solo);

/* Moves time to the core's deadline (or `now`), tells it, and takes. */
void solo_timeout(struct solo *solo);
void solo_advance(struct solo *solo, raft_usec duration);

/* A message to this core with the common fields set; boot id 1000 + from. */
struct raft_message solo_message(const struct solo *solo,
    enum raft_message_kind kind, raft_id from, raft_term term);
/* The answer to `request`, which this core sent, from `request->to`. */
struct raft_message solo_answer(const struct solo *solo,
    const struct raft_message *request, enum raft_message_kind kind);
/* Hands `message` to the core: no take. Returns raft_receive's answer. */
int solo_receive(struct solo *solo, const struct raft_message *message,
    struct raft_accepted *ret_accepted);
/* As above, then settles. */
int solo_deliver(struct solo *solo, const struct raft_message *message);

/* The last recorded message of `kind` to `to` (0: to anyone), or NULL. */
const struct raft_message *
solo_sent(const struct solo *solo, enum raft_message_kind kind, raft_id to);
size_t solo_sent_count(const struct solo *solo, enum raft_message_kind kind);

struct raft_status solo_status(const struct solo *solo);
struct raft_peer_status solo_peer(const struct solo *solo, raft_id peer);
/* The term at `index` of the core's log; 0 if there is none. */
raft_term solo_term(const struct solo *solo, raft_index index);

/* Lets the election timer fire, once: a pre-candidate; the requests taken. */
void solo_precampaign(struct solo *solo);
/* As above, and all others grant: a candidate, its PERSIST taken and open. */
void solo_stand(struct solo *solo);
/*
 * As above, and all others vote: a leader. Its first appends are sent and
 * recorded no longer: solo_ack can answer them.
 */
void solo_lead(struct solo *solo);
/* Answers for `peer` that it holds all up to `match`, then settles. */
int solo_ack(struct solo *solo, raft_id peer, raft_index match);
/*
 * An append of `count` entries of these terms from `leader`, received; what
 * was taken over is in solo->accepted. No take. Returns what raft_receive does.
 */
int solo_append(struct solo *solo, raft_id leader, raft_term term,
    raft_index prev_index, raft_term prev_term, const raft_term *terms,
    uint32_t count, raft_index commit_index);
/* A vote or pre-vote request of `from`, answered: whether it was granted. */
bool solo_ask(struct solo *solo, enum raft_message_kind kind, raft_id from,
    raft_term term, raft_index last_index, raft_term last_term);
/* Answers `request`, which this core sent, with a vote or pre-vote. */
int
solo_vote(struct solo *solo, const struct raft_message *request, bool granted);
/* Proposes one entry of `size`; asserts that it is taken. */
raft_index solo_propose(struct solo *solo, uint32_t size);

/*
 * Puts `member`, in the order of ids, into `target` with its role_new, or in
 * place of the one with its id; with the role NONE it is taken out.
 */
void
solo_set_member(struct raft_members *target, const struct raft_member *member);
/* raft_change_members with what is in effect as expected; then settles. */
int solo_change(struct solo *solo, const struct raft_members *target);
/* As above, for one member of the membership in effect. */
int
solo_change_member(struct solo *solo, raft_id id, enum raft_member_role role);
/* The role_new of a member in effect; NONE if it is no member. */
enum raft_member_role solo_role(const struct solo *solo, raft_id id);

/* ---- Shared with raft_cluster ---- */

void solo_log_append(struct solo_log *log, const struct raft_entry *entry);
void solo_message_copy(
    struct solo_message *copy, const struct raft_message *message);

#endif
