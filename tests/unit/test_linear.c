#include "tests/lib/linear.h"

#include "common/mem.h"
#include "common/rng.h"
#include "tests/unit/suites.h"
#include <inttypes.h>
#include <stdlib.h>

#define STEPS_MAX 10000000

/* ---- Histories made by running a register ---- */

struct random_params {
	uint64_t seed;
	size_t count;
	unsigned clients_count;
	unsigned unknown_percent;
};

/*
 * Applies operations in order, each at its own moment, with calls before and
 * returns after it that overlap those of the other clients.
 */
static struct linear_op *
random_history(const struct random_params *params)
{
	struct linear_op *ops = mem_zalloc(params->count, sizeof(*ops));
	uint64_t free_at[16] = { 0 };
	uint64_t state = 0;
	struct rng rng;

	rng_init(&rng, params->seed);
	for (size_t i = 0; i < params->count; i++) {
		struct linear_op *op = &ops[i];
		uint64_t moment = 100 * (i + 1);
		uint64_t client = rng_below(&rng, params->clients_count);

		/* A client that is not free until then has just answered. */
		if (free_at[client] >= moment)
			free_at[client] = moment - 1;
		op->kind = (enum linear_kind)rng_below(&rng, 3);
		op->known = rng_below(&rng, 100) >= params->unknown_percent;
		op->called_at = rng_between(&rng, free_at[client], moment);
		op->returned_at = moment + rng_below(&rng, 300);
		free_at[client] = op->returned_at + 1;
		op->existed = state != 0;
		op->value = op->kind == LINEAR_PUT ? i + 1 : state;
		if (!op->known && rng_below(&rng, 2) == 0)
			continue;
		if (op->kind != LINEAR_GET)
			state = op->kind == LINEAR_PUT ? op->value : 0;
	}
	return ops;
}

static enum linear_verdict
verdict_of(const struct linear_op *ops, size_t count)
{
	size_t blocked = 0;

	return linear_check(ops, count, STEPS_MAX, &blocked);
}

START_TEST(legal_random_histories_pass)
{
	struct random_params params = {
		.count = 300,
		.clients_count = 1 + (unsigned)_i % 10,
		.unknown_percent = (unsigned)_i % 4 * 10,
	};

	for (params.seed = 0; params.seed < 20; params.seed++) {
		struct linear_op *ops = random_history(&params);

		ck_assert_msg(verdict_of(ops, params.count) == LINEAR_LEGAL,
		    "seed %" PRIu64 " of loop %d", params.seed, _i);
		free(ops);
	}
}
END_TEST

/* ---- Planted defects ---- */

static struct linear_op
put(uint64_t value, bool existed, uint64_t called_at, uint64_t returned_at)
{
	return (struct linear_op){ .kind = LINEAR_PUT,
		.known = true,
		.existed = existed,
		.value = value,
		.called_at = called_at,
		.returned_at = returned_at };
}

static struct linear_op
get(uint64_t value, uint64_t called_at, uint64_t returned_at)
{
	return (struct linear_op){ .kind = LINEAR_GET,
		.known = true,
		.value = value,
		.called_at = called_at,
		.returned_at = returned_at };
}

static struct linear_op delete (
    bool existed, uint64_t called_at, uint64_t returned_at)
{
	return (struct linear_op){ .kind = LINEAR_DELETE,
		.known = true,
		.existed = existed,
		.called_at = called_at,
		.returned_at = returned_at };
}

/* `done`: the value was the expected one. */
static struct linear_op
swap(uint64_t expected, uint64_t value, bool done, uint64_t called_at,
    uint64_t returned_at)
{
	return (struct linear_op){ .kind = LINEAR_SWAP,
		.known = true,
		.existed = done,
		.value = value,
		.called_at = called_at,
		.returned_at = returned_at,
		.expected = expected };
}

static struct linear_op
add(uint64_t by, uint64_t sum, uint64_t called_at, uint64_t returned_at)
{
	return (struct linear_op){ .kind = LINEAR_ADD,
		.known = true,
		.value = sum,
		.called_at = called_at,
		.returned_at = returned_at,
		.by = by };
}

static struct linear_op
unknown(struct linear_op op)
{
	op.known = false;
	return op;
}

struct scenario {
	const char *name;
	enum linear_verdict expected;
	size_t count;
	struct linear_op ops[5];
};

/* Built at run time, as the makers are functions. */
static size_t
make_scenarios(struct scenario *to)
{
	size_t n = 0;

	to[n++] = (struct scenario){ "nothing", LINEAR_LEGAL, 0, { { 0 } } };
	to[n++] = (struct scenario){ "absent at first", LINEAR_LEGAL, 1,
		{ get(0, 1, 2) } };
	to[n++] = (struct scenario){ "value from nowhere", LINEAR_ILLEGAL, 1,
		{ get(7, 1, 2) } };
	to[n++] = (struct scenario){ "stale read", LINEAR_ILLEGAL, 3,
		{ put(1, false, 1, 2), put(2, true, 3, 4), get(1, 5, 6) } };
	to[n++] =
	    (struct scenario){ "overlapping read may be old", LINEAR_LEGAL, 3,
		    { put(1, false, 1, 2), put(2, true, 3, 6), get(1, 4, 5) } };
	to[n++] = (struct scenario){ "new, then old", LINEAR_ILLEGAL, 4,
		{ put(1, false, 1, 2), put(2, true, 3, 9), get(2, 4, 5),
		    get(1, 6, 7) } };
	to[n++] = (struct scenario){ "touching moments overlap", LINEAR_LEGAL,
		3, { put(1, false, 1, 2), put(2, true, 3, 4), get(1, 4, 5) } };
	to[n++] = (struct scenario){ "lost write", LINEAR_ILLEGAL, 2,
		{ put(1, false, 1, 2), get(0, 3, 4) } };
	to[n++] = (struct scenario){ "lost write seen by a put", LINEAR_ILLEGAL,
		2, { put(1, false, 1, 2), put(2, false, 3, 4) } };
	to[n++] = (struct scenario){ "resurrected", LINEAR_ILLEGAL, 3,
		{ put(1, false, 1, 2), delete (true, 3, 4), get(1, 5, 6) } };
	to[n++] = (struct scenario){ "deleted twice", LINEAR_ILLEGAL, 3,
		{ put(1, false, 1, 2), delete (true, 3, 6),
		    delete (true, 4, 5) } };
	to[n++] = (struct scenario){ "double apply", LINEAR_ILLEGAL, 5,
		{ put(1, false, 1, 9), get(1, 2, 3), delete (true, 4, 5),
		    get(0, 5, 6), get(1, 7, 8) } };
	to[n++] = (struct scenario){ "unknown put never seen", LINEAR_LEGAL, 2,
		{ unknown(put(1, false, 1, 2)), get(0, 8, 9) } };
	to[n++] = (struct scenario){ "unknown put seen late", LINEAR_LEGAL, 3,
		{ unknown(put(1, false, 1, 2)), get(0, 5, 6), get(1, 8, 9) } };
	to[n++] = (struct scenario){ "unknown put seen early", LINEAR_ILLEGAL,
		2, { get(1, 1, 2), unknown(put(1, false, 3, 4)) } };
	to[n++] =
	    (struct scenario){ "unknown put used twice", LINEAR_ILLEGAL, 4,
		    { unknown(put(1, false, 1, 2)), get(1, 3, 4),
			delete (true, 5, 6), get(1, 7, 8) } };
	to[n++] = (struct scenario){ "unknown delete explains", LINEAR_LEGAL, 3,
		{ put(1, false, 1, 2), unknown(delete (true, 1, 2)),
		    get(0, 5, 6) } };
	to[n++] = (struct scenario){ "one unknown delete explains once",
		LINEAR_ILLEGAL, 4,
		{ put(1, false, 1, 2), unknown(delete (true, 1, 2)),
		    put(2, false, 5, 6), put(3, false, 7, 8) } };
	to[n++] = (struct scenario){ "unknown put that a get needs later",
		LINEAR_LEGAL, 4,
		{ unknown(put(1, false, 1, 1)), unknown(put(2, false, 1, 1)),
		    delete (true, 2, 3), get(1, 4, 5) } };
	return n;
}

/* Of writes that depend on what is there. */
static size_t
make_swaps(struct scenario *to)
{
	size_t n = 0;

	to[n++] = (struct scenario){ "swap", LINEAR_LEGAL, 3,
		{ put(1, false, 1, 2), swap(1, 2, true, 3, 4), get(2, 5, 6) } };
	to[n++] =
	    (struct scenario){ "swap that should have failed", LINEAR_ILLEGAL,
		    2, { put(1, false, 1, 2), swap(3, 2, true, 3, 4) } };
	to[n++] = (struct scenario){
		"swap that failed is right", LINEAR_LEGAL, 3,
		{ put(1, false, 1, 2), swap(3, 2, false, 3, 4), get(1, 5, 6) }
	};
	to[n++] = (struct scenario){ "swap that should not have failed",
		LINEAR_ILLEGAL, 2,
		{ put(1, false, 1, 2), swap(1, 2, false, 3, 4) } };
	to[n++] = (struct scenario){
		"swap that failed, and wrote", LINEAR_ILLEGAL, 3,
		{ put(1, false, 1, 2), swap(3, 2, false, 3, 4), get(2, 5, 6) }
	};
	to[n++] = (struct scenario){ "two create the key", LINEAR_ILLEGAL, 2,
		{ swap(0, 1, true, 1, 5), swap(0, 2, true, 1, 5) } };
	to[n++] =
	    (struct scenario){ "a chain of unknown swaps", LINEAR_LEGAL, 4,
		    { put(1, false, 1, 2), unknown(swap(2, 3, true, 3, 4)),
			unknown(swap(1, 2, true, 3, 4)), get(3, 5, 6) } };
	to[n++] =
	    (struct scenario){ "a chain that lacks one", LINEAR_ILLEGAL, 3,
		    { put(1, false, 1, 2), unknown(swap(2, 3, true, 3, 4)),
			get(3, 5, 6) } };
	to[n++] =
	    (struct scenario){ "an unknown put, then a swap", LINEAR_LEGAL, 3,
		    { unknown(put(1, false, 1, 2)),
			unknown(swap(1, 2, true, 1, 2)), get(2, 3, 4) } };
	to[n++] = (struct scenario){ "additions", LINEAR_LEGAL, 4,
		{ add(1, 1, 1, 9), add(5, 6, 1, 9), add(1, 7, 8, 12),
		    get(7, 13, 14) } };
	to[n++] = (struct scenario){ "an addition is lost", LINEAR_ILLEGAL, 3,
		{ add(1, 1, 1, 2), add(1, 2, 3, 4), get(1, 5, 6) } };
	to[n++] = (struct scenario){ "an unknown addition is done twice",
		LINEAR_ILLEGAL, 3,
		{ add(1, 1, 1, 2), unknown(add(1, 2, 3, 4)), get(3, 5, 6) } };
	to[n++] = (struct scenario){ "two unknown additions", LINEAR_LEGAL, 4,
		{ add(1, 1, 1, 2), unknown(add(1, 2, 3, 4)),
		    unknown(add(5, 2, 3, 4)), get(7, 5, 6) } };
	return n;
}

START_TEST(planted_defects_fail_and_their_likes_pass)
{
	struct scenario scenarios[40];
	size_t count = make_scenarios(scenarios);

	count += make_swaps(scenarios + count);
	ck_assert_uint_le(count, 40);
	for (size_t i = 0; i < count; i++) {
		const struct scenario *scenario = &scenarios[i];

		ck_assert_msg(verdict_of(scenario->ops, scenario->count) ==
				  scenario->expected,
		    "%s", scenario->name);
	}
}
END_TEST

/* A read of what an earlier put wrote, after all that came since. */
static bool
plant_stale_read(struct linear_op *ops, size_t count)
{
	for (size_t i = count; i-- > 0;) {
		struct linear_op *read = &ops[i];

		if (read->kind != LINEAR_GET || !read->known)
			continue;
		for (size_t j = 0; j + 4 < i; j++) {
			if (ops[j].kind != LINEAR_PUT || !ops[j].known)
				continue;
			/* Another put lies between, known and apart. */
			for (size_t k = j + 1; k < i; k++) {
				if (ops[k].kind == LINEAR_PUT && ops[k].known &&
				    ops[k].called_at > ops[j].returned_at &&
				    ops[k].returned_at < read->called_at) {
					read->value = ops[j].value;
					return true;
				}
			}
		}
	}
	return false;
}

START_TEST(stale_read_in_a_long_history_fails)
{
	struct random_params params = {
		.seed = (uint64_t)_i,
		.count = 200,
		.clients_count = 5,
		.unknown_percent = 5,
	};
	struct linear_op *ops = random_history(&params);
	size_t blocked = params.count;

	ck_assert_msg(plant_stale_read(ops, params.count), "seed %d", _i);
	ck_assert_msg(linear_check(ops, params.count, STEPS_MAX, &blocked) ==
			  LINEAR_ILLEGAL,
	    "seed %d", _i);
	ck_assert_uint_lt(blocked, params.count);
	free(ops);
}
END_TEST

START_TEST(search_over_the_limit_is_undecided)
{
	struct linear_op ops[] = { put(1, false, 1, 2), get(1, 3, 4) };
	size_t blocked = 2;

	ck_assert_int_eq(linear_check(ops, 2, 1, &blocked), LINEAR_UNDECIDED);
	ck_assert_int_eq(linear_check(ops, 2, 100, &blocked), LINEAR_LEGAL);
}
END_TEST

/* ---- Brute force ---- */

struct brute {
	const struct linear_op *ops;
	size_t count;
	bool placed[8];
};

static bool
brute_may_come_next(const struct brute *brute, size_t candidate)
{
	for (size_t i = 0; i < brute->count; i++) {
		if (!brute->placed[i] && brute->ops[i].known &&
		    brute->ops[i].returned_at < brute->ops[candidate].called_at)
			return false;
	}
	return true;
}

static bool
brute_answer_right(const struct linear_op *op, uint64_t state)
{
	if (!op->known)
		return true;
	switch (op->kind) {
	case LINEAR_GET: return op->value == state;
	case LINEAR_SWAP: return op->existed == (state == op->expected);
	case LINEAR_ADD: return op->value == state + op->by;
	case LINEAR_PUT:
	case LINEAR_DELETE: break;
	}
	return op->existed == (state != 0);
}

static uint64_t
brute_write(const struct linear_op *op, uint64_t state)
{
	switch (op->kind) {
	case LINEAR_PUT: return op->value;
	case LINEAR_DELETE: return 0;
	case LINEAR_SWAP: return op->expected == state ? op->value : state;
	case LINEAR_ADD: return state + op->by;
	case LINEAR_GET: break;
	}
	return state;
}

/* Every order; a history is legal once all known operations are placed. */
static bool
brute_search(struct brute *brute, uint64_t state)
{
	bool all = true;

	for (size_t i = 0; i < brute->count; i++)
		all = all && (brute->placed[i] || !brute->ops[i].known);
	if (all)
		return true;
	for (size_t i = 0; i < brute->count; i++) {
		const struct linear_op *op = &brute->ops[i];
		bool legal;

		if (brute->placed[i] || !brute_may_come_next(brute, i) ||
		    !brute_answer_right(op, state))
			continue;
		brute->placed[i] = true;
		legal = brute_search(brute, brute_write(op, state));
		brute->placed[i] = false;
		if (legal)
			return true;
	}
	return false;
}

/* Any calls, returns and answers, legal or not, of the first kinds. */
static size_t
tiny_history(struct rng *rng, unsigned kinds_count, struct linear_op *ops)
{
	size_t count = rng_between(rng, 1, 6);

	for (size_t i = 0; i < count; i++) {
		ops[i].kind = (enum linear_kind)rng_below(rng, kinds_count);
		ops[i].known = rng_below(rng, 4) != 0;
		ops[i].existed = rng_below(rng, 2) != 0;
		ops[i].called_at = rng_below(rng, 8);
		ops[i].returned_at = ops[i].called_at + rng_below(rng, 5);
		ops[i].value = ops[i].kind == LINEAR_PUT
				   ? i + 1
				   : rng_below(rng, count + 1);
		ops[i].expected = rng_below(rng, count + 1);
		ops[i].by = rng_between(rng, 1, 2);
		if (ops[i].kind == LINEAR_SWAP) {
			/* In one of four it deletes. */
			ops[i].value = rng_below(rng, 4) == 0 ? 0 : i + 1;
			if (ops[i].expected == ops[i].value)
				ops[i].expected = i + 2;
		}
	}
	return count;
}

START_TEST(agrees_with_brute_force)
{
	/* Registers; then those that are swapped; then counters as well. */
	unsigned kinds_count = 3 + (unsigned)_i;
	unsigned legal_count = 0;

	for (uint64_t seed = 0; seed < 40000; seed++) {
		struct linear_op ops[8] = { 0 };
		struct brute brute = { .ops = ops };
		enum linear_verdict expected;
		struct rng rng;

		rng_init(&rng, seed);
		brute.count = tiny_history(&rng, kinds_count, ops);
		expected =
		    brute_search(&brute, 0) ? LINEAR_LEGAL : LINEAR_ILLEGAL;
		legal_count += expected == LINEAR_LEGAL;
		ck_assert_msg(verdict_of(ops, brute.count) == expected,
		    "seed %" PRIu64 " with %u kinds", seed, kinds_count);
	}
	/* Both answers have to be common for the agreement to mean much. */
	ck_assert_uint_gt(legal_count, 5000);
	ck_assert_uint_lt(legal_count, 30000);
}
END_TEST

Suite *
linear_suite(void)
{
	Suite *suite = suite_create("linear");
	TCase *tcase = tcase_create("linear");

	tcase_add_loop_test(tcase, legal_random_histories_pass, 0, 12);
	tcase_add_test(tcase, planted_defects_fail_and_their_likes_pass);
	tcase_add_loop_test(tcase, stale_read_in_a_long_history_fails, 0, 50);
	tcase_add_test(tcase, search_over_the_limit_is_undecided);
	tcase_add_loop_test(tcase, agrees_with_brute_force, 0, 3);
	suite_add_tcase(suite, tcase);
	return suite;
}
