#include "common/conf.h"
#include "common/err.h"
#include "common/macros.h"
#include "tests/unit/suites.h"
#include <netinet/in.h>
#include <stdlib.h>

/* A table with one option of each type, as a daemon would have it. */
struct values {
	char *title;
	char *dir;
	char *listen;
	bool open;
	uint64_t wait_us;
	uint64_t room_bytes;
	uint32_t most;
	unsigned mode;
	uint64_t beat_us;
	uint64_t cap_bytes;
};

static const struct conf_choice modes[] = {
	{ "slow", 7 },
	{ "fast", 8 },
	{ "other", 9 },
	{ NULL, 0 },
};

#define AT(field) .offset = offsetof(struct values, field)

static const struct conf_option options[] = {
	{ "main", "title", CONF_TEXT, "none", 1, 8, "a-zA-Z0-9._-", NULL,
	    AT(title), "a text" },
	{ "main", "dir", CONF_PATH, "/var/lib/x", 0, 0, NULL, NULL, AT(dir),
	    "a path" },
	{ "main", "open", CONF_BOOL, "no", 0, 0, NULL, NULL, AT(open),
	    "a yes or no" },
	{ "peers", NULL, CONF_ADDRESS, "", 1, 4, "a-z0-9-", NULL, 0,
	    "the free section" },
	{ "net", "listen", CONF_ADDRESS, "", 0, 0, NULL, NULL, AT(listen),
	    "an address" },
	{ "net", "wait-time", CONF_DURATION, "1s", 200000, 60000000, NULL, NULL,
	    AT(wait_us), "a time" },
	{ "net", "beat-time", CONF_DURATION, "100ms", 1000, 60000000, NULL,
	    NULL, AT(beat_us), "a time below a third of it" },
	{ "net", "room", CONF_SIZE, "64KiB", 1024, UINT64_C(1) << 40, NULL,
	    NULL, AT(room_bytes), "a size" },
	{ "net", "cap", CONF_SIZE, "1MiB", 0, UINT64_C(1) << 40, NULL, NULL,
	    AT(cap_bytes), "a larger size" },
	{ "net", "most", CONF_COUNT, "512", 1, 100000, NULL, NULL, AT(most),
	    "a count" },
	{ "log", "mode", CONF_ENUM, "fast", 0, 0, NULL, modes, AT(mode),
	    "a word" },
};

static struct values values;
static struct conf *conf;

static void
set_up(void)
{
	conf = conf_new(options, ARRAY_COUNT(options), &values);
}

static void
tear_down(void)
{
	conf_free(conf);
	conf_release_values(options, ARRAY_COUNT(options), &values);
}

static void
parse(const char *text)
{
	conf_parse(conf, "dir/x.conf", slice_from_text(text));
}

static void
expect_errors(const char *expected)
{
	struct slice got = conf_errors(conf);

	ck_assert_msg(slice_equal(got, slice_from_text(expected)),
	    "expected:\n%sgot:\n%.*s", expected, (int)got.size,
	    (const char *)got.data);
}

START_TEST(defaults_without_a_file)
{
	ck_assert_str_eq(values.title, "none");
	ck_assert_str_eq(values.dir, "/var/lib/x");
	ck_assert(!values.open);
	ck_assert_ptr_null(values.listen);
	ck_assert_uint_eq(values.wait_us, 1000000);
	ck_assert_uint_eq(values.room_bytes, 65536);
	ck_assert_uint_eq(values.most, 512);
	ck_assert_uint_eq(values.mode, 8);
	ck_assert_uint_eq(conf_errors_count(conf), 0);
}
END_TEST

START_TEST(values_of_every_type)
{
	parse("# a comment with # and ; in it\n"
	      "\n"
	      "[main]\n"
	      "title = My.x_1-2 ; a comment\n"
	      "dir = /srv/x\n"
	      "open = yes\r\n"
	      "[net] ; another\n"
	      "listen = [::0001]:80\n"
	      "wait-time = 1m\n"
	      "room=2MiB\n"
	      "most : 7\n"
	      "[log]\n"
	      "  mode = slow\n"
	      "[peers]\n"
	      "b = 10.0.0.2:5864\n"
	      "a = 10.0.0.1:5864");
	ck_assert_str_eq(values.title, "My.x_1-2");
	ck_assert_str_eq(values.dir, "/srv/x");
	ck_assert(values.open);
	ck_assert_str_eq(values.listen, "[::1]:80");
	ck_assert_uint_eq(values.wait_us, 60000000);
	ck_assert_uint_eq(values.room_bytes, 2u << 20);
	ck_assert_uint_eq(values.most, 7);
	ck_assert_uint_eq(values.mode, 7);
	ck_assert_uint_eq(conf_entries_count(conf), 2);
	ck_assert_str_eq(conf_get_entry(conf, 0).name, "b");
	ck_assert_str_eq(conf_get_entry(conf, 0).address, "10.0.0.2:5864");
	ck_assert_str_eq(conf_get_entry(conf, 1).name, "a");
	ck_assert_uint_eq(conf_file_count(conf), 8);
	ck_assert_uint_eq(conf_errors_count(conf), 0);
}
END_TEST

/* A file and all that is said of it. */
struct mistake {
	const char *text;
	const char *errors;
};

#define P "dir/x.conf:"

static const struct mistake mistakes[] = {
	/* Units. */
	{ "[net]\nwait-time = 1\n",
	    P "2: [net] wait-time: \"1\" needs a unit, e.g. 1s or 1000ms\n" },
	{ "[net]\nwait-time = soon\n",
	    P "2: [net] wait-time: \"soon\": use a number and a unit, e.g. "
	      "500ms or 5s\n" },
	{ "[net]\nwait-time = 99999999\n",
	    P "2: [net] wait-time: \"99999999\": use a number and a unit, "
	      "e.g. 500ms or 5s\n" },
	{ "[net]\nwait-time = 1.5s\n",
	    P "2: [net] wait-time: \"1.5s\": use a whole number of a smaller "
	      "unit, e.g. 1500ms for 1.5s\n" },
	{ "[net]\nwait-time = 5 sec\n",
	    P "2: [net] wait-time: \"5 sec\": \" sec\" is no unit; use us, "
	      "ms, s, m, h or d right behind the number, e.g. 5s\n" },
	{ "[net]\nroom = 64\n",
	    P "2: [net] room: \"64\" needs a unit, e.g. 64MiB, 64KiB or "
	      "64B\n" },
	{ "[net]\nroom = 64MB\n",
	    P "2: [net] room: \"64MB\": use 64MiB (=67108864) or 61MiB "
	      "(about 64 MB)\n" },
	{ "[net]\nroom = 1g\n",
	    P "2: [net] room: \"1g\": use 1GiB (=1073741824) or 954MiB "
	      "(about 1 GB)\n" },
	{ "[net]\nroom = 1kb\n",
	    P "2: [net] room: \"1kb\": use 1KiB (=1024) or 1000B (about 1 "
	      "KB)\n" },
	{ "[net]\nroom = 100000T\n",
	    P "2: [net] room: \"100000T\": use 100000TiB "
	      "(=109951162777600000) or 90949TiB (about 100000 TB)\n" },
	{ "[net]\nroom = 100001T\n",
	    P "2: [net] room: \"100001T\": use a number and a unit, e.g. "
	      "64KiB or 1MiB\n" },
	{ "[net]\nroom = 8mib\n", P "2: [net] room: \"8mib\": use 8MiB\n" },
	{ "[net]\nroom = 8 MiB\n", P "2: [net] room: \"8 MiB\": use 8MiB\n" },
	{ "[net]\nroom = 8 pages\n",
	    P "2: [net] room: \"8 pages\": use a whole number and B, KiB, "
	      "MiB, GiB or TiB, e.g. 64KiB\n" },
	{ "[net]\nroom = much\n",
	    P "2: [net] room: \"much\": use a number and a unit, e.g. 64KiB "
	      "or 1MiB\n" },

	/* Ranges. */
	{ "[net]\nmost = 0\n", P "2: [net] most: 0 is outside 1..100000\n" },
	{ "[net]\nmost = 100001\n",
	    P "2: [net] most: 100001 is outside 1..100000\n" },
	{ "[net]\nmost = 99999999999999999999\n",
	    P "2: [net] most: 99999999999999999999 is outside 1..100000\n" },
	{ "[net]\nmost = -1\n",
	    P "2: [net] most: \"-1\": use a whole number\n" },
	{ "[net]\nwait-time = 199ms\n",
	    P "2: [net] wait-time: 199ms is outside 200ms..1m\n" },
	{ "[net]\nwait-time = 0\n",
	    P "2: [net] wait-time: 0 is outside 200ms..1m\n" },
	{ "[net]\nwait-time = 999999999999d\n",
	    P "2: [net] wait-time: 999999999999d is outside 200ms..1m\n" },
	{ "[net]\nroom = 2TiB\n",
	    P "2: [net] room: 2TiB is outside 1KiB..1TiB\n" },

	/* Words, texts, paths. */
	{ "[main]\nopen = true\n",
	    P "2: [main] open: \"true\": use yes or no\n" },
	{ "[log]\nmode = quick\n",
	    P "2: [log] mode: \"quick\": use slow, fast or other\n" },
	{ "[main]\ntitle = a b\n",
	    P "2: [main] title: \"a b\": use 1 to 8 characters of "
	      "a-zA-Z0-9._-\n" },
	{ "[main]\ntitle = 123456789\n",
	    P "2: [main] title: \"123456789\": use 1 to 8 characters of "
	      "a-zA-Z0-9._-\n" },
	{ "[main]\ndir =\n", P "2: [main] dir: has no value\n" },
	{ "[main]\ndir = ; a comment\n", P "2: [main] dir: has no value\n" },

	/* Addresses. */
	{ "[net]\nlisten = db7:5864\n",
	    P "2: [net] listen: \"db7:5864\": host names are not looked up; "
	      "use a numeric address, e.g. 10.0.0.1:5864\n" },
	{ "[net]\nlisten = 5864\n",
	    P "2: [net] listen: \"5864\": not an IPv4 address, e.g. "
	      "10.0.0.1:5864\n" },
	{ "[net]\nlisten = 10.0.0.256:1\n",
	    P "2: [net] listen: \"10.0.0.256:1\": not an IPv4 address, e.g. "
	      "10.0.0.1:5864\n" },
	{ "[net]\nlisten = 10.0.0.1\n",
	    P "2: [net] listen: \"10.0.0.1\" needs a port, e.g. "
	      "10.0.0.1:5864\n" },
	{ "[net]\nlisten = [::1]\n",
	    P "2: [net] listen: \"[::1]\" needs a port, e.g. [::1]:5864\n" },
	{ "[net]\nlisten = 10.0.0.1:0\n",
	    P "2: [net] listen: \"10.0.0.1:0\": the port is outside "
	      "1..65535\n" },
	{ "[net]\nlisten = 10.0.0.1:65536\n",
	    P "2: [net] listen: \"10.0.0.1:65536\": the port is outside "
	      "1..65535\n" },
	{ "[net]\nlisten = 10.0.0.1:http\n",
	    P "2: [net] listen: \"10.0.0.1:http\": the port is outside "
	      "1..65535\n" },
	{ "[net]\nlisten = ::1:5864\n",
	    P "2: [net] listen: \"::1:5864\": put an IPv6 address into "
	      "brackets, e.g. [::1]:5864\n" },
	{ "[net]\nlisten = [x]:5864\n",
	    P "2: [net] listen: \"[x]:5864\": not an IPv6 address\n" },

	/* Names. */
	{ "[net]\nwait-tme = 1s\n",
	    P "2: [net] wait-tme: unknown option; did you mean "
	      "wait-time?\n" },
	{ "[net]\nWAIT_TIME = 1s\n",
	    P "2: [net] WAIT_TIME: unknown option; did you mean "
	      "wait-time?\n" },
	{ "[net]\ntitle = x\n",
	    P "2: [net] title: unknown option; it belongs to section "
	      "[main]\n" },
	{ "[main]\nforward = yes\n",
	    P "2: [main] forward: unknown option; [main] has title, dir, "
	      "open\n" },
	{ "[net]\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx = 1\n",
	    P "2: [net] xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: "
	      "unknown option; [net] has listen, wait-time, beat-time, room, "
	      "cap, most\n" },
	{ "[nets]\nmost = 0\nother\n",
	    P "1: [nets]: unknown section; did you mean [net]?\n" },
	{ "[security]\nmode = none\n[net]\nmost = 0\n",
	    P "1: [security]: unknown section; there are [main], [peers], "
	      "[net], [log]\n" P "4: [net] most: 0 is outside 1..100000\n" },
	{ "[peers]\nn_1 = 10.0.0.1:5864\n",
	    P "2: [peers] n_1: \"n_1\": use 1 to 4 characters of "
	      "a-z0-9-\n" },
	{ "[peers]\nn1 10.0.0.1:5864\n",
	    P "2: [peers] n1 10.0.0.1: \"n1 10.0.0.1\": use 1 to 4 "
	      "characters of a-z0-9-\n" },

	{ "[net]\nsomething-almost = 1\n",
	    P "2: [net] something-almost: unknown option; [net] has listen, "
	      "wait-time, beat-time, room, cap, most\n" },

	/* Given twice. */
	{ "[net]\nmost = 1\nroom = 2KiB\nmost = 2\n",
	    P "4: [net] most: also defined in line 2\n" },
	{ "[net]\nmost = 0\n[net]\nmost = 2\n",
	    P "2: [net] most: 0 is outside 1..100000\n" P
	      "4: [net] most: also defined in line 2\n" },
	{ "[peers]\nn2 = 10.0.0.1:1\nn2 = 10.0.0.2:1\n",
	    P "3: [peers] n2: also defined in line 2\n" },

	/* Lines. */
	{ "[main]\ndir = /a # x\n",
	    P "2: [main] dir: \"/a # x\": comments after a value start with "
	      ";\n" },
	{ "[main]\ndir = # x\n",
	    P "2: [main] dir: \"# x\": comments after a value start with "
	      ";\n" },
	{ "[main]\n dir = /a\n /b\n",
	    P "3: line starts with a blank and would continue 'dir' of line "
	      "2\n" },
	{ "[main]\ndir = /a\n\n\t[net]\n",
	    P "4: line starts with a blank and would continue 'dir' of line "
	      "2\n" },
	{ "[main]\ndir /a ; = \n",
	    P "2: \"dir /a ; =\" has no =; write name = value\n" },
	{ "[main]\ndir", P "2: \"dir\" has no =; write name = value\n" },
	{ "[main]\n = x\n", P "2: \"= x\" has no name before the =\n" },
	{ "[main\ndir = relative\n", P "1: \"[main\" has no ]\n" },
	{ "[main] dir = /a\n",
	    P "1: \"[main] dir = /a\": write what follows the ] on a line of "
	      "its own\n" },
	{ "most = 1\n", P "1: \"most\" stands before the first [section]\n" },
	{ "nets.most = 1\n",
	    P "1: [nets]: unknown section; did you mean [net]?\n" },
	{ "net.mist = 1   # line 7\n",
	    P "1: [net] mist: unknown option; did you mean most?\n" },
	{ "[main]\ndir = a\001b\n", P "2: line has a control character\n" },
};

START_TEST(mistake_is_named)
{
	const struct mistake *mistake = &mistakes[_i];

	parse(mistake->text);
	expect_errors(mistake->errors);
}
END_TEST

START_TEST(mistake_leaves_the_value)
{
	parse("[net]\nmost = 0\n[main]\ndir =\n");
	ck_assert_uint_eq(values.most, 512);
	ck_assert_str_eq(values.dir, "/var/lib/x");
	ck_assert(!conf_is_sound(conf, "net", "most"));
	ck_assert(conf_is_sound(conf, "net", "room"));
}
END_TEST

START_TEST(line_of_198_characters_is_the_longest)
{
	struct buf text = { 0 };

	buf_append_text(&text, "[main]\ndir = /");
	for (int i = 0; i < 191; i++)
		buf_append_text(&text, "x");
	buf_append_text(&text, "\nopen = yes\n");
	conf_parse(conf, "x.conf", buf_slice(&text));
	ck_assert_uint_eq(conf_errors_count(conf), 0);
	ck_assert_uint_eq(strlen(values.dir), 192);
	ck_assert(values.open);
	buf_release(&text);
}
END_TEST

START_TEST(line_of_199_characters_is_too_long)
{
	struct buf text = { 0 };

	buf_append_text(&text, "[main]\ndir = /");
	for (int i = 0; i < 192; i++)
		buf_append_text(&text, "x");
	buf_append_text(&text, "\nopen = yes\n");
	conf_parse(conf, "x.conf", buf_slice(&text));
	expect_errors("x.conf:2: line is longer than 198 characters\n");
	ck_assert_str_eq(values.dir, "/var/lib/x");
	ck_assert(values.open);
	buf_release(&text);
}
END_TEST

START_TEST(comment_may_be_longer)
{
	struct buf text = { 0 };

	buf_append_text(&text, "[main]\n#");
	for (int i = 0; i < 1000; i++)
		buf_append_text(&text, "x");
	buf_append_text(&text, "\nopen = yes");
	conf_parse(conf, "x.conf", buf_slice(&text));
	ck_assert_uint_eq(conf_errors_count(conf), 0);
	ck_assert(values.open);
	buf_release(&text);
}
END_TEST

START_TEST(byte_order_mark_is_skipped)
{
	parse("\xef\xbb\xbf[main]\nopen = yes\n");
	ck_assert_uint_eq(conf_errors_count(conf), 0);
	ck_assert(values.open);
}
END_TEST

START_TEST(nul_byte_is_named)
{
	static const char text[] = "[main]\ntitle = a\0b\n";

	conf_parse(conf, "x.conf", slice_of(text, sizeof(text) - 1));
	expect_errors("x.conf:2: line has a control character\n");
}
END_TEST

START_TEST(twenty_errors_are_shown_and_all_counted)
{
	struct buf text = { 0 };
	struct slice errors;
	unsigned lines = 0;

	buf_append_text(&text, "[main]\n");
	for (int i = 0; i < 25; i++)
		buf_append_text(&text, "x\n");
	conf_parse(conf, "x.conf", buf_slice(&text));
	errors = conf_errors(conf);
	for (size_t i = 0; i < errors.size; i++)
		lines += errors.data[i] == '\n';
	ck_assert_uint_eq(lines, 20);
	ck_assert_uint_eq(conf_errors_count(conf), 25);
	buf_release(&text);
}
END_TEST

START_TEST(entries_are_bounded)
{
	struct buf text = { 0 };

	buf_append_text(&text, "[peers]\n");
	for (int i = 0; i < CONF_ENTRIES_MAX + 1; i++)
		buf_printf(&text, "n%d = 10.0.0.1:%d\n", i, i + 1);
	conf_parse(conf, "x.conf", buf_slice(&text));
	expect_errors("x.conf:66: [peers] n64: more than 64 entries\n");
	ck_assert_uint_eq(conf_entries_count(conf), CONF_ENTRIES_MAX);
	buf_release(&text);
}
END_TEST

START_TEST(file_that_is_not_there)
{
	conf_load(conf, "/nonexistent/x.conf");
	expect_errors("/nonexistent/x.conf: cannot be read: No such file or "
		      "directory\n");
}
END_TEST

START_TEST(file_that_is_a_directory)
{
	conf_load(conf, "/");
	expect_errors("/: cannot be read: Is a directory\n");
}
END_TEST

START_TEST(file_without_an_end)
{
	conf_load(conf, "/dev/zero");
	expect_errors("/dev/zero: cannot be read: File too large\n");
}
END_TEST

START_TEST(paths_in_a_file_start_at_its_directory)
{
	static const char *const texts[][2] = {
		{ "[main]\ndir = d\n", "/usr/bin/d" },
		{ "[main]\ndir = ./d/e\n", "/usr/bin/d/e" },
		{ "[main]\ndir = ../run/n1\n", "/usr/run/n1" },
		{ "[main]\ndir = ../../../../d\n", "/d" },
		{ "[main]\ndir = /d/../e\n", "/d/../e" },
	};

	conf_parse(
	    conf, "/usr/bin/../bin/x.conf", slice_from_text(texts[_i][0]));
	ck_assert_str_eq(values.dir, texts[_i][1]);
}
END_TEST

START_TEST(paths_on_the_command_line_start_here)
{
	char *here = realpath(".", NULL);
	struct buf expected = { 0 };

	buf_printf(&expected, "%s/d", here);
	buf_append(&expected, "", 1);
	conf_parse(conf, "/usr/bin/x.conf", slice_from_text(""));
	conf_set(conf, "main", "dir", "d");
	ck_assert_str_eq(values.dir, (const char *)expected.data);
	buf_release(&expected);
	free(here);
}
END_TEST

START_TEST(command_line_overrides_the_file)
{
	parse("[net]\nmost = 1\n[peers]\na = 10.0.0.1:1\n");
	conf_set_assignment(conf, "net.most=2");
	conf_set_assignment(conf, "net.most=3");
	conf_set_assignment(conf, "peers.a=10.0.0.2:2");
	conf_set_assignment(conf, "peers.b=10.0.0.3:3");
	ck_assert_uint_eq(conf_errors_count(conf), 0);
	ck_assert_uint_eq(values.most, 3);
	ck_assert_uint_eq(conf_entries_count(conf), 2);
	ck_assert_str_eq(conf_get_entry(conf, 0).address, "10.0.0.2:2");
	ck_assert_uint_eq(conf_file_count(conf), 0);
}
END_TEST

/* An assignment of --set and what is said of it. */
static const struct mistake assignments[] = {
	{ "most=1", "command line: \"most=1\": write --set "
		    "section.option=value\n" },
	{ "net.most", "command line: \"net.most\": write --set "
		      "section.option=value\n" },
	{ "most=net.1", "command line: \"most=net.1\": write --set "
			"section.option=value\n" },
	{ "net.most=x",
	    "command line: [net] most: \"x\": use a whole number\n" },
	{ "net.mots=1", "command line: [net] mots: unknown option; did you "
			"mean most?\n" },
	{ "nett.most=1", "command line: [nett]: unknown section; did you "
			 "mean [net]?\n" },
	{ "main.dir=/a ;b", "command line: [main] dir: \"/a ;b\": comments "
			    "after a value start with ;\n" },
	{ "main.dir=/a\nb",
	    "command line: [main] dir: has a control character\n" },
};

START_TEST(assignment_mistake_is_named)
{
	conf_set_assignment(conf, assignments[_i].text);
	expect_errors(assignments[_i].errors);
}
END_TEST

START_TEST(relation_names_the_line_that_was_written)
{
	parse("[net]\nwait-time = 200ms\nroom = 4MiB\n");
	conf_require_at_most(conf, "net", "beat-time", 3, "wait-time");
	conf_require_at_most(conf, "net", "room", 1, "cap");
	expect_errors(
	    P "2: [net] beat-time: 100ms is more than a third of wait-time "
	      "(200ms)\n" P "3: [net] room: 4MiB is more than cap (1MiB)\n");
}
END_TEST

START_TEST(relation_that_holds_is_silent)
{
	parse("[net]\nwait-time = 300ms\nroom = 1MiB\n");
	conf_require_at_most(conf, "net", "beat-time", 3, "wait-time");
	conf_require_at_most(conf, "net", "room", 1, "cap");
	ck_assert_uint_eq(conf_errors_count(conf), 0);
}
END_TEST

START_TEST(relation_to_a_broken_value_is_silent)
{
	parse(_i == 0 ? "[net]\nwait-time = 1\nbeat-time = 30s\n"
		      : "[net]\nwait-time = 200ms\nbeat-time = 1\n");
	conf_require_at_most(conf, "net", "beat-time", 3, "wait-time");
	ck_assert_uint_eq(conf_errors_count(conf), 1);
}
END_TEST

START_TEST(error_of_the_program_has_its_place)
{
	parse("[main]\nopen = yes\n[peers]\na = 10.0.0.1:1\n");
	conf_set(conf, "net", "most", "5");
	conf_error(conf, "main", "open", "%s", "one");
	conf_error(conf, "net", "most", "two");
	conf_error(conf, "net", "room", "three");
	conf_error(conf, "peers", "a", "four");
	conf_error(conf, "peers", NULL, "five");
	expect_errors(P "2: [main] open: one\n"
			"command line: [net] most: two\n"
			"dir/x.conf: [net] room: three\n" P
			"4: [peers] a: four\n" P "4: [peers]: five\n");
}
END_TEST

static const char listing[] = "main.title = none   # default\n"
			      "main.dir = /usr/d   # /usr/x.conf:2\n"
			      "main.open = yes   # command line\n"
			      "peers.b = 10.0.0.2:1   # /usr/x.conf:4\n"
			      "net.listen = 10.0.0.2:1   # peers.b\n"
			      "net.wait-time = 1500ms   # /usr/x.conf:6\n"
			      "net.beat-time = 100ms   # default\n"
			      "net.room = 1MiB   # /usr/x.conf:7\n"
			      "net.cap = 1MiB   # default\n"
			      "net.most = 512   # default\n"
			      "log.mode = other   # /usr/x.conf:9\n";

START_TEST(listing_names_every_origin)
{
	struct buf text = { 0 };

	conf_parse(conf, "/usr/x.conf",
	    slice_from_text("[main]\ndir = d\n[peers]\nb = 10.0.0.2:1\n"
			    "[net]\nwait-time = 1500ms\nroom = 1024KiB\n"
			    "[log]\nmode = other\n"));
	conf_set(conf, "main", "open", "yes");
	conf_derive(conf, "net", "listen", "10.0.0.2:1", "peers.b");
	conf_print(conf, &text);
	ck_assert_msg(slice_equal(buf_slice(&text), slice_from_text(listing)),
	    "%.*s", (int)text.size, (const char *)text.data);
	buf_release(&text);
}
END_TEST

START_TEST(listing_is_a_file_again)
{
	struct buf text = { 0 };

	parse(listing);
	expect_errors("");
	conf_print(conf, &text);
	ck_assert_uint_eq(conf_file_count(conf), 10);
	ck_assert_str_eq(values.dir, "/usr/d");
	ck_assert_str_eq(values.listen, "10.0.0.2:1");
	ck_assert_uint_eq(values.mode, 9);
	ck_assert_str_eq(conf_get_entry(conf, 0).address, "10.0.0.2:1");
	buf_release(&text);
}
END_TEST

START_TEST(every_prefix_of_a_file_is_survived)
{
	for (size_t size = 0; size < sizeof(listing); size++) {
		struct values again;
		struct conf *other =
		    conf_new(options, ARRAY_COUNT(options), &again);
		char *exact = malloc(size + 1);

		memcpy(exact, listing, size);
		conf_parse(other, "x.conf", slice_of(exact, size));
		ck_assert_uint_le(conf_errors_count(other), 1);
		free(exact);
		conf_free(other);
		conf_release_values(options, ARRAY_COUNT(options), &again);
	}
}
END_TEST

Suite *
conf_suite(void)
{
	Suite *suite = suite_create("conf");
	TCase *tcase = tcase_create("conf");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, defaults_without_a_file);
	tcase_add_test(tcase, values_of_every_type);
	tcase_add_loop_test(
	    tcase, mistake_is_named, 0, (int)ARRAY_COUNT(mistakes));
	tcase_add_test(tcase, mistake_leaves_the_value);
	tcase_add_test(tcase, line_of_198_characters_is_the_longest);
	tcase_add_test(tcase, line_of_199_characters_is_too_long);
	tcase_add_test(tcase, comment_may_be_longer);
	tcase_add_test(tcase, byte_order_mark_is_skipped);
	tcase_add_test(tcase, nul_byte_is_named);
	tcase_add_test(tcase, twenty_errors_are_shown_and_all_counted);
	tcase_add_test(tcase, entries_are_bounded);
	tcase_add_test(tcase, file_that_is_not_there);
	tcase_add_test(tcase, file_that_is_a_directory);
	tcase_add_test(tcase, file_without_an_end);
	tcase_add_loop_test(
	    tcase, paths_in_a_file_start_at_its_directory, 0, 5);
	tcase_add_test(tcase, paths_on_the_command_line_start_here);
	tcase_add_test(tcase, command_line_overrides_the_file);
	tcase_add_loop_test(tcase, assignment_mistake_is_named, 0,
	    (int)ARRAY_COUNT(assignments));
	tcase_add_test(tcase, relation_names_the_line_that_was_written);
	tcase_add_test(tcase, relation_that_holds_is_silent);
	tcase_add_loop_test(tcase, relation_to_a_broken_value_is_silent, 0, 2);
	tcase_add_test(tcase, error_of_the_program_has_its_place);
	tcase_add_test(tcase, listing_names_every_origin);
	tcase_add_test(tcase, listing_is_a_file_again);
	tcase_add_test(tcase, every_prefix_of_a_file_is_survived);
	suite_add_tcase(suite, tcase);
	return suite;
}
