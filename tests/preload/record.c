/*
 * record.so: preloaded into an unmodified daemon, it writes down every call that
 * changes a file below a directory, and what is sent to sockets, in the order
 * of the calls (trace.h). Calls are made first, and only those that succeeded
 * are written down. The daemon has one thread, so nothing comes in between.
 *
 * Calls that it would not know how to follow are written down as odd, and the
 * reader refuses the trace.
 */

#include "tests/cut/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PATH_SIZE_MAX 4096
/* Out of the way of the daemon's own, which are numbered from 0 on. */
#define TRACE_FD_MIN 500

static int trace_fd = -1;
static char root[PATH_SIZE_MAX];
static size_t root_size;

static void
die(const char *what)
{
	dprintf(STDERR_FILENO, "recorder: %s: errno %d\n", what, errno);
	abort();
}

__attribute__((constructor)) static void
record_begin(void)
{
	const char *path = getenv(TRACE_FILE_VARIABLE);
	const char *directory = getenv(TRACE_ROOT_VARIABLE);
	int fd;

	if (path == NULL || directory == NULL)
		return;
	root_size = strlen(directory);
	if (root_size == 0 || root_size >= sizeof(root))
		die(TRACE_ROOT_VARIABLE);
	memcpy(root, directory, root_size + 1);
	fd = (int)syscall(SYS_openat, AT_FDCWD, path,
	    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		die(path);
	trace_fd = fcntl(fd, F_DUPFD_CLOEXEC, TRACE_FD_MIN);
	if (trace_fd < 0)
		die(path);
	(void)syscall(SYS_close, fd); /* its copy stays open */
}

/* ---- Paths ---- */

/* The part below the root, "" for itself; NULL: it is not below. */
static const char *
below_root(const char *path)
{
	if (trace_fd < 0 || strncmp(path, root, root_size) != 0)
		return NULL;
	if (path[root_size] == '\0')
		return path + root_size;
	return path[root_size] == '/' ? path + root_size + 1 : NULL;
}

/* The path that a file was opened by, or that it has now. */
static bool
path_of_fd(int fd, char *path)
{
	char link[64];
	ssize_t size;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	size = readlink(link, path, PATH_SIZE_MAX - 1);
	if (size < 0)
		return false;
	path[size] = '\0';
	return true;
}

/* Of a path relative to a directory, as of openat(2). */
static const char *
resolve(int directory_fd, const char *path, char *memory)
{
	size_t size;

	if (path[0] == '/')
		return below_root(path);
	if (directory_fd == AT_FDCWD) {
		if (getcwd(memory, PATH_SIZE_MAX) == NULL)
			return NULL;
	} else if (!path_of_fd(directory_fd, memory)) {
		return NULL;
	}
	size = strlen(memory);
	(void)snprintf(memory + size, PATH_SIZE_MAX - size, "/%s", path);
	return below_root(memory);
}

/* Of an open file or directory; NULL also for what is neither. */
static const char *
resolve_fd(int fd, char *memory)
{
	if (trace_fd < 0 || !path_of_fd(fd, memory))
		return NULL;
	return below_root(memory);
}

/* ---- Records ---- */

static void
put_record(struct trace_head head, const char *path, const struct iovec *bytes,
    int count)
{
	struct iovec parts[IOV_MAX] = {
		{ .iov_base = &head, .iov_len = sizeof(head) },
		{ .iov_base = (char *)(uintptr_t)path,
		    .iov_len = head.path_size },
	};
	size_t left = head.size;
	size_t total = sizeof(head) + head.path_size + head.size;
	int used = 2;

	for (int i = 0; i < count && left != 0; i++) {
		size_t size = bytes[i].iov_len < left ? bytes[i].iov_len : left;

		if (used == IOV_MAX)
			die("a call of too many parts");
		parts[used++] = (struct iovec){ .iov_base = bytes[i].iov_base,
			.iov_len = size };
		left -= size;
	}
	if (syscall(SYS_writev, trace_fd, parts, used) != (long)total)
		die("writing the trace");
}

static void
put_path(enum trace_kind kind, const char *path, uint64_t file)
{
	struct trace_head head = {
		.kind = kind, .file = file, .path_size = (uint32_t)strlen(path)
	};

	put_record(head, path, NULL, 0);
}

static uint64_t
inode_of(int fd)
{
	struct stat info;

	if (fstat(fd, &info) != 0)
		die("fstat");
	return info.st_ino;
}

/* A call on an open file. */
static void
put_file(enum trace_kind kind, int fd, uint64_t offset)
{
	char memory[PATH_SIZE_MAX];
	const char *path = resolve_fd(fd, memory);
	struct trace_head head = { .kind = kind, .offset = offset };

	if (path == NULL)
		return;
	head.file = inode_of(fd);
	head.path_size = (uint32_t)strlen(path);
	put_record(head, path, NULL, 0);
}

static void
put_odd(const char *call, int fd)
{
	char memory[PATH_SIZE_MAX];

	if (fd < 0 || resolve_fd(fd, memory) != NULL)
		put_path(TRACE_ODD, call, 0);
}

static void
put_write(
    int fd, const struct iovec *bytes, int count, size_t size, uint64_t offset)
{
	char memory[PATH_SIZE_MAX];
	const char *path = resolve_fd(fd, memory);
	struct trace_head head = {
		.kind = TRACE_WRITE, .offset = offset, .size = (uint32_t)size
	};

	if (path == NULL)
		return;
	head.file = inode_of(fd);
	head.path_size = (uint32_t)strlen(path);
	if ((fcntl(fd, F_GETFL) & O_DSYNC) != 0)
		head.flags = TRACE_DURABLE;
	put_record(head, path, bytes, count);
}

static void
put_send(int fd, const struct iovec *bytes, int count, size_t size)
{
	struct trace_head head = { .kind = TRACE_SEND,
		.file = (uint64_t)fd,
		.size =
		    (uint32_t)(size < TRACE_SEND_MAX ? size : TRACE_SEND_MAX) };

	if (trace_fd >= 0)
		put_record(head, "", bytes, count);
}

static bool
is_socket(int fd)
{
	struct stat info;

	return fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode);
}

/* Written where the file stood, which is behind it now. */
static void
put_written(int fd, const struct iovec *bytes, int count, ssize_t size)
{
	off_t end;

	if (size <= 0 || trace_fd < 0)
		return;
	if (is_socket(fd)) {
		put_send(fd, bytes, count, (size_t)size);
		return;
	}
	end = lseek(fd, 0, SEEK_CUR);
	if (end >= size)
		put_write(
		    fd, bytes, count, (size_t)size, (uint64_t)(end - size));
}

/* ---- Names ---- */

static int
open_at(int directory_fd, const char *path, int flags, mode_t mode)
{
	char memory[PATH_SIZE_MAX];
	const char *below = resolve(directory_fd, path, memory);
	struct stat info;
	bool was_there =
	    below == NULL || fstatat(directory_fd, path, &info, 0) == 0;
	int fd = (int)syscall(SYS_openat, directory_fd, path, flags, mode);

	if (fd < 0 || below == NULL)
		return fd;
	if (!was_there)
		put_path(TRACE_CREATE, below, inode_of(fd));
	else if ((flags & O_TRUNC) != 0)
		put_file(TRACE_TRUNCATE, fd, 0);
	return fd;
}

static mode_t
mode_argument(int flags, va_list arguments)
{
	return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t)
						    : 0;
}

int
open(const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = mode_argument(flags, arguments);
	va_end(arguments);
	return open_at(AT_FDCWD, path, flags, mode);
}

int
openat(int directory_fd, const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = mode_argument(flags, arguments);
	va_end(arguments);
	return open_at(directory_fd, path, flags, mode);
}

int
mkdirat(int directory_fd, const char *path, mode_t mode)
{
	char memory[PATH_SIZE_MAX];
	const char *below = resolve(directory_fd, path, memory);
	int result = (int)syscall(SYS_mkdirat, directory_fd, path, mode);
	struct stat info;

	if (result != 0 || below == NULL)
		return result;
	if (fstatat(directory_fd, path, &info, 0) != 0)
		die("stat of a new directory");
	put_path(TRACE_MKDIR, below, info.st_ino);
	return result;
}

int
mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

int
unlinkat(int directory_fd, const char *path, int flags)
{
	char memory[PATH_SIZE_MAX];
	const char *below = resolve(directory_fd, path, memory);
	int result = (int)syscall(SYS_unlinkat, directory_fd, path, flags);

	if (result == 0 && below != NULL)
		put_path(TRACE_REMOVE, below, 0);
	return result;
}

int
unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int
rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int
renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	char from_memory[PATH_SIZE_MAX];
	char to_memory[PATH_SIZE_MAX];
	char both[2 * PATH_SIZE_MAX];
	const char *from_below = resolve(from_fd, from, from_memory);
	const char *to_below = resolve(to_fd, to, to_memory);
	int result = (int)syscall(SYS_renameat, from_fd, from, to_fd, to);
	struct trace_head head = { .kind = TRACE_RENAME };

	if (result != 0 || (from_below == NULL && to_below == NULL))
		return result;
	if (from_below == NULL || to_below == NULL) {
		put_odd("rename over the root's border", -1);
		return result;
	}
	head.path_size = (uint32_t)snprintf(
	    both, sizeof(both), "%s%c%s", from_below, '\0', to_below);
	put_record(head, both, NULL, 0);
	return result;
}

int
rename(const char *from, const char *to)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

/* ---- Bytes ---- */

ssize_t
write(int fd, const void *bytes, size_t size)
{
	struct iovec part = { .iov_base = (void *)(uintptr_t)bytes,
		.iov_len = size };
	ssize_t written = syscall(SYS_write, fd, bytes, size);

	put_written(fd, &part, 1, written);
	return written;
}

ssize_t
writev(int fd, const struct iovec *parts, int count)
{
	ssize_t written = syscall(SYS_writev, fd, parts, count);

	put_written(fd, parts, count, written);
	return written;
}

ssize_t
pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
	struct iovec part = { .iov_base = (void *)(uintptr_t)bytes,
		.iov_len = size };
	ssize_t written = syscall(SYS_pwrite64, fd, bytes, size, offset);

	if (written > 0)
		put_write(fd, &part, 1, (size_t)written, (uint64_t)offset);
	return written;
}

ssize_t
pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
	ssize_t written =
	    syscall(SYS_pwritev, fd, parts, count, (long)offset, 0L);

	if (written > 0)
		put_write(fd, parts, count, (size_t)written, (uint64_t)offset);
	return written;
}

int
ftruncate(int fd, off_t size)
{
	int result = (int)syscall(SYS_ftruncate, fd, size);

	if (result == 0)
		put_file(TRACE_TRUNCATE, fd, (uint64_t)size);
	return result;
}

int
fsync(int fd)
{
	int result = (int)syscall(SYS_fsync, fd);

	if (result == 0)
		put_file(TRACE_SYNC, fd, 0);
	return result;
}

int
fdatasync(int fd)
{
	int result = (int)syscall(SYS_fdatasync, fd);

	if (result == 0)
		put_file(TRACE_SYNC, fd, 0);
	return result;
}

void *
mmap(
    void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	void *map = (void *)syscall(
	    SYS_mmap, address, size, protection, flags, fd, offset);

	if (map != MAP_FAILED && (flags & MAP_TYPE) != MAP_PRIVATE &&
	    (flags & MAP_ANONYMOUS) == 0 && (protection & PROT_WRITE) != 0)
		put_file(TRACE_MAP, fd, (uint64_t)offset);
	return map;
}

/* ---- Sockets ---- */

ssize_t
sendto(int fd, const void *bytes, size_t size, int flags,
    const struct sockaddr *address, socklen_t address_size)
{
	struct iovec part = { .iov_base = (void *)(uintptr_t)bytes,
		.iov_len = size };
	ssize_t sent =
	    syscall(SYS_sendto, fd, bytes, size, flags, address, address_size);

	if (sent > 0)
		put_send(fd, &part, 1, (size_t)sent);
	return sent;
}

ssize_t
send(int fd, const void *bytes, size_t size, int flags)
{
	return sendto(fd, bytes, size, flags, NULL, 0);
}

ssize_t
sendmsg(int fd, const struct msghdr *message, int flags)
{
	ssize_t sent = syscall(SYS_sendmsg, fd, message, flags);

	if (sent > 0)
		put_send(fd, message->msg_iov, (int)message->msg_iovlen,
		    (size_t)sent);
	return sent;
}

/* ---- Calls that nobody makes so far ---- */

int
fallocate(int fd, int mode, off_t offset, off_t size)
{
	put_odd("fallocate", fd);
	return (int)syscall(SYS_fallocate, fd, mode, offset, size);
}

int
sync_file_range(int fd, off_t offset, off_t size, unsigned flags)
{
	put_odd("sync_file_range", fd);
	return (int)syscall(SYS_sync_file_range, fd, offset, size, flags);
}

int
truncate(const char *path, off_t size)
{
	char memory[PATH_SIZE_MAX];

	if (resolve(AT_FDCWD, path, memory) != NULL)
		put_odd("truncate", -1);
	return (int)syscall(SYS_truncate, path, size);
}

int
linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	char memory[PATH_SIZE_MAX];

	if (resolve(to_fd, to, memory) != NULL)
		put_odd("link", -1);
	return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

int
link(const char *from, const char *to)
{
	return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}
