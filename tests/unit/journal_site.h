#ifndef TESTS_UNIT_JOURNAL_SITE_H
#define TESTS_UNIT_JOURNAL_SITE_H

/*
 * A journal around LMDB in a directory of its own, and numbered commits that
 * can be recognised whole. A crash is played by opening a copy of its files.
 */

#include "common/buf.h"
#include "store/store_journal.h"

#define JOURNAL_UNIT     STORE_JOURNAL_UNIT
#define JOURNAL_CAPACITY (16u * JOURNAL_UNIT)
/* Of a block, as store_journal_block.c has it. */
#define JOURNAL_HEADER_SIZE 44

/* What a start found that failed with ERR_CORRUPT. */
#define JOURNAL_REFUSED UINT64_MAX

enum {
	JOURNAL_TABLE_A,
	JOURNAL_TABLE_B,
	JOURNAL_TABLE_OWN,
	JOURNAL_TABLES_COUNT
};

struct journal_site {
	char *path;
	struct store *live;
	char why[256];    /* of the last open */
	uint64_t last_id; /* no two opens offer the same */
};

/* Opens a store in a fresh directory; release removes it. */
void journal_site_init(struct journal_site *site, uint64_t capacity);
void journal_site_release(struct journal_site *site);

/* Opens the store of the site again, after a store_close. */
void journal_site_open(struct journal_site *site, uint64_t capacity);
/* The store of the site goes on as what a crash leaves at this moment. */
void journal_site_crash(struct journal_site *site, uint64_t capacity);
/* Opens elsewhere, or around another store; the store's codes. */
int journal_site_open_at(struct journal_site *site, const char *directory,
    uint64_t capacity, struct store **ret_store);
int journal_site_open_around(struct journal_site *site, const char *directory,
    uint64_t capacity, struct store *inner, struct store **ret_store);
/* LMDB alone, with so many of the tables. */
int journal_open_inner(
    const char *directory, unsigned tables_count, struct store **ret_store);

struct store_txn *journal_begin_txn(struct store *store, bool write);

/*
 * Commit `number`, one behind the last, changes both tables in every way, with
 * a value of this size.
 */
void
journal_site_commit(struct journal_site *site, uint64_t number, size_t size);
int journal_commit_number(struct store *store, uint64_t number, size_t size);
/* Its part in table B alone. */
int journal_change_entries(struct store_txn *txn, uint64_t number, size_t size);
/* The last commit's number; all of it and nothing else must be there. */
uint64_t journal_read_number(struct store *store);

/* Both files of the site, at one moment. */
struct journal_image {
	struct buf data;
	struct buf journal;
};

struct journal_image journal_image_take(const struct journal_site *site);
void journal_image_release(struct journal_image *image);

/* What a start finds in these: the number of a commit, or JOURNAL_REFUSED.
 * The journal may be missing: NULL. */
uint64_t journal_site_recover(
    struct journal_site *site, struct slice data, struct slice journal);
uint64_t journal_image_recover(
    struct journal_site *site, const struct journal_image *image);
uint64_t journal_site_number_after_crash(struct journal_site *site);

void journal_file_read(
    const char *directory, const char *name, struct buf *ret_bytes);
void
journal_file_write(const char *directory, const char *name, struct slice bytes);

#endif
