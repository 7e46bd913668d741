#ifndef TESTS_SIM_CHECK_H
#define TESTS_SIM_CHECK_H

/*
 * Invariants of the whole cluster, judged after each turn and at each message,
 * from the durable images and from what the nodes say of themselves.
 *
 * What must hold, and who looks at it. Without a file: sim_check.c. "core" is
 * raft_check and "node" node_check, after each turn; "unit" and "proc" are
 * tests/unit and tests/proc, for what this simulator has not.
 *
 *  1 one leader in a term               sim_check_one_leader, _commit.c
 *  2 terms never fall, over starts      check_hard_state, check_life_state
 *  3 one vote in a term, over starts    check_vote, check_hard_state
 *  4 promises are on disk when told     check_vote, check_match
 *  5 a leader cuts nothing of its own   sim_check_log, _log.c
 *  6 log matching                       check_matching, _log.c
 *  7 leader completeness, elections     sim_check_leader, check_election
 *  8 the same entry applied by all      sim_check_commit; check_state_hash
 *  9 commit and applied index           sim_check_commit, check_applied; core
 * 10 what is committed is not cut       check_cut, _log.c
 * 11 old terms by an own entry          check_own_term, _commit.c
 * 12 applied in order, once             check_state_hash, sim_replay.c; core
 * 13 applied index with its effects     check_applied after each start
 * 14 no gap in a log, or before it      sim_image_entry, check_covered, _log.c
 * 15 match and next index               check_match, _roles.c; core
 * 16 quorums overlap, one change        _disjoint.c; check_one_change, _roles.c
 * 17 the newest membership counts       check_in_effect, _roles.c
 * 18 only voters count and lead         check_election, is_held, _commit.c;
 *                                       check_candidate, _roles.c
 * 19 the removed do nothing             check_not_gone, _roles.c; check_removed
 * 20 wrong cluster, receiver, life,     sim_swap.c, sim_recover.c, sim_copy.c;
 *    or term: nothing changes           check_late, sim_message.c; unit hello
 * 21 malformed: nothing changes         sim_message.c, sim_pieces.c; fuzz, unit
 * 22 nothing while a snapshot installs  follow_reset, _log.c; core; unit
 *                                       raft_snapshot
 * 23 a pre-vote changes nothing durable check_late, sim_message.c
 * 24 check quorum                       check_heard, _roles.c; stale reads: 25
 * 25 reads see what was acknowledged    sim_order.c, sim_replay.c
 * 26 a read that is tried again is new  sim_order.c; unit raft_read_remote
 * 27 acknowledged: on a quorum of disks sim_check_acknowledged, _commit.c
 * 28 what failed is nowhere             check_entry, sim_replay.c
 * 29 an identity is applied once        check_write, sim_replay.c (the model)
 * 30 answers go to who asked            check_write, sim_replay.c; unit peer_*,
 *                                       http_server_pipeline
 * 31 revisions grow by one              check_op, sim_replay.c (the model)
 * 32 created, modified, version         check_get, check_list, sim_replay.c
 * 33 memory within its bounds           core (windows, quota); proc memory
 * 34 the loop is not blocked            a loop alone: count_wake, sim_node.c;
 *                                       proc turn
 * 35 equal states at equal entries      check_state_hash; sim_replay.c
 * 36 snapshot and log lead to the same  check_state_hash after each install
 * 37 pages of the store                 not here: unit store_lmdb, sim-real
 * 38 records are sound, damage found    sim_check_contents, sim_damage_explains
 * 39 damage is made good, or refused    sim_damage_look; unit node_repair
 * 40 it heals: answers, one leader      look_whether_healed, sim_run.c
 * 41 no election without a reason       check_calm, sim_run.c
 * 42 the deaf and mute depose nobody    check_calm of bothered runs, sim_run.c
 * 43 linearizable; watches complete     sim_order.c; check_batch, sim_replay.c
 * 44 nothing ends early, or never       sim_pace.c, sim_rest.c
 * 45 compaction                         check_list, check_batch, sim_replay.c
 * 46 a start succeeds, or says why not  start_failed, sim_node.c; sim_swap.c
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
	raft_index covered_index; /* the cut that the data on disk makes good */
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
/* Its state is the one that others have had after the same entry. */
bool sim_check_has_state(struct sim *sim, const struct sim_node *node);
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

/* ---- sim_check_lead.c ---- */

/* Did the node, which has just been elected, have a vote itself? */
void sim_check_votes(struct sim *sim, const struct sim_node *node,
    const struct raft_status *raft);
/* Has nobody who led before `term`, in which the node leads, a lease still? */
void
sim_check_leases(struct sim *sim, const struct sim_node *node, raft_term term);

/* ---- sim_check_disjoint.c ---- */

/* Nobody but `node` could be elected by voters that `node` does not need. */
void sim_check_disjoint(struct sim *sim, const struct sim_node *node);

#endif
