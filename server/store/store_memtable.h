#ifndef STORE_STORE_MEMTABLE_H
#define STORE_STORE_MEMTABLE_H

/*
 * A store over another, in which puts gather before they go to their pages.
 *
 * A table that changes at random costs a page of 4 KiB for each small record.
 * Here a put goes to a log and into memory, the memtable (O'Neil et al., "The
 * log-structured merge-tree", 1996; the name is Bigtable's), and later, with all
 * that gathered beside it, to the table. The log is one more table of the store
 * below, so that its transactions make log and tables durable together and show
 * them together to readers: there is no other moment to recover to, and no file
 * of its own.
 *
 * Each commit appends what was put to the log, and moves a share of the memtable
 * to the tables: in the order of tables and keys, at such a pace that all of it
 * is passed in one round, in which `bytes_max` gather. When a round ends, what
 * the log had at its begin is of no use, and is cut off during the next one. So
 * the log holds two rounds and what a few commits append, up to three if records
 * differ much in size, and the memtable less. Opening reads all of it. A
 * commit moves a few times what it appends, at most, so that a large one does not
 * take long; the round is longer then. A reader keeps what was in the memtable
 * when it began, until the round behind its end.
 * An idle store keeps its log and its memtable.
 *
 * What is asked for, and what a cursor passes, comes from the memtable or, if
 * that has nothing of it, from the table. A read transaction sees what was
 * committed when it began, here as below.
 *
 * Deletes go to the table at once: a memtable full of what is no more would have
 * to be passed by whoever looks for the first that is left. So do records larger
 * than STORE_MEMTABLE_RECORD_MAX, which have pages of their own. The log has a
 * mark of both. Tables that grow at their end and are cut at their begin gain
 * nothing; those and others may be left out, and are then the store's below.
 */

#include "common/macros.h"
#include "store/store.h"

/* Of key and value. LMDB keeps what is above half a page on pages of its own;
 * in the log, too, where a few bytes come to it. */
#define STORE_MEMTABLE_RECORD_MAX 1900

struct store_memtable_params {
	/* Its tables are those of the new store and, as its last, the log. It
	 * has nothing to settle. */
	struct store *under;
	unsigned tables_count; /* without the log; below STORE_TABLES_MAX */
	uint32_t gathers;      /* 1 << table for each that gathers */
	/* Of one round: records with what they take in memory beside. */
	uint64_t bytes_max;
};

/*
 * Opens a store over `under`, which has no transaction open and belongs to the
 * new store from now on: that closes it, and so does this call if it fails.
 * store_clear and store_delete_until are for tables that do not gather; the other
 * functions of store.h do here what they do there. ERR_CORRUPT: the log is
 * damaged, or not all of it is there; ERR_VERSION: it is sound, but of a later
 * version; others as of the store below.
 */
int store_memtable_open(const struct store_memtable_params *params,
    struct store **ret_store) ATTR_MUST_CHECK;

#endif
