#include "kv/kv_impl.h"

/* Takes one record of a table into the sums; ERR_CORRUPT, ERR_VERSION. */
typedef int
kv_scan_visit(struct kv_state *sums, struct slice key, struct slice record);

static int
kv_visit_item(struct kv_state *sums, struct slice key, struct slice record)
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
kv_visit_meta(struct kv_state *sums, struct slice key, struct slice record)
{
	struct slice body;
	int code = kv_unseal(key, record, &body);

	if (code != 0 || slice_equal(key, kv_state_key()))
		return code;
	sums->metas_count++;
	sums->metas_hash += kv_record_hash(key, record);
	return 0;
}

static int
kv_scan(struct kv *kv, enum kv_table table, kv_scan_visit *visit,
    struct kv_state *sums)
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
			code = visit(sums, key, record);
	}
	store_cursor_close(cursor);
	/* No visit says so: it is the end of the table. */
	return code == ERR_NOT_FOUND ? 0 : code;
}

static bool
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
	code = kv_scan(kv, KV_TABLE_KV, kv_visit_item, &sums);
	if (code == 0)
		code = kv_scan(kv, KV_TABLE_META, kv_visit_meta, &sums);
	if (code == 0 && !kv_sums_agree(&sums, &kv->state))
		code = ERR_CORRUPT;
	return kv_note(kv, code);
}
