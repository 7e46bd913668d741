#ifndef TESTS_DISK_MODEL_H
#define TESTS_DISK_MODEL_H

/*
 * What a power cut leaves of files. The model is told of every operation on
 * them, in the order of the calls, and keeps what is durable for certain apart
 * from what is still pending: of that, a cut may take any part.
 *
 *	the bytes and the size of a file are durable with a sync of the file
 *	the entries of a directory are durable with a sync of the directory,
 *	    and with nothing else: a synced file without a durable entry is lost
 *	whole sectors are written: a write takes along what its first and last
 *	    sector held besides, and may be torn between sectors only
 *
 * That is what POSIX promises, and less than file systems do: ext4 keeps the
 * order of the entries' changes.
 *
 * Paths are relative, such as "log/data.mdb"; "" is the root directory, which
 * is durable and empty at first. What a path names must be there, and its
 * parent: whoever records operations records none that failed (ASSERT).
 */

#include "common/macros.h"
#include "common/slice.h"

/* What a disk writes as one. */
#define DISK_MODEL_SECTOR 512u

struct disk_model;

struct disk_model *disk_model_new(void);
/* NULL is fine. */
void disk_model_free(struct disk_model *model);

void disk_model_mkdir(struct disk_model *model, const char *path);
/* Of a file that was not there: an empty one. */
void disk_model_create(struct disk_model *model, const char *path);
bool disk_model_exists(const struct disk_model *model, const char *path);
void disk_model_write(struct disk_model *model, const char *path,
    uint64_t offset, struct slice bytes);
void
disk_model_truncate(struct disk_model *model, const char *path, uint64_t size);
/*
 * Replaces what has the name, as one operation. Between two directories: with a
 * sync of the new one the new name is durable, with one of the old one both.
 */
void
disk_model_rename(struct disk_model *model, const char *from, const char *to);
/* A file, or an empty directory. */
void disk_model_remove(struct disk_model *model, const char *path);
/* A file: its bytes and its size. A directory: its entries. */
void disk_model_sync(struct disk_model *model, const char *path);

/* ---- Files that are open: by numbers that outlive their names ---- */

unsigned disk_model_find(const struct disk_model *model, const char *path);
void disk_model_write_file(struct disk_model *model, unsigned file,
    uint64_t offset, struct slice bytes);
void disk_model_truncate_file(
    struct disk_model *model, unsigned file, uint64_t size);
void disk_model_sync_file(struct disk_model *model, unsigned file);
/*
 * A write by a descriptor with O_DSYNC returned: of the file only what was
 * written to these bytes is durable, by it or before.
 */
void disk_model_sync_range(
    struct disk_model *model, unsigned file, uint64_t offset, uint64_t size);
/* As the process sees them; valid until the next change. */
struct slice disk_model_bytes(const struct disk_model *model, unsigned file);

/* ---- Power cuts ---- */

/* What becomes of the pending operations; `number` below says more. */
enum disk_model_choice {
	DISK_MODEL_NONE,     /* all are lost */
	DISK_MODEL_ALL,      /* all are kept, as by a kill of the process */
	DISK_MODEL_BUT_ONE,  /* all but number % count */
	DISK_MODEL_ONLY_ONE, /* none but number % count */
	DISK_MODEL_RANDOM,   /* each one as the seed says */
	DISK_MODEL_TORN      /* as well, and of a write only some sectors */
};

#define DISK_MODEL_CHOICES_COUNT 6u

/* The operations that a power cut may still take. */
size_t disk_model_pending_count(const struct disk_model *model);

/*
 * Writes what a cut would leave into a directory that exists and is empty:
 * directories of mode 0700, files of 0600. The model is as before. ERR_IO.
 */
int disk_model_write_image(const struct disk_model *model,
    enum disk_model_choice choice, uint64_t number,
    const char *directory) ATTR_MUST_CHECK;

/*
 * The model itself becomes what the cut leaves, with nothing pending. Numbers
 * of files are void.
 */
void disk_model_crash(
    struct disk_model *model, enum disk_model_choice choice, uint64_t number);

/*
 * Equal for images with the same directories and files, of the same bytes. To
 * look at each image once.
 */
uint64_t disk_model_image_digest(const struct disk_model *model,
    enum disk_model_choice choice, uint64_t number);

#endif
