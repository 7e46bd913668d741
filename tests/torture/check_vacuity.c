#include "tests/torture/check.h"

#include "common/mem.h"
#include <inttypes.h>
#include <stdlib.h>

static void
expect_min(struct check *check, uint64_t count, uint64_t min, const char *what)
{
	if (count < min)
		check_void(
		    check, "%" PRIu64 " %s, wanted %" PRIu64, count, what, min);
}

static uint64_t
count_ops(const struct check *check, enum check_status status)
{
	uint64_t count = 0;

	for (size_t i = 0; i < check->ops_count; i++)
		count += check->ops[i].status == status &&
			 check->ops[i].kind != CHECK_WATCH;
	return count;
}

/* What was refused by a condition does not count. */
static void
check_kinds(struct check *check)
{
	uint64_t counts[CHECK_KINDS_COUNT] = { 0 };

	for (size_t i = 0; i < check->ops_count; i++)
		counts[check->ops[i].kind] +=
		    check->ops[i].status == CHECK_OK && check->ops[i].done;
	for (size_t i = 0; i < CHECK_KINDS_COUNT; i++)
		expect_min(check, counts[i], check->kinds_min[i],
		    check_kind_name((enum check_kind)i));
}

/* ---- Final reads ---- */

/* All keys of this page: those that it shows, and those that are gone. */
static void
mark_page(const struct check *check, const struct check_op *op, bool *read)
{
	check_text last = op->more && op->items_count != 0
			      ? op->items[op->items_count - 1].key
			      : 0;

	for (size_t i = check_keys_from(check, op->key, op->after);
	     i < check->keys_count; i++) {
		check_text key = check->keys[i];

		if (!check_text_begins(&check->texts, key, op->key))
			break;
		read[key] = true;
		if (key == last)
			break;
	}
}

/* Every key that ever changed, by itself or in a list. */
static void
check_final_reads(struct check *check)
{
	bool *read = mem_zalloc((size_t)check->texts.count, sizeof(bool));
	size_t missing = 0;

	for (size_t i = 0; i < check->ops_count; i++) {
		const struct check_op *op = &check->ops[i];

		if (!op->final || op->status != CHECK_OK)
			continue;
		if (op->kind == CHECK_LIST)
			mark_page(check, op, read);
		else
			read[op->key] = true;
	}
	for (size_t i = 0; i < check->keys_count; i++)
		missing += !read[check->keys[i]];
	if (missing != 0)
		check_void(check, "%zu of %zu keys have no final read", missing,
		    check->keys_count);
	free(read);
}

/* ---- Faults ---- */

static bool
is_during(const struct check_op *op, const struct check_fault *fault)
{
	/* Nobody knows how long it waited for an answer that never came. */
	uint64_t until = op->ret == CHECK_NEVER ? op->call : op->ret;

	return op->kind != CHECK_WATCH && !op->final &&
	       op->call <= fault->end && until >= fault->begin;
}

static void
check_traffic(struct check *check, const struct check_fault *fault)
{
	for (size_t i = 0; i < check->ops_count; i++) {
		if (is_during(&check->ops[i], fault))
			return;
	}
	check_void(check, "nobody asked for anything during a fault, %s",
	    check_text_show(check, fault->kind));
}

/* The most faults that were there at one moment: when one of them begins. */
static uint64_t
count_together(const struct check *check)
{
	uint64_t most = 0;

	for (size_t i = 0; i < check->faults_count; i++) {
		uint64_t at = check->faults[i].begin;
		uint64_t count = 0;

		for (size_t j = 0; j < check->faults_count; j++)
			count += check->faults[j].begin <= at &&
				 check->faults[j].end >= at;
		most = count > most ? count : most;
	}
	return most;
}

void
check_vacuity(struct check *check)
{
	expect_min(check, count_ops(check, CHECK_OK),
	    check->ok_min > 0 ? check->ok_min : 1, "operations succeeded");
	expect_min(check, count_ops(check, CHECK_INFO), check->info_min,
	    "operations have an unknown outcome");
	expect_min(check, check->faults_count, check->intervals_min, "faults");
	expect_min(check, count_together(check), check->together_min,
	    "faults at one moment");
	expect_min(check, check->expired, check->expired_min, "keys expired");
	check_kinds(check);
	check_final_reads(check);
	for (size_t i = 0; i < check->faults_count; i++)
		check_traffic(check, &check->faults[i]);
	if (check->undecided > check->undecided_max)
		check_void(check,
		    "the search gave up on %" PRIu64 " of %" PRIu64 " keys",
		    check->undecided, check->searched);
}
