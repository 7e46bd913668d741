#include "tests/lib/temp_dir.h"

#include "common/buf.h"
#include "common/panic.h"
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#define OPEN_FILES_MAX 16

char *
temp_dir_make(void)
{
	const char *parent = getenv("TMPDIR");
	struct buf path = { 0 };
	size_t size;

	buf_printf(
	    &path, "%s/luminous.XXXXXX", parent != NULL ? parent : "/tmp");
	buf_append(&path, "", 1);
	if (mkdtemp((char *)path.data) == NULL)
		fatal("no temporary directory %s", (char *)path.data);
	return (char *)buf_detach(&path, &size);
}

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
	(void)info; /* all kinds are removed alike */
	(void)kind;
	(void)ftw;
	return remove(path);
}

void
temp_dir_remove(char *path)
{
	if (nftw(path, remove_one, OPEN_FILES_MAX, FTW_DEPTH | FTW_PHYS) != 0)
		fatal("cannot remove %s: errno %d", path, errno);
	free(path);
}
