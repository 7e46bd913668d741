/*
 * A key changes here, with all that hangs on it: the version in "kv" or, of one
 * that was deleted, in "gone", the event in "history", its deadline, its place
 * on a lease, and the live bytes.
 */

#include "kv/kv_impl.h"

#include "common/panic.h"

static int
kv_load(struct kv *kv, enum kv_table table, struct slice key,
    struct kv_present *ret_present)
{
	struct kv_version *version = &ret_present->version;
	uint64_t newest =
	    kv->now.changed ? kv->now.revision : kv->state.revision;
	int code = kv_table_get(kv, table, key, &ret_present->body);

	ret_present->table = table;
	if (code == 0)
		code = kv_version_decode(ret_present->body, version);
	if (code != 0)
		return code;
	return version->item.modified <= newest &&
		       version->gone == (table == KV_TABLE_GONE)
		   ? 0
		   : ERR_CORRUPT;
}

int
kv_find(struct kv *kv, struct slice key, struct kv_version *ret_version)
{
	struct kv_present present;
	int code = kv_load(kv, KV_TABLE_KV, key, &present);

	if (code == 0)
		*ret_version = present.version;
	return code;
}

int
kv_look(struct kv *kv, struct slice key, struct kv_present *ret_present)
{
	int code = kv_load(kv, KV_TABLE_KV, key, ret_present);

	if (code == ERR_NOT_FOUND)
		code = kv_load(kv, KV_TABLE_GONE, key, ret_present);
	if (code == ERR_NOT_FOUND) {
		*ret_present = (struct kv_present){ .table = KV_TABLE_GONE };
		return 0;
	}
	return code;
}

/* Did the present command write this version? */
static bool
kv_is_new(const struct kv *kv, const struct kv_version *version)
{
	return kv->now.changed && version->item.modified == kv->now.revision;
}

static int
kv_load_event(
    struct kv *kv, struct kv_place place, struct kv_change *ret_change)
{
	uint8_t memory[KV_PLACE_SIZE];
	struct slice body;
	int code = kv_table_get(
	    kv, KV_TABLE_HISTORY, kv_place_key(place, memory), &body);

	if (code == 0)
		code = kv_change_decode(body, ret_change);
	/* Whoever asks knows that it is there. */
	return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
}

/* ---- Jumps ---- */

/*
 * How far the jump of a version goes back: the last digit that is not 0 of its
 * depth, written with the digits' weights 1, 3, 7, 15 ... (skew-binary; Myers
 * 1983, "An applicative random-access stack"). So two jumps of equal length
 * become one, and the way to any version has O(log n) steps.
 */
static uint64_t
kv_jump_length(uint64_t depth)
{
	uint64_t weight = UINT64_MAX >> 1;

	while (depth != 0) {
		while (weight > depth)
			weight >>= 1;
		depth -= weight;
	}
	return weight;
}

/*
 * The jump of a version that follows `parent`. Most are one version long. One
 * that is longer begins where that of the parent ends, and goes as far as the
 * one there. What would end in history that is gone is one version long again:
 * those before it still serve, so the way stays as short.
 */
static int
kv_choose_jump(
    struct kv *kv, const struct kv_version *parent, struct kv_version *version)
{
	struct kv_change change;
	const struct kv_version *there = &change.before;
	int code;

	version->depth = parent->depth + 1;
	version->jump = kv_version_place(version);
	version->jump_depth = parent->depth;
	if (kv_jump_length(version->depth) == 1 ||
	    parent->jump.revision <= kv->state.compacted)
		return 0;
	code = kv_load_event(kv, parent->jump, &change);
	if (code != 0)
		return code;
	if (!change.existed || there->depth != parent->jump_depth)
		return ERR_CORRUPT;
	if (there->jump.revision <= kv->state.compacted ||
	    version->depth - there->jump_depth !=
		kv_jump_length(version->depth))
		return 0;
	version->jump = there->jump;
	version->jump_depth = there->jump_depth;
	return 0;
}

/* ---- Events ---- */

static void
kv_encode_event(struct kv *kv, struct slice key, enum kv_event_type type,
    const struct kv_present *before)
{
	struct kv_change change = {
		.type = type,
		.time_us = kv->now.time_us,
		.key = key,
		.existed = before->body.data != NULL,
		.before = before->version,
	};

	buf_reset(&kv->change);
	kv_change_encode(&kv->change, &change);
}

/* Gives `version` a new event, that follows what there is; it is ready in
 * kv->change then. */
static int
kv_make_event(struct kv *kv, struct slice key, enum kv_event_type type,
    const struct kv_present *before, struct kv_version *version)
{
	kv_encode_event(kv, key, type, before);
	version->item.modified = kv->now.revision;
	version->ordinal = kv->now.ordinal++;
	version->jump = kv_version_place(version);
	return before->body.data == NULL
		   ? 0
		   : kv_choose_jump(kv, &before->version, version);
}

static int
kv_append_event(struct kv *kv, const struct kv_version *version)
{
	uint8_t memory[KV_PLACE_SIZE];
	struct kv_place place = kv_version_place(version);

	return kv_table_append(kv, KV_TABLE_HISTORY,
	    kv_place_key(place, memory), buf_slice(&kv->change));
}

/* The event of the present command tells of its last change. */
static int
kv_set_event_type(struct kv *kv, struct kv_place place, enum kv_event_type type)
{
	uint8_t memory[KV_PLACE_SIZE];
	struct kv_change change;
	int code = kv_load_event(kv, place, &change);

	if (code != 0 || change.type == type)
		return code;
	change.type = type;
	buf_reset(&kv->change);
	kv_change_encode(&kv->change, &change);
	return kv_table_put(kv, KV_TABLE_HISTORY, kv_place_key(place, memory),
	    buf_slice(&kv->change));
}

/* ---- Lifetimes ---- */

static int
kv_move_deadline(struct kv *kv, struct slice key, uint64_t from, uint64_t to)
{
	int code;

	if (from == to)
		return 0;
	code = kv_deadline_remove(kv, from, key);
	return code != 0 ? code : kv_deadline_add(kv, to, key);
}

static int
kv_move_lease(struct kv *kv, struct slice key, const struct kv_item *from,
    const struct kv_item *to)
{
	uint64_t from_bytes = key.size + from->value.size;
	uint64_t to_bytes = key.size + to->value.size;
	int code = 0;

	if (from->lease == to->lease)
		return from->lease == 0 || from_bytes == to_bytes
			   ? 0
			   : kv_lease_resize(
				 kv, to->lease, from_bytes, to_bytes);
	if (from->lease != 0)
		code = kv_lease_detach(kv, from->lease, key, from_bytes);
	if (code == 0 && to->lease != 0)
		code = kv_lease_attach(kv, to->lease, key, to_bytes);
	return code;
}

/* Of their values the sizes count alone: they may be gone. */
static int
kv_move_lifetime(struct kv *kv, struct slice key, const struct kv_item *from,
    const struct kv_item *to)
{
	int code =
	    kv_move_deadline(kv, key, from->deadline_us, to->deadline_us);

	return code != 0 ? code : kv_move_lease(kv, key, from, to);
}

/* ---- Put ---- */

/* Lets `version` follow what there is. */
static int
kv_follow(struct kv *kv, struct slice key, const struct kv_present *before,
    struct kv_version *version)
{
	version->item.created = kv->now.revision;
	version->item.version = 1;
	if (before->table == KV_TABLE_KV) {
		version->item.created = before->version.item.created;
		version->item.version = before->version.item.version + 1;
	}
	return kv_make_event(kv, key, KV_EVENT_PUT, before, version);
}

/* Lets `version` take the place of what the same command wrote. */
static void
kv_take_place(const struct kv *kv, const struct kv_version *first,
    struct kv_version *version)
{
	version->item.modified = first->item.modified;
	version->item.created =
	    first->gone ? kv->now.revision : first->item.created;
	version->item.version = first->gone ? 1 : first->item.version;
	version->ordinal = first->ordinal;
	version->depth = first->depth;
	version->jump = first->jump;
	version->jump_depth = first->jump_depth;
}

/* Writes the version, which is in kv->body, over what there is. */
static int
kv_write_live(struct kv *kv, struct slice key, const struct kv_present *before)
{
	struct slice none = { 0 };
	struct slice body = buf_slice(&kv->body);
	int code = 0;

	if (before->table == KV_TABLE_KV)
		return kv_table_replace(
		    kv, KV_TABLE_KV, key, before->body, body);
	if (before->body.data != NULL)
		code = kv_table_remove(kv, KV_TABLE_GONE, key, before->body);
	if (code != 0)
		return code;
	return kv_table_replace(kv, KV_TABLE_KV, key, none, body);
}

/* `item` is what will be there, or NULL. ERR_CORRUPT: there is more than was
 * counted. */
static int
kv_count_live(struct kv *kv, struct slice key, const struct kv_present *before,
    const struct kv_item *item)
{
	uint64_t *live = &kv->state.live_bytes;
	uint64_t old = 0;

	if (before->table == KV_TABLE_KV)
		old = key.size + before->version.item.value.size;
	if (*live < old)
		return ERR_CORRUPT;
	*live -= old;
	if (item != NULL)
		*live += key.size + item->value.size;
	return 0;
}

int
kv_change_put(struct kv *kv, struct slice key, const struct kv_present *before,
    const struct kv_item *item, struct kv_version *ret_version)
{
	struct kv_version version = { .item = *item };
	struct kv_item old = before->version.item;
	bool again =
	    before->body.data != NULL && kv_is_new(kv, &before->version);
	int code = 0;

	if (again)
		kv_take_place(kv, &before->version, &version);
	else
		code = kv_follow(kv, key, before, &version);
	if (code == 0)
		code = kv_count_live(kv, key, before, item);
	if (code != 0)
		return code;
	kv_version_encode(kv_body(kv), &version);
	/* From here on nothing may be read from the store's memory. */
	version.item.value = (struct slice){ 0 };
	kv->now.changed = true;
	code = kv_write_live(kv, key, before);
	if (code == 0)
		code = again ? kv_set_event_type(
				   kv, kv_version_place(&version), KV_EVENT_PUT)
			     : kv_append_event(kv, &version);
	if (code == 0)
		code = kv_move_lifetime(kv, key, &old, item);
	*ret_version = version;
	return code;
}

/* ---- Delete ---- */

/* The key is gone, as `gone` tells. */
static int
kv_write_gone(struct kv *kv, struct slice key, const struct kv_present *before,
    const struct kv_version *gone)
{
	struct slice none = { 0 };
	int code;

	kv_version_encode(kv_body(kv), gone);
	code = kv_table_remove(kv, KV_TABLE_KV, key, before->body);
	if (code != 0)
		return code;
	return kv_table_replace(
	    kv, KV_TABLE_GONE, key, none, buf_slice(&kv->body));
}

/* Takes back that the present command created the key. */
static int
kv_uncreate(struct kv *kv, struct slice key, const struct kv_present *before,
    const struct kv_change *change)
{
	struct kv_place place = kv_version_place(&before->version);
	struct kv_version gone = change->before;
	uint8_t memory[KV_PLACE_SIZE];
	int code;

	if (change->existed)
		code = kv_write_gone(kv, key, before, &gone);
	else
		code = kv_table_remove(kv, KV_TABLE_KV, key, before->body);
	if (code != 0)
		return code;
	return kv_table_delete(
	    kv, KV_TABLE_HISTORY, kv_place_key(place, memory));
}

/* Deletes what the present command wrote. */
static int
kv_delete_new(struct kv *kv, struct slice key, enum kv_event_type type,
    const struct kv_present *before)
{
	struct kv_place place = kv_version_place(&before->version);
	struct kv_version gone = before->version;
	struct kv_change change;
	int code = kv_load_event(kv, place, &change);

	if (code != 0)
		return code;
	if (!change.existed || change.before.gone)
		return kv_uncreate(kv, key, before, &change);
	gone.gone = true;
	gone.item = (struct kv_item){ .modified = place.revision };
	code = kv_write_gone(kv, key, before, &gone);
	return code != 0 ? code : kv_set_event_type(kv, place, type);
}

static int
kv_delete_old(struct kv *kv, struct slice key, enum kv_event_type type,
    const struct kv_present *before)
{
	struct kv_version gone = { .gone = true };
	int code = kv_make_event(kv, key, type, before, &gone);

	if (code == 0)
		code = kv_write_gone(kv, key, before, &gone);
	return code != 0 ? code : kv_append_event(kv, &gone);
}

int
kv_change_delete(struct kv *kv, struct slice key, enum kv_event_type type)
{
	static const struct kv_item none;
	uint8_t memory[KV_KEY_SIZE_MAX];
	struct kv_present before;
	struct kv_item old;
	int code;

	ASSERT(key.size <= sizeof(memory));
	memcpy(memory, key.data, key.size);
	key.data = memory;
	code = kv_load(kv, KV_TABLE_KV, key, &before);
	if (code != 0)
		return code;
	old = before.version.item;
	code = kv_count_live(kv, key, &before, NULL);
	if (code != 0)
		return code;
	code = kv_is_new(kv, &before.version)
		   ? kv_delete_new(kv, key, type, &before)
		   : kv_delete_old(kv, key, type, &before);
	kv->now.changed = true;
	return code != 0 ? code : kv_move_lifetime(kv, key, &old, &none);
}

/* ---- Touch ---- */

int
kv_change_lifetime(
    struct kv *kv, struct slice key, uint64_t lease, uint64_t deadline_us)
{
	struct kv_present before;
	struct kv_version version;
	struct kv_item old;
	int code = kv_load(kv, KV_TABLE_KV, key, &before);

	if (code != 0)
		return code;
	old = before.version.item;
	version = before.version;
	version.item.lease = lease;
	version.item.deadline_us = deadline_us;
	kv_version_encode(kv_body(kv), &version);
	code = kv_table_replace(
	    kv, KV_TABLE_KV, key, before.body, buf_slice(&kv->body));
	return code != 0 ? code
			 : kv_move_lifetime(kv, key, &old, &version.item);
}
