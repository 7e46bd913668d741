/* The node's own records, beside the state in "meta". */

#include "kv/kv_impl.h"

#include "common/panic.h"

#define KV_META_PREFIX "node."
#define KV_META_KEY_SIZE_MAX                                                   \
	(sizeof(KV_META_PREFIX) - 1 + KV_META_NAME_SIZE_MAX)

/* The key of a name in "meta", in `to` of KV_META_KEY_SIZE_MAX bytes. */
static struct slice
kv_meta_key(const char *name, uint8_t *to)
{
	struct slice prefix = slice_from_text(KV_META_PREFIX);
	struct slice text = slice_from_text(name);

	ASSERT(text.size >= 1);
	ASSERT(text.size <= KV_META_NAME_SIZE_MAX);
	memcpy(to, prefix.data, prefix.size);
	memcpy(to + prefix.size, text.data, text.size);
	return slice_of(to, prefix.size + text.size);
}

bool
kv_meta_is_key(struct slice key)
{
	struct slice prefix = slice_from_text(KV_META_PREFIX);

	return key.size > prefix.size && key.size <= KV_META_KEY_SIZE_MAX &&
	       memcmp(key.data, prefix.data, prefix.size) == 0;
}

int
kv_set_meta(struct kv *kv, const char *name, struct slice bytes)
{
	uint8_t key[KV_META_KEY_SIZE_MAX];

	ASSERT(bytes.size <= KV_META_SIZE_MAX);
	if (kv->failed)
		return ERR_STOPPED;
	return kv_note(
	    kv, kv_table_put(kv, KV_TABLE_META, kv_meta_key(name, key), bytes));
}

int
kv_meta_load(struct store_txn *txn, const char *name, struct slice *ret_bytes)
{
	uint8_t bytes[KV_META_KEY_SIZE_MAX];
	struct slice key = kv_meta_key(name, bytes);
	struct slice record;
	int code = store_get(txn, KV_TABLE_META, key, &record);

	return code != 0 ? code : kv_unseal(key, record, ret_bytes);
}

int
kv_get_meta(struct kv *kv, const char *name, struct slice *ret_bytes)
{
	int code;

	if (kv->failed)
		return ERR_STOPPED;
	code = kv_meta_load(kv->txn, name, ret_bytes);
	return code == ERR_NOT_FOUND ? code : kv_note(kv, code);
}
