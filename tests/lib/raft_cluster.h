#ifndef TESTS_LIB_RAFT_CLUSTER_H
#define TESTS_LIB_RAFT_CLUSTER_H

/*
 * Several Raft cores in one process with a network and disks between them,
 * under a virtual clock. All that happens follows from the seed. After each
 * event the invariants of each core and those of the cluster are asserted:
 * election safety, log matching, leader completeness, state machine safety,
 * that what is committed is on the disks of a
 * quorum, that no two nodes could be elected by voters that have nobody in
 * common, and that a read sees all that was committed when it came.
 */

#include "common/buf.h"
#include "common/rng.h"
#include "tests/lib/raft_solo.h"

struct cluster_letter {
	struct solo_message letter;
	raft_usec arrives_at;
	uint64_t number; /* orders what arrives at the same time */
};

/* A read that was taken, and what it has to see. */
struct cluster_read {
	uint64_t id;
	raft_index committed;
};

/* A snapshot on its way from one node to another. */
struct cluster_snapshot {
	raft_index index; /* 0: none */
	raft_term term;
	struct raft_members members;
	raft_usec arrives_at;
};

struct cluster_node {
	struct solo solo;
	/* Its own clock: local_since at `since`, and so fast from there on. */
	unsigned clock_percent;
	raft_usec since;
	raft_usec local_since;
	raft_usec disk_latency;
	raft_usec persisted_at; /* of the open PERSIST */
	bool disk_stalls;
	/* Of the core, when it was last checked. */
	raft_index commit_seen;
	raft_index last_seen;
	uint64_t epoch_seen;
	struct raft_members members_seen;
	raft_term led_seen;
	uint64_t epoch_led; /* when it began to lead */
	struct cluster_snapshot snapshots[SOLO_ID_MAX + 1]; /* to */
};

struct cluster {
	unsigned founders_count;
	unsigned count; /* with those that were added */
	struct cluster_node nodes[SOLO_ID_MAX + 1]; /* by id */
	raft_usec now;
	struct rng rng;

	struct cluster_letter *letters;
	size_t letters_count;
	size_t letters_capacity;
	uint64_t letters_number;
	raft_usec latency_min;
	raft_usec latency_max;
	raft_usec snapshot_latency;
	uint64_t snapshots_installed;
	unsigned drop_percent;
	unsigned duplicate_percent;
	bool cut[SOLO_ID_MAX + 1][SOLO_ID_MAX + 1]; /* from, to */

	/* What was ever committed, from index 1 on. */
	struct solo_log committed;
	/* Who led in which term. */
	struct raft_op_role *leaders;
	size_t leaders_count;
	size_t leaders_capacity;

	struct cluster_read *reads; /* not answered yet */
	size_t reads_count;
	size_t reads_capacity;
	uint64_t reads_answered;
	uint64_t reads_stale; /* asserted to be 0 unless stale_reads */
	bool stale_reads;

	bool tracing;
	struct buf trace;
};

/* `count` nodes that are down, one hop takes 1 ms, a disk 2 ms. */
void cluster_init(struct cluster *cluster, unsigned count, uint64_t seed);
void cluster_release(struct cluster *cluster);

/* One more node that is down and knows the founders; its id. */
raft_id cluster_add(struct cluster *cluster);

void cluster_boot(struct cluster *cluster, raft_id id);
void cluster_boot_all(struct cluster *cluster);
/* The node, and what it had not made durable, is gone. */
void cluster_crash(struct cluster *cluster, raft_id id);

/*
 * Of a node that is down. Its log cannot be read from `from` on, which is not
 * applied: it is cut, and noted to be repaired. Its state is gone: the next
 * one is empty.
 */
void cluster_damage_log(struct cluster *cluster, raft_id id, raft_index from);
void cluster_lose_state(struct cluster *cluster, raft_id id);
/* It lacks what one of these took; as far as its disk knows. */
bool cluster_damaged(const struct cluster *cluster, raft_id id);

/* Nothing passes between `id` and the others, in either direction. */
void cluster_isolate(struct cluster *cluster, raft_id id);
void cluster_heal(struct cluster *cluster);

/* From now on the node's clock runs at `percent` of the cluster's. */
void cluster_set_clock(struct cluster *cluster, raft_id id, unsigned percent);

/* Lets things happen for `duration`. */
void cluster_run(struct cluster *cluster, raft_usec duration);
/* The next thing only; false if nothing is left to happen. */
bool cluster_step(struct cluster *cluster);

/* The leader with the highest term among nodes that are up; 0: none. */
raft_id cluster_leader(const struct cluster *cluster);
/* Runs until there is one; asserts that it comes within `limit`. */
raft_id cluster_elect(struct cluster *cluster, raft_usec limit);
/* Runs until all members that are up have applied the same; as above. */
void cluster_converge(struct cluster *cluster, raft_usec limit);

/* Asks node `id`: what raft_propose and raft_read answer. */
int cluster_propose(struct cluster *cluster, raft_id id, uint32_t size);
int cluster_read(struct cluster *cluster, raft_id id, uint64_t read_id);
void cluster_refused(struct cluster *cluster, raft_id id, raft_id peer);
/*
 * Asks node `id` to change the membership that it has in effect: `member` with
 * its role_new (NONE: out of it), or all of `target`. What the core answers.
 */
int cluster_set_member(
    struct cluster *cluster, raft_id id, const struct raft_member *member);
int cluster_change(
    struct cluster *cluster, raft_id id, const struct raft_members *target);
int cluster_transfer(struct cluster *cluster, raft_id id, raft_id target);

struct raft_status cluster_status(const struct cluster *cluster, raft_id id);

/* A line of the story: time, then the text. No-op unless tracing. */
void cluster_tell(struct cluster *cluster, const char *format, ...)
    ATTR_PRINTF(2, 3);

/* ---- Between the files of the cluster ---- */

/* The node acknowledged this entry, and lost it: it votes as if it had it. */
bool cluster_promised(const struct cluster *cluster, raft_id id,
    raft_index index, raft_term term);
/* Asserts what must be true of all nodes, after an event of node `id`. */
void cluster_check(struct cluster *cluster, raft_id id);
/* The part of it that compares node `id`'s membership with the others'. */
void cluster_check_disjoint(const struct cluster *cluster, raft_id id);
/* A receiver before it receives. */
struct cluster_before {
	struct raft_status status;
	raft_term last_term;          /* of the entry at last_index */
	struct raft_peer_status peer; /* the sender; of a leader only */
};

/* What the receiver of `letter` made of it. */
void cluster_tell_letter(struct cluster *cluster,
    const struct raft_message *letter, const struct cluster_before *before);
/* What the node's takes gave since it was last told. */
void cluster_tell_work(struct cluster *cluster, raft_id id);

#endif
