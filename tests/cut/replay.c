#include "tests/cut/replay.h"

#include "common/mem.h"
#include "common/panic.h"
#include "tests/cut/trace.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct record {
	struct trace_head head;
	const char *path; /* with a terminator behind it */
	const uint8_t *bytes;
};

struct file {
	uint64_t inode;
	unsigned number; /* in the model */
};

struct replay {
	struct replay_options options;
	struct record *records;
	uint64_t count;
	char *paths; /* of all records, with terminators */
	void *map;
	size_t map_size;
	struct disk_model *disk;
	struct file *files;
	unsigned files_count;
	uint64_t done;
	uint64_t syncs;
	bool half; /* the record was done but for its durability */
};

/* ---- Reading ---- */

static bool
map_trace(struct replay *replay)
{
	int fd = open(replay->options.path, O_RDONLY | O_CLOEXEC);
	struct stat info;

	if (fd < 0 || fstat(fd, &info) != 0 || info.st_size == 0) {
		fprintf(stderr, "%s: no trace\n", replay->options.path);
		return false;
	}
	replay->map_size = (size_t)info.st_size;
	replay->map =
	    mmap(NULL, replay->map_size, PROT_READ, MAP_PRIVATE, fd, 0);
	(void)close(fd); /* the map holds the file */
	ASSERT(replay->map != MAP_FAILED);
	return true;
}

/* The size of the record at `offset`; 0: there is no whole one. */
static size_t
record_size(const struct replay *replay, size_t offset)
{
	struct trace_head head;
	size_t left = replay->map_size - offset;
	size_t size;

	if (left < sizeof(head))
		return 0;
	memcpy(&head, (const uint8_t *)replay->map + offset, sizeof(head));
	size = sizeof(head) + head.path_size + head.size;
	return size <= left ? size : 0;
}

static void
read_record(struct replay *replay, size_t offset, char *path)
{
	const uint8_t *at = (const uint8_t *)replay->map + offset;
	struct record *record = &replay->records[replay->count++];

	memcpy(&record->head, at, sizeof(record->head));
	memcpy(path, at + sizeof(record->head), record->head.path_size);
	path[record->head.path_size] = '\0';
	record->path = path;
	record->bytes = at + sizeof(record->head) + record->head.path_size;
}

static bool
read_records(struct replay *replay)
{
	uint64_t count = 0;
	size_t paths_size = 0;
	size_t offset = 0;
	size_t size;

	while ((size = record_size(replay, offset)) != 0) {
		offset += size;
		paths_size += size + 1;
		count++;
	}
	if (offset != replay->map_size) {
		fprintf(
		    stderr, "%s: ends within a record\n", replay->options.path);
		return false;
	}
	replay->records = mem_zalloc((size_t)count, sizeof(*replay->records));
	replay->paths = mem_alloc(paths_size);
	offset = 0;
	for (char *path = replay->paths; replay->count < count;) {
		read_record(replay, offset, path);
		offset += record_size(replay, offset);
		path += replay->records[replay->count - 1].head.path_size + 1;
	}
	return true;
}

/* Memory that readers and writers of LMDB share, and that is of no use to
 * another process than these. */
static bool
is_lock_file(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strcmp(slash == NULL ? path : slash + 1, "lock.mdb") == 0;
}

static bool
check_records(const struct replay *replay)
{
	for (uint64_t i = 0; i < replay->count; i++) {
		const struct record *record = &replay->records[i];

		if (record->head.kind == TRACE_ODD ||
		    (record->head.kind == TRACE_MAP &&
			!is_lock_file(record->path))) {
			fprintf(stderr,
			    "record %llu, %s, is of a kind that cannot be "
			    "followed\n",
			    (unsigned long long)i, record->path);
			return false;
		}
	}
	return true;
}

struct replay *
replay_new(const struct replay_options *options)
{
	struct replay *replay = mem_zalloc(1, sizeof(*replay));

	replay->options = *options;
	if (!map_trace(replay) || !read_records(replay) ||
	    !check_records(replay)) {
		replay_free(replay);
		return NULL;
	}
	replay_rewind(replay);
	return replay;
}

void
replay_free(struct replay *replay)
{
	if (replay == NULL)
		return;
	disk_model_free(replay->disk);
	if (replay->map != NULL)
		(void)munmap(replay->map, replay->map_size);
	free(replay->records);
	free(replay->paths);
	free(replay->files);
	free(replay);
}

/* ---- Steps ---- */

static struct file *
find_file(struct replay *replay, uint64_t inode)
{
	for (unsigned i = 0; i < replay->files_count; i++)
		if (replay->files[i].inode == inode)
			return &replay->files[i];
	return NULL;
}

/* The inode may have been that of a file that is gone. */
static void
note_file(struct replay *replay, const struct record *record)
{
	struct file *file = find_file(replay, record->head.file);

	if (file == NULL) {
		replay->files = mem_realloc(replay->files,
		    replay->files_count + 1, sizeof(*replay->files));
		file = &replay->files[replay->files_count++];
	}
	file->inode = record->head.file;
	file->number = disk_model_find(replay->disk, record->path);
}

/* An open file, or the root, which was there before all. */
static unsigned
number_of(struct replay *replay, const struct record *record)
{
	const struct file *file = find_file(replay, record->head.file);

	if (file != NULL)
		return file->number;
	if (record->path[0] != '\0')
		fprintf(stderr, "record %llu: %s was never made\n",
		    (unsigned long long)replay->done, record->path);
	ASSERT(record->path[0] == '\0');
	return disk_model_find(replay->disk, "");
}

static void
write_record(struct replay *replay, const struct record *record)
{
	unsigned file = number_of(replay, record);

	if (replay->half)
		disk_model_sync_range(
		    replay->disk, file, record->head.offset, record->head.size);
	else
		disk_model_write_file(replay->disk, file, record->head.offset,
		    slice_of(record->bytes, record->head.size));
	replay->half = !replay->half && record->head.flags == TRACE_DURABLE;
}

static void
sync_record(struct replay *replay, const struct record *record)
{
	if (++replay->syncs != replay->options.dropped_sync)
		disk_model_sync_file(replay->disk, number_of(replay, record));
}

static void
apply_record(struct replay *replay, const struct record *record)
{
	struct disk_model *disk = replay->disk;

	switch ((enum trace_kind)record->head.kind) {
	case TRACE_CREATE:
		disk_model_create(disk, record->path);
		note_file(replay, record);
		break;
	case TRACE_MKDIR:
		disk_model_mkdir(disk, record->path);
		note_file(replay, record);
		break;
	case TRACE_REMOVE: disk_model_remove(disk, record->path); break;
	case TRACE_RENAME:
		disk_model_rename(disk, record->path,
		    record->path + strlen(record->path) + 1);
		break;
	case TRACE_WRITE: write_record(replay, record); break;
	case TRACE_TRUNCATE:
		disk_model_truncate_file(
		    disk, number_of(replay, record), record->head.offset);
		break;
	case TRACE_SYNC: sync_record(replay, record); break;
	case TRACE_MAP:
	case TRACE_SEND:
	case TRACE_ODD: break;
	}
}

static bool
changes_files(const struct record *record)
{
	return record->head.kind < TRACE_MAP;
}

/*
 * What was said before the next change is said by now: a cut may well come
 * between an answer and a sync that should have been before it.
 */
static void
skip_others(struct replay *replay)
{
	while (replay->done < replay->count &&
	       !changes_files(&replay->records[replay->done]))
		replay->done++;
}

void
replay_rewind(struct replay *replay)
{
	disk_model_free(replay->disk);
	replay->disk = disk_model_new();
	replay->files_count = 0;
	replay->done = 0;
	replay->syncs = 0;
	replay->half = false;
	skip_others(replay);
}

bool
replay_step(struct replay *replay)
{
	if (replay->done == replay->count)
		return false;
	apply_record(replay, &replay->records[replay->done]);
	if (replay->half)
		return true;
	replay->done++;
	skip_others(replay);
	return true;
}

uint64_t
replay_records_count(const struct replay *replay)
{
	return replay->count;
}

uint64_t
replay_done(const struct replay *replay)
{
	return replay->done;
}

const struct disk_model *
replay_disk(const struct replay *replay)
{
	return replay->disk;
}
