#ifndef TESTS_SIM_FILES_H
#define TESTS_SIM_FILES_H

/*
 * The disks of a host as files: the log in a journal over LMDB and the data in
 * LMDB, opened by the server's own code in a directory of memory (tmpfs), with
 * all their calls on files led through file_watch.h. That is for build/sim-real;
 * build/sim has disks in memory only.
 *
 * The disks in memory (store_mem.h) are beside them then, and hold what has been
 * committed: see store_twin.h.
 */

#include "common/rng.h"
#include "store/store.h"
#include "tests/lib/disk_model.h"

struct sim_files; /* of one host */

/* A call on the files that fails. */
struct sim_break {
	bool log;            /* of the log; else of the data: */
	uint64_t generation; /* of this one */
	uint64_t n;          /* the n-th that changes something, from now on */
	bool only_syncs;     /* or one of the next that sync */
	int code;            /* ERR_IO or ERR_NO_SPACE */
	unsigned fault;      /* any number decides what it has done */
	bool is_last;        /* the process, or the power, is gone with it */
};

struct sim_files_ops {
	/* Before the first run and after the last, in the process that started
	 * all others: what they leave is removed. */
	void (*begin)(void);
	void (*end)(void);

	/* Empty ones; `random` decides how large the journal is. `lies`: no
	 * sync makes anything durable. */
	struct sim_files *(*make)(struct rng *random, bool lies);
	/* Others, with what a power cut now would leave of these. */
	struct sim_files *(*image)(const struct sim_files *files,
	    enum disk_model_choice choice, uint64_t number);
	/* No store may be open. NULL is fine. */
	void (*drop)(struct sim_files *files);

	/* As the server does. Errors of the stores. */
	int (*open_log)(struct sim_files *files, struct store **ret_store,
	    char *why, size_t size);
	int (*open_data)(struct sim_files *files, uint64_t generation,
	    bool empty, struct store **ret_store);
	int (*remove_data_but)(struct sim_files *files, uint64_t generation);

	/* In place of the fault before. NULL: none any more. */
	void (*break_call)(
	    struct sim_files *files, const struct sim_break *broken);
	bool (*has_failed)(const struct sim_files *files);
	/* And what the disk has of it nobody knows. */
	bool (*has_lost)(const struct sim_files *files);
	/* The data of the generation find no room beyond; 0: always. */
	void (*set_room)(
	    struct sim_files *files, uint64_t generation, uint64_t bytes);

	/* The process dies: what is still done to close its stores leaves no
	 * trace in the files. No fault is left. */
	void (*kill)(struct sim_files *files);
	/* It is gone, all is closed; another one may start. */
	void (*revive)(struct sim_files *files);
	/* In between: the power was cut. */
	void (*cut)(struct sim_files *files, enum disk_model_choice choice,
	    uint64_t number);
	/* Operations on the files that a cut may take. */
	size_t (*pending_count)(const struct sim_files *files);
};

#endif
