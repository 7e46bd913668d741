/*
 * A memtable over a disk whose tables and log are what the input says. What
 * opens shows what the log's records, from those that are of use on, make of the
 * tables, and goes on as a plain store with those contents does: through changes,
 * commits, aborts, readers and new openings. Nothing else opens, and the error
 * says why.
 *
 * The input: u8 choice of bytes_max, a disk as of memtable_disk.h, then
 * operations until the end.
 */

#include "common/macros.h"
#include "common/panic.h"
#include "store/store_memtable.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memtable_disk.h"

#define OPERATIONS_MAX 300
/* What goes on behind here may come to where a log is refused; only one that is
 * forged does. */
#define SEQUENCE_MAX (UINT64_MAX / 2 - 10000)

struct site {
	uint64_t bytes_max;
	bool is_over;
	struct memtable_disk_log log; /* as it was opened first */
	struct store_mem_disk *disk;
	struct store_mem_disk *plain; /* what there is to see */
	struct store *store;
	struct store *twin; /* over `plain` */
	struct store_txn *writers[2];
	struct store_txn *readers[2];
};

/* ---- Two stores that have to show the same ---- */

static void
check_move(struct store_cursor *cursors[2], enum store_move where,
    struct slice key, int *ret_error)
{
	struct slice values[2];
	struct slice keys[2];
	int errors[2];

	for (unsigned i = 0; i < 2; i++)
		errors[i] = store_cursor_move(
		    cursors[i], where, key, &keys[i], &values[i]);
	ASSERT(errors[0] == errors[1]);
	*ret_error = errors[0];
	if (errors[0] != 0)
		return;
	ASSERT(slice_equal(keys[0], keys[1]));
	ASSERT(slice_equal(values[0], values[1]));
}

static void
open_cursors(struct store_txn *txns[2], store_table table,
    struct store_cursor *cursors[2])
{
	for (unsigned i = 0; i < 2; i++)
		ASSERT(store_cursor_open(txns[i], table, &cursors[i]) == 0);
}

static void
close_cursors(struct store_cursor *cursors[2])
{
	store_cursor_close(cursors[0]);
	store_cursor_close(cursors[1]);
}

static void
check_get(struct store_txn *txns[2], store_table table, struct slice key)
{
	struct slice values[2];
	int errors[2];

	for (unsigned i = 0; i < 2; i++)
		errors[i] = store_get(txns[i], table, key, &values[i]);
	ASSERT(errors[0] == errors[1]);
	ASSERT(errors[0] == 0 || errors[0] == ERR_NOT_FOUND);
	ASSERT(errors[0] != 0 || slice_equal(values[0], values[1]));
}

/* All of a table in both directions, and what is got of each key. */
static void
check_table(struct store_txn *txns[2], store_table table)
{
	struct slice none = { 0 };
	struct store_cursor *cursors[2];
	struct store_cursor *cursor;
	struct slice value;
	struct slice key;
	int error = 0;

	open_cursors(txns, table, cursors);
	while (error == 0)
		check_move(cursors, STORE_NEXT, none, &error);
	check_move(cursors, STORE_LAST, none, &error);
	while (error == 0)
		check_move(cursors, STORE_PREVIOUS, none, &error);
	close_cursors(cursors);
	ASSERT(store_cursor_open(txns[1], table, &cursor) == 0);
	while (store_cursor_move(cursor, STORE_NEXT, none, &key, &value) == 0)
		check_get(txns, table, key);
	store_cursor_close(cursor);
}

static void
check_txns(struct store_txn *txns[2])
{
	for (store_table table = 0; table < DISK_TABLES_COUNT; table++)
		check_table(txns, table);
}

/* Here and there, as the input says. */
static void
check_moves(struct store_txn *txns[2], store_table table, struct slice *input)
{
	unsigned count = fuzz_take_below(input, 16);
	struct store_cursor *cursors[2];
	bool outside = false;
	int error;

	open_cursors(txns, table, cursors);
	while (count-- > 0) {
		unsigned where = fuzz_take_below(input, STORE_AT_OR_AFTER + 1);
		struct slice key = slice_of("k", 1);

		if (where == STORE_AT_OR_AFTER)
			key = memtable_disk_take_key(input);
		if (outside && (where == STORE_NEXT || where == STORE_PREVIOUS))
			continue;
		check_move(cursors, (enum store_move)where, key, &error);
		outside = error != 0;
	}
	close_cursors(cursors);
}

/* ---- What is done to both ---- */

static void
begin(struct site *site, bool write, struct store_txn *txns[2])
{
	ASSERT(store_begin(site->store, write, &txns[0]) == 0);
	ASSERT(store_begin(site->twin, write, &txns[1]) == 0);
}

static void
drop(struct store_txn *txns[2])
{
	store_abort(txns[0]);
	store_abort(txns[1]);
	txns[0] = NULL;
	txns[1] = NULL;
}

static void
end_reader(struct site *site)
{
	if (site->readers[0] == NULL)
		return;
	check_txns(site->readers);
	drop(site->readers);
}

/* Without a writer. */
static void
end(struct site *site)
{
	if (site->readers[0] != NULL)
		drop(site->readers);
	store_close(site->store);
	site->is_over = true;
}

static void
commit(struct site *site)
{
	int error = store_commit(site->writers[0]);

	if (error != 0) {
		ASSERT(error == ERR_CORRUPT && !site->log.is_whole);
		store_abort(site->writers[1]);
		end(site);
		return;
	}
	ASSERT(store_commit(site->writers[1]) == 0);
	begin(site, true, site->writers);
	if (site->readers[0] != NULL)
		check_txns(site->readers);
}

static void
drop_writer(struct site *site)
{
	drop(site->writers);
	begin(site, true, site->writers);
}

static void
change(struct site *site, unsigned kind, store_table table, struct slice *input)
{
	static const uint8_t large[STORE_MEMTABLE_RECORD_MAX];
	struct slice key = memtable_disk_take_key(input);
	int errors[2];

	for (unsigned i = 0; i < 2; i++) {
		struct store_txn *txn = site->writers[i];

		switch (kind) {
		case 0: errors[i] = store_put(txn, table, key, key); break;
		case 1: errors[i] = store_delete(txn, table, key); break;
		case 2: errors[i] = store_append(txn, table, key, key); break;
		case 3:
			errors[i] = store_put(
			    txn, table, key, slice_of(large, sizeof(large)));
			break;
		default:
			errors[i] = store_put(txn, table, key,
			    slice_of(large, sizeof(large) - key.size));
			break;
		}
	}
	ASSERT(errors[0] == errors[1]);
	if (errors[0] == ERR_INVALID)
		drop_writer(site);
}

static int
open_store(struct site *site)
{
	struct store_memtable_params params = {
		.under = store_mem_open(site->disk),
		.tables_count = DISK_TABLES_COUNT,
		.gathers = DISK_GATHERS,
		.bytes_max = site->bytes_max,
	};

	return store_memtable_open(&params, &site->store);
}

static void
open_again(struct site *site)
{
	int error;

	end_reader(site);
	drop(site->writers);
	store_close(site->store);
	error = open_store(site);
	site->is_over = error != 0;
	if (error != 0) {
		ASSERT(!site->log.is_whole);
		ASSERT(error == ERR_CORRUPT || error == ERR_VERSION);
		return;
	}
	begin(site, true, site->writers);
	check_txns(site->writers);
}

/* Reads the log, in steps of that size. */
static void
scrub(struct site *site, size_t bytes_max)
{
	struct store_scrub scrub = { 0 };
	struct store_txn *txn;
	size_t bytes;
	int error;

	do {
		bytes = 0;
		ASSERT(store_begin(site->store, false, &txn) == 0);
		error = store_scrub_step(txn, &scrub, bytes_max, &bytes);
		store_abort(txn);
	} while (error == 0);
	ASSERT(error == ERR_NOT_FOUND || !site->log.is_whole);
}

static void
operate(struct site *site, struct slice *input)
{
	unsigned choice = fuzz_take_u8(input);
	store_table table = choice / 16 % DISK_TABLES_COUNT;
	struct store_txn **txns = site->writers;

	switch (choice % 16) {
	case 0: commit(site); break;
	case 1: drop_writer(site); break;
	case 2: open_again(site); break;
	case 3:
		end_reader(site);
		begin(site, false, site->readers);
		break;
	case 4: end_reader(site); break;
	case 5:
		check_txns(site->writers);
		scrub(site, 1 + choice);
		break;
	case 6:
	case 7:
		if (site->readers[0] != NULL && choice >= 128)
			txns = site->readers;
		check_moves(txns, table, input);
		break;
	case 8: change(site, choice < 128 ? 3 : 4, table, input); break;
	case 9: change(site, 2, table, input); break;
	case 10:
	case 11: change(site, 1, table, input); break;
	default: change(site, 0, table, input); break;
	}
}

static void
run(struct site *site, struct slice *input)
{
	unsigned left = OPERATIONS_MAX;

	memtable_disk_replay(site->plain, &site->log);
	if (site->log.sequence > SEQUENCE_MAX)
		left = 0;
	site->twin = store_mem_open(site->plain);
	begin(site, true, site->writers);
	check_txns(site->writers);
	for (; left > 0 && input->size > 0 && !site->is_over; left--)
		operate(site, input);
	if (!site->is_over)
		commit(site);
	if (!site->is_over)
		open_again(site);
	if (!site->is_over) {
		drop(site->writers);
		end(site);
	}
	store_close(site->twin);
}

void
fuzz_store_memtable(struct slice input)
{
	static const uint64_t sizes[] = { 1, 300, 900, 4000, 1u << 30 };
	struct site site = { 0 };
	int error;

	site.bytes_max = sizes[fuzz_take_below(&input, ARRAY_COUNT(sizes))];
	site.disk = memtable_disk_new(&input);
	site.plain = store_mem_disk_clone(site.disk);
	error = open_store(&site);
	ASSERT(error == 0 || error == ERR_CORRUPT || error == ERR_VERSION);
	if (error == 0)
		run(&site, &input);
	store_mem_disk_free(site.plain);
	store_mem_disk_free(site.disk);
}
