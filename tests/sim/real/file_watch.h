#ifndef TESTS_SIM_REAL_FILE_WATCH_H
#define TESTS_SIM_REAL_FILE_WATCH_H

/*
 * Directories that are watched: every call of LMDB and of server/store that
 * changes a file below one of them does so, and is told to a model of what a
 * power cut would leave (tests/lib/disk_model.h). Chosen calls fail. The linker
 * leads the calls here (--wrap, see the Makefile); file_wrap.c has them.
 *
 * A call that changes files and is not modelled ends the process. What is not
 * modelled on purpose: the contents of lock.mdb, which LMDB maps and which mean
 * nothing to the next process.
 */

#include "tests/lib/disk_model.h"

struct file_watch;

/* `root` is an absolute path of a directory; what is in it counts as durable.
 * It stays when the watch is freed. */
struct file_watch *file_watch_new(const char *root);
/* No file below may be open. NULL is fine. */
void file_watch_free(struct file_watch *watch);

const struct disk_model *file_watch_model(const struct file_watch *watch);

/* ---- Faults ---- */

enum file_fault {
	FILE_FAULT_NOTHING, /* the call fails, and has done nothing */
	FILE_FAULT_PART,    /* it has written some of the first sectors */
	FILE_FAULT_WHOLE,   /* it is done, as far as the process can see; a
			       write to a file opened with O_DSYNC is not synced,
			       and a sync has synced all */
	FILE_FAULTS_COUNT
};

struct file_break {
	const char *below; /* the root: "log" means all of log/... */
	uint64_t n;        /* the n-th call that changes something; 1: next */
	bool only_syncs;   /* the n-th that syncs, also by O_DSYNC */
	int error_number;  /* that it gives */
	enum file_fault fault;
	bool is_last; /* all calls behind it fail: the process is gone */
};

/* Replaces the fault before; n 0: none. */
void
file_watch_break(struct file_watch *watch, const struct file_break *broken);
/* The call has failed. */
bool file_watch_failed(const struct file_watch *watch);
/* And was one that syncs: nobody knows what the disk has. */
bool file_watch_failed_in_sync(const struct file_watch *watch);

/* From now on no sync makes anything durable. */
void file_watch_lie(struct file_watch *watch);

/* Files below `below` do not grow beyond so many bytes, which is no failure as
 * above; 0: as they like. */
void file_watch_set_room(
    struct file_watch *watch, const char *below, uint64_t bytes);

/* The process is gone: until the revival whatever changes fails, so that the
 * closing of its files leaves no trace. No fault is left. */
void file_watch_kill(struct file_watch *watch);
void file_watch_revive(struct file_watch *watch);

/* ---- Power cuts ---- */

/* No file below may be open. The files become what the cut leaves. */
void file_watch_cut(
    struct file_watch *watch, enum disk_model_choice choice, uint64_t number);

/* Writes what a cut would leave into `directory`, which is made. */
void file_watch_image(const struct file_watch *watch,
    enum disk_model_choice choice, uint64_t number, const char *directory);

#endif
