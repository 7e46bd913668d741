/*
 * Answers kept for commands that carry an identity, so that a client which
 * repeats one gets what it missed and changes nothing. They are part of the
 * state, so that any leader knows them. "replay" finds one by its identity,
 * "order" has them by age.
 *
 * One that is too old is not known, whether it is still stored or not: so those
 * may be dropped late and a few at a time. One that is dropped before, as there
 * are too many, is not known either.
 */

#include "kv/kv_impl.h"

#include "common/panic.h"

/* More than one, so that a backlog of those that are too old gets shorter. */
#define KV_REPLAY_DROPS_PER_KEEP 4

static struct slice
kv_order_key(uint64_t index, uint8_t to[sizeof(uint64_t)])
{
	codec_store_u64(to, index);
	return slice_of(to, sizeof(index));
}

int
kv_replay_decode(struct slice body, struct kv_replay *ret_replay)
{
	struct codec_reader reader;
	struct kv_replay replay;

	codec_reader_init(&reader, body);
	replay.digest = codec_read_u64(&reader);
	replay.deadline_us = codec_read_u64(&reader);
	replay.index = codec_read_u64(&reader);
	replay.result = reader.rest;
	if (reader.failed)
		return ERR_CORRUPT;
	*ret_replay = replay;
	return 0;
}

static int
kv_replay_load(
    struct kv *kv, struct slice identity, struct kv_replay *ret_replay)
{
	struct slice body;
	int code = kv_table_get(kv, KV_TABLE_REPLAY, identity, &body);

	return code != 0 ? code : kv_replay_decode(body, ret_replay);
}

/* Its result, with the outputs in kv->outputs. */
static int
kv_replay_give(
    struct kv *kv, const struct kv_replay *replay, struct kv_result *ret_result)
{
	struct kv_result result;
	int code = kv_result_decode(replay->result, &result);

	if (code != 0)
		return code;
	/* The record goes with the next change, the result stays longer. */
	buf_reset(&kv->outputs);
	buf_append_slice(&kv->outputs, result.outputs);
	result.outputs = buf_slice(&kv->outputs);
	result.replayed = true;
	*ret_result = result;
	return 0;
}

int
kv_replay_find(struct kv *kv, const struct kv_identity *identity,
    bool *ret_known, struct kv_result *ret_result)
{
	struct kv_replay replay;
	int code = kv_replay_load(kv, identity->key, &replay);

	*ret_known = false;
	if (code != 0)
		return code == ERR_NOT_FOUND ? 0 : code;
	if (replay.deadline_us <= kv->now.time_us)
		return 0;
	*ret_known = true;
	if (replay.digest == identity->digest)
		return kv_replay_give(kv, &replay, ret_result);
	*ret_result = (struct kv_result){ .status = KV_REUSED,
		.revision = kv->state.revision };
	return 0;
}

int
kv_has_replay(struct kv *kv, struct slice identity, bool *ret_known)
{
	struct kv_replay replay;
	int code;

	if (kv->failed)
		return ERR_STOPPED;
	code = kv_replay_load(kv, identity, &replay);
	*ret_known =
	    code == 0 && replay.deadline_us > kv->state.cluster_time_us;
	return code == ERR_NOT_FOUND ? 0 : kv_note(kv, code);
}

static int
kv_replay_store(struct kv *kv, const struct kv_identity *identity,
    const struct kv_result *result)
{
	struct buf *body = kv_body(kv);

	codec_append_u64(body, identity->digest);
	codec_append_u64(body, kv->now.time_us + KV_REPLAY_US);
	codec_append_u64(body, kv->now.index);
	kv_result_encode(body, result);
	return kv_table_put(
	    kv, KV_TABLE_REPLAY, identity->key, buf_slice(body));
}

int
kv_replay_keep(struct kv *kv, const struct kv_identity *identity,
    const struct kv_result *result)
{
	uint8_t key[sizeof(uint64_t)];
	struct kv_replay before;
	struct buf *body;
	int code;

	ASSERT(identity->key.size >= 1);
	ASSERT(identity->key.size <= KV_IDENTITY_SIZE_MAX);
	ASSERT(!result->replayed);
	/* One that is too old may still be there. */
	code = kv_replay_load(kv, identity->key, &before);
	if (code == 0)
		code = kv_table_delete(
		    kv, KV_TABLE_ORDER, kv_order_key(before.index, key));
	else if (code == ERR_NOT_FOUND)
		code = 0;
	if (code != 0)
		return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
	code = kv_replay_store(kv, identity, result);
	if (code != 0)
		return code;
	body = kv_body(kv);
	buf_append_slice(body, identity->key);
	code = kv_table_append(kv, KV_TABLE_ORDER,
	    kv_order_key(kv->now.index, key), buf_slice(body));
	return code != 0 ? code : kv_replay_drop(kv, KV_REPLAY_DROPS_PER_KEEP);
}

/* The index of the oldest one, and its identity, which is borrowed from the
 * store. ERR_NOT_FOUND: there is none. */
static int
kv_replay_first(struct kv *kv, struct slice *ret_identity, uint64_t *ret_index)
{
	struct slice key;
	int code = kv_table_seek(
	    kv, KV_TABLE_ORDER, slice_of(NULL, 0), &key, ret_identity);

	if (code != 0)
		return code;
	if (key.size != sizeof(uint64_t) || ret_identity->size == 0 ||
	    ret_identity->size > KV_IDENTITY_SIZE_MAX)
		return ERR_CORRUPT;
	*ret_index = codec_load_u64(key.data);
	return *ret_index == 0 ? ERR_CORRUPT : 0;
}

/* When that one is too old, which never changes: so its answer, which may be
 * long, is read once while it is the oldest. */
static int
kv_replay_deadline(
    struct kv *kv, struct slice identity, uint64_t index, uint64_t *ret_us)
{
	struct kv_replay replay;
	int code;

	if (index != kv->oldest_replay) {
		code = kv_replay_load(kv, identity, &replay);
		if (code != 0)
			return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
		if (replay.index != index)
			return ERR_CORRUPT;
		kv->oldest_replay = index;
		kv->oldest_replay_us = replay.deadline_us;
	}
	*ret_us = kv->oldest_replay_us;
	return 0;
}

static int
kv_replay_delete(struct kv *kv, struct slice stored_identity, uint64_t index)
{
	uint8_t key[sizeof(uint64_t)];
	uint8_t memory[KV_IDENTITY_SIZE_MAX];
	struct slice identity = slice_of(memory, stored_identity.size);
	int code;

	/* Out of the store, which changes. */
	memcpy(memory, stored_identity.data, stored_identity.size);
	code = kv_table_delete(kv, KV_TABLE_REPLAY, identity);
	if (code == 0)
		code = kv_table_delete(
		    kv, KV_TABLE_ORDER, kv_order_key(index, key));
	return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
}

/* Together they are over the bound, by one answer at most. */
static bool
kv_replays_are_too_large(const struct kv *kv)
{
	return kv->state.sums[KV_TABLE_REPLAY].bytes > KV_REPLAYS_BYTES_MAX;
}

static bool
kv_replay_is_surplus(const struct kv *kv, uint64_t deadline_us)
{
	return deadline_us <= kv->now.time_us ||
	       kv->state.sums[KV_TABLE_REPLAY].count > KV_REPLAYS_MAX ||
	       kv_replays_are_too_large(kv);
}

int
kv_replay_drop(struct kv *kv, unsigned limit)
{
	/* One large answer may take the room of many small ones. */
	for (unsigned i = 0; i < limit || kv_replays_are_too_large(kv); i++) {
		struct slice identity;
		uint64_t index;
		uint64_t deadline_us;
		int code = kv_replay_first(kv, &identity, &index);

		if (code == ERR_NOT_FOUND)
			return 0;
		if (code == 0)
			code = kv_replay_deadline(
			    kv, identity, index, &deadline_us);
		if (code != 0)
			return code;
		if (!kv_replay_is_surplus(kv, deadline_us))
			return 0;
		code = kv_replay_delete(kv, identity, index);
		if (code != 0)
			return code;
	}
	return 0;
}

int
kv_first_replay(struct kv *kv, uint64_t *ret_us)
{
	struct slice identity;
	uint64_t index;
	int code;

	if (kv->failed)
		return ERR_STOPPED;
	code = kv_replay_first(kv, &identity, &index);
	if (code == ERR_NOT_FOUND)
		return code;
	if (code == 0)
		code = kv_replay_deadline(kv, identity, index, ret_us);
	return kv_note(kv, code);
}
