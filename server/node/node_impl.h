#ifndef NODE_NODE_IMPL_H
#define NODE_NODE_IMPL_H

/* The node's inside, for the node_*.c files. */

#include "node/node.h"
#include "node/node_compare.h"
#include "node/node_fellows.h"
#include "node/node_identity.h"
#include "node/node_log.h"
#include "node/node_members.h"
#include "node/node_scrub.h"
#include "node/node_snapshot.h"

/* Waiting writes hang below their index; a power of two. */
#define NODE_WAITING_BUCKETS 4096

struct node {
	struct node_params params;
	struct node_host host;
	struct store *log_store;
	struct store *data_store; /* of the log's data_generation */
	struct node_identity identity;
	bool identity_changed; /* to be made durable by the next turn */
	struct node_fellows fellows;
	bool fellows_changed; /* likewise */
	raft_id id;           /* 0: it is no member yet */
	enum node_state state;
	raft_usec settle_at; /* RAFT_NEVER: the log store is settled */
	int error;
	char fault[256];

	/* Members whose connections broke, each once, and when last. */
	struct node_lost {
		raft_id id; /* 0: a free place */
		raft_usec at;
	} lost[NODE_MEMBERS_MAX];

	/* FORMING: by position in the identity's members; itself: true. */
	bool heard[NODE_MEMBERS_MAX];

	/* What was mended at the open; empty: nothing. */
	char repairs[NODE_REPAIRS_COUNT][NODE_REPAIR_TEXT_SIZE];

	struct node_log *log;
	struct kv *kv;
	struct raft *raft; /* from NODE_MEMBER on */

	/* Not known: the one that this node gives the cluster if it founds it. */
	bool cluster_id_known;
	uint8_t cluster_id[NODE_NONCE_SIZE];

	/* See node_book.c. */
	struct node_membership active;    /* in effect, maybe not committed */
	struct node_membership committed; /* as applied */
	bool members_changed;             /* host.on_members is due */

	/* A member's new directory, to be put in the place of its damaged one;
	 * name empty: none is. See node_renew.c. */
	struct node_change renewal;
	struct node_write renewed; /* is waited for by nobody */
	/* This one's directory was begun anew, and lacks what a voter has. */
	bool begun_again;

	raft_usec checkpoint_at; /* RAFT_NEVER: nothing is dirty */
	struct node_snapshots snapshots;
	struct node_compare compare;
	struct node_scrub scrub;

	/* See node_time.c. */
	struct node_time {
		/* A leader's stamps count on from base_us at base_at. */
		uint64_t base_us;
		raft_usec base_at;
		raft_term term;         /* in which it leads, or did last */
		raft_index first_index; /* of that term's entries */
		/* What is shown: as stamped, while it leads; else it counts on
		 * from the stamp that was applied last; never below the floor.
		 */
		bool leads;
		uint64_t seen_us;
		raft_usec seen_at;
		uint64_t floor_us;
	} time;

	/* What a leader proposes by itself; see node_chores.c. */
	struct node_chores {
		struct node_write expire; /* the link of each is empty unless */
		struct node_write mark;   /* it is under way */
		struct node_write compact;
		raft_term term;          /* the rest is known of; 0: nothing */
		raft_index looked_index; /* applied when these were read */
		uint64_t deadline_us;    /* the first; RAFT_NEVER: none */
		uint64_t expire_us;      /* when EXPIRE has work; likewise */
		uint64_t history_us;     /* when its front is too old */
		bool compacting;         /* more may be to do */
		raft_usec retry_at;      /* after a proposal was refused */
		raft_usec due_at;        /* when a turn is wanted */
	} chores;

	/* What a leader had committed at `fresh_at` is applied; the same of
	 * `freshening_at` will be when `freshening_index` is. 0: none. */
	raft_usec fresh_at;
	raft_usec freshening_at;
	raft_index freshening_index;

	struct list waiting[NODE_WAITING_BUCKETS]; /* of struct node_write */
	struct list reads;   /* of struct node_read, not yet asked for */
	struct list batches; /* of struct read_batch, oldest first */
	uint64_t read_id;    /* of the last batch */
	bool changed;        /* host.on_change is due */
	bool again;          /* a turn is wanted at once */

	/* Reused memory. */
	struct raft_op *ops;
	size_t ops_capacity; /* of each of these, in its elements */
	struct node_entry **entries;
	size_t entries_capacity;
	struct raft_entry *received;
	struct raft_members *received_members;
	size_t received_capacity;
};

/* Notes why the node stops; the first reason stays. Returns `error`. */
ATTR_PRINTF(3, 4)
int node_set_fault(struct node *node, int error, const char *format, ...);

/* ---- node_turn.c ---- */

/* Around a commit, which blocks: what can leave does so before. Gives the time
 * at which it begins. */
raft_usec node_begin_commit(struct node *node);
/* It is done: tells the host how long it took. Gives the time now. */
raft_usec
node_end_commit(struct node *node, bool checkpoint, raft_usec started);

/* A leader has heard member `id` within an election timeout, and no connection
 * to it broke since: who has just died is none that a change may count on. */
bool node_reaches(const struct node *node, raft_usec now, raft_id id);

/* ---- node_compare_turn.c ---- */

/* The entry at `index` was applied; a fault if the state is found to differ
 * there. */
int node_compare_applied(struct node *node, raft_index index) ATTR_MUST_CHECK;
/* Fills in what of a message that leaves is about states. */
void node_compare_send(
    struct node *node, raft_usec now, struct raft_message *message);
/* The same of a message that the core has accepted. */
void
node_compare_receive(struct node *node, const struct raft_message *message);
/* Ends the node if its state was found to differ from the majority's. */
int node_compare_turn(struct node *node) ATTR_MUST_CHECK;

/* ---- node_formation.c: whose directory this is, and what becomes of it ---- */

/* Takes up the identity of the directory, or gives an empty one its own. */
int
node_formation_open(struct node *node, char *why, size_t size) ATTR_MUST_CHECK;
/* Notes that the founder at `position` was heard, empty as this node; with
 * the directory it has, or NULL: it is none of the cluster's any more. */
void node_formation_heard(
    struct node *node, unsigned position, const uint8_t *directory);
/* It is empty because its former directory was damaged, and no member yet. */
bool node_waits_for_place(const struct node *node);
/* A leader has made this node, which waits for that, a member. */
void node_formation_join(struct node *node, const struct node_hello *hello);
/* The cluster has removed this member, for good. */
void node_formation_remove(struct node *node);
/* The directory of this member is an old copy: it takes no part any more. */
void node_formation_outdate(struct node *node);
/* What the four above changed is to be made durable by the next turn. */
bool node_formation_due(const struct node *node);
/* Makes durable what the four above changed; only then it takes effect. */
int node_formation_turn(struct node *node) ATTR_MUST_CHECK;

/* ---- node_fellows.c: copies of directories, and those put back ---- */

int
node_fellows_open(struct node *node, char *why, size_t size) ATTR_MUST_CHECK;
/* Makes durable what was learned since the last turn. */
int node_fellows_turn(struct node *node) ATTR_MUST_CHECK;
/* What this node knows of the receiver of a hello, for that one to judge. */
void node_fellows_tell(
    const struct node *node, raft_id to, struct node_hello *hello);
/*
 * Judges the life of a fellow that is a member, or waits to found the cluster.
 * ERR_MISMATCH: its directory is older than what is known of it; `why` says so.
 */
int node_judge_life(const struct node *node, const struct node_hello *hello,
    char *why, size_t size) ATTR_MUST_CHECK;
/* It was accepted: earlier lives are not any more. */
void node_remember_life(struct node *node, const struct node_hello *hello);
/*
 * Judges by what a fellow knows of this member whether our directory is an old
 * copy: then it takes no part any more. ERR_MISMATCH.
 */
int node_hear_own_life(struct node *node, const struct node_hello *hello,
    char *why, size_t size) ATTR_MUST_CHECK;
/* Of a member's message. False: of a life of `id` that has been replaced. */
bool node_is_newest_life(struct node *node, raft_id id, uint64_t boot_id);
/* The sentence of a directory that is outdated. */
void node_refuse_outdated(const struct node *node, char *why, size_t size);

/* ---- node_boot.c ---- */

/* Loads log and state machine, and starts the core of a member. */
int node_boot(
    struct node *node, raft_usec now, char *why, size_t size) ATTR_MUST_CHECK;
/* Starts the core of a node that has just become a member. */
int node_boot_core(
    struct node *node, raft_usec now, char *why, size_t size) ATTR_MUST_CHECK;

/* ---- node_repair.c: opening log and data, and mending what is damaged ---- */

/* Whoever collects the entries of the log. */
struct node_visitor {
	node_log_visit_fn *visit;
	void (*forget)(void *context); /* all: they are visited again */
	/* The newest membership among them; NULL: there is none. */
	const struct raft_members *(*last_members)(void *context);
};

/* Opens node->log and node->kv. Errors as of node_new. */
int node_repair_open(struct node *node, const struct node_visitor *visitor,
    void *context, char *why, size_t size) ATTR_MUST_CHECK;
/* The state is one of before what the log holds: it waits for a snapshot. */
bool node_state_lost(const struct node *node);

/* ---- node_renew.c: members that lost their directory to damage ---- */

void node_renew_init(struct node *node);
/* A hello of such a member was heard, from a directory not known yet. */
void node_renew_heard(struct node *node, const struct node_member *member,
    const uint8_t *directory);
/* A leader proposes what was heard since the last turn, if that is possible
 * now; else it is heard again. */
void node_renew_turn(struct node *node, raft_usec now);
/* Notes that a directory begun anew has again what the former one had. */
void node_renew_judge(struct node *node);

/* ---- node_book.c: who the members are, and where ---- */

/* The name of the state machine's note of the membership: u64 index, payload
 * of the entry. */
#define NODE_MEMBERSHIP_META "members"

/* Errors as of node_membership_decode. */
int node_membership_note_decode(struct slice note,
    uint8_t ret_cluster_id[NODE_NONCE_SIZE],
    struct node_membership *ret_membership) ATTR_MUST_CHECK;

/* Takes over the membership of the RAFT_ENTRY_MEMBERS that is applied next. */
int
node_take_membership(struct node *node, struct slice payload) ATTR_MUST_CHECK;
/* Takes over the committed membership that the state machine holds, if it has
 * one: of a boot, or of an installed snapshot. */
int node_load_membership(struct node *node) ATTR_MUST_CHECK;
/* The same as `kv` has stored it, or if that lost its state as `log` has.
 * ERR_NOT_FOUND. */
int node_stored_membership(struct kv *kv, const struct node_log *log,
    uint8_t ret_cluster_id[NODE_NONCE_SIZE],
    struct node_membership *ret_membership) ATTR_MUST_CHECK;
/* RAFT_OP_MEMBERS: takes over the one that the core says is in effect. */
int node_update_membership(struct node *node) ATTR_MUST_CHECK;
/* This id was a member's, or nobody's, and will never be one again. */
bool node_is_gone(const struct node *node, raft_id id);
/* Makes the record of a new RAFT_ENTRY_MEMBERS; `book` has all its members.
 * It is in effect at once. */
void node_append_membership(struct node *node, raft_usec now,
    const struct raft_entry *entry, const struct node_members *book);
/* The members a node begins with, as voters; but it learns, if it joined. */
void node_identity_membership(const struct node_identity *identity,
    struct node_membership *ret_membership);
void node_base_membership(
    const struct node *node, struct node_membership *ret_membership);

/* ---- node_client.c ---- */

/* Entries that the core made by itself get their records. */
void node_fill_log(struct node *node, raft_usec now);
/* Asks the core once for all reads that came since the last turn. */
void node_ask_reads(struct node *node, raft_usec now);
void node_answer_read(struct node *node, uint64_t read_id, int status);
/* Tells whoever waits for `index` that an entry of `term` is applied there;
 * `result` is that of a command, or NULL. */
void node_answer_writes(struct node *node, raft_index index, raft_term term,
    const struct kv_result *result);
/* Nobody will be answered any more: reads fail. */
void node_fail_reads(struct node *node);
/* Puts a write on the list of those that wait for its index. */
void node_wait(struct node *node, struct node_write *write);
void node_clients_release(struct node *node);

/* ---- node_time.c ---- */

/* The cluster time of an entry that this leader makes now. */
uint64_t node_stamp_time(const struct node *node, raft_usec now);
/* When its stamps will have come to that. */
raft_usec node_stamp_due(const struct node *node, uint64_t time_us);
/* The state machine is open. */
void node_time_begin(struct node *node, raft_usec now);
/* It leads in `term`, whose first entry is the one at `index`. */
void node_time_lead(
    struct node *node, raft_usec now, raft_term term, raft_index index);
void node_time_note_role(struct node *node, raft_usec now);
/* An entry with this stamp was applied, or a state that had it. */
void
node_time_note_applied(struct node *node, raft_usec now, uint64_t stamp_us);

/* ---- node_chores.c ---- */

void node_chores_init(struct node *node);
/* A leader proposes what is due; a fault if the state machine fails. */
int node_chores_turn(struct node *node, raft_usec now) ATTR_MUST_CHECK;

#endif
