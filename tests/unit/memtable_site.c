#include "tests/unit/memtable_site.h"

#include "common/codec.h"
#include "store/store_memtable_impl.h"
#include <check.h>

/* Of a record in the log, before its key: seal, kind, table, size of the key. */
#define RECORD_HEAD_SIZE 9
#define RECORD_KIND      5

void
memtable_site_init(struct memtable_site *site, uint64_t bytes_max)
{
	*site = (struct memtable_site){
		.disk = store_mem_disk_new(MEMTABLE_DISK_TABLES),
	};
	memtable_site_reopen(site, bytes_max);
}

void
memtable_site_release(struct memtable_site *site)
{
	store_close(site->store);
	store_mem_disk_free(site->disk);
}

int
memtable_site_open(struct memtable_site *site)
{
	struct store_memtable_params params = {
		.tables_count = MEMTABLE_LOG,
		.gathers = 1 << MEMTABLE_A | 1 << MEMTABLE_B,
		.bytes_max = site->bytes_max,
	};

	store_close(site->store);
	site->store = NULL;
	params.under = store_mem_open(site->disk);
	return store_memtable_open(&params, &site->store);
}

void
memtable_site_reopen(struct memtable_site *site, uint64_t bytes_max)
{
	site->bytes_max = bytes_max;
	ck_assert_int_eq(memtable_site_open(site), 0);
}

struct store_txn *
memtable_site_begin(struct memtable_site *site, bool write)
{
	struct store_txn *txn = NULL;

	ck_assert_int_eq(store_begin(site->store, write, &txn), 0);
	return txn;
}

void
memtable_site_put(struct store_txn *txn, store_table table, const char *key,
    const char *value)
{
	ck_assert_int_eq(
	    store_put(txn, table, slice_from_text(key), slice_from_text(value)),
	    0);
}

void
memtable_site_commit(struct memtable_site *site, store_table table,
    const char *key, const char *value)
{
	struct store_txn *txn = memtable_site_begin(site, true);

	memtable_site_put(txn, table, key, value);
	ck_assert_int_eq(store_commit(txn), 0);
}

/* ---- What is on the disk ---- */

/* The disk has room for one store: what is looked at is a copy. */
struct sight {
	struct store_mem_disk *disk;
	struct store *store;
	struct store_txn *txn;
};

static void
sight_init(struct sight *sight, const struct memtable_site *site)
{
	sight->disk = store_mem_disk_clone(site->disk);
	sight->store = store_mem_open(sight->disk);
	ck_assert_int_eq(store_begin(sight->store, false, &sight->txn), 0);
}

static void
sight_release(struct sight *sight)
{
	store_abort(sight->txn);
	store_close(sight->store);
	store_mem_disk_free(sight->disk);
}

bool
memtable_site_table_has(
    const struct memtable_site *site, store_table table, const char *key)
{
	struct sight sight;
	struct slice value;
	int code;

	sight_init(&sight, site);
	code = store_get(sight.txn, table, slice_from_text(key), &value);
	sight_release(&sight);
	return code == 0;
}

struct memtable_site_log
memtable_site_log(const struct memtable_site *site)
{
	struct memtable_site_log log = { 0 };
	struct store_cursor *cursor = NULL;
	struct sight sight;
	struct slice value;
	struct slice key = { 0 };

	sight_init(&sight, site);
	ck_assert_int_eq(
	    store_cursor_open(sight.txn, MEMTABLE_LOG, &cursor), 0);
	while (store_cursor_move(cursor, STORE_NEXT, key, &key, &value) == 0) {
		if (log.count++ == 0)
			log.first = codec_load_u64(key.data);
		log.bytes += key.size + value.size;
		if (value.data[RECORD_KIND] != MEMTABLE_ROUND)
			log.cost +=
			    MEMTABLE_NODE_COST + value.size - RECORD_HEAD_SIZE;
	}
	store_cursor_close(cursor);
	sight_release(&sight);
	return log;
}
