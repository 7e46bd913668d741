/*
 * The state in memory (struct kv_state) runs ahead of the stored one: it is
 * written once per checkpoint, right before the commit, so that what the disk
 * holds always agrees with itself.
 */

#include "kv/kv_impl.h"

#include "common/mem.h"
#include "common/panic.h"
#include "store/store_memtable.h"
#include <stdlib.h>

/* A scratch buffer grown over this by a large value is not kept. */
#define KV_SCRATCH_SIZE_MAX (64 * 1024)
/* In a page, beside key and value, about. */
#define RECORD_OVERHEAD_BYTES 64

const char *const kv_tables[KV_DISK_TABLES_COUNT] = {
	[KV_TABLE_META] = "meta",
	[KV_TABLE_KV] = "kv",
	[KV_TABLE_GONE] = "gone",
	[KV_TABLE_HISTORY] = "history",
	[KV_TABLE_DEADLINE] = "deadline",
	[KV_TABLE_LEASE] = "lease",
	[KV_TABLE_ATTACHED] = "attached",
	[KV_TABLE_LOCK] = "lock",
	[KV_TABLE_REPLAY] = "replay",
	[KV_TABLE_ORDER] = "order",
	[KV_TABLES_COUNT] = "memtable",
};

int
kv_store_open(
    struct store *disk, uint64_t memtable_bytes, struct store **ret_store)
{
	struct store_memtable_params params = {
		.under = disk,
		.tables_count = KV_TABLES_COUNT,
		.bytes_max = memtable_bytes,
	};

	for (unsigned i = 0; i < KV_TABLES_COUNT; i++) {
		/* Meta is written once a checkpoint; deadlines are in the
		 * order of time, and go from the front. */
		if (i != KV_TABLE_META && i != KV_TABLE_DEADLINE &&
		    !kv_table_is_queue(i))
			params.gathers |= UINT32_C(1) << i;
	}
	return store_memtable_open(&params, ret_store);
}

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
	buf_release(&kv->body);
	buf_release(&kv->change);
	buf_release(&kv->copy);
	buf_release(&kv->scratch);
	buf_release(&kv->outputs);
	buf_release(&kv->undo);
	free(kv);
}

/* ---- Apply ---- */

static int
kv_run_mark(struct kv *kv, const struct kv_command *command,
    struct kv_result *ret_result)
{
	(void)kv;
	(void)command;
	(void)ret_result;
	return 0;
}

static int (*const kv_runs[])(struct kv *kv, const struct kv_command *command,
    struct kv_result *ret_result) = {
	[KV_COMMAND_TRANSACTION] = kv_run_transaction,
	[KV_COMMAND_GRANT] = kv_run_grant,
	[KV_COMMAND_RENEW] = kv_run_renew,
	[KV_COMMAND_REVOKE] = kv_run_revoke,
	[KV_COMMAND_LOCK] = kv_run_lock,
	[KV_COMMAND_UNLOCK] = kv_run_unlock,
	[KV_COMMAND_EXPIRE] = kv_run_expire,
	[KV_COMMAND_MARK] = kv_run_mark,
	[KV_COMMAND_COMPACT] = kv_run_compact,
};

/*
 * Can it fail after it changed something? A single operation, after conditions
 * or not, looks first, and so do all that are no transactions.
 */
static bool
kv_may_fail_late(const struct kv_command *command)
{
	return command->then_count > 1 || command->else_count > 1;
}

/* All of the command, or nothing if the result says so. */
static int
kv_run_whole(
    struct kv *kv, const struct kv_command *command, struct kv_result *result)
{
	bool undoable = kv_may_fail_late(command);
	int code;

	if (undoable)
		kv_undo_begin(kv);
	code = kv_runs[command->kind](kv, command, result);
	if (code == 0 && result->status == KV_OK) {
		kv_undo_forget(kv);
		return 0;
	}
	if (code == 0 && undoable)
		code = kv_undo(kv);
	ASSERT(code != 0 || !kv->now.changed);
	return code;
}

/* The command's changes get their revision. */
static void
kv_settle(struct kv *kv, struct kv_result *result)
{
	if (kv->now.changed)
		kv->state.revision = kv->now.revision;
	result->changed = kv->now.changed;
	result->revision = kv->state.revision;
	result->outputs = buf_slice(&kv->outputs);
	kv->now.changed = false;
}

static int
kv_run(struct kv *kv, const struct kv_command *command,
    struct kv_result *ret_result)
{
	bool known = false;
	int code = 0;

	*ret_result = (struct kv_result){ .succeeded = true };
	if (command->identity.key.size != 0)
		code =
		    kv_replay_find(kv, &command->identity, &known, ret_result);
	if (code != 0 || known)
		return code;
	code = kv_run_whole(kv, command, ret_result);
	if (code != 0)
		return code;
	ret_result->succeeded &= ret_result->status == KV_OK;
	kv_settle(kv, ret_result);
	if (command->identity.key.size == 0)
		return 0;
	return kv_replay_keep(kv, &command->identity, ret_result);
}

/* Memory that large values have made large is not kept. */
static void
kv_trim(struct buf *buf)
{
	if (buf->capacity > KV_SCRATCH_SIZE_MAX)
		buf_release(buf);
}

static void
kv_begin(struct kv *kv, uint64_t index, uint64_t cluster_time_us)
{
	kv->now = (struct kv_now){
		.index = index,
		.time_us = MAX(kv->state.cluster_time_us, cluster_time_us),
		.revision = kv->state.revision + 1,
	};
	kv_trim(&kv->outputs);
	buf_reset(&kv->outputs);
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
    struct slice bytes, struct kv_result *ret_result)
{
	struct kv_command command;
	struct kv_result result;
	int code;

	ASSERT(index == kv->state.applied_index + 1);
	if (kv->failed)
		return ERR_STOPPED;
	kv_begin(kv, index, cluster_time_us);
	code = kv_command_decode(bytes, &command);
	if (code == 0)
		code = kv_run(kv, &command, &result);
	kv_trim(&kv->scratch);
	kv_trim(&kv->body);
	kv_trim(&kv->change);
	kv_trim(&kv->copy);
	kv_trim(&kv->undo);
	if (kv_note(kv, code) != 0)
		return code;
	kv->state.cluster_time_us = kv->now.time_us;
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

/* ---- Checkpoint ---- */

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
	kv->dirty = false;
	return 0;
}

/* ---- Looking ---- */

int
kv_get(struct kv *kv, struct slice key, struct kv_item *ret_item)
{
	struct kv_version version;
	int code;

	kv_check_key(key);
	if (kv->failed)
		return ERR_STOPPED;
	code = kv_find(kv, key, &version);
	if (code == ERR_NOT_FOUND)
		return code;
	if (kv_note(kv, code) != 0)
		return code;
	*ret_item = version.item;
	return 0;
}

int
kv_get_deadline(
    struct kv *kv, const struct kv_item *item, uint64_t *ret_deadline_us)
{
	struct kv_lease_record lease;
	int code;

	if (kv->failed)
		return ERR_STOPPED;
	*ret_deadline_us = item->deadline_us;
	if (item->lease == 0)
		return 0;
	code = kv_lease_load(kv, item->lease, &lease);
	/* A lease does not end without its keys: this is one of the past. */
	if (code == ERR_NOT_FOUND)
		return 0;
	if (kv_note(kv, code) != 0)
		return code;
	*ret_deadline_us = lease.deadline_us;
	return 0;
}

/* What the pages of the tables that change anywhere come to at most, half full. */
static uint64_t
spread_pages(const struct kv *kv)
{
	const struct kv_sum *sums = kv->state.sums;
	uint64_t bytes = 0;

	for (unsigned i = 0; i < KV_TABLES_COUNT; i++) {
		if (!kv_table_is_queue(i))
			bytes += sums[i].bytes +
				 sums[i].count * RECORD_OVERHEAD_BYTES;
	}
	return 2 * bytes;
}

void
kv_get_stats(const struct kv *kv, struct kv_stats *ret_stats)
{
	const struct kv_sum *sums = kv->state.sums;

	*ret_stats = (struct kv_stats){
		.keys_count = sums[KV_TABLE_KV].count,
		.live_bytes = kv->state.live_bytes,
		.dirty_bytes = kv->dirty_bytes,
		.commit_bytes =
		    MIN(store_get_commit_bytes(kv->data), spread_pages(kv)),
		.checkpoint_index = kv->checkpoint_index,
		.leases_count = sums[KV_TABLE_LEASE].count,
		.history_count = sums[KV_TABLE_HISTORY].count,
		.history_bytes = sums[KV_TABLE_HISTORY].bytes,
		.expired_count = kv->expired_count,
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
kv_compacted(const struct kv *kv)
{
	return kv->state.compacted;
}

uint64_t
kv_cluster_time_us(const struct kv *kv)
{
	return kv->state.cluster_time_us;
}

uint64_t
kv_state_hash(const struct kv *kv)
{
	return kv_state_digest(&kv->state);
}
