#include "tests/sim/real/real_files.h"

#include "common/log.h"
#include "common/mem.h"
#include "common/panic.h"
#include "kv/kv.h"
#include "node/node.h"
#include "server_data.h"
#include "store/store_dir.h"
#include "store/store_journal.h"
#include "store/store_lmdb.h"
#include "tests/lib/temp_dir.h"
#include "tests/sim/real/file_watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* No run comes near it. */
#define MAP_BYTES (UINT64_C(64) << 20)
/* So that most of what runs write comes to the tables. */
#define MEMTABLE_BYTES 4000
/* Where a new file begins to be of use: its meta pages and a table. */
#define ROOM_BYTES_MIN 8192

struct sim_files {
	char *root;
	struct file_watch *watch;
	struct store_trash trash;
	uint64_t journal_bytes;
	uint64_t journal_id;
};

/* Where the directories of all hosts are; NULL: before the first run. */
static char *base;

static void
files_begin(void)
{
	/* What fails is meant to, nearly always. */
	log_init((enum log_level)0, LOG_FORMAT_TEXT);
	if (getenv("TMPDIR") == NULL && access("/dev/shm", W_OK) == 0)
		(void)setenv("TMPDIR", "/dev/shm", 1);
	base = temp_dir_make();
}

static void
files_end(void)
{
	temp_dir_remove(base);
	base = NULL;
}

/* ---- Life ---- */

static char *
new_root(void)
{
	static unsigned number;
	struct buf path = { 0 };
	size_t size;

	buf_printf(&path, "%s/%ld-%u", base, (long)getpid(), number++);
	buf_append(&path, "", 1); /* its terminator */
	return (char *)buf_detach(&path, &size);
}

static struct sim_files *
files_make(struct rng *random, bool lies)
{
	struct sim_files *files = mem_zalloc(1, sizeof(*files));

	files->root = new_root();
	if (mkdir(files->root, 0700) != 0)
		fatal("cannot make %s", files->root);
	files->watch = file_watch_new(files->root);
	if (lies)
		file_watch_lie(files->watch);
	/* With two units all goes to LMDB, with few it does all the time. */
	files->journal_bytes = rng_between(random, 2, 24) * STORE_JOURNAL_UNIT;
	files->journal_id = rng_next(random) | 1;
	return files;
}

static struct sim_files *
files_image(const struct sim_files *files, enum disk_model_choice choice,
    uint64_t number)
{
	struct sim_files *image = mem_zalloc(1, sizeof(*image));

	image->root = new_root();
	file_watch_image(files->watch, choice, number, image->root);
	image->watch = file_watch_new(image->root);
	image->journal_bytes = files->journal_bytes;
	image->journal_id = files->journal_id;
	return image;
}

static void
files_drop(struct sim_files *files)
{
	if (files == NULL)
		return;
	store_trash_release(&files->trash);
	file_watch_free(files->watch);
	temp_dir_remove(files->root);
	free(files);
}

/* ---- Stores ---- */

static void
append_path(struct buf *to, const struct sim_files *files, const char *name)
{
	buf_printf(to, "%s/%s", files->root, name);
	buf_append(to, "", 1); /* its terminator */
}

/* As server_open_log() does. */
static int
files_open_log(
    struct sim_files *files, struct store **ret_store, char *why, size_t size)
{
	const char *tables[NODE_LOG_TABLES_COUNT + 1];
	struct store_lmdb_params lmdb_params = {
		.tables = tables,
		.tables_count = ARRAY_COUNT(tables),
		.map_bytes = MAP_BYTES,
		.why = why,
		.why_size = size,
	};
	struct store_journal_params params = {
		.capacity = files->journal_bytes,
		.table = NODE_LOG_TABLES_COUNT,
		.random_id = files->journal_id,
	};
	struct buf path = { 0 };
	struct store *lmdb;
	int error;

	memcpy(tables, node_log_tables, sizeof(node_log_tables));
	tables[NODE_LOG_TABLES_COUNT] = "journal";
	append_path(&path, files, "log");
	lmdb_params.path = (const char *)path.data;
	params.directory = (const char *)path.data;
	error = store_lmdb_open(&lmdb_params, &lmdb);
	if (error == 0)
		error = store_journal_open(&params, lmdb, ret_store, why, size);
	buf_release(&path);
	return error;
}

static int
files_open_data(struct sim_files *files, uint64_t generation, bool empty,
    struct store **ret_store)
{
	return server_data_open(files->root, generation, empty, MAP_BYTES,
	    MEMTABLE_BYTES, ret_store);
}

static int
files_remove_data_but(struct sim_files *files, uint64_t generation)
{
	int error =
	    server_data_remove_but(files->root, generation, &files->trash);

	while (!store_trash_is_empty(&files->trash))
		store_trash_step(&files->trash);
	return error;
}

/* ---- Faults ---- */

static void
name_data(uint64_t generation, char *name, size_t size)
{
	if (generation == 0)
		snprintf(name, size, "data");
	else
		snprintf(name, size, "data.%" PRIu64, generation);
}

static void
files_break_call(struct sim_files *files, const struct sim_break *broken)
{
	static const struct file_break nothing = { 0 };
	struct file_break watched;
	char name[32] = "log";

	if (broken == NULL) {
		file_watch_break(files->watch, &nothing);
		return;
	}
	if (!broken->log)
		name_data(broken->generation, name, sizeof(name));
	watched = (struct file_break){
		.below = name,
		.n = broken->only_syncs ? 1 + broken->n % 4 : broken->n,
		.only_syncs = broken->only_syncs,
		.error_number = broken->code == ERR_NO_SPACE ? ENOSPC : EIO,
		.fault = (enum file_fault)(broken->fault % FILE_FAULTS_COUNT),
		.is_last = broken->is_last,
	};
	file_watch_break(files->watch, &watched);
}

static bool
files_has_failed(const struct sim_files *files)
{
	return file_watch_failed(files->watch);
}

static bool
files_has_lost(const struct sim_files *files)
{
	return file_watch_failed_in_sync(files->watch);
}

static void
files_set_room(struct sim_files *files, uint64_t generation, uint64_t bytes)
{
	char name[32];

	name_data(generation, name, sizeof(name));
	file_watch_set_room(
	    files->watch, name, bytes == 0 ? 0 : ROOM_BYTES_MIN + bytes);
}

static void
files_kill(struct sim_files *files)
{
	file_watch_kill(files->watch);
}

static void
files_revive(struct sim_files *files)
{
	file_watch_revive(files->watch);
}

static void
files_cut(
    struct sim_files *files, enum disk_model_choice choice, uint64_t number)
{
	file_watch_cut(files->watch, choice, number);
}

static size_t
files_pending_count(const struct sim_files *files)
{
	return disk_model_pending_count(file_watch_model(files->watch));
}

const struct sim_files_ops real_files = {
	.begin = files_begin,
	.end = files_end,
	.make = files_make,
	.image = files_image,
	.drop = files_drop,
	.open_log = files_open_log,
	.open_data = files_open_data,
	.remove_data_but = files_remove_data_but,
	.break_call = files_break_call,
	.has_failed = files_has_failed,
	.has_lost = files_has_lost,
	.set_room = files_set_room,
	.kill = files_kill,
	.revive = files_revive,
	.cut = files_cut,
	.pending_count = files_pending_count,
};
