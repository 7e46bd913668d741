#ifndef TESTS_SIM_CHECK_H
#define TESTS_SIM_CHECK_H

/*
 * Invariants of the whole cluster, judged after each turn and at each message,
 * from the durable images and from what the nodes say of themselves.
 */

#include "node/node_record.h"
#include "tests/sim/sim_client.h"
#include "tests/sim/sim_image.h"

/* A log as it was seen last; entries[i] is that of index i. */
struct sim_log {
	struct sim_entry *entries;
	size_t capacity;
	raft_index last_index;
};

/* What is known of a node, over all its lives. */
struct sim_watch {
	struct sim_image image;
	struct sim_log log; /* of the durable image, with what was cut */
	/* The newest in that log; NULL: it holds nothing yet. */
	const struct raft_members *members;
	raft_index newest_members; /* where that is; 0: before the log */
	raft_term term;            /* durable */
	raft_id vote;
	raft_term promised_term; /* the newest vote that was told anyone */
	raft_id promised_vote;
	/* Of this life. */
	raft_term life_term;
	raft_id life_vote;
	enum raft_role role;
	raft_index commit_index;
	raft_index compared_index; /* to the committed log */
	raft_index applied_index;
	raft_index compacted_index;
	raft_index members_index; /* of the membership in effect */
	uint64_t revision;
	uint64_t elections;
	enum node_state state;
	raft_id transfer_target;
	uint64_t snapshots_sent;
	uint64_t snapshots_installed;
	raft_index commit_before;      /* at the end of the last turn */
	raft_index acknowledged_index; /* the last write that was, this turn */
	raft_index sent_last[SIM_NODES_MAX + 1]; /* in appends, to each peer */
	/* Of a leader: when it heard each peer, by its clock, and what it
	 * believes of it. */
	raft_usec leads_since;
	raft_usec heard_at[SIM_NODES_MAX + 1];
	raft_index matched[SIM_NODES_MAX + 1];
};

struct sim_leader {
	raft_id node; /* 0: none known */
	uint64_t life;
};

struct sim_membership {
	struct sim_membership *next;
	uint64_t payload; /* hash */
	struct node_membership membership;
};

struct sim_checks {
	struct sim_watch watches[SIM_NODES_MAX + 1]; /* by id */
	struct sim_log committed;
	uint64_t *state_hashes; /* by applied index; 0: not known */
	size_t state_hashes_capacity;
	struct sim_leader *leaders; /* by term */
	size_t leaders_capacity;
	struct sim_known *known; /* entries by (index, term): a hash table */
	size_t known_count;
	size_t known_capacity;
	struct sim_membership *memberships; /* every one that was in a log */
	struct raft_members founders;       /* before the first of them */
};

void sim_checks_init(struct sim *sim);
void sim_checks_release(struct sim *sim);

/* ---- Events of a node ---- */

void sim_check_start(struct sim *sim, struct sim_node *node);
/* Its disks were emptied. */
void sim_check_wiped(struct sim *sim, struct sim_node *node);
void sim_check_turn(struct sim *sim, struct sim_node *node);
/* A message is about to leave: does the disk hold what it promises? */
void sim_check_promise(
    struct sim *sim, struct sim_node *node, const struct raft_message *message);
/* A write is about to be acknowledged: is it on a majority of disks? */
void sim_check_acknowledged(
    struct sim *sim, struct sim_node *node, const struct sim_op *op);
void sim_check_alarm(struct sim *sim, struct sim_node *node,
    enum raft_alarm alarm, raft_id peer);

/* The membership with this payload, kept to the end of the run. */
const struct node_membership *
sim_check_membership(struct sim *sim, uint64_t hash, struct slice payload);
/* Is the membership in effect at the node, who leads, a joint one? */
bool sim_check_is_joint(struct sim *sim, struct sim_node *node);
/* Is that the id of one of the members that were committed last? */
bool sim_check_has_id(struct sim *sim, raft_id id);
/* Is the node in what was committed last, or in any log behind that? */
bool sim_check_is_member(struct sim *sim, const struct sim_node *node);

/* ---- At the end ---- */

/* All members, voters all, lead or follow one leader and hold the same; gives
 * the place of the leader. */
bool sim_check_converged(struct sim *sim, raft_id *ret_place);
/* Every log, read through its node, is what its disk holds; every state
 * machine's records are sound. */
void sim_check_contents(struct sim *sim);

/* ---- sim_check_log.c: what the turn's check asks of the logs ---- */

/* The place of `index`, made if it is not there yet. */
struct sim_entry *sim_log_at(struct sim_log *log, raft_index index);
/* Looks at what changed in the node's image since the last time. */
void sim_check_log(
    struct sim *sim, struct sim_node *node, const struct raft_status *raft);
/* The same for a node that is down: what did its last turn leave? */
void sim_check_died(struct sim *sim, struct sim_node *node);
/* The record at (index, term), and when it was first seen on a disk; false: it
 * never was. Valid as long as the run. */
bool sim_check_record(struct sim *sim, raft_index index, raft_term term,
    struct node_record *ret_record, raft_usec *ret_seen_at);
void sim_check_known_release(struct sim_checks *checks);
/* The founders vote before any membership is in a log. */
void sim_check_members_init(struct sim *sim);
void sim_check_members_release(struct sim *sim);
/* The membership in effect at `index` of a log. */
const struct raft_members *
sim_check_members_at(struct sim *sim, struct sim_log *log, raft_index index);
/* Do those of whom `has` says so make a quorum? Who is not there any more may
 * have. */
bool sim_check_quorum(struct sim *sim, const struct raft_members *members,
    bool (*has)(struct sim *sim, struct sim_node *node, const void *context),
    const void *context);
/* A MEMBERS entry became committed: counts what it does. */
void sim_check_members_committed(struct sim *sim, raft_index index);
/* ---- sim_check_commit.c ---- */

/* Entries up to the node's commit index are the same for all, for ever. */
void sim_check_commit(
    struct sim *sim, struct sim_node *node, const struct raft_status *raft);
/* `node` leads in `term`, and holds all that was ever committed. */
void sim_check_leader(struct sim *sim, struct sim_node *node, raft_term term);
/* Nobody but `node` does, and not in another life. */
void
sim_check_one_leader(struct sim *sim, struct sim_node *node, raft_term term);

/* The membership that `index` brought to the node's log, which need not be on
 * its own disk yet; NULL: that entry is none. */
const struct raft_members *sim_check_members_of(
    struct sim *sim, const struct sim_node *node, raft_index index);

/* ---- sim_check_roles.c ---- */

/* After a turn of a member, before it is known what role it had before. */
void sim_check_roles(struct sim *sim, const struct sim_node *node,
    const struct raft_status *raft);
bool sim_check_may_campaign(struct sim *sim, const struct sim_node *node);
/* A message is about to leave: may it be sent by whom it comes from? */
void sim_check_sender(struct sim *sim, const struct sim_node *node,
    const struct raft_message *message);

/* ---- sim_check_disjoint.c ---- */

/* Nobody but `node` could be elected by voters that `node` does not need. */
void sim_check_disjoint(struct sim *sim, const struct sim_node *node);

#endif
