#ifndef TESTS_UNIT_NODE_CLUSTER_H
#define TESTS_UNIT_NODE_CLUSTER_H

/*
 * Nodes in one process, each on disks in memory. Time moves only when the test
 * says so, and each commit takes none.
 *
 * Without `dials`, messages go to the machine whose place is their receiver's
 * id, and hellos are exchanged by the test, but by a member that is started
 * again, which says its own. With it, machines find each other
 * as daemons do: by the addresses of the members they know, and messages pass
 * only where both have accepted the other's hello.
 */

#include "node/node.h"
#include "node/node_compare.h"
#include "tests/lib/store_mem.h"

#define MACHINES_MAX        10
#define MACHINE_GENERATIONS 8
#define MACHINE_WHY_SIZE    512

struct machine {
	struct node_cluster *cluster;
	raft_id id; /* its place + 1: the id of a founder */
	char address[NODE_ADDRESS_SIZE_MAX + 1];
	struct store_mem_disk *log_disk;
	/* By generation modulo their number. NULL: not there. */
	struct store_mem_disk *data_disks[MACHINE_GENERATIONS];
	struct store *log;
	struct node *node; /* NULL: stopped */
	uint64_t boot_id;
	bool joins;    /* its configuration lists no members */
	bool damaged;  /* as of node_params: it lists none either */
	bool isolated; /* nothing goes out or in, with `dials` */
	unsigned commits;
	unsigned checkpoints;
	unsigned repairing_alarms; /* about others */
	bool sent_before_commit;
	unsigned splits; /* as of host.on_difference, and the last one */
	struct node_split split;
	bool may_fail;              /* a turn that fails stops the machine */
	int error;                  /* of its last turn */
	char why[MACHINE_WHY_SIZE]; /* of the last refusal or failure here */
	struct node_members book;   /* as of host.on_members */
	/* By place of the other machine: the id it was dialled as; 0: no
	 * connection. */
	raft_id links[MACHINES_MAX];
	/* And the id that it called itself when it dialled. */
	raft_id callers[MACHINES_MAX];
};

struct node_packet {
	struct node_packet *next;
	struct machine *from;
	struct machine *to;
	struct raft_message message;
	struct slice *records;
	struct slice piece; /* of a snapshot, instead of a message */
};

struct node_cluster {
	raft_usec now;
	unsigned founders_count;
	unsigned count;
	bool dials;
	/* Carries pieces of snapshots instead of node_cluster_carry. */
	void (*carry)(struct node_packet *packet);
	struct machine machine[MACHINES_MAX];
	struct node_packet *first;
	struct node_packet **last;
};

/* `count` founders n1, n2, ..., all started. */
struct node_cluster *node_cluster_new(unsigned count);
void node_cluster_free(struct node_cluster *cluster);
/* One more machine, called n<place + 1>, that waits to be added. */
struct machine *node_cluster_join(struct node_cluster *cluster);

struct node_params machine_params(const struct machine *machine);
int
machine_start_with(struct machine *machine, const struct node_params *params);
int machine_start(struct machine *machine);
void machine_stop(struct machine *machine);
/* Empties the disks of a stopped one. */
void machine_wipe(struct machine *machine);
enum node_state machine_state(const struct machine *machine);

/* `to` hears the hello of `from`; see to->why. */
int machine_hear(struct machine *from, struct machine *to);
void node_cluster_hear_all(struct node_cluster *cluster);

/* NULL: nothing is under way. Free what comes out. */
struct node_packet *node_cluster_next_packet(struct node_cluster *cluster);
void node_packet_free(struct node_packet *packet);
/* Hands a piece to its receiver and the answer to its sender: an empty one if
 * there is no way. */
void node_cluster_carry(struct node_packet *packet);

/* Turns and messages until nothing is left to do at this time. */
void node_cluster_settle(struct node_cluster *cluster);
void node_cluster_pass(struct node_cluster *cluster, raft_usec us);
/* NULL: nobody leads; else the one of the highest term. */
struct machine *node_cluster_leader(struct node_cluster *cluster);
struct machine *node_cluster_wait_for_leader(struct node_cluster *cluster);
/* Forms the cluster of its founders and waits for a leader. */
struct machine *node_cluster_elect(struct node_cluster *cluster);

struct machine_put {
	struct node_write write;
	unsigned done;
	enum node_outcome outcome;
	struct kv_result result;
};

int machine_put(struct machine *machine, struct machine_put *put,
    const char *key, const char *value);
void machine_put_done(struct node_write *write, enum node_outcome outcome,
    const struct kv_result *result);
void machine_check_value(
    struct machine *machine, const char *key, const char *value);

#endif
