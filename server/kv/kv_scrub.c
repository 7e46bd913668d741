#include "kv/kv_piece.h"

#include "common/mem.h"
#include "common/text.h"
#include <stdlib.h>

/* No more than this of a key is shown. */
#define KV_SHOWN_KEY_SIZE_MAX 64

struct kv_scrub {
	struct kv *kv;
	struct kv_position position; /* of the last record read */
	/* Where its table ended when it was begun: what is written behind it
	 * since, maybe faster than it is read, is for the next pass. */
	struct kv_position end;
	/* Of the records read so far; they have to add up if none changed
	 * since the pass began. */
	struct kv_count count;
	uint64_t changes_count;
	uint64_t compacted;
	size_t left;               /* bytes that the step may read */
	size_t bytes;              /* that it has read */
	struct store_scrub beside; /* what is in no table */
	bool beside_is_bad;
	unsigned bad_table;
	struct buf bad_key; /* empty: no single record is to blame */
	bool sums_differ;   /* or links do */
};

struct kv_scrub *
kv_scrub_new(struct kv *kv)
{
	struct kv_scrub *scrub = mem_zalloc(1, sizeof(*scrub));

	scrub->kv = kv;
	kv_count_begin(&scrub->count, &kv->state);
	scrub->changes_count = kv->changes_count;
	scrub->compacted = kv->state.compacted;
	return scrub;
}

void
kv_scrub_free(struct kv_scrub *scrub)
{
	if (scrub == NULL)
		return;
	buf_release(&scrub->bad_key);
	free(scrub);
}

static int
kv_scrub_record(struct kv_scrub *scrub, unsigned table,
    const struct kv_piece_record *record)
{
	size_t size = record->key.size + record->record.size;
	int code =
	    kv_count_record(&scrub->count, table, record->key, record->record);

	scrub->bytes += size;
	scrub->left -= MIN(scrub->left, size);
	if (code == 0) {
		kv_position_set(&scrub->position, table, record->key);
		return 0;
	}
	scrub->bad_table = table;
	buf_append_slice(&scrub->bad_key, record->key);
	return code;
}

/* ERR_NOT_FOUND: the table is empty. */
static int
kv_scrub_begin_table(
    struct kv_scrub *scrub, unsigned table, struct store_cursor *cursor)
{
	struct slice key = slice_of(NULL, 0);
	struct slice record;
	int code = store_cursor_move(cursor, STORE_LAST, key, &key, &record);

	if (code == 0)
		kv_position_set(&scrub->end, table, key);
	return code;
}

/* ERR_NOT_FOUND: the table has no more. */
static int
kv_scrub_run(
    struct kv_scrub *scrub, unsigned table, struct store_cursor *cursor)
{
	struct kv_piece_record next = { .table = table };
	const struct kv_position *end = &scrub->end;
	int code = 0;

	if (end->table != table || end->key_size == 0)
		code = kv_scrub_begin_table(scrub, table, cursor);
	if (code == 0)
		code = kv_cursor_seek(cursor, &scrub->position, &next);
	while (code == 0) {
		if (slice_compare(next.key, slice_of(end->key, end->key_size)) >
		    0)
			return ERR_NOT_FOUND;
		code = kv_scrub_record(scrub, table, &next);
		if (code != 0 || scrub->left == 0)
			return code;
		code = store_cursor_move(
		    cursor, STORE_NEXT, next.key, &next.key, &next.record);
	}
	return code;
}

static int
kv_scrub_all(struct kv_scrub *scrub)
{
	struct store_cursor *cursor;
	int code;

	for (unsigned table = scrub->position.table; table < KV_TABLES_COUNT;
	     table++) {
		code = store_cursor_open(scrub->kv->txn, table, &cursor);
		if (code != 0)
			return code;
		code = kv_scrub_run(scrub, table, cursor);
		store_cursor_close(cursor);
		if (code != ERR_NOT_FOUND)
			return code;
	}
	return ERR_NOT_FOUND;
}

/* ERR_NOT_FOUND: there is no more. */
static int
kv_scrub_beside(struct kv_scrub *scrub)
{
	size_t bytes;
	int code = store_scrub_step(
	    scrub->kv->txn, &scrub->beside, scrub->left, &bytes);

	scrub->bytes += bytes;
	scrub->beside_is_bad = code == ERR_CORRUPT;
	return code;
}

/* All was read, of one state: then nothing is missing, and nothing foreign. */
static int
kv_scrub_end(struct kv_scrub *scrub)
{
	const struct kv *kv = scrub->kv;

	if (kv->changes_count != scrub->changes_count ||
	    kv->state.compacted != scrub->compacted)
		return ERR_NOT_FOUND;
	scrub->sums_differ = !kv_count_agrees(&scrub->count, &kv->state);
	return scrub->sums_differ ? ERR_CORRUPT : ERR_NOT_FOUND;
}

int
kv_scrub_step(struct kv_scrub *scrub, size_t bytes_max, size_t *ret_bytes)
{
	int code;

	if (scrub->kv->failed)
		return ERR_STOPPED;
	scrub->count.state = scrub->kv->state;
	scrub->left = bytes_max;
	scrub->bytes = 0;
	code = kv_scrub_all(scrub);
	if (code == ERR_NOT_FOUND)
		code = kv_scrub_beside(scrub);
	if (code == ERR_NOT_FOUND)
		code = kv_scrub_end(scrub);
	*ret_bytes = scrub->bytes;
	return code == ERR_NOT_FOUND ? code : kv_note(scrub->kv, code);
}

/* What a record of a table is called. */
static void
kv_scrub_describe_table(unsigned table, struct buf *to)
{
	if (table == KV_TABLE_KV)
		buf_append_text(to, "key ");
	else if (table == KV_TABLE_META)
		buf_append_text(to, "record ");
	else
		buf_printf(to, "%s record ", kv_tables[table]);
}

/* Are its keys text, as a rule? */
static bool
kv_table_has_text(unsigned table)
{
	return table == KV_TABLE_META || table == KV_TABLE_KV ||
	       table == KV_TABLE_GONE || table == KV_TABLE_REPLAY;
}

void
kv_scrub_describe(const struct kv_scrub *scrub, struct buf *to)
{
	struct slice key = buf_slice(&scrub->bad_key);

	buf_append_text(to, "data");
	if (scrub->sums_differ)
		buf_append_text(to,
		    ": records are missing or foreign, or those of two tables "
		    "contradict each other");
	if (scrub->beside_is_bad)
		buf_append_text(to, ": the memtable's log");
	if (key.size == 0)
		return;
	key.size = MIN(key.size, KV_SHOWN_KEY_SIZE_MAX);
	buf_append_text(to, ": ");
	kv_scrub_describe_table(scrub->bad_table, to);
	if (kv_table_has_text(scrub->bad_table) && text_is_utf8(key))
		text_append_json_string(to, key);
	else
		text_append_hex(to, key);
}
