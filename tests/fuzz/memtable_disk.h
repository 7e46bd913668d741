#ifndef TESTS_FUZZ_MEMTABLE_DISK_H
#define TESTS_FUZZ_MEMTABLE_DISK_H

/*
 * The disk of the target store_memtable: tables, and a log of a memtable, written
 * as an input says and read without the product's code.
 *
 * In the input: u8 bits, u8 count of records; each begins with u8 where it goes:
 * records of tables, and of the log any bytes, changes, and how far the round has
 * come.
 */

#include "common/buf.h"
#include "tests/lib/store_mem.h"

#define DISK_TABLES_COUNT 4
#define DISK_LOG_TABLE    DISK_TABLES_COUNT /* the table behind them */
#define DISK_GATHERS      0x0bu             /* all but this one: */
#define DISK_PLAIN_TABLE  2

struct store_mem_disk *memtable_disk_new(struct slice *input);

/* Mostly of one byte, so that the same keys come again. */
struct slice memtable_disk_take_key(struct slice *input);

struct memtable_disk_log {
	/* It is sound from its first record on, what is of no use too. If not,
	 * a cut may find that, or an opening after it: then all is over. */
	bool is_whole;
	uint64_t sequence; /* of the last record, 0 without any */
};

/* For a disk over which a memtable opens, which asserts what has to be true of
 * the log then: makes the tables what it should show. */
void memtable_disk_replay(
    struct store_mem_disk *disk, struct memtable_disk_log *ret_log);

#endif
