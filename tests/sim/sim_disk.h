#ifndef TESTS_SIM_DISK_H
#define TESTS_SIM_DISK_H

/* The disks of a node: one of the log, and one for each generation of data. */

#include "tests/lib/store_twin.h"
#include "tests/sim/sim_files.h"

struct sim;

/* The one in use, the one that is being filled, and what a crash left. */
#define SIM_GENERATIONS_MAX 4

struct sim_data_disk {
	uint64_t generation;
	struct store_mem_disk *disk; /* NULL: not there */
	struct store_twin_notes notes;
};

struct sim_disks {
	struct sim *sim;
	struct store_mem_disk *log;
	struct store_twin_notes log_notes;
	/* NULL: all of it is in memory; else what is there is what the files
	 * must have. */
	struct sim_files *files;
	bool is_closing; /* the process ends as it should */
	bool is_cut;     /* or with it the power */
	struct sim_data_disk data[SIM_GENERATIONS_MAX];
	/* Bytes, for what the next generation is filled with; 0: enough. */
	uint64_t room;
	uint64_t commits_dropped; /* of disks that are gone */
	/* The disk on which an operation is to fail, and which one. */
	struct store_mem_disk *faulty;
	uint64_t faulty_operation;
	int faulty_code;
	bool faulty_is_last; /* of files: nothing follows it */
};

/* Empty ones. */
void sim_disks_init(struct sim_disks *disks, struct sim *sim);
void sim_disks_release(struct sim_disks *disks);

/* What is durable, without faults. `ret_copy` is released like any other. */
void sim_disks_clone(const struct sim_disks *disks, struct sim_disks *ret_copy);

/* No operation will fail. */
void sim_disks_mend(struct sim_disks *disks);

/* Disks in memory never fail to open; those of files say `why`, if they know. */
int sim_disks_open_log(struct sim_disks *disks, struct store **ret_store,
    char *why, size_t size) ATTR_MUST_CHECK;
/* As node_host's calls of these names. */
int sim_disks_open_data(struct sim_disks *disks, uint64_t generation,
    bool empty, struct store **ret_store) ATTR_MUST_CHECK;
int sim_disks_remove_data_but(
    struct sim_disks *disks, uint64_t generation) ATTR_MUST_CHECK;

/* Around the closing of the stores of a process that dies; without power only
 * what is synced is left for certain. Then nothing is broken any more. */
void sim_disks_die(struct sim_disks *disks, bool powered);
void sim_disks_died(struct sim_disks *disks, bool powered);

/* That of the data in use, or being filled; NULL: there is none. */
struct store_mem_disk *sim_disks_data(const struct sim_disks *disks);
uint64_t sim_disks_data_generation(const struct sim_disks *disks);
/* A copy of `past` takes its place, if it is of that generation; nothing may be
 * open. */
bool sim_disks_put_back_data(struct sim_disks *disks,
    const struct store_mem_disk *past, uint64_t generation);

/* Of all disks, since the first was made. */
uint64_t sim_disks_commits_count(const struct sim_disks *disks);

/* Operation `n` from now on of the log's disk, or of the data's, will fail;
 * `seed` decides what a failed commit leaves. Not if one is to fail already. */
void sim_disks_break(
    struct sim_disks *disks, bool log, uint64_t seed, uint64_t n, int code);
bool sim_disks_failed(const struct sim_disks *disks);
/* It was one that has no room for what it is filled with, while the data of
 * `generation` is in use. */
bool sim_disks_are_full(const struct sim_disks *disks, uint64_t generation);

/* ---- sim_disk_files.c, if they are files ---- */

/* Opens the real store, holds it against the disk in memory, and gives the two
 * as one. */
int sim_disks_open_log_files(struct sim_disks *disks, struct store **ret_store,
    char *why, size_t size) ATTR_MUST_CHECK;
int
sim_disks_open_data_files(struct sim_disks *disks, struct sim_data_disk *data,
    bool empty, struct store **ret_store) ATTR_MUST_CHECK;
/* Would a power cut now, of whatever kind, leave all that was committed? */
void sim_disks_check_image(struct sim_disks *disks, uint64_t generation);
/* And did both of a pair give the same all the time? */
void sim_disks_check_twins(struct sim_disks *disks);

#endif
