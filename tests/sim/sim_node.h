#ifndef TESTS_SIM_NODE_H
#define TESTS_SIM_NODE_H

/*
 * A replica's process on a simulated host: a clock of its own, two disks, and
 * an inbox in which whatever arrives waits for the next turn. A turn takes as
 * long as its commits, and what happens meanwhile is gathered into the next.
 */

#include "node/node.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_disk.h"

/* Shows `shown` until `real` and goes on from there at (1 + rate / 10^6) the real pace. */
struct sim_clock {
	raft_usec real;
	raft_usec shown;
	int32_t rate_ppm;
};

struct sim_node {
	struct sim *sim;
	raft_id id;        /* its place; that of a founder is its member's id */
	raft_id member_id; /* what it says of itself; 0: not known yet */
	struct node_params params;
	uint64_t life;     /* starts so far */
	unsigned renewals; /* as how many nodes it came back */
	bool powered;      /* down, but its host refuses connections */
	bool wiped;        /* its disks were emptied after the formation */
	raft_id lost_id;   /* what it was then */
	bool removed;      /* it knows so */
	/* Damage was done to its disks: until it is whole again they may hold
	 * less than it has promised. */
	bool broken;
	unsigned wounds; /* how often that was */
	bool latent;     /* and nobody has noticed yet */
	/* Its state is not that of the others, though sound: the generation of
	 * the data in which it is, plus one; 0: it is the same. */
	uint64_t false_state;
	uint64_t generation; /* of the data in use */
	/* An older copy of its disks; while that is in their place, these. */
	struct sim_disks copy; /* log NULL: none */
	uint64_t copy_life;    /* in which it was taken */
	unsigned copy_renewals;
	/* An older copy of the data alone, of that generation; NULL: none. */
	struct store_mem_disk *past;
	uint64_t past_generation;
	bool rolled_back;
	raft_id beside; /* whose copy runs here, if any */
	bool retired;   /* it is not started any more */
	uint64_t heard_life[SIM_NODES_MAX + 1]; /* the last of each other */
	raft_index whole_index; /* it is not whole before it has this */
	struct node *node;      /* NULL: down */
	struct store *log;
	struct sim_disks disks;
	struct node_members book; /* as of host.on_members */
	bool book_changed;
	enum node_state state;
	bool refused[SIM_NODES_MAX + 1]; /* who refused its last snapshot */
	struct sim_change *change; /* asked for here, see sim_operator.h */

	struct sim_clock clock;
	raft_usec turn_at; /* what it is in the turn that runs or ran last */
	raft_usec busy_until;
	raft_usec paused_until;
	raft_usec wake_at; /* RAFT_NEVER: no wake is planned */
	uint64_t wake_number;
	unsigned wakes_at_once;
	struct sim_event *inbox;
	size_t inbox_count;
	size_t inbox_capacity;
	bool heard[SIM_NODES_MAX + 1]; /* whose hello this life accepted */

	uint64_t commits_count; /* of all disks, those that took their time */
	raft_usec stall;        /* added to the next commit */
	raft_usec slow_until;   /* commits take so many times as long */
	uint32_t slow_factor;
	raft_index piece_end; /* a snapshot that came to its end this turn */
	raft_usec append_at;  /* the turn in which it last heard a leader */
	bool doomed;          /* it crashes when its turn has ended */
	bool told;            /* node_fail was called: the next turn fails */
};

void sim_nodes_init(struct sim *sim);
void sim_nodes_release(struct sim *sim);
/* Places 1 to hosts_count; at the one behind runs nobody, or a copy. */
struct sim_node *sim_node_get(struct sim *sim, raft_id id);

/* Where the member `id` lives; NULL: nowhere. */
struct sim_node *sim_node_of_member(struct sim *sim, raft_id id);
/* Where that address leads. */
struct sim_node *sim_node_at(struct sim *sim, const char *address);

/* The time that its clock shows at `at`. */
raft_usec sim_node_clock(const struct sim_node *node, raft_usec at);
void sim_node_set_rate(struct sim_node *node, int32_t rate_ppm);
/* It jumps ahead, or stands still until a time. */
void sim_node_jump(struct sim_node *node, raft_usec by);
void sim_node_stop_clock(struct sim_node *node, raft_usec until);

/* SIM_EVENT_RESTART: starts the process, if it is down. */
void sim_node_restart(struct sim *sim, const struct sim_event *event);

/* The process is gone at once, and started again `after`. */
void sim_node_crash(
    struct sim *sim, struct sim_node *node, bool powered, raft_usec after);

/* It goes down, if it is not, and stays so; any turn is over. */
void sim_node_retire(struct sim *sim, struct sim_node *node);

/* Empty disks; the node must be down. */
void sim_node_wipe(struct sim_node *node);
/* The host gets a new node with empty disks that waits to be added. */
void sim_node_renew(struct sim *sim, struct sim_node *node);

/* Operation `n` from now on one of the disks will fail, and end the node. */
void
sim_node_break_disk(struct sim_node *node, bool log_disk, uint64_t n, int code);
/* After a disk error, or damage that a client's read or a message has found,
 * nothing more is taken in this turn; the next says that the node must stop. */
bool sim_node_may_refuse(const struct sim_node *node, int error);

void sim_node_pause(struct sim *sim, struct sim_node *node, raft_usec until);

/* No fault is left: it runs, its clock is right, its disks are well. */
void sim_node_mend(struct sim *sim, struct sim_node *node);

/* Puts an event of a living node into its inbox. */
void sim_node_post(struct sim *sim, const struct sim_event *event);
/* SIM_EVENT_WAKE */
void sim_node_wake(struct sim *sim, const struct sim_event *event);

#endif
