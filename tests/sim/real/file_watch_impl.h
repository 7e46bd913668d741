#ifndef TESTS_SIM_REAL_FILE_WATCH_IMPL_H
#define TESTS_SIM_REAL_FILE_WATCH_IMPL_H

/* What file_wrap.c needs of file_watch.c. */

#include "tests/sim/real/file_watch.h"

/* An open file or directory below a root. */
struct watched_fd {
	struct file_watch *watch; /* NULL: none */
	char path[64];            /* below the root; "": the root */
	bool is_directory;
	bool syncs;    /* each write, by O_DSYNC */
	unsigned file; /* the model's number */
};

/* How a call is to end; not FILE_FAULTS_COUNT: errno says why it fails. */
#define FILE_FAULT_NONE FILE_FAULTS_COUNT

/* A call that changes what is at `path` of the watch. */
enum file_fault
file_watch_step(struct file_watch *watch, const char *path, bool is_sync);

struct disk_model *file_watch_changing(struct file_watch *watch);

/* The watch whose root is `path` or above it, and the rest of the path; NULL:
 * none, or the test itself is at work. */
struct file_watch *file_watch_of(const char *path, const char **ret_rest);

/* NULL: not watched. */
struct watched_fd *file_watch_fd(int fd);
/* `path` is below the watch's root. */
void file_watch_opened(
    struct file_watch *watch, int fd, const char *path, int flags);
void file_watch_closed(int fd);

/* Syncs, unless it lies. */
void file_watch_sync(const struct watched_fd *watched);
/* Of a write by O_DSYNC: what it wrote, and nothing else. */
void file_watch_sync_range(
    const struct watched_fd *watched, uint64_t offset, uint64_t size);

/* May the file at `path` reach up to byte `end`? Else errno says why not. */
bool
file_watch_has_room(struct file_watch *watch, const char *path, uint64_t end);
/* A write was told that it is not. */
bool file_watch_is_full(const struct file_watch *watch);

#endif
