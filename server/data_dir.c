#include "data_dir.h"

#include "common/err.h"
#include "common/log.h"
#include "store/store_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The name of an entry, as directories hold it. */
#define ENTRY_SIZE_MAX 255

static bool
is_file(int directory_fd, const char *name)
{
	struct stat info;

	return fstatat(directory_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(info.st_mode);
}

/* The lock is the first that a node makes, even if it comes no further. */
static bool
is_of_a_node(int directory_fd)
{
	return is_file(directory_fd, "lock") ||
	       is_file(directory_fd, "log/data.mdb") ||
	       is_file(directory_fd, "data/data.mdb");
}

/* How many entries there are, and the first by name. */
static unsigned
look_through(DIR *directory, char ret_first[ENTRY_SIZE_MAX + 1])
{
	const struct dirent *entry;
	unsigned count = 0;

	while ((entry = readdir(directory)) != NULL) {
		const char *name = entry->d_name;

		/* A file system of its own has the last from the start. */
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
		    strcmp(name, "lost+found") == 0)
			continue;
		if (count == 0 || strcmp(name, ret_first) < 0)
			(void)snprintf(
			    ret_first, ENTRY_SIZE_MAX + 1, "%s", name);
		count++;
	}
	return count;
}

/*
 * Data of a snapshot that was installed: without the log, which alone knows
 * that it counts, it would be taken for a leftover.
 */
static bool
has_lost_its_log(DIR *directory)
{
	const struct dirent *entry;
	char path[ENTRY_SIZE_MAX + sizeof("/data.mdb")];
	uint64_t generation;

	if (is_file(dirfd(directory), "log/data.mdb"))
		return false;
	rewinddir(directory);
	while ((entry = readdir(directory)) != NULL) {
		if (!store_dir_parse_generation(
			entry->d_name, "data", &generation) ||
		    generation == 0)
			continue; /* such as a copy that was kept */
		(void)snprintf(
		    path, sizeof(path), "%s/data.mdb", entry->d_name);
		if (is_file(dirfd(directory), path))
			return true;
	}
	return false;
}

int
data_dir_check(const char *path)
{
	char first[ENTRY_SIZE_MAX + 1];
	DIR *directory = opendir(path);
	unsigned count = 0;
	bool lost;

	if (directory == NULL)
		return 0;
	if (!is_of_a_node(dirfd(directory)))
		count = look_through(directory, first);
	lost = has_lost_its_log(directory);
	(void)closedir(directory); /* nothing was written through it */
	if (lost) {
		log_err("%s: there is data but no log: it was lost, and votes "
			"and entries with it",
		    path);
		return ERR_CORRUPT;
	}
	if (count == 0)
		return 0;
	log_err("%s: the directory holds %s%s and nothing of a node; set "
		"node.data-dir to an empty directory, or to that of this node",
	    path, first, count > 1 ? ", other files," : "");
	return ERR_MISMATCH;
}
