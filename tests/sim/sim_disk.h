#ifndef TESTS_SIM_DISK_H
#define TESTS_SIM_DISK_H

/* The disks of a node: one of the log, and one for each generation of data. */

#include "tests/lib/store_mem.h"

/* The one in use, the one that is being filled, and what a crash left. */
#define SIM_GENERATIONS_MAX 4

struct sim_data_disk {
	uint64_t generation;
	struct store_mem_disk *disk; /* NULL: not there */
};

struct sim_disks {
	struct store_mem_disk *log;
	struct sim_data_disk data[SIM_GENERATIONS_MAX];
	/* Bytes, for what the next generation is filled with; 0: enough. */
	uint64_t room;
	uint64_t commits_dropped; /* of disks that are gone */
	/* The disk on which an operation is to fail, and which one. */
	struct store_mem_disk *faulty;
	uint64_t faulty_operation;
	int faulty_code;
};

/* Empty ones. */
void sim_disks_init(struct sim_disks *disks);
void sim_disks_release(struct sim_disks *disks);

/* What is durable, without faults. `ret_copy` is released like any other. */
void sim_disks_clone(const struct sim_disks *disks, struct sim_disks *ret_copy);

/* No operation will fail. */
void sim_disks_mend(struct sim_disks *disks);

/* As node_host's calls of these names. */
struct store *
sim_disks_open_data(struct sim_disks *disks, uint64_t generation, bool empty);
void sim_disks_remove_data_but(struct sim_disks *disks, uint64_t generation);

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

#endif
