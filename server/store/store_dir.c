#include "store/store_dir.h"

#include "common/mem.h"
#include "common/panic.h"
#include "common/text.h"
#include "store/store_trash.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct store_dir {
	int dir_fd;
	int lock_fd;
	char *path; /* as it was opened by */
};

/*
 * File systems whose mmap, flock or fsync depends on another machine or
 * another program: statfs(2) and linux/magic.h.
 */
static const uint32_t store_dir_refused_types[] = {
	0x00006969, /* NFS */
	0xff534d42, /* CIFS */
	0xfe534d42, /* SMB2 */
	0x0000517b, /* SMB */
	0x0000564c, /* NCP */
	0x01021997, /* 9p */
	0x65735546, /* FUSE */
	0x5346414f, /* AFS */
	0x6b414653, /* AFS of kAFS */
	0x73757245, /* Coda */
	0x00c36400, /* Ceph */
	0x0bd00bd0, /* Lustre */
	0x786f4256, /* VirtualBox shared folder */
	0xbacbacbc, /* VMware shared folder */
};

int
store_dir_error(int error)
{
	switch (error) {
	case ENOENT: return ERR_NOT_FOUND;
	case EACCES:
	case EPERM:
	case EROFS: return ERR_DENIED;
	case ENOSPC:
	case EDQUOT: return ERR_NO_SPACE;
	case ENOTDIR:
	case ELOOP:
	case ENAMETOOLONG: return ERR_INVALID;
	case ENOMEM: fatal("out of memory for a call on files");
	default: return ERR_IO;
	}
}

static int
store_dir_check_local(int fd)
{
	struct statfs info;

	if (fstatfs(fd, &info) != 0)
		return store_dir_error(errno);
	for (size_t i = 0; i < ARRAY_COUNT(store_dir_refused_types); i++)
		if ((uint32_t)info.f_type == store_dir_refused_types[i])
			return ERR_UNSUPPORTED;
	return 0;
}

static int
store_dir_sync_fds(int fd)
{
	int parent_fd;
	int code = 0;

	if (fsync(fd) != 0)
		return store_dir_error(errno);
	parent_fd = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent_fd < 0) {
		/*
		 * A parent that may be searched but not read cannot be opened;
		 * whoever set it up so has created this directory as well.
		 */
		return errno == EACCES ? 0 : store_dir_error(errno);
	}
	if (fsync(parent_fd) != 0)
		code = store_dir_error(errno);
	(void)close(parent_fd); /* nothing was written through it */
	return code;
}

static int
store_dir_open_fd(const char *path, int *ret_fd)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return store_dir_error(errno);
	*ret_fd = fd;
	return 0;
}

int
store_dir_sync(const char *path)
{
	int fd = -1;
	int code = store_dir_open_fd(path, &fd);

	if (code != 0)
		return code;
	code = store_dir_sync_fds(fd);
	(void)close(fd); /* nothing was written through it */
	return code;
}

/* Gives a descriptor of the directory, created, local and synced. */
static int
store_dir_create_fd(const char *path, int *ret_fd)
{
	int fd = -1;
	int code;

	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return store_dir_error(errno);
	code = store_dir_open_fd(path, &fd);
	if (code != 0)
		return code;
	code = store_dir_check_local(fd);
	if (code == 0)
		code = store_dir_sync_fds(fd);
	if (code != 0) {
		(void)close(fd); /* nothing was written through it */
		return code;
	}
	*ret_fd = fd;
	return 0;
}

int
store_dir_create(const char *path)
{
	int fd = -1;
	int code = store_dir_create_fd(path, &fd);

	if (code == 0)
		(void)close(fd); /* nothing was written through it */
	return code;
}

/*
 * The file is durable before anything else is in the directory: by it, later
 * starts know that they may write there (data_dir.c).
 */
static int
store_dir_lock(int dir_fd, int *ret_fd)
{
	int fd = openat(
	    dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int code = 0;

	if (fd < 0)
		return store_dir_error(errno);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		code = errno == EWOULDBLOCK ? ERR_LOCKED : ERR_IO;
	else if (fsync(dir_fd) != 0)
		code = store_dir_error(errno);
	if (code == 0)
		*ret_fd = fd;
	else
		(void)close(fd); /* nothing was written through it */
	return code;
}

int
store_dir_open(const char *path, struct store_dir **ret_dir)
{
	struct store_dir *dir;
	int dir_fd = -1;
	int lock_fd = -1;
	int code;

	code = store_dir_create_fd(path, &dir_fd);
	if (code != 0)
		return code;
	code = store_dir_lock(dir_fd, &lock_fd);
	if (code != 0) {
		(void)close(dir_fd); /* nothing was written through it */
		return code;
	}
	dir = mem_alloc(sizeof(*dir));
	*dir = (struct store_dir){
		.dir_fd = dir_fd, .lock_fd = lock_fd, .path = mem_strdup(path)
	};
	*ret_dir = dir;
	return 0;
}

void
store_dir_close(struct store_dir *dir)
{
	if (dir == NULL)
		return;
	(void)close(dir->lock_fd); /* closing gives up the lock */
	(void)close(dir->dir_fd);  /* nothing was written through it */
	free(dir->path);
	free(dir);
}

bool
store_dir_is_gone(const struct store_dir *dir)
{
	struct stat held;
	struct stat named;

	if (fstat(dir->lock_fd, &held) == 0 && held.st_nlink == 0)
		return true;
	if (stat(dir->path, &named) != 0)
		return errno == ENOENT || errno == ENOTDIR;
	return fstat(dir->dir_fd, &held) == 0 &&
	       (held.st_dev != named.st_dev || held.st_ino != named.st_ino);
}

int
store_dir_free_bytes(const struct store_dir *dir, uint64_t *ret_bytes)
{
	struct statvfs info;

	if (fstatvfs(dir->dir_fd, &info) != 0)
		return ERR_IO;
	*ret_bytes = (uint64_t)info.f_bavail * info.f_frsize;
	return 0;
}

/* ---- Generations ---- */

static const char *const store_dir_files[] = { "data.mdb", "data.mdb.new",
	"lock.mdb", "journal" };

void
store_dir_append_path(
    struct buf *to, const char *parent, const char *name, uint64_t generation)
{
	buf_printf(to, "%s/%s", parent, name);
	if (generation != 0)
		buf_printf(to, ".%" PRIu64, generation);
}

bool
store_dir_parse_generation(
    const char *entry, const char *name, uint64_t *ret_generation)
{
	size_t size = strlen(name);
	uint64_t generation = 0;

	if (strncmp(entry, name, size) != 0)
		return false;
	if (entry[size] != '\0') {
		if (entry[size] != '.' || entry[size + 1] == '0')
			return false;
		if (text_parse_u64(
			slice_from_text(entry + size + 1), &generation) != 0)
			return false;
	}
	*ret_generation = generation;
	return true;
}

static bool
store_dir_is_directory(int parent_fd, const char *entry)
{
	struct stat info;

	return fstatat(parent_fd, entry, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(info.st_mode);
}

/* Gives the next entry; ERR_NOT_FOUND: that was the last one. */
static int
store_dir_next(DIR *list, const char **ret_entry)
{
	const struct dirent *entry;

	errno = 0;
	entry = readdir(list);
	if (entry == NULL)
		return errno == 0 ? ERR_NOT_FOUND : ERR_IO;
	*ret_entry = entry->d_name;
	return 0;
}

int
store_dir_find_next(const char *parent, const char *name, uint64_t first,
    uint64_t *ret_generation)
{
	DIR *list = opendir(parent);
	uint64_t generation;
	uint64_t lowest = 0;
	bool found = false;
	const char *entry;
	int code;

	if (list == NULL)
		return store_dir_error(errno);
	while ((code = store_dir_next(list, &entry)) == 0) {
		if (store_dir_parse_generation(entry, name, &generation) &&
		    generation >= first && (!found || generation < lowest) &&
		    store_dir_is_directory(dirfd(list), entry)) {
			lowest = generation;
			found = true;
		}
	}
	(void)closedir(list); /* it was only read */
	if (code != ERR_NOT_FOUND)
		return code;
	if (!found)
		return ERR_NOT_FOUND;
	*ret_generation = lowest;
	return 0;
}

static bool
store_dir_is_own(const char *entry)
{
	for (size_t i = 0; i < ARRAY_COUNT(store_dir_files); i++)
		if (strcmp(entry, store_dir_files[i]) == 0)
			return true;
	return strcmp(entry, ".") == 0 || strcmp(entry, "..") == 0;
}

/* ERR_EXISTS: there is what no store has put there. */
static int
store_dir_check_own(DIR *list)
{
	const char *entry;
	int code;

	while ((code = store_dir_next(list, &entry)) == 0)
		if (!store_dir_is_own(entry))
			return ERR_EXISTS;
	return code == ERR_NOT_FOUND ? 0 : code;
}

/* Takes over `fd`. */
static int
store_dir_remove_files(int fd, struct store_trash *trash)
{
	DIR *list = fdopendir(fd);
	int code;

	if (list == NULL) {
		(void)close(fd); /* nothing was written through it */
		return ERR_IO;
	}
	code = store_dir_check_own(list);
	for (size_t i = 0; code == 0 && i < ARRAY_COUNT(store_dir_files); i++)
		code = store_trash_take(trash, fd, store_dir_files[i]);
	(void)closedir(list); /* nothing was written through it */
	return code;
}

int
store_dir_remove(const char *path)
{
	struct store_trash trash = { .count = 0 };
	int code = store_dir_remove_into(path, &trash);

	store_trash_release(&trash);
	return code;
}

int
store_dir_remove_into(const char *path, struct store_trash *trash)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int parent_fd;
	int code;

	if (fd < 0)
		return errno == ENOENT ? 0 : store_dir_error(errno);
	parent_fd = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent_fd < 0) {
		code = store_dir_error(errno);
		(void)close(fd); /* nothing was written through it */
		return code;
	}
	code = store_dir_remove_files(fd, trash);
	if (code == 0 && rmdir(path) != 0)
		code = store_dir_error(errno);
	if (code == 0 && fsync(parent_fd) != 0)
		code = store_dir_error(errno);
	(void)close(parent_fd); /* nothing was written through it */
	return code;
}
