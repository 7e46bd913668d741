#ifndef TESTS_UNIT_MEMTABLE_SITE_H
#define TESTS_UNIT_MEMTABLE_SITE_H

/* A store with a memtable over a disk in memory, which outlives crashes. */

#include "store/store_memtable.h"
#include "tests/lib/store_mem.h"

enum {
	MEMTABLE_A, /* gathers, and so does the next */
	MEMTABLE_B,
	MEMTABLE_PLAIN, /* does not */
	MEMTABLE_LOG,   /* also the number of tables without it */
	MEMTABLE_DISK_TABLES
};

struct memtable_site {
	struct store_mem_disk *disk;
	struct store *store; /* NULL: not open */
	uint64_t bytes_max;
};

void memtable_site_init(struct memtable_site *site, uint64_t bytes_max);
void memtable_site_release(struct memtable_site *site);

/* Closes what is open, be it in the middle of a transaction: a crash. */
int memtable_site_open(struct memtable_site *site);
/* The same, and it succeeds, with another `bytes_max`. */
void memtable_site_reopen(struct memtable_site *site, uint64_t bytes_max);

struct store_txn *memtable_site_begin(struct memtable_site *site, bool write);
void memtable_site_put(struct store_txn *txn, store_table table,
    const char *key, const char *value);
/* One put, committed. */
void memtable_site_commit(struct memtable_site *site, store_table table,
    const char *key, const char *value);

/* Has the table itself the key, whatever the memtable says? */
bool memtable_site_table_has(
    const struct memtable_site *site, store_table table, const char *key);

/* What the log takes on the disk, and what its records but those of rounds took
 * of rounds when they were appended. */
struct memtable_site_log {
	uint64_t first; /* if there is any */
	uint64_t count;
	uint64_t bytes;
	uint64_t cost;
};
struct memtable_site_log memtable_site_log(const struct memtable_site *site);

#endif
