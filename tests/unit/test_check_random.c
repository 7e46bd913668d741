#include "tests/torture/check_history.h"

#include "common/rng.h"
#include "tests/unit/suites.h"
#include <inttypes.h>

/*
 * Histories made by running a store of a few keys, with operations that overlap
 * and unknown outcomes; and the same store with one fault.
 */

#define KEYS_COUNT    3
#define CLIENTS_COUNT 6
#define OPS_COUNT     300

enum defect {
	DEFECT_NONE,
	DEFECT_STALE_READ,   /* shows what was there before */
	DEFECT_OLD_READ,     /* the same, with its revision */
	DEFECT_LOST_WRITE,   /* is acknowledged, and not done */
	DEFECT_DOUBLE_APPLY, /* a write is done again, later */
	DEFECT_REFUSED_DONE, /* what was refused is done */
	DEFECT_BLIND_SWAP,   /* the condition is not looked at */
	DEFECT_RESURRECTION, /* what was deleted comes back */
	DEFECT_EVENT_LOST,
	DEFECT_EVENT_TWICE,
	DEFECTS_COUNT
};

struct item {
	unsigned value; /* 0: absent */
	uint64_t revision;
	uint64_t version;
	uint64_t created;
};

struct world {
	struct rng rng;
	enum defect defect; /* NONE again once it is in */
	struct item items[KEYS_COUNT];
	struct item before[KEYS_COUNT];
	uint64_t revision;
	uint64_t free_at[CLIENTS_COUNT];
	uint64_t moment;
	uint64_t call;
	uint64_t ret;
	unsigned clients; /* their numbers */
	unsigned numbers[CLIENTS_COUNT];
	unsigned values;
	struct buf ops;
	struct buf events;
	struct buf others; /* of a second stream */
};

/* ---- The store ---- */

static void
tell(struct buf *to, const struct world *world, unsigned key)
{
	const struct item *item = &world->items[key];

	buf_printf(to, "%s[%" PRIu64 ",{\"key\":\"t/%u\",\"revision\":%" PRIu64,
	    to->size == 0 ? "" : ",", world->moment, key, world->revision);
	if (item->value == 0)
		buf_append_text(to, ",\"type\":\"delete\"}]");
	else
		buf_printf(to,
		    ",\"type\":\"put\",\"value\":\"v%u\",\"version\":%" PRIu64
		    ",\"created\":%" PRIu64 "}]",
		    item->value, item->version, item->created);
}

/* Is it time for the defect, if it is this one? */
static bool
is_time(struct world *world, enum defect defect)
{
	if (world->defect != defect || world->moment < OPS_COUNT / 3 * 100)
		return false;
	world->defect = DEFECT_NONE;
	return true;
}

static void
change(struct world *world, unsigned key, unsigned value)
{
	struct item *item = &world->items[key];

	world->before[key] = *item;
	world->revision++;
	if (item->value == 0)
		*item = (struct item){ .created = world->revision };
	item->value = value;
	item->revision = world->revision;
	item->version++;
	tell(&world->events, world, key);
	if (is_time(world, DEFECT_EVENT_LOST))
		return;
	tell(&world->others, world, key);
	if (is_time(world, DEFECT_EVENT_TWICE))
		tell(&world->others, world, key);
}

/* ---- Operations ---- */

static void
begin(struct world *world, unsigned client, const char *op, unsigned key)
{
	buf_printf(&world->ops,
	    "{\"client\":%u,\"op\":\"%s\",\"key\":\"t/%u\",\"call\":%" PRIu64,
	    world->numbers[client], op, key, world->call);
}

static void
end(struct world *world, const char *status, uint64_t revision)
{
	buf_printf(&world->ops,
	    ",\"ret\":%" PRIu64 ",\"status\":\"%s\",\"rev\":%" PRIu64 "}\n",
	    world->ret, status, revision);
}

/* One of ten is of an unknown outcome, and one of twenty refused. Gives whether
 * it is done; *ret_told: and acknowledged. */
static bool
draw_outcome(struct world *world, unsigned client, bool puts, bool *ret_told)
{
	uint64_t draw = rng_below(&world->rng, 20);

	*ret_told = draw > 2;
	if (draw == 2) {
		end(world, "fail", 0);
		return puts && is_time(world, DEFECT_REFUSED_DONE);
	}
	if (draw < 2) {
		world->ret = 0;
		end(world, "info", 0);
		world->numbers[client] = ++world->clients;
	}
	return draw != 1;
}

static void
read_key(struct world *world, unsigned client, unsigned key)
{
	struct item item = world->items[key];
	uint64_t revision = world->revision;

	if (item.value != world->before[key].value &&
	    (is_time(world, DEFECT_STALE_READ) ||
		(item.value == 0 && is_time(world, DEFECT_RESURRECTION)))) {
		item = world->before[key];
	} else if (item.value != 0 && item.revision + 6 < revision &&
		   is_time(world, DEFECT_OLD_READ)) {
		/* Enough was told since, before such a call. */
		revision = item.revision;
		world->call = world->moment;
	}
	begin(world, client, "get", key);
	if (item.value == 0)
		buf_append_text(&world->ops, ",\"out\":null,\"mod\":0");
	else
		buf_printf(&world->ops,
		    ",\"out\":\"v%u\",\"mod\":%" PRIu64 ",\"version\":%" PRIu64
		    ",\"created\":%" PRIu64,
		    item.value, item.revision, item.version, item.created);
	end(world, "ok", revision);
}

static void
tell_written(struct world *world, unsigned key)
{
	const struct item *item = &world->items[key];

	buf_printf(&world->ops, ",\"version\":%" PRIu64 ",\"created\":%" PRIu64,
	    item->version, item->created);
	end(world, "ok", world->revision);
}

static void
put_key(struct world *world, unsigned client, unsigned key)
{
	unsigned value = ++world->values;
	bool told;
	struct item lost;

	begin(world, client, "put", key);
	buf_printf(&world->ops, ",\"value\":\"v%u\"", value);
	if (!draw_outcome(world, client, true, &told) && !told)
		return;
	if (told && is_time(world, DEFECT_LOST_WRITE)) {
		world->revision++;
		lost =
		    (struct item){ .version = 1, .created = world->revision };
		buf_printf(&world->ops,
		    ",\"version\":%" PRIu64 ",\"created\":%" PRIu64,
		    lost.version, lost.created);
		end(world, "ok", world->revision);
		return;
	}
	change(world, key, value);
	if (told)
		tell_written(world, key);
	if (is_time(world, DEFECT_DOUBLE_APPLY)) {
		world->moment++;
		change(world, key, value);
	}
}

static void
swap_key(struct world *world, unsigned client, unsigned key)
{
	/* What is there, or what was: then it fails. */
	bool right = rng_below(&world->rng, 3) != 0;
	struct item expected = right ? world->items[key] : world->before[key];
	bool same = expected.revision == world->items[key].revision;
	unsigned value = ++world->values;
	bool told;

	/* Deleted keys have no revision to expect. */
	if (expected.value == 0) {
		expected = (struct item){ 0 };
		same = world->items[key].value == 0;
	}
	begin(world, client, "cas", key);
	buf_printf(&world->ops,
	    ",\"value\":\"v%u\",\"expect_rev\":%" PRIu64 ",\"expect\":", value,
	    expected.revision);
	if (expected.value == 0)
		buf_append_text(&world->ops, "null");
	else
		buf_printf(&world->ops, "\"v%u\"", expected.value);
	if (!draw_outcome(world, client, false, &told) && !told)
		return;
	if (!same && told)
		same = is_time(world, DEFECT_BLIND_SWAP);
	if (same)
		change(world, key, value);
	if (!told)
		return;
	buf_printf(&world->ops, ",\"done\":%s", same ? "true" : "false");
	if (same) {
		tell_written(world, key);
		return;
	}
	buf_printf(&world->ops, ",\"current\":%" PRIu64,
	    world->items[key].value == 0 ? 0 : world->items[key].revision);
	end(world, "ok", world->revision);
}

static void
delete_key(struct world *world, unsigned client, unsigned key)
{
	bool existed = world->items[key].value != 0;
	bool told;

	begin(world, client, "del", key);
	if (!draw_outcome(world, client, false, &told) && !told)
		return;
	if (existed)
		change(world, key, 0);
	if (!told)
		return;
	buf_printf(&world->ops, ",\"existed\":%s", existed ? "true" : "false");
	end(world, "ok", world->revision);
}

/* ---- Histories ---- */

static void
step(struct world *world, size_t number)
{
	static void (*const steps[])(struct world *, unsigned,
	    unsigned) = { read_key, read_key, put_key, swap_key, delete_key };
	unsigned client = (unsigned)rng_below(&world->rng, CLIENTS_COUNT);
	unsigned key = (unsigned)rng_below(&world->rng, KEYS_COUNT);

	world->moment = 100 * (number + 1);
	/* A client that is not free until then has just answered. */
	if (world->free_at[client] >= world->moment)
		world->free_at[client] = world->moment - 1;
	world->call =
	    rng_between(&world->rng, world->free_at[client], world->moment);
	world->ret = world->moment + 10 + rng_below(&world->rng, 300);
	world->free_at[client] = world->ret + 1;
	steps[rng_below(&world->rng, 5)](world, client, key);
}

static void
read_all(struct world *world)
{
	world->moment = world->call = 100 * (OPS_COUNT + 10);
	world->ret = world->call + 1;
	for (unsigned key = 0; key < KEYS_COUNT; key++) {
		begin(world, 0, "get", key);
		buf_append_text(&world->ops, ",\"final\":true");
		if (world->items[key].value == 0)
			buf_append_text(&world->ops, ",\"out\":null,\"mod\":0");
		else
			buf_printf(&world->ops,
			    ",\"out\":\"v%u\",\"mod\":%" PRIu64
			    ",\"version\":%" PRIu64 ",\"created\":%" PRIu64,
			    world->items[key].value, world->items[key].revision,
			    world->items[key].version,
			    world->items[key].created);
		end(world, "ok", world->revision);
	}
}

static void
append_stream(
    struct buf *to, const struct world *world, const struct buf *lines)
{
	buf_printf(to,
	    "{\"client\":0,\"op\":\"watch\",\"form\":\"stream\","
	    "\"prefix\":\"t/\",\"since\":5,\"call\":1,\"ret\":%" PRIu64
	    ",\"status\":\"ok\",\"end\":\"cut\",\"lines\":[%.*s%s[%" PRIu64
	    ",{\"type\":\"progress\",\"revision\":%" PRIu64 "}]]}\n",
	    world->ret + 1, (int)lines->size, (const char *)lines->data,
	    lines->size == 0 ? "" : ",", world->ret + 1, world->revision);
}

/* False: there was no occasion for the defect. */
static bool
make(struct buf *to, uint64_t seed, enum defect defect)
{
	struct world world = { .defect = defect, .revision = 5 };
	bool planted;

	rng_init(&world.rng, seed);
	for (unsigned i = 0; i < CLIENTS_COUNT; i++) {
		world.free_at[i] = 1;
		world.numbers[i] = ++world.clients;
	}
	for (size_t i = 0; i < OPS_COUNT; i++)
		step(&world, i);
	planted = world.defect != defect;
	read_all(&world);
	buf_append_text(to,
	    "{\"history\":1,\"prefix\":\"t/\",\"since\":5,\"ok_min\":200}\n");
	buf_append_slice(to, buf_slice(&world.ops));
	append_stream(to, &world, &world.events);
	append_stream(to, &world, &world.others);
	buf_printf(to, "{\"end\":true,\"rev\":%" PRIu64 "}\n", world.revision);
	buf_release(&world.ops);
	buf_release(&world.events);
	buf_release(&world.others);
	return planted;
}

START_TEST(a_random_history_is_judged_right)
{
	static const struct check_options options = { 0 };
	enum defect defect = (enum defect)_i;
	unsigned planted_count = 0;

	for (uint64_t seed = 0; seed < 40; seed++) {
		struct buf history = { 0 };
		struct buf report = { 0 };
		bool planted = make(&history, seed, defect);
		enum check_verdict verdict = check_history(
		    buf_slice(&history), slice_of(NULL, 0), &options, &report);

		buf_append(&report, "", 1);
		planted_count += planted;
		ck_assert_msg(
		    verdict == (planted ? CHECK_VIOLATION : CHECK_GOOD),
		    "seed %" PRIu64 " with defect %u: %s", seed, defect,
		    report.data);
		buf_release(&history);
		buf_release(&report);
	}
	ck_assert_uint_ge(planted_count, defect == DEFECT_NONE ? 0 : 20);
}
END_TEST

Suite *
check_random_suite(void)
{
	Suite *suite = suite_create("check_random");
	TCase *tcase = tcase_create("check_random");

	tcase_add_loop_test(
	    tcase, a_random_history_is_judged_right, 0, DEFECTS_COUNT);
	suite_add_tcase(suite, tcase);
	return suite;
}
