#include "store/store.h"

#include "common/panic.h"

static void
store_check_key(struct slice key)
{
	ASSERT(key.size >= 1);
	ASSERT(key.size <= STORE_KEY_SIZE_MAX);
}

void
store_close(struct store *store)
{
	if (store == NULL)
		return;
	ASSERT(store->readers_count == 0);
	if (store->writer != NULL)
		store_abort(store->writer);
	store->ops->close(store);
}

int
store_begin(struct store *store, bool write, struct store_txn **ret_txn)
{
	struct store_txn *txn;
	int code;

	if (write)
		ASSERT(store->writer == NULL);
	/*
	 * After a failed sync the page cache may show what the disk does not
	 * hold: nothing more is read from it or built upon it.
	 */
	if (store->broken)
		return ERR_STOPPED;
	code = store->ops->begin(store, write, &txn);
	if (code != 0)
		return code;
	ASSERT(txn->store == store);
	if (write)
		store->writer = txn;
	else
		store->readers_count++;
	*ret_txn = txn;
	return 0;
}

int
store_commit(struct store_txn *txn)
{
	struct store *store = txn->store;
	int code;

	ASSERT(store->writer == txn);
	store->writer = NULL;
	code = store->ops->commit(txn);
	if (code != 0)
		store->broken = true;
	return code;
}

void
store_abort(struct store_txn *txn)
{
	struct store *store = txn->store;

	if (store->writer == txn) {
		store->writer = NULL;
	} else {
		ASSERT(store->readers_count > 0);
		store->readers_count--;
	}
	store->ops->abort(txn);
}

int
store_get(struct store_txn *txn, store_table table, struct slice key,
    struct slice *ret_value)
{
	store_check_key(key);
	return txn->store->ops->get(txn, table, key, ret_value);
}

int
store_put(struct store_txn *txn, store_table table, struct slice key,
    struct slice value)
{
	ASSERT(txn->store->writer == txn);
	store_check_key(key);
	return txn->store->ops->put(txn, table, key, value, false);
}

int
store_append(struct store_txn *txn, store_table table, struct slice key,
    struct slice value)
{
	ASSERT(txn->store->writer == txn);
	store_check_key(key);
	return txn->store->ops->put(txn, table, key, value, true);
}

int
store_delete(struct store_txn *txn, store_table table, struct slice key)
{
	ASSERT(txn->store->writer == txn);
	store_check_key(key);
	return txn->store->ops->del(txn, table, key);
}

int
store_delete_until(struct store_txn *txn, store_table table, struct slice key,
    struct store_cut *ret_cut)
{
	ASSERT(txn->store->writer == txn);
	store_check_key(key);
	return txn->store->ops->del_until(txn, table, key, ret_cut);
}

int
store_clear(struct store_txn *txn, store_table table)
{
	ASSERT(txn->store->writer == txn);
	return txn->store->ops->clear(txn, table);
}

int
store_scrub_step(struct store_txn *txn, struct store_scrub *scrub,
    size_t bytes_max, size_t *ret_bytes)
{
	const struct store_ops *ops = txn->store->ops;

	*ret_bytes = 0;
	return ops->scrub_step == NULL
		   ? ERR_NOT_FOUND
		   : ops->scrub_step(txn, scrub, bytes_max, ret_bytes);
}

int
store_cursor_open(
    struct store_txn *txn, store_table table, struct store_cursor **ret_cursor)
{
	return txn->store->ops->cursor_open(txn, table, ret_cursor);
}

void
store_cursor_close(struct store_cursor *cursor)
{
	cursor->store->ops->cursor_close(cursor);
}

int
store_cursor_move(struct store_cursor *cursor, enum store_move where,
    struct slice key, struct slice *ret_key, struct slice *ret_value)
{
	if (where == STORE_AT_OR_AFTER)
		store_check_key(key);
	return cursor->store->ops->cursor_move(
	    cursor, where, key, ret_key, ret_value);
}

uint64_t
store_get_commit_bytes(struct store *store)
{
	return store->ops->commit_bytes == NULL
		   ? 0
		   : store->ops->commit_bytes(store);
}

void
store_get_stat(struct store *store, struct store_stat *ret_stat)
{
	*ret_stat = (struct store_stat){ 0 };
	store->ops->stat(store, ret_stat);
}

bool
store_is_settled(struct store *store)
{
	return store->ops->is_settled == NULL || store->ops->is_settled(store);
}

int
store_settle(struct store *store)
{
	int code;

	ASSERT(store->writer == NULL);
	ASSERT(store->readers_count == 0);
	if (store->broken)
		return ERR_STOPPED;
	if (store_is_settled(store))
		return 0;
	code = store->ops->settle(store);
	if (code != 0)
		store->broken = true;
	return code;
}
