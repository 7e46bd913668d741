#include "kv/kv_impl.h"

static int
kv_count_table(struct kv *kv, struct kv_count *count, unsigned table)
{
	struct store_cursor *cursor;
	struct slice key;
	struct slice record;
	int code = store_cursor_open(kv->txn, table, &cursor);

	if (code != 0)
		return code;
	while (code == 0) {
		code = store_cursor_move(
		    cursor, STORE_NEXT, slice_of(NULL, 0), &key, &record);
		if (code == 0)
			code = kv_count_record(count, table, key, record);
	}
	store_cursor_close(cursor);
	/* No record says so: it is the end of the table. */
	return code == ERR_NOT_FOUND ? 0 : code;
}

int
kv_verify(struct kv *kv)
{
	struct kv_count count;
	int code = 0;

	if (kv->failed)
		return ERR_STOPPED;
	kv_count_begin(&count, &kv->state);
	for (unsigned i = 0; code == 0 && i < KV_TABLES_COUNT; i++)
		code = kv_count_table(kv, &count, i);
	if (code == 0 && !kv_count_agrees(&count, &kv->state))
		code = ERR_CORRUPT;
	return kv_note(kv, code);
}
