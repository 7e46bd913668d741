#ifndef STORE_STORE_JOURNAL_H
#define STORE_STORE_JOURNAL_H

/*
 * A store around another one that makes a commit durable with one flush of the
 * disk. LMDB needs two, of its pages and then of the page that names them, and
 * three nodes that share a disk wait for all six in a row with every write.
 *
 * The inner store's write transaction stays open over many commits. Each
 * commit appends what it changed, as one block, to a file of fixed size that
 * was written once before, so that a flush is of these bytes alone. When the
 * file is full, the inner transaction is committed, two flushes, and the file
 * is used from its beginning again, under a new generation. The inner store
 * holds the number of the generation, so both change at once:
 *
 *	crash with part of a block on disk
 *	    its checksum fails; it was not acknowledged and counts as not there
 *	with a whole block on disk, before the commit returned
 *	    it counts: not acknowledged means unknown
 *	before the inner commit is done
 *	    the inner store has the old generation, whose blocks are all there:
 *	    replayed into a write transaction, they give the same contents
 *	behind it
 *	    the inner store has the new generation, of which there are no blocks
 *
 * LMDB has no torn tails; this file has one, which is cut. It is told from
 * damage by what follows: blocks are written one after the other, each behind
 * the flush of the one before, and when a block was flushed its seal is written
 * behind it, in the unit where the next one will begin. So a block that does
 * not verify is the torn last one only if neither its seal nor a later block of
 * its generation is in the file, else it is ERR_CORRUPT. The seal has no flush
 * of its own: the end of the process, in whatever way, leaves it in the page
 * cache, and the kernel writes it some seconds later; a power cut before may
 * take it, and what remains is that damage to the very last block then looks
 * like a torn one. A damaged seal is as none: alone it does no harm. For the
 * last block to have one, the last unit of the file is for a seal only.
 *
 * store_settle commits the inner transaction: from then on nothing is in the
 * file alone. Called a second after a commit, it bounds the age of what damage
 * could take. Opening and closing settle as well.
 *
 * A random id, in the inner store and in every block, keeps the file of
 * another directory from being replayed, and no value that a client stores
 * can look like a block. A file that is lost, of the wrong size or older or
 * newer than the inner store is ERR_CORRUPT; except behind a close that
 * settled, when nothing is lost with it.
 *
 * Differences to store.h:
 *	Read transactions are views of the open write transaction: they see its
 *	changes so far, and none may be open at a commit.
 *	Aborting a write transaction that changed anything cannot be undone
 *	alone: the store takes no more transactions then (ERR_STOPPED). The
 *	next open has the last commit.
 */

#include "store/store.h"

/* Blocks start at multiples of it; no acknowledged page is written again. */
#define STORE_JOURNAL_UNIT         4096u
#define STORE_JOURNAL_CAPACITY_MAX (64u << 20)

struct store_journal_params {
	const char
	    *directory; /* has the file "journal", created when missing */
	/* Of that file: a multiple of the unit, at least two (with less than
	 * three nothing fits, and all goes to the inner store) and at most
	 * STORE_JOURNAL_CAPACITY_MAX. An existing file that may have blocks
	 * keeps the size it has. */
	uint64_t capacity;
	/* The last table of the inner store, which must be unused or the
	 * journal's: the tables before it are those of the new store. */
	store_table table;
	uint64_t random_id; /* from the operating system; for a first open */
};

/*
 * Takes the inner store, also when it fails: it is closed then. Nothing of
 * `params` is kept. On failure `why` (of `size` bytes) says what was found.
 * ERR_CORRUPT: inner store and file do not fit, or damage; ERR_VERSION: a
 * newer format; or an error of a file (see store_lmdb_open) or a commit.
 */
int store_journal_open(const struct store_journal_params *params,
    struct store *inner, struct store **ret_store, char *why,
    size_t size) ATTR_MUST_CHECK;

#endif
