#ifndef NODE_NODE_COMPARE_H
#define NODE_NODE_COMPARE_H

/*
 * Members compare their states, so that one that applied something else than
 * the others, whatever the reason, is found and stops. What is compared is
 * kv_state_hash at equal applied indices; it rides on appends:
 *
 *	leader     append request   state_index: tell me your hash there
 *	follower   append response  state_index, state_hash
 *	leader     append request   agreed_index, agreed_hash: a majority of
 *	                            the voters has this there
 *
 * On an entry where a majority agrees, whoever has another hash is the one
 * that differs: a follower that reads agreed_hash, or a leader that hears it.
 * It trusts its data no more, durably, and stops. Learners answer and obey, but
 * do not count. Without a majority nobody knows who is right: an alarm, once in
 * a term. A single node has nobody to compare with.
 *
 * Every member keeps the hashes at multiples of NODE_SAMPLE_INTERVAL, and
 * knows that of its present state. The leader asks one question at a time: the
 * newest multiple, or when nothing is under way its last entry, and the next
 * when it is decided. So a wrong state is found
 *
 *	idle        with the third append behind it: in three heartbeats, 0.3 s
 *	under load  within 64 entries and three round trips
 *
 * and longer only on a follower that is behind: agreed_hash waits with it until
 * it gets there. A majority is never behind in applying by more than an append,
 * so that a question which it does not decide within an election timeout is one
 * that somebody cannot answer any more, and gives way.
 *
 * 64 entries are fewer than one commit holds under load; 256 samples reach
 * back 16384 entries, far more than a majority can differ in what it applied.
 *
 * Nobody but its leader makes a member stop: agreed_* counts in a message that
 * the core took from the leader of the present term, and the leader goes by one
 * answer of each voter to a question of its own.
 *
 * Pure: neither log nor clock nor state machine. node_compare_turn.c connects
 * it with the node.
 */

#include "raft/raft.h"

#define NODE_SAMPLE_INTERVAL 64
#define NODE_SAMPLES_COUNT   256 /* a power of two */

/* The state's hash when `index` was the last entry applied. */
struct node_sample {
	raft_index index; /* 0: none */
	uint64_t hash;
};

struct node_answer_hash {
	raft_id id;
	uint64_t hash;
};

/* Two voters whose states differ, with no majority on either side. */
struct node_split {
	raft_index index; /* 0: none */
	raft_id a;
	raft_id b;
};

struct node_compare {
	struct node_sample ring[NODE_SAMPLES_COUNT];

	/* Of a leader, in `term`. */
	raft_term term;
	struct node_sample question; /* with the leader's own hash */
	raft_usec asked_at;
	bool decided;
	unsigned answers_count; /* the leader's own is the first */
	struct node_answer_hash answers[RAFT_MEMBERS_MAX];
	struct node_sample agreed; /* of the last question decided */
	bool split_told;

	/* Of a follower. */
	raft_id asked_by;
	raft_index asked_index;
	struct node_sample awaited; /* agreed, but not applied here yet */

	/* What was found, for the caller to take. */
	raft_index differs_at; /* this member's state is the wrong one; 0: no */
	struct node_split split;
};

/* The state came from elsewhere: what was kept of it is void. */
void node_compare_clear(struct node_compare *compare);

/* Is the hash at `index` wanted, when that is applied? */
bool node_compare_wants(const struct node_compare *compare, raft_index index);
/* The state that has just been reached, if it is wanted. */
void node_compare_note(
    struct node_compare *compare, const struct node_sample *state);

/* What a leader knows when it sends an append request. */
struct node_compare_leader {
	raft_id id;
	raft_term term;
	raft_usec now;
	raft_usec patience;       /* after which a question gives way */
	struct node_sample state; /* the present one */
	bool idle;                /* there is no entry beyond it */
	const struct raft_members *members;
};

/* Fills state_index, agreed_index and agreed_hash of the request. */
void node_compare_ask(struct node_compare *compare,
    const struct node_compare_leader *leader, struct raft_message *request);
/* A response of the present term has come. */
void node_compare_hear(struct node_compare *compare,
    const struct raft_members *members, const struct raft_message *response);

/* A request of the leader of the present term was accepted; `state` is the
 * present one. */
void node_compare_obey(struct node_compare *compare,
    const struct node_sample *state, const struct raft_message *request);
/* Fills state_index and state_hash of the response. */
void node_compare_answer(const struct node_compare *compare,
    const struct node_sample *state, struct raft_message *response);

#endif
