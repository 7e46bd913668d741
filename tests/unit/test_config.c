#include "common/macros.h"
#include "config.h"
#include "config_impl.h"
#include "tests/lib/temp_dir.h"
#include "tests/unit/suites.h"
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/*
 * Each test has a directory with a secret and writes "x.conf" into it. What
 * the machine is called and which addresses it has is made up.
 */
static char *directory;
static struct config config;
static struct buf output;
static struct config_host host;

#define SECRET "0123456789abcdef"

static void
write_file(const char *name, struct slice content, unsigned mode)
{
	char *path;
	FILE *file;

	ck_assert_int_gt(asprintf(&path, "%s/%s", directory, name), 0);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(
	    fwrite(content.data, 1, content.size, file), content.size);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
	free(path);
}

/* `text` becomes another address of the machine. */
static void
add_host_address(const char *text)
{
	ck_assert_int_eq(address_parse(slice_from_text(text),
			     &host.addresses[host.addresses_count++]),
	    0);
}

static void
set_up(void)
{
	directory = temp_dir_make();
	write_file("secret", slice_from_text(SECRET "\n"), 0640);
	host = (struct config_host){
		.name = "db7",
	};
	add_host_address("127.0.0.1:0");
	add_host_address("10.0.0.9:0");
}

static void
tear_down(void)
{
	config_release(&config);
	buf_release(&output);
	temp_dir_remove(directory);
}

/* luminousd ARGUMENT...; the list ends with NULL. */
static enum config_outcome
run(char *const *arguments)
{
	char *argv[16] = { (char[]){ "luminousd" } };
	int argc = 1;

	while (arguments[argc - 1] != NULL) {
		argv[argc] = arguments[argc - 1];
		argc++;
	}
	return config_load(argc, argv, &host, &config, &output);
}

/* luminousd -c x.conf, with `text` in it, and one more argument if not NULL. */
static enum config_outcome
load(const char *text, const char *argument)
{
	char *path;
	enum config_outcome outcome;

	write_file("x.conf", slice_from_text(text), 0644);
	ck_assert_int_gt(asprintf(&path, "%s/x.conf", directory), 0);
	outcome = run((char *[]){ (char[]){ "-c" }, path,
	    argument ? strdupa(argument) : NULL, NULL });
	free(path);
	return outcome;
}

/* Expects exactly these lines; "@" stands for the test's directory. */
static void
expect_output(const char *expected)
{
	struct buf text = { 0 };

	for (const char *at = expected; *at != '\0'; at++) {
		if (*at == '@')
			buf_append_text(&text, directory);
		else
			buf_append(&text, at, 1);
	}
	ck_assert_msg(slice_equal(buf_slice(&text), buf_slice(&output)),
	    "expected:\n%.*sgot:\n%.*s", (int)text.size,
	    (const char *)text.data, (int)output.size,
	    (const char *)output.data);
	buf_release(&text);
}

static void
expect_in_output(const char *expected)
{
	ck_assert_msg(memmem(output.data, output.size, expected,
			  strlen(expected)) != NULL,
	    "expected %s in:\n%.*s", expected, (int)output.size,
	    (const char *)output.data);
}

#define CLUSTER "[cluster]\nsecret-file = secret\n"
#define MEMBERS                                                                \
	"[members]\nn2 = 10.0.0.2:5864\nn1 = 10.0.0.1:5864\n"                  \
	"n3 = 10.0.0.3:5864\n"
#define INSECURE      "[node]\ninsecure = yes\n"
#define LOCAL_MEMBERS "[members]\nn1 = 127.0.0.1:5864\nn2 = 127.0.0.1:5865\n"

START_TEST(no_file_is_a_node_by_itself)
{
	ck_assert_int_eq(load("", NULL), CONFIG_RUN);
	ck_assert_uint_eq(config.members_count, 1);
	ck_assert_str_eq(config.members[0].name, "db7");
	ck_assert_str_eq(config.members[0].address, "127.0.0.1:5864");
	ck_assert_str_eq(config.node_name, "db7");
	ck_assert_str_eq(config.listen, "127.0.0.1:5864");
	ck_assert_str_eq(config.data_dir, "/var/lib/luminous");
	ck_assert_uint_eq(
	    config.map_bytes, (UINT64_C(33) << 30) + (UINT64_C(320) << 20));
	ck_assert_uint_eq(config.history_age_us, UINT64_C(3600) * 1000000);
	ck_assert_uint_eq(config.history_bytes_max, UINT64_C(16) << 20);
	ck_assert_uint_eq(config.watchers_max, 10000);
	ck_assert_uint_eq(config.secret_size, 0);
	ck_assert_int_eq(config.log_level, LOG_LEVEL_INFO);
}
END_TEST

START_TEST(lone_node_may_be_named)
{
	ck_assert_int_eq(
	    load("[node]\nname = x\nlisten = [::1]:1\n", NULL), CONFIG_RUN);
	ck_assert_str_eq(config.members[0].name, "x");
	ck_assert_str_eq(config.members[0].address, "[::1]:1");
}
END_TEST

START_TEST(lone_node_fits_its_host_name)
{
	(void)snprintf(host.name, sizeof(host.name),
	    "my_host-with-a-name-of-more-than-32-bytes");
	ck_assert_int_eq(load("", NULL), CONFIG_RUN);
	ck_assert_str_eq(config.node_name, "my-host-with-a-name-of-more-than");
}
END_TEST

START_TEST(lone_node_without_a_host_name)
{
	host.name[0] = '\0';
	ck_assert_int_eq(load("", NULL), CONFIG_RUN);
	ck_assert_str_eq(config.node_name, "node");
}
END_TEST

START_TEST(members_are_sorted_by_name)
{
	ck_assert_int_eq(
	    load(CLUSTER MEMBERS INSECURE "name = n2\n", NULL), CONFIG_RUN);
	ck_assert_uint_eq(config.members_count, 3);
	ck_assert_str_eq(config.members[0].name, "n1");
	ck_assert_str_eq(config.members[1].name, "n2");
	ck_assert_str_eq(config.members[1].address, "10.0.0.2:5864");
	ck_assert_str_eq(config.members[2].name, "n3");
	ck_assert_str_eq(config.address, "10.0.0.2:5864");
	ck_assert_str_eq(config.listen, "10.0.0.2:5864");
	ck_assert_uint_eq(config.secret_size, 16);
	ck_assert_mem_eq(config.secret, SECRET, 16);
}
END_TEST

START_TEST(self_by_command_line_before_file)
{
	ck_assert_int_eq(
	    load(CLUSTER MEMBERS INSECURE "name = n2\n", "--name=n3"),
	    CONFIG_RUN);
	ck_assert_str_eq(config.node_name, "n3");
	ck_assert_str_eq(config.address, "10.0.0.3:5864");
}
END_TEST

START_TEST(self_by_host_name_before_address)
{
	(void)snprintf(host.name, sizeof(host.name), "n1");
	add_host_address("10.0.0.3:0");
	ck_assert_int_eq(load(CLUSTER MEMBERS INSECURE, NULL), CONFIG_RUN);
	ck_assert_str_eq(config.node_name, "n1");
}
END_TEST

START_TEST(self_by_the_only_local_address)
{
	add_host_address("10.0.0.3:0");
	ck_assert_int_eq(load(CLUSTER MEMBERS INSECURE, NULL), CONFIG_RUN);
	ck_assert_str_eq(config.node_name, "n3");
	ck_assert_str_eq(config.listen, "10.0.0.3:5864");
}
END_TEST

START_TEST(listen_on_the_command_line)
{
	ck_assert_int_eq(load(CLUSTER LOCAL_MEMBERS "[node]\nname = n1\n",
			     "--listen=127.0.0.1:7"),
	    CONFIG_RUN);
	ck_assert_str_eq(config.listen, "127.0.0.1:7");
	ck_assert_str_eq(config.members[0].address, "127.0.0.1:5864");
}
END_TEST

#define JOINING CLUSTER "[node]\nname = n4\nlisten = 127.0.0.1:7\njoin = "

START_TEST(join_by_address_by_name_and_by_waiting)
{
	ck_assert_int_eq(load(JOINING "10.0.0.1:5864\n", NULL), CONFIG_RUN);
	ck_assert_str_eq(config.join_address, "10.0.0.1:5864");
	ck_assert_str_eq(config.address, "127.0.0.1:7");
	config_release(&config);
	ck_assert_int_eq(
	    load(JOINING "n2\n[members]\nn2 = 10.0.0.2:1\n", NULL), CONFIG_RUN);
	ck_assert_str_eq(config.join_address, "10.0.0.2:1");
	ck_assert_uint_eq(config.members_count, 1);
	config_release(&config);
	ck_assert_int_eq(load(JOINING "wait\n", NULL), CONFIG_RUN);
	ck_assert_str_eq(config.join, CONFIG_JOIN_WAIT);
	ck_assert_ptr_null(config.join_address);
}
END_TEST

/* Its own line in [members] says where it is; it may listen elsewhere. */
START_TEST(join_with_an_address_in_members)
{
	ck_assert_int_eq(
	    load(CLUSTER MEMBERS INSECURE "name = n2\njoin = n3\n", NULL),
	    CONFIG_RUN);
	ck_assert_str_eq(config.join_address, "10.0.0.3:5864");
	ck_assert_str_eq(config.address, "10.0.0.2:5864");
	ck_assert_str_eq(config.listen, "10.0.0.2:5864");
	config_release(&config);
	ck_assert_int_eq(load(CLUSTER MEMBERS INSECURE
			     "name = n2\njoin = n3\nlisten = 0.0.0.0:5864\n",
			     NULL),
	    CONFIG_RUN);
	ck_assert_str_eq(config.address, "10.0.0.2:5864");
	ck_assert_str_eq(config.listen, "0.0.0.0:5864");
}
END_TEST

/* A file, and all that is said of it; without the last line, "1 error...". */
static const struct {
	const char *text;
	const char *errors;
} refused[] = {
	{ JOINING "n2\n",
	    "@/x.conf:6: [node] join: \"n2\" is none of [members], no "
	    "IP:PORT of a member, and not \"wait\"\n" },
	{ JOINING "n4:5864\n",
	    "@/x.conf:6: [node] join: \"n4:5864\" is none of [members], no "
	    "IP:PORT of a member, and not \"wait\"\n" },
	{ "[node]\nname = n4\nlisten = 127.0.0.1:7\njoin = wait\n",
	    "@/x.conf: [cluster] secret-file: needed to join: copy the file "
	    "of a member\n" },
	{ CLUSTER "[node]\nname = n4\njoin = wait\n",
	    "@/x.conf: [node] listen: a node that joins needs it: the IP:PORT "
	    "where the others reach this one\n" },
	{ CLUSTER INSECURE "name = n4\njoin = wait\nlisten = 0.0.0.0:7\n",
	    "@/x.conf:7: [node] listen: 0.0.0.0:7 leads nowhere; give the "
	    "address that the members connect to\n" },
	{ CLUSTER "[node]\nname = n4\nlisten = 10.0.0.9:7\njoin = wait\n",
	    "@/x.conf:5: [node] listen: listening on 10.0.0.9:7 without "
	    "authentication: whoever reaches it may read and write; set "
	    "node.insecure = yes, or use a loopback address\n" },
	{ CLUSTER MEMBERS INSECURE,
	    "@/x.conf:4: [members]: this host (db7, 10.0.0.9) is none of the "
	    "members n1, n2, n3; give --name or add it\n" },
	{ CLUSTER LOCAL_MEMBERS,
	    "@/x.conf:4: [members]: 2 of the members n1, n2 are addresses of "
	    "this host (db7, 10.0.0.9); give --name\n" },
	{ CLUSTER MEMBERS INSECURE "name = n9\n",
	    "@/x.conf:9: [node] name: \"n9\" is none of the members n1, n2, "
	    "n3\n" },
	{ CLUSTER "[members]\nn1 = 10.0.0.1:5864\nn2 = 10.0.0.1:5864\n"
		  "[node]\nname = n1\ninsecure = yes\n",
	    "@/x.conf:5: [members] n2: 10.0.0.1:5864 is the address of n1 "
	    "already\n" },
	{ CLUSTER "[members]\nn1 = 0.0.0.0:5864\nn2 = 10.0.0.1:5864\n"
		  "[node]\nname = n1\ninsecure = yes\n",
	    "@/x.conf:4: [members] n1: 0.0.0.0:5864 leads nowhere; give the "
	    "address that the other members connect to\n" },
	{ CLUSTER "[members]\na = 10.0.0.1:1\nb = 10.0.0.1:2\n"
		  "c = 10.0.0.1:3\nd = 10.0.0.1:4\ne = 10.0.0.1:5\n"
		  "f = 10.0.0.1:6\ng = 10.0.0.1:7\nh = 10.0.0.1:8\n"
		  "[node]\nname = a\n",
	    "@/x.conf:4: [members]: 8 members; a cluster has at most 7\n" },
	{ CLUSTER "[members]\nn1 = db7:5864\n[node]\nname = n1\n",
	    "@/x.conf:4: [members] n1: \"db7:5864\": host names are not "
	    "looked up; use a numeric address, e.g. 10.0.0.1:5864\n" },
	{ "[node]\nlisten = 0.0.0.0:5864\n",
	    "@/x.conf:2: [node] listen: listening on 0.0.0.0:5864 without "
	    "authentication: whoever reaches it may read and write; set "
	    "node.insecure = yes, or use a loopback address\n" },
	{ CLUSTER MEMBERS "[node]\nname = n1\n",
	    "@/x.conf:5: [members] n1: listening on 10.0.0.1:5864 without "
	    "authentication: whoever reaches it may read and write; set "
	    "node.insecure = yes, or use a loopback address\n" },
	{ LOCAL_MEMBERS "[node]\nname = n1\n",
	    "@/x.conf: [cluster] secret-file: needed with 2 members, the same "
	    "file on each; make one: (umask 077; head -c 32 /dev/urandom | "
	    "base64 >FILE)\n" },
	{ "[cluster]\nsecret-file = nothing\n",
	    "@/x.conf:2: [cluster] secret-file: @/nothing cannot be read: No "
	    "such file or directory\n" },
	{ "[cluster]\nsecret-file = .\n",
	    "@/x.conf:2: [cluster] secret-file: @/. is not a file\n" },
	{ "[raft]\nelection-timeout = 200ms\n",
	    "@/x.conf:2: [raft] heartbeat-interval: 100ms is more than a "
	    "third of election-timeout (200ms)\n" },
	{ "[raft]\nheartbeat-interval = 334ms\n",
	    "@/x.conf:2: [raft] heartbeat-interval: 334ms is more than a "
	    "third of election-timeout (1s)\n" },
	{ "[raft]\nelection-timeout = 199ms\n",
	    "@/x.conf:2: [raft] election-timeout: 199ms is outside "
	    "200ms..1m\n" },
	{ "[storage]\nmap-size = 4GiB\n",
	    "@/x.conf:2: [storage] quota: 8GiB is more than map-size "
	    "(4GiB)\n" },
	{ "[storage]\nmap-size = 9GiB\n[history]\nmax-size = 2GiB\n",
	    "@/x.conf:4: [history] max-size: 2GiB is more than "
	    "storage.map-size has beside storage.quota (1GiB)\n" },
	{ "[history]\nmax-size = 1KiB\n",
	    "@/x.conf:2: [history] max-size: 1KiB is outside 64KiB..1TiB\n" },
	{ "[history]\nmax-age = 100ms\n",
	    "@/x.conf:2: [history] max-age: 100ms is outside 1s..3650d\n" },
	{ "[http]\nmax-watchers = 0\n",
	    "@/x.conf:2: [http] max-watchers: 0 is outside 1..1000000\n" },
	{ "[http]\nmax-head-bytes = 4KiB\n",
	    "@/x.conf:2: [http] max-target-bytes: 8KiB is more than "
	    "max-head-bytes (4KiB)\n" },
	{ "[http]\nmax-value = 2MiB\nmax-output = 1MiB\n",
	    "@/x.conf:2: [http] max-value: 2MiB is more than max-output "
	    "(1MiB)\n" },
	{ "[http]\nmax-input = 1MiB\n",
	    "@/x.conf:2: [http] max-input: 1MiB is outside 16MiB..1TiB\n" },
	{ "[http]\nmax-value = 17MiB\n",
	    "@/x.conf:2: [http] max-value: 17MiB is outside 1B..16MiB\n" },
	{ "[cluster]\nname = pr od\n",
	    "@/x.conf:2: [cluster] name: \"pr od\": use 1 to 64 characters "
	    "of A-Za-z0-9._-\n" },
	{ "[log]\nlevel = error\n",
	    "@/x.conf:2: [log] level: \"error\": use debug, info, notice, "
	    "warning or err\n" },
};

START_TEST(configuration_is_refused)
{
	struct buf expected = { 0 };

	ck_assert_int_eq(load(refused[_i].text, NULL), CONFIG_REFUSED);
	buf_printf(&expected, "%s1 error; luminousd not started\n",
	    refused[_i].errors);
	buf_append(&expected, "", 1);
	expect_output((const char *)expected.data);
	buf_release(&expected);
}
END_TEST

START_TEST(all_errors_at_once)
{
	ck_assert_int_eq(load("[raft]\nelection-timeout = 1\n"
			      "hearbeat-interval = 1s\n"
			      "checkpoint-bytes = 64MB\n",
			     NULL),
	    CONFIG_REFUSED);
	expect_output(
	    "@/x.conf:2: [raft] election-timeout: \"1\" needs a unit, e.g. 1s "
	    "or 1000ms\n"
	    "@/x.conf:3: [raft] hearbeat-interval: unknown option; did you "
	    "mean heartbeat-interval?\n"
	    "@/x.conf:4: [raft] checkpoint-bytes: \"64MB\": use 64MiB "
	    "(=67108864) or 61MiB (about 64 MB)\n"
	    "3 errors; luminousd not started\n");
}
END_TEST

START_TEST(errors_beyond_twenty_are_counted)
{
	struct buf text = { 0 };

	for (int i = 0; i < 30; i++)
		buf_append_text(&text, "x\n");
	buf_append(&text, "", 1);
	ck_assert_int_eq(load((const char *)text.data, "-t"), CONFIG_REFUSED);
	expect_in_output("x.conf:20: \"x\" has no =; write name = value\n"
			 "30 errors, the first 20 shown\n");
	buf_release(&text);
}
END_TEST

/* Secrets, and what is wrong with them; "" if nothing is. */
static const struct {
	unsigned mode;
	size_t size;
	const char *error;
} secrets[] = {
	{ 0600, 16, "" },
	{ 0640, 1024, "" },
	{ 0400, 17, "" },
	{ 0600, 15, "@/s holds 15 bytes; a secret has 16 to 1024" },
	{ 0600, 0, "@/s holds 0 bytes; a secret has 16 to 1024" },
	{ 0600, 1025,
	    "@/s holds at least 1025 bytes; a secret has 16 to 1024" },
	{ 0600, 5000,
	    "@/s holds at least 1026 bytes; a secret has 16 to 1024" },
	{ 0644, 16, "@/s is open to others (mode 0644); run: chmod o= @/s" },
	{ 0602, 16, "@/s is open to others (mode 0602); run: chmod o= @/s" },
};

START_TEST(secret_is_checked)
{
	uint8_t bytes[5000];
	struct buf expected = { 0 };
	bool good = secrets[_i].error[0] == '\0';

	memset(bytes, 's', sizeof(bytes));
	write_file("s", slice_of(bytes, secrets[_i].size), secrets[_i].mode);
	ck_assert_int_eq(load("[cluster]\nsecret-file = s\n", NULL),
	    good ? CONFIG_RUN : CONFIG_REFUSED);
	if (good) {
		ck_assert_uint_eq(config.secret_size, secrets[_i].size);
		return;
	}
	buf_printf(&expected,
	    "@/x.conf:2: [cluster] secret-file: %s\n"
	    "1 error; luminousd not started\n",
	    secrets[_i].error);
	buf_append(&expected, "", 1);
	expect_output((const char *)expected.data);
	buf_release(&expected);
}
END_TEST

START_TEST(secret_ends_before_its_newline)
{
	write_file("s", slice_from_text("0123456789abcde\n\n"), 0600);
	ck_assert_int_eq(
	    load("[cluster]\nsecret-file = s\n", NULL), CONFIG_RUN);
	ck_assert_uint_eq(config.secret_size, 16);
	ck_assert_uint_eq(config.secret[15], '\n');
}
END_TEST

START_TEST(test_option_sums_up)
{
	add_host_address("10.0.0.2:0");
	ck_assert_int_eq(
	    load(CLUSTER MEMBERS INSECURE "name = n2\n", "-t"), CONFIG_DONE);
	expect_output("@/x.conf: ok (3 options, 3 members, this is n2)\n");
}
END_TEST

/* A start would not get as far as it seems: but it may be that the address
 * is still to come, so only the test says so. */
START_TEST(test_option_wants_an_address_of_this_host)
{
	ck_assert_int_eq(
	    load(CLUSTER MEMBERS INSECURE "name = n2\n", "-t"), CONFIG_REFUSED);
	expect_output("@/x.conf:4: [members] n2: 10.0.0.2:5864 is no address "
		      "of this host (db7, 10.0.0.9): n2 cannot listen on it "
		      "here\n1 error\n");
	buf_reset(&output);
	ck_assert_int_eq(
	    load(CLUSTER MEMBERS INSECURE "name = n2\nlisten = 0.0.0.0:5864\n",
		"-t"),
	    CONFIG_DONE);
	buf_reset(&output);
	ck_assert_int_eq(
	    load(CLUSTER MEMBERS INSECURE "name = n2\n", NULL), CONFIG_RUN);
}
END_TEST

START_TEST(test_option_does_not_start)
{
	ck_assert_int_eq(load("[log]\nlevel = x\n", "-t"), CONFIG_REFUSED);
	expect_output("@/x.conf:2: [log] level: \"x\": use debug, info, "
		      "notice, warning or err\n1 error\n");
}
END_TEST

START_TEST(list_option_names_origins)
{
	ck_assert_int_eq(
	    load(CLUSTER LOCAL_MEMBERS "[node]\nname = n2\ndata-dir = ../d\n"
				       "[storage]\nquota = 1GiB\n",
		"-T"),
	    CONFIG_DONE);
	expect_in_output("cluster.name = luminous   # default\n");
	expect_in_output("node.listen = 127.0.0.1:5865   # own address in "
			 "[members]\n");
	expect_in_output("storage.map-size = 5440MiB   # 4 x (storage.quota + "
			 "history.max-size + storage.memtable-size) + 1GiB\n");
	expect_in_output("http.max-value = 1MiB   # default\n");
	expect_in_output("http.max-input = 256MiB   # default\n");
	expect_in_output("storage.quota = 1GiB   # ");
	expect_in_output("/x.conf:10\n");
}
END_TEST

/* What -T prints, made a file, has the same effect. */
START_TEST(list_option_round_trip)
{
	struct buf first = { 0 };
	struct buf text = { 0 };

	ck_assert_int_eq(
	    load(CLUSTER LOCAL_MEMBERS "[node]\nname = n2\ndata-dir = ../d\n"
				       "[http]\nmax-value = 100B\n",
		"-T"),
	    CONFIG_DONE);
	buf_append_slice(&first, buf_slice(&output));
	buf_append(&first, "", 1);
	buf_reset(&output);
	ck_assert_int_eq(load((const char *)first.data, "-T"), CONFIG_DONE);
	for (const char *at = (const char *)first.data; *at != '\0';) {
		const char *mark = strstr(at, "   # ");

		buf_reset(&text);
		buf_append(&text, at, (size_t)(mark - at) + 5);
		buf_append(&text, "", 1);
		expect_in_output((const char *)text.data);
		at = strchr(mark, '\n') + 1;
	}
	buf_release(&text);
	buf_release(&first);
}
END_TEST

START_TEST(set_option_sets_anything)
{
	ck_assert_int_eq(
	    load("[http]\nmax-value = 2MiB\n", "--set=http.max-value=3MiB"),
	    CONFIG_RUN);
	ck_assert_uint_eq(config.value_bytes_max, 3u << 20);
}
END_TEST

/* Command lines that are refused, and the message. */
static const struct {
	const char *argument;
	const char *message;
} command_lines[] = {
	{ "--nonsense", "luminousd: unknown option --nonsense; see luminousd "
			"--help\n" },
	{ "--name", "luminousd: --name needs a value; see luminousd "
		    "--help\n" },
	{ "-x", "luminousd: unknown option -x; see luminousd --help\n" },
	{ "start", "luminousd: unexpected argument \"start\"; see luminousd "
		   "--help\n" },
	{ "--set=x", "command line: \"x\": write --set section.option=value\n"
		     "1 error; luminousd not started\n" },
	{ "--listen=db7:1",
	    "command line: [node] listen: \"db7:1\": host names are not "
	    "looked up; use a numeric address, e.g. 10.0.0.1:5864\n"
	    "1 error; luminousd not started\n" },
	{ "--accept-loss", "luminousd: --accept-loss needs --recover; see "
			   "luminousd --help\n" },
	{ "--seen=n1=1:2",
	    "luminousd: --seen needs --recover; see luminousd --help\n" },
	{ "--force-new-cluster", "luminousd: --force-new-cluster needs "
				 "--recover; see luminousd --help\n" },
};

START_TEST(command_line_is_refused)
{
	ck_assert_int_eq(load("", command_lines[_i].argument), CONFIG_REFUSED);
	expect_output(command_lines[_i].message);
}
END_TEST

static enum config_outcome
run_recovery(const char *seen, bool force)
{
	static char forced[] = "--force-new-cluster";
	static char looks[] = "--seen";
	char path[256];
	char *arguments[8] = { (char[]){ "-c" }, path,
		(char[]){ "--recover" } };
	int count = 3;

	snprintf(path, sizeof(path), "%s/x.conf", directory);
	if (force)
		arguments[count++] = forced;
	if (seen != NULL) {
		arguments[count++] = looks;
		arguments[count++] = (char *)(uintptr_t)seen;
	}
	return run(arguments);
}

START_TEST(H36_recovery_is_told_what_was_seen)
{
	ck_assert_int_eq(load("", NULL), CONFIG_RUN);
	config_release(&config);
	ck_assert_int_eq(run_recovery(NULL, false), CONFIG_RECOVER);
	ck_assert(!config.recover.force);
	ck_assert_ptr_nonnull(config.recover.file);
	config_release(&config);
	ck_assert_int_eq(run_recovery("n1=7:1931", true), CONFIG_RECOVER);
	ck_assert(config.recover.force);
	ck_assert(!config.recover.accept_loss);
	ck_assert_uint_eq(config.recover.seen_count, 1);
	ck_assert_str_eq(config.recover.seen[0].name, "n1");
	ck_assert_uint_eq(config.recover.seen[0].term, 7);
	ck_assert_uint_eq(config.recover.seen[0].index, 1931);
	ck_assert_int_eq(run_recovery("n1=7:1931", false), CONFIG_REFUSED);
	expect_output("luminousd: --seen needs --force-new-cluster; see "
		      "luminousd --help\n");
}
END_TEST

static const char *const bad_seen[] = { "", "n1", "n1=", "n1=7",
	"n1=7:", "n1=:7", "=7:1", "n1=7:1x", "n1=-7:1", "n1:7=1",
	"n1=7:18446744073709551616", "n12345678901234567890123456789012=7:1" };

START_TEST(H36_what_was_seen_is_malformed)
{
	(void)load("", NULL);
	config_release(&config);
	ck_assert_int_eq(run_recovery(bad_seen[_i], true), CONFIG_REFUSED);
	expect_in_output("--seen wants NAME=TERM:INDEX");
}
END_TEST

START_TEST(help_lists_every_option)
{
	ck_assert_int_eq(load("[nonsense", "--help"), CONFIG_DONE);
	for (size_t i = 0; i < config_options_count; i++)
		expect_in_output(config_options[i].help);
}
END_TEST

START_TEST(version_is_printed)
{
	ck_assert_int_eq(load("[nonsense", "--version"), CONFIG_DONE);
	expect_in_output("luminousd ");
}
END_TEST

START_TEST(host_is_read)
{
	config_read_host(&host);
	ck_assert_ptr_null(strchr(host.name, '.'));
	ck_assert_uint_le(host.addresses_count, CONFIG_HOST_ADDRESSES_MAX);
	for (size_t i = 0; i < host.addresses_count; i++)
		ck_assert_uint_gt(host.addresses[i].size, 0);
}
END_TEST

static void
read_file(const char *path, struct buf *to)
{
	FILE *file = fopen(path, "r");
	size_t got;

	ck_assert_msg(
	    file != NULL, "%s: run this from the top directory", path);
	do {
		got = fread(buf_reserve(to, 4096), 1, 4096, file);
		to->size += got;
	} while (got > 0);
	(void)fclose(file);
}

/* conf/luminous.conf has each option with its default, commented out. */
START_TEST(shipped_file_has_every_default)
{
	const struct conf_option *option = &config_options[_i];
	struct buf text = { 0 };
	struct buf line = { 0 };

	read_file("conf/luminous.conf", &text);
	if (option->name == NULL)
		buf_printf(&line, "\n[%s]\n", option->section);
	else if (option->initial[0] != '\0')
		buf_printf(
		    &line, "\n#%s = %s\n", option->name, option->initial);
	else
		buf_printf(&line, "\n#%s =", option->name);
	ck_assert_msg(
	    memmem(text.data, text.size, line.data, line.size) != NULL,
	    "no line %.*s", (int)line.size, (const char *)line.data);
	buf_release(&text);
	buf_release(&line);
}
END_TEST

START_TEST(shipped_file_parses)
{
	ck_assert_int_eq(
	    run((char *[]){ (char[]){ "-c" }, (char[]){ "conf/luminous.conf" },
		(char[]){ "-t" }, NULL }),
	    CONFIG_DONE);
	expect_in_output(": ok (0 options, 1 member, this is db7)\n");
}
END_TEST

/* With every comment sign before an option taken away it is a cluster's. */
START_TEST(shipped_file_parses_filled_in)
{
	struct buf text = { 0 };
	struct buf filled = { 0 };

	read_file("conf/luminous.conf", &text);
	for (size_t i = 0; i < text.size; i++) {
		bool option = text.data[i] == '#' && i + 1 < text.size &&
			      text.data[i + 1] >= 'a' &&
			      text.data[i + 1] <= 'z';

		if (!option)
			buf_append(&filled, text.data + i, 1);
	}
	buf_append(&filled, "", 1);
	ck_assert_int_eq(
	    load((const char *)filled.data, "--name=n1"), CONFIG_REFUSED);
	/* All that is left are a secret that is not there, and exposure. */
	expect_in_output("secret-file: /etc/luminous/cluster.secret cannot");
	expect_in_output("[members] n1: listening on 10.0.0.1:5864 without");
	expect_in_output("\n2 errors; luminousd not started\n");
	buf_release(&text);
	buf_release(&filled);
}
END_TEST

Suite *
config_suite(void)
{
	Suite *suite = suite_create("config");
	TCase *tcase = tcase_create("config");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, no_file_is_a_node_by_itself);
	tcase_add_test(tcase, lone_node_may_be_named);
	tcase_add_test(tcase, lone_node_fits_its_host_name);
	tcase_add_test(tcase, lone_node_without_a_host_name);
	tcase_add_test(tcase, members_are_sorted_by_name);
	tcase_add_test(tcase, self_by_command_line_before_file);
	tcase_add_test(tcase, self_by_host_name_before_address);
	tcase_add_test(tcase, self_by_the_only_local_address);
	tcase_add_test(tcase, listen_on_the_command_line);
	tcase_add_test(tcase, join_by_address_by_name_and_by_waiting);
	tcase_add_test(tcase, join_with_an_address_in_members);
	tcase_add_loop_test(
	    tcase, configuration_is_refused, 0, (int)ARRAY_COUNT(refused));
	tcase_add_test(tcase, all_errors_at_once);
	tcase_add_test(tcase, errors_beyond_twenty_are_counted);
	tcase_add_loop_test(
	    tcase, secret_is_checked, 0, (int)ARRAY_COUNT(secrets));
	tcase_add_test(tcase, secret_ends_before_its_newline);
	tcase_add_test(tcase, test_option_sums_up);
	tcase_add_test(tcase, test_option_wants_an_address_of_this_host);
	tcase_add_test(tcase, test_option_does_not_start);
	tcase_add_test(tcase, list_option_names_origins);
	tcase_add_test(tcase, list_option_round_trip);
	tcase_add_test(tcase, set_option_sets_anything);
	tcase_add_loop_test(
	    tcase, command_line_is_refused, 0, (int)ARRAY_COUNT(command_lines));
	tcase_add_test(tcase, help_lists_every_option);
	tcase_add_test(tcase, version_is_printed);
	tcase_add_test(tcase, H36_recovery_is_told_what_was_seen);
	tcase_add_loop_test(tcase, H36_what_was_seen_is_malformed, 0,
	    (int)ARRAY_COUNT(bad_seen));
	tcase_add_test(tcase, host_is_read);
	tcase_add_loop_test(tcase, shipped_file_has_every_default, 0,
	    (int)config_options_count);
	tcase_add_test(tcase, shipped_file_parses);
	tcase_add_test(tcase, shipped_file_parses_filled_in);
	suite_add_tcase(suite, tcase);
	return suite;
}
