/*
 * The past: versions of keys, and the events between them.
 *
 * From a version that is too new, the way back is by its jump, if the event
 * there is too new as well, else by the event that wrote it. Both lead to a
 * version that is nearer, and never to one that is older than what is looked
 * for, so no event is needed but those behind the revision asked for.
 */

#include "kv/kv_impl.h"

#include "common/panic.h"

/* The version before the event at `place`. ERR_NOT_FOUND: there is none. */
static int
kv_version_before(
    struct kv *kv, struct kv_place place, struct kv_version *ret_version)
{
	uint8_t memory[KV_PLACE_SIZE];
	struct kv_change change;
	struct slice body;
	int code = kv_table_get(
	    kv, KV_TABLE_HISTORY, kv_place_key(place, memory), &body);

	/* It is not compacted: a miss is damage. */
	if (code != 0)
		return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
	code = kv_change_decode(body, &change);
	if (code != 0)
		return code;
	if (!change.existed)
		return ERR_NOT_FOUND;
	/* Else the way back might have no end. */
	if (change.before.item.modified >= place.revision)
		return ERR_CORRUPT;
	kv->past_bytes += change.before.item.value.size;
	*ret_version = change.before;
	return 0;
}

/* One step back from a version that is later than `revision`, to one that is not
 * earlier than what was there then. ERR_NOT_FOUND: nothing was. */
static int
kv_version_step(struct kv *kv, uint64_t revision, struct kv_version *version)
{
	struct kv_place place = kv_version_place(version);

	if (version->jump.revision > revision)
		place = version->jump;
	return kv_version_before(kv, place, version);
}

int
kv_version_back(struct kv *kv, const struct kv_version *from, uint64_t revision,
    struct kv_version *ret_version)
{
	struct kv_version version = *from;

	ASSERT(revision >= kv->state.compacted);
	while (version.item.modified > revision) {
		int code = kv_version_step(kv, revision, &version);

		if (code != 0)
			return code;
	}
	if (version.gone)
		return ERR_NOT_FOUND;
	*ret_version = version;
	return 0;
}

static int
kv_version_at(struct kv *kv, struct slice key, uint64_t revision,
    struct kv_version *ret_version)
{
	struct kv_present present;
	int code = kv_look(kv, key, &present);

	if (code != 0)
		return code;
	if (present.body.data == NULL)
		return ERR_NOT_FOUND;
	return kv_version_back(kv, &present.version, revision, ret_version);
}

int
kv_get_at(struct kv *kv, struct slice key, uint64_t revision,
    struct kv_item *ret_item)
{
	struct kv_version version;
	int code;

	ASSERT(key.size >= 1);
	ASSERT(key.size <= KV_KEY_SIZE_MAX);
	ASSERT(revision <= kv->state.revision);
	if (kv->failed)
		return ERR_STOPPED;
	if (revision < kv->state.compacted)
		return ERR_COMPACTED;
	code = kv_version_at(kv, key, revision, &version);
	if (code == ERR_NOT_FOUND)
		return code;
	if (kv_note(kv, code) != 0)
		return code;
	*ret_item = version.item;
	return 0;
}

/* ---- Events ---- */

#define KV_WAY_SIZE_MAX 64

/*
 * The way back to a version of a key, from the present one. The next event of
 * the same key, often of one that is written all the time, is near its end.
 */
struct kv_way {
	struct slice key; /* without data: there is none yet */
	size_t size;
	struct kv_version versions[KV_WAY_SIZE_MAX]; /* the latest first */
};

/* What is read, and how far that has come. */
struct kv_telling {
	struct kv *kv;
	const struct kv_range *range;
	uint64_t until;
	kv_event_function tell;
	void *context;
	uint64_t revision; /* of the events that are read now */
	uint32_t events_left;
	size_t bytes_left;
	/* The last event of the range, until it is known whether another of
	 * its revision follows; revision 0: there is none. */
	struct kv_event waiting;
	struct kv_way way;
};

/* Tells of the event that waits; `more` others of its revision follow. */
static void
kv_tell(struct kv_telling *telling, bool more)
{
	struct kv_event *event = &telling->waiting;
	size_t bytes;

	if (event->revision == 0)
		return;
	bytes = event->key.size + event->item.value.size +
		event->previous.value.size;
	telling->bytes_left -= MIN(bytes, telling->bytes_left);
	event->more = more;
	telling->tell(telling->context, event);
	event->revision = 0;
}

/* Goes back to where the way to a revision of this key leaves the present one,
 * or begins another. */
static int
kv_way_begin(
    struct kv *kv, struct kv_way *way, struct slice key, uint64_t revision)
{
	struct kv_present present;
	int code;

	if (way->key.data != NULL && slice_equal(way->key, key)) {
		while (way->size > 1 &&
		       way->versions[way->size - 1].item.modified < revision)
			way->size--;
		return 0;
	}
	code = kv_look(kv, key, &present);
	if (code != 0)
		return code;
	if (present.body.data == NULL)
		return ERR_CORRUPT;
	way->key = key;
	way->size = 1;
	way->versions[0] = present.version;
	return 0;
}

/* The item that a PUT wrote. */
static int
kv_event_find_item(struct kv *kv, struct kv_way *way, struct kv_event *event)
{
	struct kv_version version;
	int code = kv_way_begin(kv, way, event->key, event->revision);

	if (code != 0)
		return code;
	version = way->versions[way->size - 1];
	while (version.item.modified > event->revision) {
		code = kv_version_step(kv, event->revision, &version);
		if (code != 0)
			return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
		if (way->size < KV_WAY_SIZE_MAX)
			way->versions[way->size++] = version;
	}
	if (version.item.modified != event->revision || version.gone)
		return ERR_CORRUPT;
	event->item = version.item;
	return 0;
}

/* Takes the next event of telling->revision, if it is of the range. */
static int
kv_telling_take(struct kv_telling *telling, struct slice body)
{
	struct kv_event event = { .revision = telling->revision };
	struct kv_change change;
	int code = kv_change_decode(body, &change);

	if (code != 0 || !kv_range_has(telling->range, change.key))
		return code;
	event.type = change.type;
	event.key = change.key;
	event.existed = change.existed && !change.before.gone;
	if (event.existed)
		event.previous = change.before.item;
	if (change.type == KV_EVENT_PUT)
		code = kv_event_find_item(telling->kv, &telling->way, &event);
	if (code != 0)
		return code;
	kv_tell(telling, true);
	/* What it borrows stays, as nothing is written meanwhile. */
	telling->waiting = event;
	return 0;
}

/* The events before `revision` are all read: true if that is enough. */
static bool
kv_telling_turn(struct kv_telling *telling, uint64_t revision)
{
	if (revision == telling->revision)
		return false;
	kv_tell(telling, false);
	if (telling->events_left == 0 || telling->bytes_left == 0)
		return true;
	telling->revision = revision;
	return false;
}

/* ERR_NOT_FOUND: up to telling->until there is no event left. */
static int
kv_telling_run(struct kv_telling *telling, struct store_cursor *cursor)
{
	struct kv_place place = { .revision = telling->revision + 1 };
	uint8_t memory[KV_PLACE_SIZE];
	struct slice key = kv_place_key(place, memory);
	struct slice record;
	struct slice body;
	int code =
	    store_cursor_move(cursor, STORE_AT_OR_AFTER, key, &key, &record);

	while (code == 0) {
		code = kv_place_decode(key, &place);
		if (code != 0)
			return code;
		if (place.revision > telling->until)
			return ERR_NOT_FOUND;
		if (kv_telling_turn(telling, place.revision))
			return 0;
		code = kv_unseal(key, record, &body);
		if (code == 0)
			code = kv_telling_take(telling, body);
		if (code != 0)
			return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
		telling->events_left -= MIN(telling->events_left, 1);
		code =
		    store_cursor_move(cursor, STORE_NEXT, key, &key, &record);
	}
	return code;
}

/* The same, to the end of the last revision. */
static int
kv_telling_run_all(struct kv_telling *telling)
{
	struct store_cursor *cursor;
	int code =
	    store_cursor_open(telling->kv->txn, KV_TABLE_HISTORY, &cursor);

	if (code != 0)
		return code;
	code = kv_telling_run(telling, cursor);
	store_cursor_close(cursor);
	if (code != ERR_NOT_FOUND)
		return code;
	kv_tell(telling, false);
	telling->revision = telling->until;
	return 0;
}

int
kv_read_events(struct kv *kv, const struct kv_range *range, uint64_t until,
    uint32_t events_max, size_t bytes_max, kv_event_function tell,
    void *context, uint64_t *revision)
{
	struct kv_telling telling;
	int code;

	ASSERT(until <= kv->state.revision);
	ASSERT(events_max >= 1);
	ASSERT(bytes_max >= 1);
	if (kv->failed)
		return ERR_STOPPED;
	if (*revision < kv->state.compacted)
		return ERR_COMPACTED;
	/* Most are at the tip: nothing is looked at for them. */
	if (*revision >= until)
		return 0;
	telling.kv = kv;
	telling.range = range;
	telling.until = until;
	telling.tell = tell;
	telling.context = context;
	telling.revision = *revision;
	telling.events_left = events_max;
	telling.bytes_left = bytes_max;
	telling.waiting.revision = 0;
	telling.way.key.data = NULL;
	code = kv_note(kv, kv_telling_run_all(&telling));
	if (code == 0)
		*revision = telling.revision;
	return code;
}
