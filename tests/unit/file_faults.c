/* These are defined here, and not inline as fortified ones may be. */
#undef _FORTIFY_SOURCE

#include "tests/unit/file_faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
	unsigned left; /* calls until it fails; 0: none does */
	int error;
	bool fired;
} fault;

void
file_faults_arm(unsigned n, int error)
{
	fault.left = n;
	fault.error = error;
	fault.fired = false;
}

bool
file_faults_disarm(void)
{
	fault.left = 0;
	return fault.fired;
}

/* Is this the call that fails? */
static bool
is_due(void)
{
	if (fault.left == 0 || --fault.left != 0)
		return false;
	fault.fired = true;
	return true;
}

static bool
fails(void)
{
	if (!is_due())
		return false;
	errno = fault.error == FILE_FAULT_SHORT ? EIO : fault.error;
	return true;
}

static int
open_with(int directory, const char *path, int flags, mode_t mode)
{
	if (fails())
		return -1;
	return (int)syscall(SYS_openat, directory, path, flags, mode);
}

int
open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list arguments;

	va_start(arguments, flags);
	if ((flags & O_CREAT) != 0)
		mode = va_arg(arguments, mode_t);
	va_end(arguments);
	return open_with(AT_FDCWD, path, flags, mode);
}

int
openat(int directory, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list arguments;

	va_start(arguments, flags);
	if ((flags & O_CREAT) != 0)
		mode = va_arg(arguments, mode_t);
	va_end(arguments);
	return open_with(directory, path, flags, mode);
}

ssize_t
pread(int fd, void *bytes, size_t size, off_t offset)
{
	return fails() ? -1 : syscall(SYS_pread64, fd, bytes, size, offset);
}

ssize_t
pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
	if (fault.error == FILE_FAULT_SHORT && is_due())
		size /= 2;
	else if (fails())
		return -1;
	return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

int
fsync(int fd)
{
	return fails() ? -1 : (int)syscall(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
	return fails() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int
ftruncate(int fd, off_t size)
{
	return fails() ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int
mkdir(const char *path, mode_t mode)
{
	return fails() ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int
unlinkat(int directory, const char *path, int flags)
{
	return fails() ? -1
		       : (int)syscall(SYS_unlinkat, directory, path, flags);
}

int
rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int
flock(int fd, int operation)
{
	return fails() ? -1 : (int)syscall(SYS_flock, fd, operation);
}

int
fstatfs(int fd, struct statfs *info)
{
	return fails() ? -1 : (int)syscall(SYS_fstatfs, fd, info);
}
