#include "tests/sim/real/file_watch.h"

#include "common/buf.h"
#include "common/mem.h"
#include "common/panic.h"
#include "tests/sim/real/file_watch_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Those of all hosts, and of copies of their disks. */
#define WATCHES_MAX 64
#define FDS_MAX     4096

struct file_watch {
	char *root;
	size_t root_size;
	struct disk_model *model;
	struct file_break broken; /* but for its path: */
	char broken_below[32];
	char room_below[32];
	uint64_t room; /* bytes of each file; 0: any number */
	bool is_full;
	uint64_t left; /* calls up to the one that fails; 0: none will */
	bool has_failed;
	bool failed_in_sync;
	bool is_dead;
	bool lies;
};

/*
 * The calls have no argument that would say for whom they are made: hence the
 * only state of the process in the tests.
 */
static struct {
	struct file_watch *watches[WATCHES_MAX];
	struct watched_fd fds[FDS_MAX];
	bool is_off; /* the test itself changes files */
} table;

/* ---- What is watched ---- */

static void
load_file(struct file_watch *watch, const char *path, const char *rest)
{
	uint8_t bytes[4096];
	uint64_t offset = 0;
	ssize_t size;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fatal("cannot open %s", path);
	disk_model_create(watch->model, rest);
	while ((size = read(fd, bytes, sizeof(bytes))) > 0) {
		disk_model_write(
		    watch->model, rest, offset, slice_of(bytes, (size_t)size));
		offset += (uint64_t)size;
	}
	(void)close(fd); /* it was only read */
	disk_model_sync(watch->model, rest);
}

/* What is there is durable, with its name. */
static void
load_directory(struct file_watch *watch, const char *path, const char *rest)
{
	DIR *list = opendir(path);
	const struct dirent *entry;

	if (list == NULL)
		fatal("cannot read %s", path);
	while ((entry = readdir(list)) != NULL) {
		char inner_path[512];
		char inner_rest[512];
		struct stat info;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(inner_path, sizeof(inner_path), "%s/%s", path,
		    entry->d_name);
		snprintf(inner_rest, sizeof(inner_rest), "%s%s%s", rest,
		    rest[0] == '\0' ? "" : "/", entry->d_name);
		if (stat(inner_path, &info) != 0)
			fatal("cannot look at %s", inner_path);
		if (S_ISDIR(info.st_mode)) {
			disk_model_mkdir(watch->model, inner_rest);
			load_directory(watch, inner_path, inner_rest);
		} else {
			load_file(watch, inner_path, inner_rest);
		}
	}
	(void)closedir(list); /* it was only read */
	disk_model_sync(watch->model, rest);
}

struct file_watch *
file_watch_new(const char *root)
{
	struct file_watch *watch = mem_zalloc(1, sizeof(*watch));
	unsigned place = 0;

	ASSERT(root[0] == '/');
	watch->root = mem_strdup(root);
	watch->root_size = strlen(root);
	watch->model = disk_model_new();
	load_directory(watch, root, "");
	while (place < WATCHES_MAX && table.watches[place] != NULL)
		place++;
	ASSERT(place < WATCHES_MAX);
	table.watches[place] = watch;
	return watch;
}

static void
check_closed(const struct file_watch *watch)
{
	for (int fd = 0; fd < FDS_MAX; fd++)
		if (table.fds[fd].watch == watch)
			fatal("%s/%s is still open", watch->root,
			    table.fds[fd].path);
}

void
file_watch_free(struct file_watch *watch)
{
	if (watch == NULL)
		return;
	check_closed(watch);
	for (unsigned i = 0; i < WATCHES_MAX; i++)
		if (table.watches[i] == watch)
			table.watches[i] = NULL;
	disk_model_free(watch->model);
	free(watch->root);
	free(watch);
}

const struct disk_model *
file_watch_model(const struct file_watch *watch)
{
	return watch->model;
}

struct disk_model *
file_watch_changing(struct file_watch *watch)
{
	return watch->model;
}

struct file_watch *
file_watch_of(const char *path, const char **ret_rest)
{
	for (unsigned i = 0; i < WATCHES_MAX && !table.is_off; i++) {
		struct file_watch *watch = table.watches[i];

		if (watch == NULL ||
		    strncmp(path, watch->root, watch->root_size) != 0)
			continue;
		if (path[watch->root_size] == '\0')
			*ret_rest = path + watch->root_size;
		else if (path[watch->root_size] == '/')
			*ret_rest = path + watch->root_size + 1;
		else
			continue;
		return watch;
	}
	return NULL;
}

struct watched_fd *
file_watch_fd(int fd)
{
	if (fd < 0 || fd >= FDS_MAX || table.fds[fd].watch == NULL)
		return NULL;
	return &table.fds[fd];
}

void
file_watch_opened(struct file_watch *watch, int fd, const char *path, int flags)
{
	struct watched_fd *watched;
	struct stat info;

	ASSERT(fd < FDS_MAX);
	ASSERT(table.fds[fd].watch == NULL);
	watched = &table.fds[fd];
	ASSERT(strlen(path) < sizeof(watched->path));
	if (fstat(fd, &info) != 0)
		fatal("cannot look at %s/%s", watch->root, path);
	*watched = (struct watched_fd){ .watch = watch,
		.is_directory = S_ISDIR(info.st_mode),
		.syncs = (flags & O_DSYNC) != 0 };
	memcpy(watched->path, path, strlen(path) + 1);
	if (!watched->is_directory)
		watched->file = disk_model_find(watch->model, path);
}

void
file_watch_closed(int fd)
{
	struct watched_fd *watched = file_watch_fd(fd);

	if (watched != NULL)
		watched->watch = NULL;
}

/* ---- Faults ---- */

void
file_watch_break(struct file_watch *watch, const struct file_break *broken)
{
	watch->broken = *broken;
	snprintf(watch->broken_below, sizeof(watch->broken_below), "%s",
	    broken->below == NULL ? "" : broken->below);
	watch->is_full = false;
	watch->left = broken->n;
	watch->has_failed = false;
	watch->failed_in_sync = false;
}

bool
file_watch_failed(const struct file_watch *watch)
{
	return watch->has_failed;
}

bool
file_watch_failed_in_sync(const struct file_watch *watch)
{
	return watch->failed_in_sync;
}

bool
file_watch_is_full(const struct file_watch *watch)
{
	return watch->is_full;
}

void
file_watch_kill(struct file_watch *watch)
{
	watch->left = 0;
	watch->has_failed = false;
	watch->failed_in_sync = false;
	watch->room = 0;
	watch->is_full = false;
	watch->is_dead = true;
}

void
file_watch_revive(struct file_watch *watch)
{
	watch->is_dead = false;
}

/* "log" itself, or what is in it. */
static bool
is_below(const char *path, const char *above)
{
	size_t size = strlen(above);

	return strncmp(path, above, size) == 0 &&
	       (path[size] == '\0' || path[size] == '/');
}

void
file_watch_lie(struct file_watch *watch)
{
	watch->lies = true;
}

void
file_watch_sync(const struct watched_fd *watched)
{
	struct disk_model *model = watched->watch->model;

	if (watched->watch->lies)
		return;
	if (watched->is_directory)
		disk_model_sync(model, watched->path);
	else
		disk_model_sync_file(model, watched->file);
}

void
file_watch_sync_range(
    const struct watched_fd *watched, uint64_t offset, uint64_t size)
{
	if (!watched->watch->lies)
		disk_model_sync_range(
		    watched->watch->model, watched->file, offset, size);
}

void
file_watch_set_room(struct file_watch *watch, const char *below, uint64_t bytes)
{
	snprintf(watch->room_below, sizeof(watch->room_below), "%s", below);
	watch->room = bytes;
	watch->is_full = false;
}

bool
file_watch_has_room(struct file_watch *watch, const char *path, uint64_t end)
{
	if (watch->room == 0 || end <= watch->room ||
	    !is_below(path, watch->room_below))
		return true;
	watch->is_full = true;
	errno = ENOSPC;
	return false;
}

/*
 * Half a write is told as such, and what the caller does about the rest fails:
 * so it is with a disk that has no room.
 */
enum file_fault
file_watch_step(struct file_watch *watch, const char *path, bool is_sync)
{
	enum file_fault fault = watch->broken.fault;

	if (watch->is_dead) {
		errno = EIO;
		return FILE_FAULT_NOTHING;
	}
	if (watch->left == 0 || !is_below(path, watch->broken_below) ||
	    (watch->broken.only_syncs && !is_sync) || --watch->left > 0)
		return FILE_FAULT_NONE;
	watch->has_failed = true;
	watch->failed_in_sync = is_sync;
	if (fault == FILE_FAULT_PART) {
		watch->left = 1;
		watch->broken.fault = FILE_FAULT_NOTHING;
		watch->broken.only_syncs = false;
	}
	watch->is_full = watch->broken.error_number == ENOSPC;
	watch->is_dead = watch->broken.is_last;
	errno = watch->broken.error_number;
	return fault;
}

/* ---- Power cuts ---- */

static void
empty_directory(const char *path)
{
	DIR *list = opendir(path);
	const struct dirent *entry;

	if (list == NULL)
		fatal("cannot read %s", path);
	while ((entry = readdir(list)) != NULL) {
		char inner[512];

		if (strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		if (unlink(inner) == 0)
			continue;
		empty_directory(inner);
		if (rmdir(inner) != 0)
			fatal("cannot remove %s", inner);
	}
	(void)closedir(list); /* it was only read */
}

void
file_watch_cut(
    struct file_watch *watch, enum disk_model_choice choice, uint64_t number)
{
	int error;

	check_closed(watch);
	disk_model_crash(watch->model, choice, number);
	table.is_off = true;
	empty_directory(watch->root);
	error = disk_model_write_image(
	    watch->model, DISK_MODEL_NONE, 0, watch->root);
	table.is_off = false;
	if (error != 0)
		fatal("cannot write what is left of %s", watch->root);
}

void
file_watch_image(const struct file_watch *watch, enum disk_model_choice choice,
    uint64_t number, const char *directory)
{
	int error;

	table.is_off = true;
	if (mkdir(directory, 0700) != 0)
		fatal("cannot make %s", directory);
	error = disk_model_write_image(watch->model, choice, number, directory);
	table.is_off = false;
	if (error != 0)
		fatal("cannot write an image of %s", watch->root);
}
