#ifndef TESTS_SIM_CONFIG_H
#define TESTS_SIM_CONFIG_H

/*
 * Swarm testing: each seed draws a whole configuration, with limits that are
 * often tiny and with faults that exist in this run or do not.
 */

#include "raft/raft.h"

#define SIM_FOUNDERS_MAX 7
#define SIM_SPARES_MAX   3
#define SIM_NODES_MAX    (SIM_FOUNDERS_MAX + SIM_SPARES_MAX + 1) /* a copy */
#define SIM_CLIENTS_MAX  8
#define SIM_KEYS_MAX     6
#define SIM_WATCHERS_MAX 6

enum sim_fault {
	SIM_FAULT_CRASH,      /* one process; the host answers "refused" */
	SIM_FAULT_POWER_CUT,  /* of one host or all: no answer at all */
	SIM_FAULT_DISK_ERROR, /* an operation of a store fails: the node stops */
	SIM_FAULT_DAMAGE,     /* bits flip, records are gone */
	SIM_FAULT_COPY,       /* an old copy of the disks is put back */
	SIM_FAULT_WIPE,       /* a node comes back with empty disks */
	SIM_FAULT_PARTITION,
	SIM_FAULT_LOSS,     /* a burst of it */
	SIM_FAULT_DELAY,    /* all links are slow for a while */
	SIM_FAULT_RESET,    /* of connections */
	SIM_FAULT_REPLAY,   /* an old message comes again */
	SIM_FAULT_PAUSE,    /* a process stands still */
	SIM_FAULT_STALL,    /* the next commit takes long */
	SIM_FAULT_SLOW,     /* all commits of a node do, for a while */
	SIM_FAULT_CLOCK,    /* a clock runs at another rate */
	SIM_FAULT_REFUSAL,  /* a living peer is said to be dead */
	SIM_FAULT_CHANGE,   /* an operator changes the members */
	SIM_FAULT_TRANSFER, /* an operator moves the leadership */
	SIM_FAULT_SNAPSHOT, /* breaks a transfer of a snapshot, or an end */
	SIM_FAULT_SWAP,     /* a node is started on disks of somebody else */
	SIM_FAULTS_COUNT
};

/* What a run is about: some faults for sure, others not at all. */
enum sim_profile {
	SIM_PROFILE_MIX, /* everything, as the seed says */
	SIM_PROFILE_CHURN,
	SIM_PROFILE_SNAPSHOT,
	SIM_PROFILE_DISK,
	SIM_PROFILE_NET,
	SIM_PROFILE_CLOCK,
	SIM_PROFILES_COUNT
};

extern const char *const sim_profile_names[SIM_PROFILES_COUNT];

/* See sim_quirks.h. */
enum sim_quirk {
	SIM_QUIRK_ONE_ENTRY,    /* in an append */
	SIM_QUIRK_ONE_BYTE,     /* which is less than any entry: one by one */
	SIM_QUIRK_ONE_APPEND,   /* under way to a peer, and one round */
	SIM_QUIRK_ONE_PROPOSAL, /* that is not committed, of the largest size */
	SIM_QUIRK_ONE_READ,     /* that waits */
	SIM_QUIRK_CHECKPOINTS,  /* after nearly each change */
	SIM_QUIRK_NO_CACHE,     /* of entries that are applied */
	SIM_QUIRK_NO_TRAIL,     /* whoever lacks an entry gets a snapshot */
	SIM_QUIRK_PIECES,       /* of snapshots are tiny */
	SIM_QUIRK_NO_HISTORY,
	SIM_QUIRK_SCRUB,        /* all the time */
	SIM_QUIRK_QUORUM_SENDS, /* entries go to a bare majority */
	SIM_QUIRK_RESENT,       /* answers come twice */
	SIM_QUIRK_EARLY,        /* turns before anything is due */
	SIM_QUIRK_RETUNED,      /* other parameters at a later start */
	SIM_QUIRKS_COUNT
};

/* What can be left out of a run: the faults, by their numbers, and these. */
enum sim_part {
	SIM_PART_NOISE = SIM_FAULTS_COUNT, /* lost, doubled, damaged messages */
	SIM_PART_WATCHERS,
	SIM_PART_QUIRKS,
	SIM_PARTS_COUNT
};

extern const char *const sim_part_names[SIM_PARTS_COUNT];

/* As what they travel; see sim_media.h. */
enum sim_messages { SIM_MESSAGES_STRUCTS, SIM_MESSAGES_BYTES };

/* What the stores are on; see sim_files.h. */
enum sim_disks_kind {
	SIM_DISKS_MEMORY,
	SIM_DISKS_LMDB,
	SIM_DISKS_LYING, /* as before, but nothing is synced: no run is good */
	SIM_DISKS_COUNT
};

extern const char *const sim_disks_names[SIM_DISKS_COUNT];

/* What is not as the seed draws it. Zeros: all is. */
struct sim_options {
	enum sim_profile profile;
	enum sim_messages messages;
	/* The run gets a defect that it is to find: a proof that it would. */
	const char *defect;
	enum sim_disks_kind disks;
	unsigned nodes_count;
	unsigned clients_count;
	uint64_t operations_max; /* that clients begin before the healing */
	uint32_t without;        /* parts, a bit for each */
	raft_usec faults_until;  /* no fault strikes later */
	raft_usec duration;      /* of warm-up and faults */
	unsigned fail_if; /* a counter's number, plus one: above zero in a run,
	                     that counts as a failure */
	bool trace;
};

struct sim_config {
	uint64_t seed;
	struct sim_options options;
	unsigned nodes_count; /* founders */
	unsigned hosts_count; /* with those that may be added */
	bool recovers;        /* one member is left at the end */
	bool churns;          /* the members change */
	bool calm;            /* no faults, and no message is lost or late */
	bool bothered;        /* but for one node at a time, that is cut off */
	raft_usec warm_up;    /* no faults before */
	raft_usec duration;   /* of warm-up and faults */
	raft_usec faults_until;
	uint64_t operations_max; /* that clients begin meanwhile */

	struct raft_params raft; /* as every node gets it */
	uint64_t checkpoint_bytes;
	raft_usec checkpoint_interval;
	uint64_t cache_bytes_max;
	uint64_t trailing_bytes_min;
	uint64_t trailing_bytes_max;
	uint32_t snapshot_piece_bytes;
	uint64_t snapshot_rate;
	raft_usec snapshot_age_max;
	uint64_t scrub_rate;
	raft_usec scrub_pause;
	raft_usec piece_patience; /* then a piece is taken for lost */

	unsigned clients_count;
	unsigned keys_count;
	raft_usec think_mean; /* between two operations of a client */
	raft_usec patience;   /* then an answer is no longer waited for */
	uint32_t value_size_max;
	uint32_t get_ppm;
	uint32_t stale_ppm; /* of the gets */
	uint32_t delete_ppm;
	uint32_t list_ppm;     /* of the gets */
	uint32_t command_ppm;  /* of the writes, not plain ones */
	uint32_t identity_ppm; /* of the commands, that may be sent again */
	unsigned watchers_count;
	uint64_t history_age_us;
	uint64_t history_bytes_max;
	uint32_t follow_ppm; /* of calls that go where a leader is believed */
	uint32_t reply_loss_ppm;
	raft_usec client_delay_mean;

	raft_usec gather_max; /* what arrives in between shares a turn */
	raft_usec delay_min;
	raft_usec delay_mean; /* on top of that */
	uint32_t loss_ppm;
	uint32_t double_ppm;
	uint32_t damage_ppm;
	bool in_order;          /* links never let a message overtake */
	bool bound_to_sessions; /* a connection takes its messages along */

	raft_usec commit_min;
	raft_usec commit_mean; /* on top of that */
	uint32_t drift_ppm;    /* of clocks, either way */
	bool clocks_jump;      /* ahead, or stand still while their host does */

	uint32_t quirks; /* a bit for each */
	/* Of disks that are files: what they are after a power cut is looked at
	 * with so many of the promises that a node makes. */
	uint32_t image_ppm;
	/* And of its starts: nothing may be built upon what only the page cache
	 * has, as after a kill in the middle of a write. */
	uint32_t start_image_ppm;

	raft_usec fault_mean[SIM_FAULTS_COUNT]; /* between two; 0: not at all */
};

/*
 * Draws the configuration of `seed`. Each part has a generator of its own, so
 * that a new draw in one of them leaves the others, and old seeds, as they are.
 */
void sim_config_draw(struct sim_config *config, uint64_t seed,
    const struct sim_options *options);

/* A short description; truncated to `size`. */
void sim_config_print(const struct sim_config *config, char *to, size_t size);

#endif
