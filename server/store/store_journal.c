#include "store/store_journal.h"

#include "common/mem.h"
#include "common/panic.h"
#include "store/store_dir.h"
#include "store/store_journal_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct journal {
	struct store store;
	struct store *inner;
	struct store_txn *inner_txn; /* NULL only when broken, or in a close */
	struct store_txn writer;
	struct store_txn view; /* all read transactions: they hold nothing */
	store_table table;
	int fd;
	struct journal_state state;
	uint64_t offset;   /* where the next block goes */
	uint64_t sequence; /* of the last one */
	struct buf block;  /* what the write transaction changed so far */
	/* It changed more than fits in the rest of the file: the block is not
	 * kept, the commit goes to the inner store. */
	bool overflow;
};

static struct journal *
journal_of(struct store *store)
{
	return CONTAINER_OF(store, struct journal, store);
}

static int
journal_begin(struct store *store, bool write, struct store_txn **ret_txn)
{
	struct journal *journal = journal_of(store);

	*ret_txn = write ? &journal->writer : &journal->view;
	return 0;
}

static bool
journal_is_changed(const struct journal *journal)
{
	return journal->overflow || !journal_block_is_empty(&journal->block);
}

static void
journal_forget(struct journal *journal)
{
	journal_block_clear(&journal->block);
	journal->overflow = false;
}

/* Commits the inner transaction; the next generation begins. */
static int
journal_turn_over(struct journal *journal, bool closed)
{
	struct journal_state next = journal->state;
	struct store_txn *txn = journal->inner_txn;
	int error;

	next.generation++;
	next.closed = closed;
	error = journal_state_save(txn, journal->table, &next);
	if (error != 0)
		return error;
	journal->inner_txn = NULL;
	error = store_commit(txn);
	if (error == 0 && !closed)
		error = store_begin(journal->inner, true, &journal->inner_txn);
	if (error != 0)
		return error;
	journal->state = next;
	journal->offset = JOURNAL_BLOCKS_OFFSET;
	journal->sequence = 0;
	return 0;
}

/*
 * A whole unit, so that it need not be read before, and the one that the next
 * block begins in: no flush has more to write for it.
 */
static int
journal_write_seal(struct journal *journal)
{
	uint8_t unit[STORE_JOURNAL_UNIT];

	journal_seal_make(buf_slice(&journal->block), unit);
	return journal_write(
	    journal->fd, slice_of(unit, sizeof(unit)), journal->offset);
}

static int
journal_append_block(struct journal *journal)
{
	int error;

	journal_block_finish(&journal->block, journal->state.id,
	    journal->state.generation, journal->sequence + 1);
	error = journal_write(
	    journal->fd, buf_slice(&journal->block), journal->offset);
	if (error != 0)
		return error;
	if (fdatasync(journal->fd) != 0)
		return store_dir_error(errno);
	journal->sequence++;
	journal->offset += journal->block.size;
	return journal_write_seal(journal);
}

static int
journal_commit(struct store_txn *txn)
{
	struct journal *journal = journal_of(txn->store);
	int error = 0;

	ASSERT(journal->store.readers_count == 0);
	if (journal->store.broken)
		error = ERR_STOPPED;
	else if (journal->overflow)
		error = journal_turn_over(journal, false);
	else if (!journal_block_is_empty(&journal->block))
		error = journal_append_block(journal);
	journal_forget(journal);
	return error;
}

static void
journal_abort(struct store_txn *txn)
{
	struct journal *journal = journal_of(txn->store);

	if (txn == &journal->view)
		return;
	/* The inner transaction has the commits before as well. */
	if (journal_is_changed(journal))
		journal->store.broken = true;
	journal_forget(journal);
}

static int
journal_get(struct store_txn *txn, store_table table, struct slice key,
    struct slice *ret_value)
{
	struct journal *journal = journal_of(txn->store);

	ASSERT(table < journal->table);
	return store_get(journal->inner_txn, table, key, ret_value);
}

/* Takes the result of a change in the inner transaction, and the change. */
static int
journal_note(struct journal *journal, int error, enum journal_change change,
    store_table table, struct slice key, struct slice value)
{
	uint64_t size = journal->block.size + journal_change_size(key, value);

	/* Nothing was changed, and nothing is wrong. */
	if (error == ERR_NOT_FOUND || error == ERR_INVALID)
		return error;
	if (error != 0) {
		journal->store.broken = true;
		return error;
	}
	/* The seal needs a unit behind it. */
	if (size >
	    journal->state.capacity - journal->offset - STORE_JOURNAL_UNIT) {
		journal->overflow = true;
		buf_release(&journal->block);
	}
	if (!journal->overflow)
		journal_block_add(&journal->block, change, table, key, value);
	return 0;
}

static int
journal_put(struct store_txn *txn, store_table table, struct slice key,
    struct slice value, bool append)
{
	struct journal *journal = journal_of(txn->store);
	int error;

	ASSERT(table < journal->table);
	if (append)
		error = store_append(journal->inner_txn, table, key, value);
	else
		error = store_put(journal->inner_txn, table, key, value);
	return journal_note(journal, error,
	    append ? JOURNAL_APPEND : JOURNAL_PUT, table, key, value);
}

static int
journal_del(struct store_txn *txn, store_table table, struct slice key)
{
	struct journal *journal = journal_of(txn->store);

	ASSERT(table < journal->table);
	return journal_note(journal,
	    store_delete(journal->inner_txn, table, key), JOURNAL_DELETE, table,
	    key, slice_of(NULL, 0));
}

static int
journal_del_until(struct store_txn *txn, store_table table, struct slice key,
    struct store_cut *ret_cut)
{
	struct journal *journal = journal_of(txn->store);

	ASSERT(table < journal->table);
	return journal_note(journal,
	    store_delete_until(journal->inner_txn, table, key, ret_cut),
	    JOURNAL_DELETE_UNTIL, table, key, slice_of(NULL, 0));
}

/* It comes with a snapshot, which is rare: the inner store's commit will do. */
static int
journal_clear(struct store_txn *txn, store_table table)
{
	struct journal *journal = journal_of(txn->store);
	int error;

	ASSERT(table < journal->table);
	error = store_clear(journal->inner_txn, table);
	if (error != 0) {
		journal->store.broken = true;
		return error;
	}
	journal->overflow = true;
	buf_release(&journal->block);
	return 0;
}

/* The cursor is one of the inner store, and goes there by itself. */
static int
journal_cursor_open(
    struct store_txn *txn, store_table table, struct store_cursor **ret_cursor)
{
	struct journal *journal = journal_of(txn->store);

	ASSERT(table < journal->table);
	return store_cursor_open(journal->inner_txn, table, ret_cursor);
}

static void
journal_stat(struct store *store, struct store_stat *ret_stat)
{
	struct journal *journal = journal_of(store);
	struct store_stat stat;

	store_get_stat(journal->inner, &stat);
	stat.file_bytes += journal->state.capacity;
	stat.map_bytes += journal->state.capacity;
	stat.used_bytes += journal->offset;
	*ret_stat = stat;
}

static bool
journal_is_settled(struct store *store)
{
	return journal_of(store)->offset == JOURNAL_BLOCKS_OFFSET;
}

static int
journal_settle(struct store *store)
{
	return journal_turn_over(journal_of(store), false);
}

static void
journal_close(struct store *store)
{
	struct journal *journal = journal_of(store);

	/* If it fails, the blocks are still there for the next open. */
	if (!store->broken)
		(void)journal_turn_over(journal, true);
	store_close(journal->inner);
	if (journal->fd >= 0)
		(void)close(journal->fd); /* all of it is synced */
	buf_release(&journal->block);
	free(journal);
}

static const struct store_ops journal_ops = {
	.begin = journal_begin,
	.commit = journal_commit,
	.abort = journal_abort,
	.get = journal_get,
	.put = journal_put,
	.del = journal_del,
	.del_until = journal_del_until,
	.clear = journal_clear,
	.cursor_open = journal_cursor_open,
	.stat = journal_stat,
	.close = journal_close,
	.is_settled = journal_is_settled,
	.settle = journal_settle,
};

static int
journal_open(struct journal *journal, const struct store_journal_params *params,
    char *why, size_t size)
{
	int error = store_begin(journal->inner, true, &journal->inner_txn);

	if (error == 0)
		error = journal_state_load(
		    journal->inner_txn, params->table, &journal->state);
	if (error != 0) {
		snprintf(why, size, "what data.mdb says of its journal: %s",
		    err_text(error));
		return error;
	}
	error = journal_file_open(params, journal->inner_txn, &journal->state,
	    &journal->fd, why, size);
	if (error != 0)
		return error;
	/*
	 * What was replayed is perhaps in the page cache only; and the file
	 * made is not to be relied on before the inner store knows it.
	 */
	error = journal_turn_over(journal, false);
	if (error != 0)
		snprintf(why, size, "the first commit: %s", err_text(error));
	return error;
}

int
store_journal_open(const struct store_journal_params *params,
    struct store *inner, struct store **ret_store, char *why, size_t size)
{
	struct journal *journal = mem_zalloc(1, sizeof(*journal));
	int error;

	ASSERT(params->capacity % STORE_JOURNAL_UNIT == 0);
	ASSERT(params->capacity > JOURNAL_BLOCKS_OFFSET);
	ASSERT(params->capacity <= STORE_JOURNAL_CAPACITY_MAX);
	ASSERT(params->random_id != 0);
	journal->store.ops = &journal_ops;
	journal->inner = inner;
	journal->writer.store = &journal->store;
	journal->view.store = &journal->store;
	journal->table = params->table;
	journal->fd = -1;
	journal_block_clear(&journal->block);
	error = journal_open(journal, params, why, size);
	if (error != 0) {
		journal->store.broken = true; /* nothing is to be written */
		journal_close(&journal->store);
		return error;
	}
	*ret_store = &journal->store;
	return 0;
}
