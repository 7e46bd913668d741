#include "tests/torture/check.h"

#include "common/macros.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Violations that are told of each check. */
#define TOLD_MAX 10

/* ---- Telling ---- */

/* Borrowed; values may be long, and what matters is at their begin. */
const char *
check_text_show(const struct check *check, check_text text)
{
	return text == 0 ? "nothing" : check->texts.texts[text];
}

static void
describe(const struct check *check, const struct check_op *op)
{
	struct buf *report = check->report;

	buf_printf(
	    report, "    line %zu, client %" PRIu64, op->line, op->client);
	if (op->key != 0)
		buf_printf(report, ": %.60s", check_text_show(check, op->key));
	if (op->value != 0)
		buf_printf(
		    report, " = %.40s", check_text_show(check, op->value));
	if (op->out != 0)
		buf_printf(report, ", answered %.40s",
		    check_text_show(check, op->out));
	buf_printf(report, ", revision %" PRIu64 ", called %" PRIu64,
	    op->revision, op->call);
	if (op->ret != CHECK_NEVER)
		buf_printf(report, ", returned %" PRIu64, op->ret);
	if (op->answer != 0)
		buf_printf(report, "\n    it was told: %.300s",
		    check_text_show(check, op->answer));
	buf_append_text(report, "\n");
}

void
check_fail(struct check *check, const struct check_op *op,
    const struct check_op *other, const char *format, ...)
{
	char what[400];
	va_list arguments;

	if (check->failures++ >= TOLD_MAX)
		return;
	va_start(arguments, format);
	(void)vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	buf_printf(check->report, "FAIL %s: %s\n", check->name, what);
	if (op != NULL)
		describe(check, op);
	if (other != NULL)
		describe(check, other);
}

void
check_void(struct check *check, const char *format, ...)
{
	char what[400];
	va_list arguments;

	check->vacuous++;
	va_start(arguments, format);
	(void)vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	buf_printf(check->report, "FAIL vacuity: %s\n", what);
}

/* ---- The checks ---- */

static void
finish(struct check *check)
{
	if (check->failures > TOLD_MAX)
		buf_printf(check->report, "FAIL %s: and %u more\n", check->name,
		    check->failures - TOLD_MAX);
	check->failed += check->failures != 0;
	check->passed += check->failures == 0;
	check->failures = 0;
}

/* Those behind the first need its changes; writes tell whose those are. */
static void
run(struct check *check)
{
	static const struct {
		const char *name;
		void (*run)(struct check *check);
	} checks[] = {
		{ "watches", check_watches },
		{ "writes", check_writes },
		{ "reads", check_reads },
		{ "order", check_order_sights },
		{ "locks", check_locks },
		{ "ttl", check_lifetimes },
		{ "search", check_search },
	};

	check->name = "changes";
	if (!check_log_build(check))
		return;
	check_order(check);
	finish(check);
	for (size_t i = 0; i < ARRAY_COUNT(checks); i++) {
		check->name = checks[i].name;
		checks[i].run(check);
		finish(check);
	}
	check->name = "vacuity";
	check_vacuity(check);
}

static void
tell_figures(struct check *check)
{
	uint64_t counts[4] = { 0 };

	for (size_t i = 0; i < check->ops_count; i++) {
		if (check->ops[i].kind != CHECK_WATCH)
			counts[check->ops[i].status]++;
	}
	buf_printf(check->report,
	    "%" PRIu64 " ok, %" PRIu64 " failed, %" PRIu64
	    " unknown, of which %" PRIu64 " were done; %zu changes of %zu "
	    "keys, %" PRIu64 " expired; %" PRIu64 " keys searched, %" PRIu64
	    " undecided; %zu faults\n",
	    counts[CHECK_OK], counts[CHECK_FAIL], counts[CHECK_INFO],
	    check->unknown_done, check->changes_count, check->keys_count,
	    check->expired, check->searched, check->undecided,
	    check->faults_count);
}

static void
release(struct check *check)
{
	for (size_t i = 0; i < check->ops_count; i++) {
		free(check->ops[i].conditions.parts);
		free(check->ops[i].then.parts);
		free(check->ops[i].otherwise.parts);
		free(check->ops[i].items);
		free(check->ops[i].lines);
	}
	free(check->ops);
	free(check->faults);
	free(check->changes);
	free(check->by_key);
	free(check->first_of);
	free(check->keys);
	free(check->sights);
	check_texts_release(&check->texts);
}

enum check_verdict
check_history(struct slice history, struct slice faults,
    const struct check_options *options, struct buf *report)
{
	struct check check = { .options = options, .report = report };
	enum check_verdict verdict = CHECK_GOOD;

	check_texts_init(&check.texts);
	if (check_load(&check, history) && check_load_faults(&check, faults))
		run(&check);
	if (check.vacuous != 0)
		verdict = CHECK_VACUOUS;
	if (check.failed != 0)
		verdict = CHECK_VIOLATION;
	tell_figures(&check);
	buf_printf(report, "%u passed, %u failed\n",
	    check.passed + (check.vacuous == 0),
	    check.failed + (check.vacuous != 0));
	release(&check);
	return verdict;
}
