/*
 * The state in memory (struct kv_state) runs ahead of the stored one: it is
 * written once per checkpoint, right before the commit, so that what the disk
 * holds always agrees with itself.
 */

#include "kv/kv_impl.h"

#include "common/mem.h"
#include "common/panic.h"
#include <stdlib.h>

/* A scratch buffer grown over this by a large value is not kept. */
#define KV_SCRATCH_SIZE_MAX (64 * 1024)

const char *const kv_tables[KV_TABLES_COUNT] = {
	[KV_TABLE_META] = "meta",
	[KV_TABLE_KV] = "kv",
};

int
kv_note(struct kv *kv, int code)
{
	if (code != 0)
		kv->failed = true;
	return code;
}

static void
kv_check_key(struct slice key)
{
	ASSERT(key.size >= 1);
	ASSERT(key.size <= KV_KEY_SIZE_MAX);
}

int
kv_state_load(struct store_txn *txn, struct kv_state *ret_state)
{
	struct slice record;
	int code = store_get(txn, KV_TABLE_META, kv_state_key(), &record);

	if (code == ERR_NOT_FOUND) {
		*ret_state = (struct kv_state){ 0 };
		return 0;
	}
	return code != 0 ? code : kv_state_decode(record, ret_state);
}

int
kv_open(struct store *data, bool verify, struct kv **ret_kv)
{
	struct kv *kv = mem_zalloc(1, sizeof(*kv));
	int code;

	kv->data = data;
	code = store_begin(data, true, &kv->txn);
	if (code == 0)
		code = kv_state_load(kv->txn, &kv->state);
	if (code == 0 && verify)
		code = kv_verify(kv);
	if (code != 0) {
		kv_close(kv);
		return code;
	}
	kv->checkpoint_index = kv->state.applied_index;
	*ret_kv = kv;
	return 0;
}

void
kv_close(struct kv *kv)
{
	if (kv == NULL)
		return;
	if (kv->txn != NULL)
		store_abort(kv->txn);
	buf_release(&kv->scratch);
	free(kv);
}

/* A stored record of a key, with the item in it. */
struct kv_found {
	struct slice record;
	struct kv_item item;
};

static int
kv_find(struct kv *kv, struct slice key, struct kv_found *ret_found)
{
	int code = store_get(kv->txn, KV_TABLE_KV, key, &ret_found->record);

	if (code != 0)
		return code;
	code = kv_item_decode(key, ret_found->record, &ret_found->item);
	if (code != 0)
		return code;
	return ret_found->item.modified <= kv->state.revision ? 0 : ERR_CORRUPT;
}

static void
kv_count_in(
    struct kv *kv, struct slice key, struct slice record, struct slice value)
{
	kv->state.keys_count++;
	kv->state.live_bytes += key.size + value.size;
	kv->state.records_hash += kv_record_hash(key, record);
}

/*
 * ERR_CORRUPT if more is stored than was counted: a record that is sound in
 * itself may be another one than was written last.
 */
static int
kv_count_out(struct kv *kv, struct slice key, const struct kv_found *found)
{
	size_t bytes = key.size + found->item.value.size;

	if (kv->state.keys_count == 0 || kv->state.live_bytes < bytes)
		return ERR_CORRUPT;
	kv->state.keys_count--;
	kv->state.live_bytes -= bytes;
	kv->state.records_hash -= kv_record_hash(key, found->record);
	return 0;
}

static void
kv_mark_dirty(struct kv *kv, size_t bytes)
{
	kv->dirty_bytes += bytes;
	kv->dirty_count++;
}

static int
kv_put(struct kv *kv, struct slice key, struct slice value,
    struct kv_result *ret_result)
{
	uint64_t revision = kv->state.revision + 1;
	struct kv_item item = { .value = value,
		.created = revision,
		.modified = revision,
		.version = 1 };
	struct kv_found old;
	struct slice record;
	int found = kv_find(kv, key, &old);

	if (found != 0 && found != ERR_NOT_FOUND)
		return found;
	if (found == 0) {
		item.created = old.item.created;
		item.version = old.item.version + 1;
		/* Before the put: `old` lies in the store. */
		if (kv_count_out(kv, key, &old) != 0)
			return ERR_CORRUPT;
	}
	buf_reset(&kv->scratch);
	kv_item_encode(&kv->scratch, key, &item);
	record = buf_slice(&kv->scratch);
	kv_count_in(kv, key, record, value);
	kv_mark_dirty(kv, key.size + record.size);
	kv->state.revision = revision;
	*ret_result = (struct kv_result){
		.outcome = found == 0 ? KV_REPLACED : KV_CREATED,
		.revision = revision,
		.created = item.created,
		.version = item.version,
	};
	return store_put(kv->txn, KV_TABLE_KV, key, record);
}

static int
kv_delete(struct kv *kv, struct slice key, struct kv_result *ret_result)
{
	struct kv_found old;
	int code = kv_find(kv, key, &old);

	if (code == ERR_NOT_FOUND) {
		*ret_result = (struct kv_result){ .outcome = KV_NOT_FOUND,
			.revision = kv->state.revision };
		return 0;
	}
	if (code == 0)
		code = kv_count_out(kv, key, &old);
	if (code != 0)
		return code;
	kv_mark_dirty(kv, key.size);
	kv->state.revision++;
	*ret_result = (struct kv_result){
		.outcome = KV_DELETED,
		.revision = kv->state.revision,
		.created = old.item.created,
		.version = old.item.version,
	};
	/* It was there a moment ago: a miss is damage, like any other error. */
	code = store_delete(kv->txn, KV_TABLE_KV, key);
	return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
}

static int
kv_run(struct kv *kv, struct slice bytes, struct kv_result *ret_result)
{
	struct kv_command command;
	int code = kv_command_decode(bytes, &command);

	if (code != 0)
		return code;
	switch (command.op) {
	case KV_OP_PUT:
		return kv_put(kv, command.key, command.value, ret_result);
	case KV_OP_DELETE: return kv_delete(kv, command.key, ret_result);
	}
	return ERR_CORRUPT;
}

static void
kv_advance(struct kv *kv, uint64_t index)
{
	ASSERT(kv->state.revision <= index);
	kv->state.applied_index = index;
	kv->dirty = true;
}

int
kv_apply(struct kv *kv, uint64_t index, uint64_t cluster_time_us,
    struct slice command, struct kv_result *ret_result)
{
	struct kv_result result;
	int code;

	ASSERT(index == kv->state.applied_index + 1);
	if (kv->failed)
		return ERR_STOPPED;
	code = kv_note(kv, kv_run(kv, command, &result));
	if (kv->scratch.capacity > KV_SCRATCH_SIZE_MAX)
		buf_release(&kv->scratch);
	if (code != 0)
		return code;
	kv->state.cluster_time_us =
	    MAX(kv->state.cluster_time_us, cluster_time_us);
	kv_advance(kv, index);
	*ret_result = result;
	return 0;
}

int
kv_skip(struct kv *kv, uint64_t index)
{
	ASSERT(index == kv->state.applied_index + 1);
	if (kv->failed)
		return ERR_STOPPED;
	kv_advance(kv, index);
	return 0;
}

static int
kv_commit(struct kv *kv)
{
	struct store_txn *txn = kv->txn;
	int code;

	buf_reset(&kv->scratch);
	kv_state_encode(&kv->scratch, &kv->state);
	code = store_put(
	    txn, KV_TABLE_META, kv_state_key(), buf_slice(&kv->scratch));
	if (code != 0)
		return code;
	kv->txn = NULL; /* a commit ends it in any case */
	code = store_commit(txn);
	if (code != 0)
		return code;
	return store_begin(kv->data, true, &kv->txn);
}

int
kv_checkpoint(struct kv *kv)
{
	int code;

	if (kv->failed)
		return ERR_STOPPED;
	if (!kv->dirty)
		return 0;
	code = kv_note(kv, kv_commit(kv));
	if (code != 0)
		return code;
	ASSERT(kv->checkpoint_index <= kv->state.applied_index);
	kv->checkpoint_index = kv->state.applied_index;
	kv->dirty_bytes = 0;
	kv->dirty_count = 0;
	kv->dirty = false;
	return 0;
}

int
kv_get(struct kv *kv, struct slice key, struct kv_item *ret_item)
{
	struct kv_found found;
	int code;

	kv_check_key(key);
	if (kv->failed)
		return ERR_STOPPED;
	code = kv_find(kv, key, &found);
	if (code == ERR_NOT_FOUND)
		return code;
	if (kv_note(kv, code) != 0)
		return code;
	*ret_item = found.item;
	return 0;
}

void
kv_get_stats(const struct kv *kv, struct kv_stats *ret_stats)
{
	*ret_stats = (struct kv_stats){
		.keys_count = kv->state.keys_count,
		.live_bytes = kv->state.live_bytes,
		.dirty_bytes = kv->dirty_bytes,
		.dirty_count = kv->dirty_count,
		.checkpoint_index = kv->checkpoint_index,
	};
}

uint64_t
kv_revision(const struct kv *kv)
{
	return kv->state.revision;
}

uint64_t
kv_applied_index(const struct kv *kv)
{
	return kv->state.applied_index;
}

uint64_t
kv_state_hash(const struct kv *kv)
{
	return kv_state_digest(&kv->state);
}
