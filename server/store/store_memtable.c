#include "store/store_memtable_impl.h"

#include "common/mem.h"
#include "common/panic.h"
#include <stdlib.h>

/* ---- Transactions ---- */

static int
begin(struct store *store, bool write, struct store_txn **ret_txn)
{
	struct memtable *memtable = memtable_of(store);
	struct memtable_txn *txn;
	struct store_txn *under;
	int code = store_begin(memtable->under, write, &under);

	if (code != 0)
		return code;
	txn = mem_alloc(sizeof(*txn));
	*txn = (struct memtable_txn){
		.txn = { .store = store },
		.under = under,
		.writes = write,
		.commit = memtable->commits + (write ? 1 : 0),
		.log_end = memtable->log_end,
	};
	list_init(&txn->link);
	if (!write)
		list_push(&memtable->readers, &txn->link);
	*ret_txn = &txn->txn;
	return 0;
}

static int
write_down(struct memtable *memtable, struct store_txn *under)
{
	/* The record of the round is one more. */
	uint64_t bytes = memtable->pending_bytes +
			 memtable->round.hand.key_size + MEMTABLE_NODE_COST;
	uint64_t end = memtable->log_end;
	int code;

	if (memtable->pending == NULL)
		return 0;
	code = memtable_log_append(memtable, under);
	if (code != 0)
		return code;
	memtable_keep_pending(memtable);
	code = memtable_round_advance(
	    memtable, under, memtable->log_end - end, bytes);
	return code != 0 ? code : memtable_log_append_round(memtable, under);
}

static int
commit(struct store_txn *txn)
{
	struct memtable *memtable = memtable_of(txn->store);
	struct store_txn *under = memtable_txn_of(txn)->under;
	int code = write_down(memtable, under);

	free(memtable_txn_of(txn));
	memtable->changes++;
	memtable->deletes_count = 0;
	if (code != 0) {
		store_abort(under);
		return code;
	}
	code = store_commit(under);
	if (code == 0)
		memtable->commits++;
	return code;
}

static void
abort_txn(struct store_txn *txn)
{
	struct memtable *memtable = memtable_of(txn->store);
	struct memtable_txn *aborted = memtable_txn_of(txn);

	store_abort(aborted->under);
	if (aborted->writes) {
		memtable_drop_pending(memtable);
		memtable->changes++;
		memtable->deletes_count = 0;
	}
	list_remove(&aborted->link);
	free(aborted);
}

/* ---- Records ---- */

/* The value that the memtable has of a key, for a transaction; NULL: none. */
static const struct memtable_version *
find_put(struct store_txn *txn, store_table table, struct slice key)
{
	struct memtable *memtable = memtable_of(txn->store);
	const struct memtable_version *seen;
	const struct memtable_node *node;

	if (!memtable_gathers(memtable, table))
		return NULL;
	node = memtable_find(memtable, table, key);
	if (node == NULL)
		return NULL;
	seen = memtable_seen(node, memtable_txn_of(txn)->commit);
	return seen != NULL && seen->kind == MEMTABLE_PUT ? seen : NULL;
}

static int
get(struct store_txn *txn, store_table table, struct slice key,
    struct slice *ret_value)
{
	const struct memtable_version *found = find_put(txn, table, key);

	if (found == NULL)
		return store_get(
		    memtable_txn_of(txn)->under, table, key, ret_value);
	*ret_value = memtable_value(found);
	return 0;
}

/* As long as nothing has gathered: while a snapshot fills the store. */
static bool
is_empty(const struct memtable *memtable)
{
	return memtable->pending == NULL &&
	       memtable->log_first == memtable->log_end;
}

/* The table was changed at once: what memtable and log have of the key counts
 * no more. */
static void
mark_through(struct store_txn *txn, store_table table, struct slice key)
{
	struct memtable *memtable = memtable_of(txn->store);
	struct slice none = { 0 };

	if (memtable_gathers(memtable, table) && !is_empty(memtable))
		memtable_set(memtable, memtable_txn_of(txn)->commit, table, key,
		    MEMTABLE_THROUGH, none);
}

/* ERR_INVALID: a key of the table is not below `key`. */
static int
check_is_above(struct store_txn *txn, store_table table, struct slice key)
{
	struct store_cursor *cursor;
	struct slice value;
	struct slice last;
	int code = memtable_cursor_open(txn, table, &cursor);

	if (code != 0)
		return code;
	code = memtable_cursor_move(cursor, STORE_LAST, key, &last, &value);
	if (code == 0 && slice_compare(last, key) >= 0)
		code = ERR_INVALID;
	memtable_cursor_close(cursor);
	return code == ERR_NOT_FOUND ? 0 : code;
}

static int
put_gathering(struct store_txn *txn, store_table table, struct slice key,
    struct slice value)
{
	struct memtable_txn *memtable_txn = memtable_txn_of(txn);
	int code;

	if (key.size + value.size <= STORE_MEMTABLE_RECORD_MAX) {
		memtable_set(memtable_of(txn->store), memtable_txn->commit,
		    table, key, MEMTABLE_PUT, value);
		return 0;
	}
	code = store_put(memtable_txn->under, table, key, value);
	if (code == 0)
		mark_through(txn, table, key);
	return code;
}

static int
put(struct store_txn *txn, store_table table, struct slice key,
    struct slice value, bool append)
{
	struct memtable *memtable = memtable_of(txn->store);
	struct store_txn *under = memtable_txn_of(txn)->under;
	int code = 0;

	memtable->changes++;
	if (!memtable_gathers(memtable, table) ||
	    (append && is_empty(memtable)))
		return append ? store_append(under, table, key, value)
			      : store_put(under, table, key, value);
	if (append)
		code = check_is_above(txn, table, key);
	return code != 0 ? code : put_gathering(txn, table, key, value);
}

static int
del(struct store_txn *txn, store_table table, struct slice key)
{
	bool gathered = find_put(txn, table, key) != NULL;
	int code = store_delete(memtable_txn_of(txn)->under, table, key);

	memtable_of(txn->store)->changes++;
	if (code == 0 && memtable_gathers(memtable_of(txn->store), table))
		memtable_of(txn->store)->deletes_count++;
	/* It may have come and gone here. */
	if (code == ERR_NOT_FOUND && gathered)
		code = 0;
	if (code == 0)
		mark_through(txn, table, key);
	return code;
}

static int
del_until(struct store_txn *txn, store_table table, struct slice key,
    struct store_cut *ret_cut)
{
	ASSERT(!memtable_gathers(memtable_of(txn->store), table));
	memtable_of(txn->store)->changes++;
	return store_delete_until(
	    memtable_txn_of(txn)->under, table, key, ret_cut);
}

static int
clear(struct store_txn *txn, store_table table)
{
	ASSERT(!memtable_gathers(memtable_of(txn->store), table));
	memtable_of(txn->store)->changes++;
	return store_clear(memtable_txn_of(txn)->under, table);
}

/* ---- The store ---- */

static uint64_t
commit_bytes(struct store *store)
{
	return memtable_round_bytes(memtable_of(store));
}

static void
stat(struct store *store, struct store_stat *ret_stat)
{
	store_get_stat(memtable_of(store)->under, ret_stat);
	ret_stat->waiting_bytes = memtable_of(store)->bytes;
}

static void
close_store(struct store *store)
{
	struct memtable *memtable = memtable_of(store);

	memtable_release(memtable);
	store_close(memtable->under);
	buf_release(&memtable->scratch);
	free(memtable);
}

static const struct store_ops memtable_ops = {
	.begin = begin,
	.commit = commit,
	.abort = abort_txn,
	.get = get,
	.put = put,
	.del = del,
	.del_until = del_until,
	.clear = clear,
	.cursor_open = memtable_cursor_open,
	.cursor_close = memtable_cursor_close,
	.cursor_move = memtable_cursor_move,
	.scrub_step = memtable_log_scrub_step,
	.commit_bytes = commit_bytes,
	.stat = stat,
	.close = close_store,
};

int
store_memtable_open(
    const struct store_memtable_params *params, struct store **ret_store)
{
	struct memtable *memtable = mem_zalloc(1, sizeof(*memtable));
	int code;

	ASSERT(params->tables_count < STORE_TABLES_MAX);
	ASSERT(params->bytes_max > 0);
	ASSERT(params->under->ops->is_settled == NULL);
	memtable->store.ops = &memtable_ops;
	memtable->under = params->under;
	memtable->tables_count = params->tables_count;
	memtable->log_table = params->tables_count;
	memtable->gathers = params->gathers;
	memtable->bytes_max = params->bytes_max;
	list_init(&memtable->readers);
	for (unsigned i = 0; i < STORE_TABLES_MAX; i++) {
		RB_INIT(&memtable->trees[i]);
		RB_INIT(&memtable->through[i]);
	}
	memtable_round_init(memtable);
	code = memtable_log_load(memtable);
	if (code != 0) {
		close_store(&memtable->store);
		return code;
	}
	*ret_store = &memtable->store;
	return 0;
}
