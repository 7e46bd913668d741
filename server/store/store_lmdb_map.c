/*
 * LMDB does not say where it mapped its file; the kernel does, in a line
 *
 *	7f0000000000-7f0010000000 r--s 00000000 08:01 1234    /path/data.mdb
 *
 * per mapping (proc(5)). The path is compared, as device numbers in it differ
 * from those of stat(2) on some file systems.
 */

#include "store/store_lmdb_impl.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAP_LINE_SIZE (PATH_MAX + 128)

/* Writes the name of the file behind `fd`, as the kernel spells it. */
static bool
map_file_name(int fd, char *name, size_t size)
{
	char link[64];
	ssize_t length;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, name, size);
	if (length < 0 || (size_t)length == size)
		return false;
	name[length] = '\0';
	return true;
}

/* The address, if the line is of a mapping of `name` with `size` bytes. */
static void *
map_line_address(const char *line, const char *name, size_t size)
{
	const char *path = strchr(line, '/');
	char *rest;
	uintptr_t start = strtoul(line, &rest, 16);

	if (path == NULL || strcmp(path, name) != 0 || *rest != '-')
		return NULL;
	if (strtoul(rest + 1, NULL, 16) - start != size)
		return NULL;
	return (void *)start;
}

void *
store_lmdb_find_map(int fd, size_t size)
{
	char name[PATH_MAX];
	char line[MAP_LINE_SIZE];
	void *map = NULL;
	FILE *maps;

	if (!map_file_name(fd, name, sizeof(name)))
		return NULL;
	maps = fopen("/proc/self/maps", "re");
	if (maps == NULL)
		return NULL;
	while (map == NULL && fgets(line, sizeof(line), maps) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		map = map_line_address(line, name, size);
	}
	(void)fclose(maps); /* it was only read */
	return map;
}
