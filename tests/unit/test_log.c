#include "common/buf.h"
#include "common/log.h"
#include "tests/unit/suites.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static FILE *stream;
static int stderr_before;
static struct buf lines;

/* stderr goes to a file without a name during each test. */
static void
capture(void)
{
	stream = tmpfile();
	ck_assert_ptr_nonnull(stream);
	stderr_before = dup(STDERR_FILENO);
	ck_assert_int_eq(dup2(fileno(stream), STDERR_FILENO), STDERR_FILENO);
}

static void
restore(void)
{
	(void)dup2(stderr_before, STDERR_FILENO);
	close(stderr_before);
	fclose(stream);
	buf_release(&lines);
	log_init(LOG_LEVEL_INFO, LOG_FORMAT_AUTO);
}

/* All that was logged, as a C string. */
static const char *
logged(void)
{
	char part[256];
	size_t size;

	rewind(stream);
	while ((size = fread(part, 1, sizeof(part), stream)) != 0)
		buf_append(&lines, part, size);
	buf_append(&lines, "", 1);
	return (const char *)lines.data;
}

START_TEST(journald_lines_carry_priorities)
{
	log_init(LOG_LEVEL_DEBUG, LOG_FORMAT_JOURNALD);
	log_err("a %d", 1);
	log_warning("b");
	log_notice("c");
	log_info("d");
	log_debug("e");
	ck_assert_str_eq(logged(), "<3>a 1\n<4>b\n<5>c\n<6>d\n<7>e\n");
}
END_TEST

START_TEST(lines_above_the_level_are_left_out)
{
	log_init(LOG_LEVEL_WARNING, LOG_FORMAT_JOURNALD);
	ck_assert(log_enabled(LOG_LEVEL_WARNING));
	ck_assert(!log_enabled(LOG_LEVEL_NOTICE));
	log_warning("in");
	log_notice("out");
	ck_assert_str_eq(logged(), "<4>in\n");
}
END_TEST

START_TEST(text_lines_carry_time_and_level)
{
	const char *line;

	log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	log_notice("role changed");
	line = logged();
	/* 2026-01-31T12:00:00.000000Z */
	ck_assert_uint_eq(strspn(line, "0123456789-T:."), 26);
	ck_assert_str_eq(line + 26, "Z notice: role changed\n");
}
END_TEST

/* One message is one line, whatever a client put into it. */
START_TEST(control_characters_are_replaced)
{
	log_init(LOG_LEVEL_INFO, LOG_FORMAT_JOURNALD);
	log_info("%s", "a\nb\x1b[31m\r\x7f\xc3\xa4");
	ck_assert_str_eq(logged(), "<6>a?b?[31m??\xc3\xa4\n");
}
END_TEST

START_TEST(long_lines_are_cut)
{
	char long_text[3000];
	const char *line;

	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	log_init(LOG_LEVEL_INFO, LOG_FORMAT_JOURNALD);
	log_info("%s", long_text);
	line = logged();
	ck_assert_uint_eq(strlen(line), 1024);
	ck_assert_str_eq(line + 1022, "x\n");
}
END_TEST

START_TEST(journald_is_recognised_by_its_stream)
{
	struct stat status;
	char name[64];

	ck_assert_int_eq(fstat(STDERR_FILENO, &status), 0);
	(void)snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)status.st_dev,
	    (uintmax_t)status.st_ino);
	ck_assert_int_eq(setenv("JOURNAL_STREAM", name, 1), 0);
	log_init(LOG_LEVEL_INFO, LOG_FORMAT_AUTO);
	log_info("native");
	/* Inherited by a process whose stderr goes elsewhere. */
	ck_assert_int_eq(setenv("JOURNAL_STREAM", "1:1", 1), 0);
	log_init(LOG_LEVEL_INFO, LOG_FORMAT_AUTO);
	log_info("text");
	unsetenv("JOURNAL_STREAM");
	ck_assert_ptr_nonnull(strstr(logged(), "<6>native\n"));
	ck_assert_ptr_nonnull(strstr((const char *)lines.data, "Z info: text"));
}
END_TEST

Suite *
log_suite(void)
{
	Suite *suite = suite_create("log");
	TCase *tcase = tcase_create("log");

	tcase_add_checked_fixture(tcase, capture, restore);
	tcase_add_test(tcase, journald_lines_carry_priorities);
	tcase_add_test(tcase, lines_above_the_level_are_left_out);
	tcase_add_test(tcase, text_lines_carry_time_and_level);
	tcase_add_test(tcase, control_characters_are_replaced);
	tcase_add_test(tcase, long_lines_are_cut);
	tcase_add_test(tcase, journald_is_recognised_by_its_stream);
	suite_add_tcase(suite, tcase);
	return suite;
}
