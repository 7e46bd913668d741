#include "store/store_lmdb.h"

#include "common/buf.h"
#include "common/mem.h"
#include "common/panic.h"
#include "store/store_dir.h"
#include "store/store_lmdb_impl.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Read transactions at one time: a snapshot, a backup, a statistic. */
#define STORE_LMDB_READERS_MAX 16

/*
 * LMDB reads through a mapping of the file, and a page once touched counts as
 * this process's memory for good: with 100,000 entries in the log, 43 MB were
 * resident. So the pages are given back when so much was written or deleted, and
 * this part of the file's size. They stay in the page cache, where a touch finds
 * sixteen of them in less than a microsecond; the part keeps that cost small
 * beside the writing where the file is large and touched at random.
 */
#define STORE_LMDB_TRIM_BYTES (1024 * 1024)
#define STORE_LMDB_TRIM_PART  32

_Static_assert(STORE_KEY_SIZE_MAX == 511, "what LMDB is compiled for");

struct lmdb_txn {
	struct store_txn txn;
	MDB_txn *mdb;
	/*
	 * Of a write transaction, one for each table that it used: where it
	 * was last. A put right after the get of its key needs no way down the
	 * tree, nor does the next key of a walk. LMDB moves them along with
	 * what puts do to the pages; a delete, which may merge pages, ends the
	 * table's.
	 */
	MDB_cursor *places[STORE_TABLES_MAX];
};

struct lmdb_cursor {
	struct store_cursor cursor;
	MDB_cursor *mdb;
};

struct lmdb_store {
	struct store store;
	MDB_env *env;
	void *map; /* of `map_size` bytes; NULL: not known */
	size_t map_size;
	uint64_t changed_bytes; /* since the mapping was trimmed */
	unsigned tables_count;
	MDB_dbi tables[STORE_TABLES_MAX];
};

static struct lmdb_store *
lmdb_store_of(struct store *store)
{
	return CONTAINER_OF(store, struct lmdb_store, store);
}

static struct lmdb_txn *
lmdb_whole_txn(struct store_txn *txn)
{
	return CONTAINER_OF(txn, struct lmdb_txn, txn);
}

static MDB_txn *
lmdb_txn_of(struct store_txn *txn)
{
	return lmdb_whole_txn(txn)->mdb;
}

static MDB_dbi
lmdb_table(const struct store_txn *txn, store_table table)
{
	const struct lmdb_store *store = lmdb_store_of(txn->store);

	ASSERT(table < store->tables_count);
	return store->tables[table];
}

static MDB_val
lmdb_val(struct slice slice)
{
	/* LMDB takes what it only reads as void *. */
	return (MDB_val){ .mv_size = slice.size,
		.mv_data = (void *)(uintptr_t)slice.data };
}

static struct slice
lmdb_slice(MDB_val val)
{
	return slice_of(val.mv_data, val.mv_size);
}

/* Codes of LMDB end here; the positive ones are the system's. */
static int
lmdb_error(int mdb_code)
{
	switch (mdb_code) {
	case MDB_SUCCESS: return 0;
	case MDB_NOTFOUND: return ERR_NOT_FOUND;
	case MDB_MAP_FULL: return ERR_NO_SPACE;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_PANIC:
	case MDB_INVALID: return ERR_CORRUPT;
	case MDB_VERSION_MISMATCH: return ERR_VERSION;
	case MDB_READERS_FULL: return ERR_BUSY;
	default: return mdb_code > 0 ? store_dir_error(mdb_code) : ERR_IO;
	}
}

/* The place in a table where a write transaction was last. */
static int
lmdb_place(struct store_txn *txn, store_table table, MDB_cursor **ret_place)
{
	MDB_cursor **place = &lmdb_whole_txn(txn)->places[table];
	int mdb_code = 0;

	if (*place == NULL)
		mdb_code = mdb_cursor_open(
		    lmdb_txn_of(txn), lmdb_table(txn, table), place);
	*ret_place = *place;
	return mdb_code;
}

static void
lmdb_forget_place(struct store_txn *txn, store_table table)
{
	MDB_cursor **place = &lmdb_whole_txn(txn)->places[table];

	if (*place != NULL)
		mdb_cursor_close(*place);
	*place = NULL;
}

static void
lmdb_forget_places(struct store_txn *txn)
{
	for (store_table i = 0; i < STORE_TABLES_MAX; i++)
		lmdb_forget_place(txn, i);
}

static int
lmdb_begin(struct store *store, bool write, struct store_txn **ret_txn)
{
	struct lmdb_txn *txn;
	MDB_txn *mdb;
	int mdb_code = mdb_txn_begin(
	    lmdb_store_of(store)->env, NULL, write ? 0 : MDB_RDONLY, &mdb);

	if (mdb_code != 0)
		return lmdb_error(mdb_code);
	txn = mem_alloc(sizeof(*txn));
	*txn = (struct lmdb_txn){ .txn = { .store = store }, .mdb = mdb };
	*ret_txn = &txn->txn;
	return 0;
}

static uint64_t
lmdb_file_bytes(const struct lmdb_store *store)
{
	MDB_envinfo info;
	MDB_stat stat;

	/* These two fail for a NULL argument only. */
	(void)mdb_env_info(store->env, &info);
	(void)mdb_env_stat(store->env, &stat);
	return (info.me_last_pgno + 1) * stat.ms_psize;
}

/* Counts a change of so many bytes. What points into the store stays valid. */
static void
lmdb_trim(struct lmdb_store *store, uint64_t bytes)
{
	store->changed_bytes += bytes;
	if (store->changed_bytes < STORE_LMDB_TRIM_BYTES || store->map == NULL)
		return;
	if (store->changed_bytes <
	    lmdb_file_bytes(store) / STORE_LMDB_TRIM_PART)
		return;
	store->changed_bytes = 0;
	/* Advice: where it is not taken, memory is all that is lost. */
	(void)madvise(store->map, store->map_size, MADV_DONTNEED);
}

static bool
lmdb_disk_is_full(const struct lmdb_store *store)
{
	struct statvfs info;
	int fd;

	/* It fails for a NULL argument only. */
	(void)mdb_env_get_fd(store->env, &fd);
	return fstatvfs(fd, &info) == 0 && info.f_bavail == 0;
}

/*
 * If the write of the meta page fails, LMDB writes that page once more, with
 * the former number but the new roots, so that the page cache does not hold a
 * commit that failed. A damaged number of the newest meta page looks exactly
 * like that, and brings the commit before back; store_lmdb_check.c has to refuse
 * the file for it. So the page becomes what it was: whole, as all that it refers
 * to is (a transaction does not use again what the one before it has freed).
 *
 * That may fail as well, and a kill or power cut may come in between; then the
 * file is refused, and mended as damage is. Nothing is told of a failure here:
 * the commit's own is what counts, and this store takes no other.
 */
static int
lmdb_commit_or_restore(struct lmdb_store *store, MDB_txn *mdb)
{
	uint8_t former[LMDB_META_SIZE];
	MDB_stat stat;
	bool is_known;
	int mdb_code;
	off_t at;
	int fd;

	/* These two fail for a NULL argument only. */
	(void)mdb_env_stat(store->env, &stat);
	(void)mdb_env_get_fd(store->env, &fd);
	at = (off_t)((mdb_txn_id(mdb) & 1) * stat.ms_psize);
	is_known =
	    pread(fd, former, sizeof(former), at) == (ssize_t)sizeof(former);
	mdb_code = mdb_txn_commit(mdb);
	if (mdb_code != 0 && is_known &&
	    pwrite(fd, former, sizeof(former), at) == (ssize_t)sizeof(former))
		(void)fdatasync(fd);
	return mdb_code;
}

static int
lmdb_commit(struct store_txn *txn)
{
	struct lmdb_store *store = lmdb_store_of(txn->store);
	int mdb_code;

	lmdb_forget_places(txn);
	mdb_code = lmdb_commit_or_restore(store, lmdb_txn_of(txn));
	free(lmdb_whole_txn(txn));
	/* LMDB calls a write that was cut short by a full disk EIO. */
	if (mdb_code == EIO && lmdb_disk_is_full(store))
		return ERR_NO_SPACE;
	return lmdb_error(mdb_code);
}

static void
lmdb_abort(struct store_txn *txn)
{
	lmdb_forget_places(txn);
	mdb_txn_abort(lmdb_txn_of(txn));
	free(lmdb_whole_txn(txn));
}

static int
lmdb_get(struct store_txn *txn, store_table table, struct slice key,
    struct slice *ret_value)
{
	MDB_val mdb_key = lmdb_val(key);
	MDB_cursor *place;
	MDB_val value;
	int mdb_code;

	if (txn == txn->store->writer) {
		mdb_code = lmdb_place(txn, table, &place);
		if (mdb_code == 0)
			mdb_code =
			    mdb_cursor_get(place, &mdb_key, &value, MDB_SET);
	} else {
		mdb_code = mdb_get(
		    lmdb_txn_of(txn), lmdb_table(txn, table), &mdb_key, &value);
	}
	if (mdb_code != 0)
		return lmdb_error(mdb_code);
	*ret_value = lmdb_slice(value);
	return 0;
}

static int
lmdb_put(struct store_txn *txn, store_table table, struct slice key,
    struct slice value, bool append)
{
	MDB_val mdb_key = lmdb_val(key);
	MDB_val mdb_value = lmdb_val(value);
	MDB_cursor *place;
	int mdb_code = lmdb_place(txn, table, &place);

	lmdb_trim(lmdb_store_of(txn->store), key.size + value.size);
	if (mdb_code == 0)
		mdb_code = mdb_cursor_put(
		    place, &mdb_key, &mdb_value, append ? MDB_APPEND : 0);
	/* A key that does not come after all others. */
	if (mdb_code == MDB_KEYEXIST)
		return ERR_INVALID;
	return lmdb_error(mdb_code);
}

static int
lmdb_del(struct store_txn *txn, store_table table, struct slice key)
{
	MDB_val mdb_key = lmdb_val(key);
	MDB_val value = { 0 };
	MDB_cursor *place;
	int mdb_code = lmdb_place(txn, table, &place);

	if (mdb_code == 0)
		mdb_code = mdb_cursor_get(place, &mdb_key, &value, MDB_SET);
	if (mdb_code == 0)
		mdb_code = mdb_cursor_del(place, 0);
	lmdb_forget_place(txn, table);
	lmdb_trim(lmdb_store_of(txn->store), key.size + value.mv_size);
	return lmdb_error(mdb_code);
}

/* Each time from the first again: where LMDB has put a cursor that deleted is
 * not relied on. */
static int
lmdb_cursor_del_until(
    MDB_cursor *cursor, struct slice until, struct store_cut *cut)
{
	for (;;) {
		MDB_val value;
		MDB_val key;
		uint64_t bytes;
		int mdb_code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);

		if (mdb_code != 0)
			return mdb_code == MDB_NOTFOUND ? 0 : mdb_code;
		if (slice_compare(lmdb_slice(key), until) > 0)
			return 0;
		bytes = key.mv_size + value.mv_size;
		mdb_code = mdb_cursor_del(cursor, 0);
		if (mdb_code != 0)
			return mdb_code;
		cut->count++;
		cut->bytes += bytes;
	}
}

static int
lmdb_del_until(struct store_txn *txn, store_table table, struct slice key,
    struct store_cut *ret_cut)
{
	MDB_cursor *place;
	int mdb_code;

	*ret_cut = (struct store_cut){ 0 };
	lmdb_forget_place(txn, table);
	mdb_code = lmdb_place(txn, table, &place);
	if (mdb_code == 0)
		mdb_code = lmdb_cursor_del_until(place, key, ret_cut);
	lmdb_forget_place(txn, table);
	lmdb_trim(lmdb_store_of(txn->store), ret_cut->bytes);
	return lmdb_error(mdb_code);
}

static int
lmdb_clear(struct store_txn *txn, store_table table)
{
	lmdb_forget_place(txn, table);
	return lmdb_error(
	    mdb_drop(lmdb_txn_of(txn), lmdb_table(txn, table), 0));
}

static int
lmdb_cursor_open(
    struct store_txn *txn, store_table table, struct store_cursor **ret_cursor)
{
	struct lmdb_cursor *cursor;
	MDB_cursor *mdb;
	int mdb_code =
	    mdb_cursor_open(lmdb_txn_of(txn), lmdb_table(txn, table), &mdb);

	if (mdb_code != 0)
		return lmdb_error(mdb_code);
	cursor = mem_alloc(sizeof(*cursor));
	*cursor = (struct lmdb_cursor){ .cursor = { .store = txn->store },
		.mdb = mdb };
	*ret_cursor = &cursor->cursor;
	return 0;
}

static struct lmdb_cursor *
lmdb_cursor_of(struct store_cursor *cursor)
{
	return CONTAINER_OF(cursor, struct lmdb_cursor, cursor);
}

static void
lmdb_cursor_close(struct store_cursor *cursor)
{
	mdb_cursor_close(lmdb_cursor_of(cursor)->mdb);
	free(lmdb_cursor_of(cursor));
}

static int
lmdb_cursor_move(struct store_cursor *cursor, enum store_move where,
    struct slice key, struct slice *ret_key, struct slice *ret_value)
{
	static const MDB_cursor_op ops[] = {
		[STORE_FIRST] = MDB_FIRST,
		[STORE_LAST] = MDB_LAST,
		[STORE_NEXT] = MDB_NEXT,
		[STORE_PREVIOUS] = MDB_PREV,
		[STORE_AT_OR_AFTER] = MDB_SET_RANGE,
	};
	MDB_val mdb_key = lmdb_val(key);
	MDB_val value;
	int mdb_code = mdb_cursor_get(
	    lmdb_cursor_of(cursor)->mdb, &mdb_key, &value, ops[where]);

	if (mdb_code != 0)
		return lmdb_error(mdb_code);
	*ret_key = lmdb_slice(mdb_key);
	*ret_value = lmdb_slice(value);
	return 0;
}

/* Bytes of the tables' pages; needs a read transaction of its own. */
static int
lmdb_used_bytes(struct lmdb_store *store, uint64_t *ret_bytes)
{
	uint64_t bytes = 0;
	MDB_txn *mdb;
	int mdb_code = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &mdb);

	if (mdb_code != 0)
		return lmdb_error(mdb_code);
	for (unsigned i = 0; mdb_code == 0 && i < store->tables_count; i++) {
		MDB_stat stat;

		mdb_code = mdb_stat(mdb, store->tables[i], &stat);
		if (mdb_code == 0)
			bytes += (stat.ms_branch_pages + stat.ms_leaf_pages +
				     stat.ms_overflow_pages) *
				 stat.ms_psize;
	}
	mdb_txn_abort(mdb);
	if (mdb_code == 0)
		*ret_bytes = bytes;
	return lmdb_error(mdb_code);
}

static void
lmdb_stat(struct store *store, struct store_stat *ret_stat)
{
	struct lmdb_store *lmdb = lmdb_store_of(store);
	MDB_envinfo info;

	/* It fails for a NULL argument only. */
	(void)mdb_env_info(lmdb->env, &info);
	ret_stat->file_bytes = lmdb_file_bytes(lmdb);
	ret_stat->map_bytes = info.me_mapsize;
	/* Unknown counts as all in use, which is the careful answer. */
	if (lmdb_used_bytes(lmdb, &ret_stat->used_bytes) != 0)
		ret_stat->used_bytes = ret_stat->file_bytes;
}

static void
lmdb_close(struct store *store)
{
	struct lmdb_store *lmdb = lmdb_store_of(store);

	mdb_env_close(lmdb->env);
	free(lmdb);
}

static const struct store_ops lmdb_ops = {
	.begin = lmdb_begin,
	.commit = lmdb_commit,
	.abort = lmdb_abort,
	.get = lmdb_get,
	.put = lmdb_put,
	.del = lmdb_del,
	.del_until = lmdb_del_until,
	.clear = lmdb_clear,
	.cursor_open = lmdb_cursor_open,
	.cursor_close = lmdb_cursor_close,
	.cursor_move = lmdb_cursor_move,
	.stat = lmdb_stat,
	.close = lmdb_close,
};

static int
lmdb_open_tables(
    struct lmdb_store *store, const struct store_lmdb_params *params)
{
	MDB_txn *mdb;
	int mdb_code = mdb_txn_begin(store->env, NULL, 0, &mdb);

	if (mdb_code != 0)
		return lmdb_error(mdb_code);
	for (unsigned i = 0; i < params->tables_count; i++) {
		mdb_code = mdb_dbi_open(
		    mdb, params->tables[i], MDB_CREATE, &store->tables[i]);
		if (mdb_code != 0) {
			mdb_txn_abort(mdb);
			return lmdb_error(mdb_code);
		}
	}
	store->tables_count = params->tables_count;
	return lmdb_error(lmdb_commit_or_restore(store, mdb));
}

static int
lmdb_open_env(struct lmdb_store *store, const struct store_lmdb_params *params)
{
	int dead_count;
	int mdb_code = mdb_env_set_maxdbs(store->env, STORE_TABLES_MAX);

	if (mdb_code == 0)
		mdb_code =
		    mdb_env_set_maxreaders(store->env, STORE_LMDB_READERS_MAX);
	if (mdb_code == 0)
		mdb_code = mdb_env_set_mapsize(store->env, params->map_bytes);
	if (mdb_code == 0)
		mdb_code =
		    mdb_env_open(store->env, params->path, MDB_NOTLS, 0600);
	if (mdb_code == ENOMEM)
		fatal("%s: out of memory, or of address space for a file of "
		      "%" PRIu64 " bytes (storage.map-size)",
		    params->path, params->map_bytes);
	/* Slots of a killed process would keep old pages for ever. */
	if (mdb_code == 0)
		mdb_code = mdb_reader_check(store->env, &dead_count);
	/*
	 * A process that was killed while it wrote the meta page may have left
	 * a commit that is in the page cache only. It counts from now on, and
	 * the log may be cut by it: no power cut must bring an older one back.
	 */
	if (mdb_code == 0)
		mdb_code = mdb_env_sync(store->env, 1);
	return lmdb_error(mdb_code);
}

static void
lmdb_find_map(struct lmdb_store *store)
{
	MDB_envinfo info;
	int fd;

	/* Both fail for a NULL argument only. */
	(void)mdb_env_info(store->env, &info);
	(void)mdb_env_get_fd(store->env, &fd);
	store->map_size = info.me_mapsize;
	store->map = store_lmdb_find_map(fd, store->map_size);
}

int
store_lmdb_open(
    const struct store_lmdb_params *params, struct store **ret_store)
{
	struct lmdb_store *store;
	int code;

	ASSERT(params->tables_count <= STORE_TABLES_MAX);
	code = store_dir_create(params->path);
	if (code == 0)
		code = store_lmdb_begin_file(params);
	if (code == 0)
		code = store_lmdb_check_file(params);
	if (code != 0)
		return code;
	store = mem_zalloc(1, sizeof(*store));
	store->store.ops = &lmdb_ops;
	if (mdb_env_create(&store->env) != 0)
		fatal("no memory for a store");
	code = lmdb_open_env(store, params);
	if (code == 0)
		code = lmdb_open_tables(store, params);
	if (code == 0)
		code = store_lmdb_end_file(params);
	if (code != 0) {
		lmdb_close(&store->store);
		return code;
	}
	lmdb_find_map(store);
	*ret_store = &store->store;
	return 0;
}
