#include "server_damage.h"

#include "common/buf.h"
#include "common/log.h"
#include "store/store_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ASIDE_NAME  "damaged"
#define NEEDED_NAME "needed"

/* ---- Paths ---- */

/* A C string in `to`; `name` may be NULL. */
static const char *
join(struct buf *to, const char *directory, const char *name)
{
	buf_reset(to);
	buf_append_text(to, directory);
	if (name != NULL)
		buf_printf(to, "/%s", name);
	buf_append(to, "", 1); /* its terminator */
	return (const char *)to->data;
}

static bool
is_there(const char *directory, const char *name)
{
	struct buf path = { 0 };
	struct stat info;
	bool there = lstat(join(&path, directory, name), &info) == 0;

	buf_release(&path);
	return there;
}

bool
server_damage_pending(const char *data_dir)
{
	return is_there(data_dir, ASIDE_NAME);
}

bool
server_damage_unfinished(const char *data_dir)
{
	return server_damage_pending(data_dir) &&
	       !is_there(data_dir, "log/data.mdb");
}

static int
complain(const char *what, const char *path, int error)
{
	if (error == ERR_EXISTS)
		log_err("%s: there are files in it that no node made: move "
			"them away",
		    path);
	else if (error != 0)
		log_err("%s: cannot %s: %s", path, what, err_text(error));
	return error;
}

/* ---- Removing ---- */

/* The data of every generation. */
static int
remove_data(const char *aside, struct store_trash *trash)
{
	struct buf path = { 0 };
	uint64_t generation;
	int error;

	while (
	    (error = store_dir_find_next(aside, "data", 0, &generation)) == 0) {
		buf_reset(&path);
		store_dir_append_path(&path, aside, "data", generation);
		buf_append(&path, "", 1); /* its terminator */
		error = complain("remove", (const char *)path.data,
		    store_dir_remove_into((const char *)path.data, trash));
		if (error != 0)
			break;
	}
	buf_release(&path);
	return error == ERR_NOT_FOUND ? 0 : error;
}

static int
empty_aside(const char *aside, struct store_trash *trash)
{
	struct buf path = { 0 };
	int error;

	join(&path, aside, "log");
	error = complain("remove", (const char *)path.data,
	    store_dir_remove_into((const char *)path.data, trash));
	buf_release(&path);
	return error == 0 ? remove_data(aside, trash) : error;
}

int
server_damage_forget(const char *data_dir, struct store_trash *trash)
{
	struct buf aside = { 0 };
	int error = 0;

	if (!server_damage_pending(data_dir))
		return 0;
	join(&aside, data_dir, ASIDE_NAME);
	error = empty_aside((const char *)aside.data, trash);
	if (error == 0 && rmdir((const char *)aside.data) != 0)
		error = complain("remove", (const char *)aside.data,
		    errno == ENOTEMPTY ? ERR_EXISTS : store_dir_error(errno));
	if (error == 0)
		error = complain("sync", data_dir, store_dir_sync(data_dir));
	buf_release(&aside);
	return error;
}

/* ---- Setting aside ---- */

/* The one of the directory that was begun anew, if the former is aside. */
static int
drop(const char *data_dir, const char *name)
{
	struct buf path = { 0 };
	int error;

	join(&path, data_dir, name);
	error = complain("remove", (const char *)path.data,
	    store_dir_remove((const char *)path.data));
	buf_release(&path);
	return error;
}

static int
move(const char *data_dir, const char *aside, const char *name)
{
	struct buf from = { 0 };
	struct buf to = { 0 };
	int error = 0;

	join(&from, data_dir, name);
	join(&to, aside, name);
	if (rename((const char *)from.data, (const char *)to.data) != 0)
		error = complain("set aside", (const char *)from.data,
		    store_dir_error(errno));
	/* Where it is now first: it is never nowhere. */
	if (error == 0)
		error = complain("sync", aside, store_dir_sync(aside));
	if (error == 0)
		error = complain("sync", data_dir, store_dir_sync(data_dir));
	buf_release(&from);
	buf_release(&to);
	return error;
}

/* A generation that is aside already is of the former directory: a crash came
 * before the rest was moved, and then the new log was lost. */
static int
clear_data(const char *data_dir, const char *aside, bool drops)
{
	struct buf name = { 0 };
	uint64_t generation;
	int error;

	while ((error = store_dir_find_next(
		    data_dir, "data", 0, &generation)) == 0) {
		buf_reset(&name);
		buf_append_text(&name, "data");
		if (generation != 0)
			buf_printf(
			    &name, ".%llu", (unsigned long long)generation);
		buf_append(&name, "", 1); /* its terminator */
		if (drops || is_there(aside, (const char *)name.data))
			error = drop(data_dir, (const char *)name.data);
		else
			error = move(data_dir, aside, (const char *)name.data);
		if (error != 0)
			break;
	}
	buf_release(&name);
	return error == ERR_NOT_FOUND ? 0 : error;
}

/* It was set aside, and this node was not whole since. */
static bool
holds_first(const char *aside)
{
	uint64_t generation;

	return is_there(aside, "log") ||
	       store_dir_find_next(aside, "data", 0, &generation) == 0;
}

/* The data first: without the log it would be taken for the former data. */
static int
drop_all(const char *data_dir, const char *aside)
{
	int error;

	log_warning("%s: what was set aside in \"damaged\" before is kept; the "
		    "directory begun since then, which is damaged too, is "
		    "removed",
	    data_dir);
	error = clear_data(data_dir, aside, true);
	return error == 0 ? drop(data_dir, "log") : error;
}

int
server_damage_set_aside(const char *data_dir)
{
	struct buf path = { 0 };
	const char *aside = join(&path, data_dir, ASIDE_NAME);
	bool goes_on = server_damage_unfinished(data_dir);
	int error;

	error = complain("create", aside, store_dir_create(aside));
	if (error == 0 && !goes_on && holds_first(aside))
		error = drop_all(data_dir, aside);
	/* A log that is only begun holds nothing, and is of no use here. */
	else if (error == 0 && !goes_on && is_there(data_dir, "log"))
		error = move(data_dir, aside, "log");
	if (error == 0)
		error = clear_data(data_dir, aside, false);
	buf_release(&path);
	return error;
}

/* ---- Needed ---- */

bool
server_damage_is_needed(const char *data_dir)
{
	return is_there(data_dir, NEEDED_NAME);
}

static int
make_note(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return store_dir_error(errno);
	(void)close(fd); /* it is empty: its name is all */
	return 0;
}

int
server_damage_note_needed(const char *data_dir, bool needed)
{
	struct buf path = { 0 };
	const char *note = join(&path, data_dir, NEEDED_NAME);
	int error = 0;

	if (needed)
		error = complain("create", note, make_note(note));
	else if (unlink(note) != 0 && errno != ENOENT)
		error = complain("remove", note, store_dir_error(errno));
	if (error == 0)
		error = complain("sync", data_dir, store_dir_sync(data_dir));
	buf_release(&path);
	return error;
}
