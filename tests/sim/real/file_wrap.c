/*
 * The calls themselves, as the linker's --wrap names them: __wrap_f is what all
 * other objects mean by f, __real_f is the function. Reading is left alone.
 */

#include "common/macros.h"
#include "common/panic.h"
#include "tests/sim/real/file_watch_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- Names ---- */

/* What `name` means beside an open directory. */
struct place {
	struct file_watch *watch; /* NULL: not watched */
	const char *path;         /* below the root */
	char memory[128];
};

static void
find_place(int directory_fd, const char *name, struct place *ret_place)
{
	const struct watched_fd *directory = file_watch_fd(directory_fd);
	char *slash;

	ret_place->watch = NULL;
	if (directory_fd == AT_FDCWD || name[0] == '/') {
		ret_place->watch = file_watch_of(name, &ret_place->path);
		return;
	}
	if (directory == NULL)
		return;
	ret_place->path = ret_place->memory;
	if (strcmp(name, "..") != 0) {
		ret_place->watch = directory->watch;
		snprintf(ret_place->memory, sizeof(ret_place->memory), "%s%s%s",
		    directory->path, directory->path[0] == '\0' ? "" : "/",
		    name);
		return;
	}
	if (directory->path[0] == '\0')
		return; /* above the root */
	ret_place->watch = directory->watch;
	snprintf(ret_place->memory, sizeof(ret_place->memory), "%s",
	    directory->path);
	slash = strrchr(ret_place->memory, '/');
	*(slash == NULL ? ret_place->memory : slash) = '\0';
}

int __real_openat(int directory_fd, const char *name, int flags, ...);
int __wrap_openat(int directory_fd, const char *name, int flags, ...);
int __wrap_open(const char *name, int flags, ...);

static int
open_file(int directory_fd, const char *name, int flags, mode_t mode)
{
	struct place place;
	bool is_new;
	int fd;

	find_place(directory_fd, name, &place);
	if (place.watch == NULL)
		return __real_openat(directory_fd, name, flags, mode);
	if ((flags & O_TRUNC) != 0)
		fatal("not modelled: O_TRUNC of %s", place.path);
	is_new =
	    (flags & O_CREAT) != 0 &&
	    !disk_model_exists(file_watch_changing(place.watch), place.path);
	if (is_new &&
	    file_watch_step(place.watch, place.path, false) != FILE_FAULT_NONE)
		return -1;
	fd = __real_openat(directory_fd, name, flags, mode);
	if (fd < 0)
		return fd;
	if (is_new)
		disk_model_create(file_watch_changing(place.watch), place.path);
	file_watch_opened(place.watch, fd, place.path, flags);
	return fd;
}

static mode_t
mode_of(int flags, va_list arguments)
{
	return (flags & O_CREAT) != 0 ? (mode_t)va_arg(arguments, int) : 0;
}

int
__wrap_openat(int directory_fd, const char *name, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = mode_of(flags, arguments);
	va_end(arguments);
	return open_file(directory_fd, name, flags, mode);
}

int
__wrap_open(const char *name, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = mode_of(flags, arguments);
	va_end(arguments);
	return open_file(AT_FDCWD, name, flags, mode);
}

int __real_close(int fd);
int __wrap_close(int fd);

int
__wrap_close(int fd)
{
	file_watch_closed(fd);
	return __real_close(fd);
}

int __real_closedir(DIR *list);
int __wrap_closedir(DIR *list);

/* It may have been made of a watched descriptor. */
int
__wrap_closedir(DIR *list)
{
	file_watch_closed(dirfd(list));
	return __real_closedir(list);
}

int __real_mkdir(const char *name, mode_t mode);
int __wrap_mkdir(const char *name, mode_t mode);

int
__wrap_mkdir(const char *name, mode_t mode)
{
	struct place place;
	int result;

	find_place(AT_FDCWD, name, &place);
	if (place.watch == NULL ||
	    disk_model_exists(file_watch_changing(place.watch), place.path))
		return __real_mkdir(name, mode);
	if (file_watch_step(place.watch, place.path, false) != FILE_FAULT_NONE)
		return -1;
	result = __real_mkdir(name, mode);
	if (result == 0)
		disk_model_mkdir(file_watch_changing(place.watch), place.path);
	return result;
}

int __real_unlinkat(int directory_fd, const char *name, int flags);
int __wrap_unlinkat(int directory_fd, const char *name, int flags);
int __wrap_unlink(const char *name);
int __wrap_rmdir(const char *name);

int
__wrap_unlinkat(int directory_fd, const char *name, int flags)
{
	struct place place;
	int result;

	find_place(directory_fd, name, &place);
	if (place.watch == NULL ||
	    !disk_model_exists(file_watch_changing(place.watch), place.path))
		return __real_unlinkat(directory_fd, name, flags);
	if (file_watch_step(place.watch, place.path, false) != FILE_FAULT_NONE)
		return -1;
	result = __real_unlinkat(directory_fd, name, flags);
	if (result == 0)
		disk_model_remove(file_watch_changing(place.watch), place.path);
	return result;
}

int
__wrap_unlink(const char *name)
{
	return __wrap_unlinkat(AT_FDCWD, name, 0);
}

int
__wrap_rmdir(const char *name)
{
	return __wrap_unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
}

/* ---- Contents ---- */

static void
note_write(const struct watched_fd *watched, uint64_t offset, const void *bytes,
    ssize_t size, enum file_fault fault)
{
	struct disk_model *model = file_watch_changing(watched->watch);

	if (size <= 0)
		return;
	disk_model_write_file(
	    model, watched->file, offset, slice_of(bytes, (size_t)size));
	if (watched->syncs && fault == FILE_FAULT_NONE)
		file_watch_sync_range(watched, offset, (uint64_t)size);
}

/* About half, up to the end of a sector, as no sector is written in part. */
static size_t
part_of(uint64_t offset, size_t size)
{
	uint64_t end = offset + size / 2;

	end -= end % DISK_MODEL_SECTOR;
	return end > offset ? (size_t)(end - offset) : 0;
}

ssize_t __real_pwrite(int fd, const void *bytes, size_t size, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t offset);

ssize_t
__wrap_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
	const struct watched_fd *watched = file_watch_fd(fd);
	enum file_fault fault;
	int error_number;
	ssize_t result;

	if (watched == NULL)
		return __real_pwrite(fd, bytes, size, offset);
	if (!file_watch_has_room(
		watched->watch, watched->path, (uint64_t)offset + size))
		return -1;
	fault = file_watch_step(watched->watch, watched->path, watched->syncs);
	error_number = errno;
	if (fault == FILE_FAULT_NOTHING)
		return -1;
	if (fault == FILE_FAULT_PART)
		size = part_of((uint64_t)offset, size);
	if (size == 0) {
		errno = error_number;
		return -1;
	}
	result = __real_pwrite(fd, bytes, size, offset);
	note_write(watched, (uint64_t)offset, bytes, result, fault);
	if (fault != FILE_FAULT_WHOLE)
		return result;
	errno = error_number;
	return -1;
}

ssize_t __real_writev(int fd, const struct iovec *pieces, int count);
ssize_t __wrap_writev(int fd, const struct iovec *pieces, int count);

ssize_t
__wrap_writev(int fd, const struct iovec *pieces, int count)
{
	off_t offset;
	ssize_t done = 0;

	if (file_watch_fd(fd) == NULL)
		return __real_writev(fd, pieces, count);
	offset = lseek(fd, 0, SEEK_CUR);
	for (int i = 0; i < count; i++) {
		ssize_t size = __wrap_pwrite(
		    fd, pieces[i].iov_base, pieces[i].iov_len, offset + done);

		if (size < 0)
			return done > 0 ? done : -1;
		done += size;
		if ((size_t)size < pieces[i].iov_len)
			break;
	}
	(void)lseek(fd, offset + done, SEEK_SET);
	return done;
}

int __real_ftruncate(int fd, off_t size);
int __wrap_ftruncate(int fd, off_t size);

int
__wrap_ftruncate(int fd, off_t size)
{
	const struct watched_fd *watched = file_watch_fd(fd);
	enum file_fault fault;
	int error_number;
	int result;

	if (watched == NULL)
		return __real_ftruncate(fd, size);
	fault = file_watch_step(watched->watch, watched->path, false);
	error_number = errno;
	if (fault == FILE_FAULT_NOTHING || fault == FILE_FAULT_PART)
		return -1;
	result = __real_ftruncate(fd, size);
	if (result == 0)
		disk_model_truncate_file(file_watch_changing(watched->watch),
		    watched->file, (uint64_t)size);
	if (fault == FILE_FAULT_NONE)
		return result;
	errno = error_number;
	return -1;
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);

/* On a tmpfs there is nothing else to be done. */
int
__wrap_fsync(int fd)
{
	const struct watched_fd *watched = file_watch_fd(fd);
	enum file_fault fault;

	if (watched == NULL)
		return __real_fsync(fd);
	fault = file_watch_step(watched->watch, watched->path, true);
	if (fault == FILE_FAULT_NOTHING || fault == FILE_FAULT_PART)
		return -1;
	file_watch_sync(watched);
	return fault == FILE_FAULT_NONE ? 0 : -1;
}

int
__wrap_fdatasync(int fd)
{
	return __wrap_fsync(fd);
}

int __real_fstatvfs(int fd, struct statvfs *info);
int __wrap_fstatvfs(int fd, struct statvfs *info);

int
__wrap_fstatvfs(int fd, struct statvfs *info)
{
	const struct watched_fd *watched = file_watch_fd(fd);
	int result = __real_fstatvfs(fd, info);

	if (result == 0 && watched != NULL &&
	    file_watch_is_full(watched->watch))
		info->f_bavail = 0;
	return result;
}

/* ---- What is not modelled ---- */

/* LMDB's lock file is mapped to be written, and means nothing to a successor. */
static bool
is_lock(const struct watched_fd *watched)
{
	const char *slash = strrchr(watched->path, '/');

	return slash != NULL && strcmp(slash, "/lock.mdb") == 0;
}

void *__real_mmap(void *address, size_t size, int protection, int flags, int fd,
    off_t offset);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd,
    off_t offset);

void *
__wrap_mmap(
    void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	const struct watched_fd *watched = file_watch_fd(fd);

	if (watched != NULL && (protection & PROT_WRITE) != 0 &&
	    (flags & MAP_SHARED) != 0 && !is_lock(watched))
		fatal(
		    "not modelled: a mapping that writes to %s", watched->path);
	return __real_mmap(address, size, protection, flags, fd, offset);
}

static void
refuse_fd(const char *call, int fd)
{
	if (file_watch_fd(fd) != NULL)
		fatal("not modelled: %s of %s", call, file_watch_fd(fd)->path);
}

static void
refuse_name(const char *call, int directory_fd, const char *name)
{
	struct place place;

	find_place(directory_fd, name, &place);
	if (place.watch != NULL)
		fatal("not modelled: %s of %s", call, place.path);
}

/* REFUSED(result type, name, parameters, arguments, what is looked at) */
#define REFUSED(type, name, parameters, arguments, look)                       \
	type __real_##name parameters;                                         \
	type __wrap_##name parameters;                                         \
	type __wrap_##name parameters                                          \
	{                                                                      \
		look;                                                          \
		return __real_##name arguments;                                \
	}

REFUSED(ssize_t, write, (int fd, const void *bytes, size_t size),
    (fd, bytes, size), refuse_fd("write", fd))
REFUSED(ssize_t, pwritev, (int fd, const struct iovec *p, int n, off_t o),
    (fd, p, n, o), refuse_fd("pwritev", fd))
REFUSED(ssize_t, pwrite64, (int fd, const void *b, size_t n, off_t o),
    (fd, b, n, o), refuse_fd("pwrite64", fd))
REFUSED(int, ftruncate64, (int fd, off_t size), (fd, size),
    refuse_fd("ftruncate64", fd))
REFUSED(int, fallocate, (int fd, int mode, off_t at, off_t size),
    (fd, mode, at, size), refuse_fd("fallocate", fd))
REFUSED(int, posix_fallocate, (int fd, off_t at, off_t size), (fd, at, size),
    refuse_fd("posix_fallocate", fd))
REFUSED(int, sync_file_range, (int fd, off_t at, off_t size, unsigned flags),
    (fd, at, size, flags), refuse_fd("sync_file_range", fd))
REFUSED(int, syncfs, (int fd), (fd), refuse_fd("syncfs", fd))
REFUSED(int, dup, (int fd), (fd), refuse_fd("dup", fd))
REFUSED(int, truncate, (const char *name, off_t size), (name, size),
    refuse_name("truncate", AT_FDCWD, name))
REFUSED(int, creat, (const char *name, mode_t mode), (name, mode),
    refuse_name("creat", AT_FDCWD, name))
REFUSED(int, link, (const char *from, const char *to), (from, to),
    refuse_name("link", AT_FDCWD, to))
REFUSED(int, symlink, (const char *from, const char *to), (from, to),
    refuse_name("symlink", AT_FDCWD, to))
REFUSED(int, rename, (const char *from, const char *to), (from, to),
    refuse_name("rename", AT_FDCWD, to))
REFUSED(int, renameat, (int a, const char *from, int b, const char *to),
    (a, from, b, to), refuse_name("renameat", b, to))
REFUSED(int, mkdirat, (int at, const char *name, mode_t mode), (at, name, mode),
    refuse_name("mkdirat", at, name))
