#include "tests/lib/store_mem.h"

#include "common/mem.h"
#include "common/panic.h"
#include "common/rng.h"
#include "tests/lib/mem_tree.h"
#include <stdlib.h>

/* A failure that is due after some more events; 0 left: none is due. */
struct fault {
	uint64_t left;
	int code;
};

struct store_mem_disk {
	unsigned tables_count;
	struct mem_tree tables[STORE_TABLES_MAX]; /* as committed */
	struct store *opened;
	uint64_t capacity;
	uint64_t bytes_max; /* the largest that was ever committed */
	struct fault operation_fault;
	struct fault commit_fault;
	struct rng rng;
	uint64_t operations_count;
	uint64_t commits_count;
};

struct mem_store {
	struct store store;
	struct store_mem_disk *disk;
};

struct mem_txn {
	struct store_txn txn;
	bool failed; /* a change failed: it can no longer be committed */
	unsigned cursors_count;
	uint64_t changes[STORE_TABLES_MAX]; /* to catch stale cursors */
	struct mem_tree tables[STORE_TABLES_MAX];
};

struct mem_cursor {
	struct store_cursor cursor;
	struct mem_txn *txn;
	store_table table;
	uint64_t changes;                /* of the table when it was opened */
	const struct mem_record *record; /* NULL: outside */
};

static struct store_mem_disk *
disk_of(struct store *store)
{
	return CONTAINER_OF(store, struct mem_store, store)->disk;
}

static struct mem_txn *
mem_txn_of(struct store_txn *txn)
{
	return CONTAINER_OF(txn, struct mem_txn, txn);
}

static struct mem_tree *
mem_table(struct store_txn *txn, store_table table)
{
	ASSERT(table < disk_of(txn->store)->tables_count);
	return &mem_txn_of(txn)->tables[table];
}

static int
fault_step(struct fault *fault)
{
	if (fault->left == 0 || --fault->left > 0)
		return 0;
	return fault->code;
}

/* Counts an operation; gives the code it has to fail with, or 0. */
static int
disk_step(struct store *store)
{
	struct store_mem_disk *disk = disk_of(store);

	disk->operations_count++;
	return fault_step(&disk->operation_fault);
}

static uint64_t
tables_bytes(const struct mem_tree *tables, unsigned count)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < count; i++)
		bytes += tables[i].bytes;
	return bytes;
}

static void
share_tables(struct mem_tree *to, const struct mem_tree *from, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		to[i] = mem_tree_share(&from[i]);
}

static void
release_tables(struct mem_tree *tables, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		mem_tree_release(&tables[i]);
}

static int
mem_begin(struct store *store, bool write, struct store_txn **ret_txn)
{
	const struct store_mem_disk *disk = disk_of(store);
	struct mem_txn *txn;
	int code = disk_step(store);

	(void)write; /* both kinds see the committed tables */
	if (code != 0)
		return code;
	txn = mem_zalloc(1, sizeof(*txn));
	txn->txn.store = store;
	share_tables(txn->tables, disk->tables, disk->tables_count);
	*ret_txn = &txn->txn;
	return 0;
}

static void
mem_abort(struct store_txn *txn)
{
	struct mem_txn *mem = mem_txn_of(txn);

	ASSERT(mem->cursors_count == 0);
	release_tables(mem->tables, disk_of(txn->store)->tables_count);
	free(mem);
}

/* The tables of the transaction become the disk's. */
static void
disk_take_over(struct store_mem_disk *disk, struct mem_txn *txn)
{
	uint64_t bytes = tables_bytes(txn->tables, disk->tables_count);

	release_tables(disk->tables, disk->tables_count);
	share_tables(disk->tables, txn->tables, disk->tables_count);
	disk->bytes_max = MAX(disk->bytes_max, bytes);
}

static int
mem_commit(struct store_txn *txn)
{
	struct store_mem_disk *disk = disk_of(txn->store);
	int operation_code = disk_step(txn->store);
	int commit_code = fault_step(&disk->commit_fault);
	int code = operation_code != 0 ? operation_code : commit_code;

	disk->commits_count++;
	if (mem_txn_of(txn)->failed)
		code = ERR_IO;
	else if (code == 0 || rng_below(&disk->rng, 2) == 1)
		disk_take_over(disk, mem_txn_of(txn));
	mem_abort(txn);
	return code;
}

static int
mem_get(struct store_txn *txn, store_table table, struct slice key,
    struct slice *ret_value)
{
	const struct mem_record *record;
	int code = disk_step(txn->store);

	if (code != 0)
		return code;
	record = mem_tree_find(mem_table(txn, table), key);
	if (record == NULL)
		return ERR_NOT_FOUND;
	*ret_value = mem_record_value(record);
	return 0;
}

static bool
mem_has_room(struct store_txn *txn, store_table table, struct slice key,
    struct slice value)
{
	const struct store_mem_disk *disk = disk_of(txn->store);
	const struct mem_record *old =
	    mem_tree_find(mem_table(txn, table), key);
	uint64_t bytes;

	if (disk->capacity == UINT64_MAX)
		return true;
	bytes = tables_bytes(mem_txn_of(txn)->tables, disk->tables_count) +
		key.size + value.size;
	if (old != NULL)
		bytes -= old->key_size + old->value_size;
	return bytes <= disk->capacity;
}

static int
mem_put_code(struct store_txn *txn, store_table table, struct slice key,
    struct slice value, bool append)
{
	const struct mem_record *last;
	int code = disk_step(txn->store);

	if (code != 0)
		return code;
	last = append ? mem_tree_last(mem_table(txn, table)) : NULL;
	if (last != NULL && slice_compare(key, mem_record_key(last)) <= 0)
		return ERR_INVALID;
	return mem_has_room(txn, table, key, value) ? 0 : ERR_NO_SPACE;
}

static int
mem_put(struct store_txn *txn, store_table table, struct slice key,
    struct slice value, bool append)
{
	struct mem_txn *mem = mem_txn_of(txn);
	int code = mem_put_code(txn, table, key, value, append);

	if (code != 0) {
		mem->failed = mem->failed || code != ERR_INVALID;
		return code;
	}
	mem_tree_put(mem_table(txn, table), key, value);
	mem->changes[table]++;
	return 0;
}

static int
mem_del(struct store_txn *txn, store_table table, struct slice key)
{
	struct mem_txn *mem = mem_txn_of(txn);
	int code = disk_step(txn->store);

	if (code != 0) {
		mem->failed = true;
		return code;
	}
	if (!mem_tree_delete(mem_table(txn, table), key))
		return ERR_NOT_FOUND;
	mem->changes[table]++;
	return 0;
}

static int
mem_del_until(struct store_txn *txn, store_table table, struct slice key,
    struct store_cut *ret_cut)
{
	struct mem_txn *mem = mem_txn_of(txn);
	struct mem_tree *tree = mem_table(txn, table);
	const struct mem_record *first;
	int code = disk_step(txn->store);

	*ret_cut = (struct store_cut){ 0 };
	if (code != 0) {
		mem->failed = true;
		return code;
	}
	while ((first = mem_tree_first(tree)) != NULL &&
	       slice_compare(mem_record_key(first), key) <= 0) {
		uint8_t memory[STORE_KEY_SIZE_MAX];
		struct slice old = mem_record_key(first);

		ret_cut->count++;
		ret_cut->bytes += old.size + first->value_size;
		memcpy(memory, old.data, old.size);
		ASSERT(mem_tree_delete(tree, slice_of(memory, old.size)));
	}
	mem->changes[table]++;
	return 0;
}

static int
mem_clear(struct store_txn *txn, store_table table)
{
	struct mem_txn *mem = mem_txn_of(txn);
	int code = disk_step(txn->store);

	if (code != 0) {
		mem->failed = true;
		return code;
	}
	mem_tree_release(mem_table(txn, table));
	mem->changes[table]++;
	return 0;
}

static int
mem_cursor_open(
    struct store_txn *txn, store_table table, struct store_cursor **ret_cursor)
{
	struct mem_txn *mem = mem_txn_of(txn);
	struct mem_cursor *cursor;
	int code = disk_step(txn->store);

	if (code != 0)
		return code;
	ASSERT(table < disk_of(txn->store)->tables_count);
	cursor = mem_alloc(sizeof(*cursor));
	*cursor = (struct mem_cursor){ .cursor = { .store = txn->store },
		.txn = mem,
		.table = table,
		.changes = mem->changes[table] };
	mem->cursors_count++;
	*ret_cursor = &cursor->cursor;
	return 0;
}

static struct mem_cursor *
mem_cursor_of(struct store_cursor *cursor)
{
	return CONTAINER_OF(cursor, struct mem_cursor, cursor);
}

static void
mem_cursor_close(struct store_cursor *cursor)
{
	mem_cursor_of(cursor)->txn->cursors_count--;
	free(mem_cursor_of(cursor));
}

static const struct mem_record *
mem_cursor_step(
    const struct mem_cursor *cursor, enum store_move where, struct slice key)
{
	const struct mem_tree *tree = &cursor->txn->tables[cursor->table];
	const struct mem_record *record = cursor->record;

	switch (where) {
	case STORE_FIRST: return mem_tree_first(tree);
	case STORE_LAST: return mem_tree_last(tree);
	case STORE_NEXT:
		return record == NULL
			   ? mem_tree_first(tree)
			   : mem_tree_above(tree, mem_record_key(record));
	case STORE_PREVIOUS:
		return record == NULL
			   ? mem_tree_last(tree)
			   : mem_tree_below(tree, mem_record_key(record));
	case STORE_AT_OR_AFTER: return mem_tree_at_or_above(tree, key);
	}
	return NULL;
}

static int
mem_cursor_move(struct store_cursor *cursor, enum store_move where,
    struct slice key, struct slice *ret_key, struct slice *ret_value)
{
	struct mem_cursor *mem = mem_cursor_of(cursor);
	const struct mem_record *record;
	int code = disk_step(cursor->store);

	if (code != 0)
		return code;
	ASSERT(mem->changes == mem->txn->changes[mem->table]);
	record = mem_cursor_step(mem, where, key);
	if (record == NULL)
		return ERR_NOT_FOUND;
	mem->record = record;
	*ret_key = mem_record_key(record);
	*ret_value = mem_record_value(record);
	return 0;
}

static void
mem_stat(struct store *store, struct store_stat *ret_stat)
{
	const struct store_mem_disk *disk = disk_of(store);

	ret_stat->file_bytes = disk->bytes_max;
	ret_stat->map_bytes = disk->capacity;
	ret_stat->used_bytes = tables_bytes(disk->tables, disk->tables_count);
}

static void
mem_close(struct store *store)
{
	disk_of(store)->opened = NULL;
	free(CONTAINER_OF(store, struct mem_store, store));
}

static const struct store_ops mem_ops = {
	.begin = mem_begin,
	.commit = mem_commit,
	.abort = mem_abort,
	.get = mem_get,
	.put = mem_put,
	.del = mem_del,
	.del_until = mem_del_until,
	.clear = mem_clear,
	.cursor_open = mem_cursor_open,
	.cursor_close = mem_cursor_close,
	.cursor_move = mem_cursor_move,
	.stat = mem_stat,
	.close = mem_close,
};

struct store_mem_disk *
store_mem_disk_new(unsigned tables_count)
{
	struct store_mem_disk *disk = mem_zalloc(1, sizeof(*disk));

	ASSERT(tables_count <= STORE_TABLES_MAX);
	disk->tables_count = tables_count;
	disk->capacity = UINT64_MAX;
	rng_init(&disk->rng, 1);
	return disk;
}

void
store_mem_disk_free(struct store_mem_disk *disk)
{
	if (disk == NULL)
		return;
	ASSERT(disk->opened == NULL);
	release_tables(disk->tables, disk->tables_count);
	free(disk);
}

struct store_mem_disk *
store_mem_disk_clone(const struct store_mem_disk *disk)
{
	struct store_mem_disk *clone = store_mem_disk_new(disk->tables_count);

	share_tables(clone->tables, disk->tables, disk->tables_count);
	clone->bytes_max = disk->bytes_max;
	return clone;
}

void
store_mem_take_back(
    struct store_mem_disk *disk, const struct store_mem_disk *from)
{
	ASSERT(disk->tables_count == from->tables_count);
	release_tables(disk->tables, disk->tables_count);
	share_tables(disk->tables, from->tables, disk->tables_count);
}

struct store *
store_mem_open(struct store_mem_disk *disk)
{
	struct mem_store *store = mem_zalloc(1, sizeof(*store));

	ASSERT(disk->opened == NULL);
	store->store.ops = &mem_ops;
	store->disk = disk;
	disk->opened = &store->store;
	return &store->store;
}

uint64_t
store_mem_digest(const struct store_mem_disk *disk)
{
	uint64_t digest = 0;

	/* Weighed, so that a record counts for the table it is in. */
	for (unsigned i = 0; i < disk->tables_count; i++)
		digest += disk->tables[i].digest * (2 * i + 1);
	return digest;
}

void
store_mem_fail_operation(struct store_mem_disk *disk, uint64_t n, int code)
{
	disk->operation_fault = (struct fault){ .left = n, .code = code };
}

void
store_mem_fail_commit(struct store_mem_disk *disk, uint64_t n, int code)
{
	disk->commit_fault = (struct fault){ .left = n, .code = code };
}

void
store_mem_seed(struct store_mem_disk *disk, uint64_t seed)
{
	rng_init(&disk->rng, seed);
}

void
store_mem_set_capacity(struct store_mem_disk *disk, uint64_t bytes)
{
	disk->capacity = bytes;
}

static bool
flip_in_tree(struct mem_tree *tree, struct slice key, uint64_t bit)
{
	const struct mem_record *record = mem_tree_find(tree, key);
	struct slice value;
	uint8_t *damaged;

	if (record == NULL || record->value_size == 0)
		return false;
	value = mem_record_value(record);
	damaged = mem_copy(value.data, value.size);
	bit %= value.size * 8;
	damaged[bit / 8] ^= (uint8_t)(1u << bit % 8);
	mem_tree_put(tree, key, slice_of(damaged, value.size));
	free(damaged);
	return true;
}

bool
store_mem_flip_bit(struct store_mem_disk *disk, store_table table,
    struct slice key, uint64_t bit)
{
	struct store_txn *writer =
	    disk->opened == NULL ? NULL : disk->opened->writer;

	ASSERT(table < disk->tables_count);
	/* A record that the transaction has deleted stays deleted. */
	if (writer != NULL)
		(void)flip_in_tree(mem_table(writer, table), key, bit);
	return flip_in_tree(&disk->tables[table], key, bit);
}

static bool
replace_in_tree(struct mem_tree *tree, struct slice key, struct slice value)
{
	if (mem_tree_find(tree, key) == NULL)
		return false;
	if (value.data == NULL)
		return mem_tree_delete(tree, key);
	mem_tree_put(tree, key, value);
	return true;
}

bool
store_mem_replace(struct store_mem_disk *disk, store_table table,
    struct slice key, struct slice value)
{
	struct store_txn *writer =
	    disk->opened == NULL ? NULL : disk->opened->writer;

	ASSERT(table < disk->tables_count);
	if (writer != NULL)
		(void)replace_in_tree(mem_table(writer, table), key, value);
	return replace_in_tree(&disk->tables[table], key, value);
}

bool
store_mem_pick(const struct store_mem_disk *disk, store_table table,
    uint64_t random, struct buf *ret_key, struct buf *ret_value)
{
	const struct mem_tree *tree = &disk->tables[table];
	const struct mem_record *record = mem_tree_first(tree);
	uint64_t skip = tree->count == 0 ? 0 : random % tree->count;

	ASSERT(table < disk->tables_count);
	if (record == NULL)
		return false;
	for (; skip > 0; skip--)
		record = mem_tree_above(tree, mem_record_key(record));
	buf_append_slice(ret_key, mem_record_key(record));
	buf_append_slice(ret_value, mem_record_value(record));
	return true;
}

uint64_t
store_mem_commits_count(const struct store_mem_disk *disk)
{
	return disk->commits_count;
}

uint64_t
store_mem_operations_count(const struct store_mem_disk *disk)
{
	return disk->operations_count;
}
