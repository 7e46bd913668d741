#include "store/store_trash.h"

#include "common/err.h"
#include "common/mem.h"
#include "store/store_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void
store_trash_release(struct store_trash *trash)
{
	for (unsigned i = 0; i < trash->count; i++)
		(void)close(trash->fds[i]); /* nothing in it matters */
	free(trash->fds);
	*trash = (struct store_trash){ .count = 0 };
}

int
store_trash_take(struct store_trash *trash, int directory_fd, const char *name)
{
	int fd = openat(
	    directory_fd, name, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);

	/* What cannot be opened may well be removable, at once. */
	if (unlinkat(directory_fd, name, 0) != 0) {
		int error = errno == ENOENT ? 0 : store_dir_error(errno);

		if (fd >= 0)
			(void)close(fd); /* nothing was written through it */
		return error;
	}
	if (fd < 0)
		return 0;
	trash->fds = mem_realloc(
	    trash->fds, (size_t)trash->count + 1, sizeof(*trash->fds));
	trash->fds[trash->count++] = fd;
	return 0;
}

bool
store_trash_is_empty(const struct store_trash *trash)
{
	return trash->count == 0;
}

/* False: nothing is left, or it cannot be done in steps. */
static bool
shorten(int fd)
{
	struct stat info;

	if (fstat(fd, &info) != 0 || info.st_size <= STORE_TRASH_STEP_BYTES)
		return false;
	return ftruncate(fd, info.st_size - STORE_TRASH_STEP_BYTES) == 0;
}

void
store_trash_step(struct store_trash *trash)
{
	int fd;

	if (trash->count == 0)
		return;
	fd = trash->fds[trash->count - 1];
	if (shorten(fd))
		return;
	trash->count--;
	(void)close(fd); /* nothing in it matters */
}
