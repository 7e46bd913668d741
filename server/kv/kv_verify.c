#include "kv/kv_impl.h"

static int
kv_count_item(struct kv_state *sums, struct slice key, struct slice record)
{
	struct kv_item item;
	int code = kv_item_decode(key, record, &item);

	if (code != 0)
		return code;
	if (key.size > KV_KEY_SIZE_MAX || item.modified > sums->revision)
		return ERR_CORRUPT;
	sums->keys_count++;
	sums->live_bytes += key.size + item.value.size;
	sums->records_hash += kv_record_hash(key, record);
	return 0;
}

static int
kv_count_meta(struct kv_state *sums, struct slice key, struct slice record)
{
	struct slice body;
	int code = kv_unseal(key, record, &body);

	if (code != 0 || slice_equal(key, kv_state_key()))
		return code;
	sums->metas_count++;
	sums->metas_hash += kv_record_hash(key, record);
	return 0;
}

int
kv_count_record(struct kv_state *sums, unsigned table, struct slice key,
    struct slice record)
{
	return table == KV_TABLE_KV ? kv_count_item(sums, key, record)
				    : kv_count_meta(sums, key, record);
}

static int
kv_scan(struct kv *kv, enum kv_table table, struct kv_state *sums)
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
			code = kv_count_record(sums, table, key, record);
	}
	store_cursor_close(cursor);
	/* No record says so: it is the end of the table. */
	return code == ERR_NOT_FOUND ? 0 : code;
}

bool
kv_sums_agree(const struct kv_state *a, const struct kv_state *b)
{
	return a->keys_count == b->keys_count &&
	       a->live_bytes == b->live_bytes &&
	       a->records_hash == b->records_hash &&
	       a->metas_count == b->metas_count &&
	       a->metas_hash == b->metas_hash;
}

int
kv_verify(struct kv *kv)
{
	struct kv_state sums = { .revision = kv->state.revision };
	int code;

	if (kv->failed)
		return ERR_STOPPED;
	code = kv_scan(kv, KV_TABLE_KV, &sums);
	if (code == 0)
		code = kv_scan(kv, KV_TABLE_META, &sums);
	if (code == 0 && !kv_sums_agree(&sums, &kv->state))
		code = ERR_CORRUPT;
	return kv_note(kv, code);
}
