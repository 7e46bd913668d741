/* The first thing that a connection of peers carries. */

#include "common/err.h"
#include "net/wire.h"
#include "tests/unit/suites.h"
#include "tests/unit/wire_pieces.h"

#include <check.h>
#include <string.h>

static const char golden_hello[] =
    "{\"version\":4,\"purpose\":\"bulk\",\"nonce\":"
    "\"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\","
    "\"stage\":\"member\",\"from\":2,\"to\":1,"
    "\"to_address\":\"127.0.0.1:5864\",\"boot\":\"00000000deadbeef\","
    "\"incarnation\":6,\"former_boots\":\"00000000000000050000000000000004"
    "00000000000000000000000000000000000000000000000000000000000000000000000000"
    "0000000000000000000000\","
    "\"term\":8,\"last_index\":100,"
    "\"generation\":4294967295,\"damaged\":false,"
    "\"cluster\":\"prod\","
    "\"cluster_id\":\"11111111111111111111111111111111\",\"name\":\"n2\","
    "\"directory\":\"22222222222222222222222222222222\","
    "\"known_directory\":\"00000000000000000000000000000000\","
    "\"known_incarnation\":3,\"known_boot\":\"00000000feedface\","
    "\"known_last_index\":99,\"members_index\":40,\"members\":["
    "{\"id\":1,\"name\":\"n1\",\"address\":\"127.0.0.1:5864\","
    "\"directory\":\"33333333333333333333333333333333\"},"
    "{\"id\":2,\"name\":\"n2\",\"address\":\"[::1]:5865\","
    "\"directory\":\"22222222222222222222222222222222\"}],"
    "\"to_votes\":true}";

static const char golden_joining[] =
    "{\"version\":4,\"purpose\":\"probe\",\"nonce\":"
    "\"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\","
    "\"stage\":\"joining\",\"from\":0,\"to\":2,\"to_address\":\"\","
    "\"boot\":\"00000000deadbeef\",\"incarnation\":0,"
    "\"former_boots\":"
    "\"00000000000000000000000000000000000000000000000000000000"
    "0000000000000000000000000000000000000000000000000000000000000000000000"
    "00\",\"term\":0,"
    "\"last_index\":0,\"generation\":0,\"damaged\":true,"
    "\"cluster\":\"prod\","
    "\"cluster_id\":\"00000000000000000000000000000000\",\"name\":\"n9\","
    "\"directory\":\"22222222222222222222222222222222\","
    "\"known_directory\":\"00000000000000000000000000000000\","
    "\"known_incarnation\":0,\"known_boot\":\"0000000000000000\","
    "\"known_last_index\":0,\"members_index\":0,\"members\":[],\"to_votes\":"
    "false}";

static void
make_hello(struct wire_hello *hello)
{
	*hello = (struct wire_hello){
		.purpose = WIRE_BULK,
		.node = {
			.stage = NODE_HELLO_MEMBER,
			.from = 2,
			.to = 1,
			.to_address = "127.0.0.1:5864",
			.boot_id = 0xdeadbeef,
			.incarnation = 6,
			.former_boot_ids = { 5, 4 },
			.term = 8,
			.last_index = 100,
			.generation = UINT32_MAX,
			.cluster = "prod",
			.name = "n2",
			.known_incarnation = 3,
			.known_boot_id = 0xfeedface,
			.known_last_index = 99,
			.members_index = 40,
			.to_votes = true,
			.members = {
				.count = 2,
				.member = {
					{ .id = 1,
					    .name = "n1",
					    .address = "127.0.0.1:5864" },
					{ .id = 2,
					    .name = "n2",
					    .address = "[::1]:5865" },
				},
			},
		},
	};
	for (size_t i = 0; i < WIRE_NONCE_SIZE; i++)
		hello->nonce[i] = (uint8_t)i;
	memset(hello->node.cluster_id, 0x11, NODE_NONCE_SIZE);
	memset(hello->node.directory, 0x22, NODE_NONCE_SIZE);
	memset(hello->node.members.member[0].directory, 0x33, NODE_NONCE_SIZE);
	memset(hello->node.members.member[1].directory, 0x22, NODE_NONCE_SIZE);
}

static void
make_joining(struct wire_hello *hello)
{
	make_hello(hello);
	hello->purpose = WIRE_PROBE;
	hello->node.stage = NODE_HELLO_JOINING;
	hello->node.from = 0;
	hello->node.to = 2;
	hello->node.to_address[0] = '\0';
	hello->node.incarnation = 0;
	memset(hello->node.former_boot_ids, 0,
	    sizeof(hello->node.former_boot_ids));
	hello->node.term = 0;
	hello->node.last_index = 0;
	hello->node.generation = 0;
	hello->node.damaged = true;
	hello->node.known_incarnation = 0;
	hello->node.known_boot_id = 0;
	hello->node.known_last_index = 0;
	hello->node.name[1] = '9';
	hello->node.members_index = 0;
	hello->node.to_votes = false;
	hello->node.members = (struct node_members){ 0 };
	memset(hello->node.cluster_id, 0, NODE_NONCE_SIZE);
}

static bool
hello_is_refused(struct slice text)
{
	struct wire_hello hello;

	return wire_decode_hello(text, &hello) != 0;
}

static void
check_golden(const struct wire_hello *hello, const char *golden)
{
	struct wire_hello decoded;
	struct buf text = { 0 };

	wire_append_hello(&text, hello);
	buf_append(&text, "", 1);
	ck_assert_str_eq((const char *)text.data, golden);
	memset(&decoded, 0, sizeof(decoded));
	ck_assert_int_eq(
	    wire_decode_hello(slice_from_text(golden), &decoded), 0);
	/* Nothing was lost: it says the same again. */
	buf_reset(&text);
	wire_append_hello(&text, &decoded);
	buf_append(&text, "", 1);
	ck_assert_str_eq((const char *)text.data, golden);
	buf_release(&text);
}

START_TEST(hello_golden)
{
	struct wire_hello hello;

	make_hello(&hello);
	check_golden(&hello, golden_hello);
	make_joining(&hello);
	check_golden(&hello, golden_joining);
}
END_TEST

START_TEST(hello_purposes)
{
	static const enum wire_purpose purposes[] = { WIRE_APPEND, WIRE_BULK,
		WIRE_SNAPSHOT, WIRE_FORWARD, WIRE_PROBE };
	struct wire_hello hello;
	struct wire_hello decoded;
	struct buf text = { 0 };

	make_hello(&hello);
	for (size_t i = 0; i < ARRAY_COUNT(purposes); i++) {
		hello.purpose = purposes[i];
		buf_reset(&text);
		wire_append_hello(&text, &hello);
		ck_assert_int_eq(
		    wire_decode_hello(buf_slice(&text), &decoded), 0);
		ck_assert_int_eq(decoded.purpose, purposes[i]);
	}
	buf_release(&text);
}
END_TEST

/* Who is nobody has no id and no members; who probes knows no id to ask. */
START_TEST(hello_stages)
{
	static const struct {
		enum node_hello_stage stage;
		bool has_from;
		bool has_to;
		bool has_members;
	} right[] = {
		{ NODE_HELLO_FOUNDING, true, true, true },
		{ NODE_HELLO_JOINING, false, true, false },
		{ NODE_HELLO_MEMBER, true, true, true },
		{ NODE_HELLO_PROBE, true, false, true },
	};
	struct buf text = { 0 };

	for (unsigned i = 0; i < 8 * ARRAY_COUNT(right); i++) {
		bool has_from = (i & 1) != 0;
		bool has_to = (i & 2) != 0;
		bool has_members = (i & 4) != 0;
		bool is_right = has_from == right[i / 8].has_from &&
				has_to == right[i / 8].has_to &&
				has_members == right[i / 8].has_members;
		struct wire_hello hello;
		struct wire_hello decoded;

		make_hello(&hello);
		hello.node.stage = right[i / 8].stage;
		hello.node.from = has_from ? 2 : 0;
		hello.node.to = has_to ? 1 : 0;
		hello.node.to_votes =
		    right[i / 8].has_from && right[i / 8].has_to;
		if (!has_members)
			hello.node.members.count = 0;
		buf_reset(&text);
		wire_append_hello(&text, &hello);
		ck_assert_int_eq(wire_decode_hello(buf_slice(&text), &decoded),
		    is_right ? 0 : ERR_INVALID);
		if (is_right)
			ck_assert_int_eq(decoded.node.stage, hello.node.stage);
	}
	buf_release(&text);
}
END_TEST

/* Who joins has no members to say it of, and a probe means nobody. */
START_TEST(hello_that_cannot_know_a_voter)
{
	struct wire_hello hello;
	struct wire_hello decoded;
	struct buf text = { 0 };

	make_joining(&hello);
	hello.node.to_votes = true;
	wire_append_hello(&text, &hello);
	ck_assert_int_eq(
	    wire_decode_hello(buf_slice(&text), &decoded), ERR_INVALID);
	make_hello(&hello);
	hello.node.stage = NODE_HELLO_PROBE;
	hello.node.to = 0;
	buf_reset(&text);
	wire_append_hello(&text, &hello);
	ck_assert_int_eq(
	    wire_decode_hello(buf_slice(&text), &decoded), ERR_INVALID);
	buf_release(&text);
}
END_TEST

/* Who lost its directory waits in a new one. */
START_TEST(hello_of_a_damaged_member)
{
	struct wire_hello hello;
	struct wire_hello decoded;
	struct buf text = { 0 };

	make_hello(&hello);
	hello.node.damaged = true;
	wire_append_hello(&text, &hello);
	ck_assert_int_eq(
	    wire_decode_hello(buf_slice(&text), &decoded), ERR_INVALID);
	buf_release(&text);
}
END_TEST

/* With characters whose escapes are longest. */
START_TEST(hello_largest_fits)
{
	struct wire_hello hello;
	struct wire_hello decoded;
	struct buf text = { 0 };

	make_hello(&hello);
	hello.node.members.count = NODE_MEMBERS_MAX;
	for (size_t i = 0; i < NODE_MEMBERS_MAX; i++) {
		struct node_member *member = &hello.node.members.member[i];

		member->id = RAFT_NUMBER_MAX - NODE_MEMBERS_MAX + i;
		memset(member->name, '\x01', NODE_NAME_SIZE_MAX);
		memset(member->address, '\x02', NODE_ADDRESS_SIZE_MAX);
		memset(member->directory, 0xff, NODE_NONCE_SIZE);
	}
	memset(hello.node.cluster, '\x01', NODE_CLUSTER_SIZE_MAX);
	memset(hello.node.name, '\x01', NODE_NAME_SIZE_MAX);
	memset(hello.node.to_address, '\x01', NODE_ADDRESS_SIZE_MAX);
	hello.node.members_index = RAFT_NUMBER_MAX;
	hello.node.incarnation = RAFT_NUMBER_MAX;
	hello.node.term = RAFT_NUMBER_MAX;
	hello.node.last_index = RAFT_NUMBER_MAX;
	wire_append_hello(&text, &hello);
	ck_assert_uint_le(text.size, WIRE_HELLO_SIZE_MAX);
	ck_assert_int_eq(wire_decode_hello(buf_slice(&text), &decoded), 0);
	ck_assert_mem_eq(&decoded.node.members, &hello.node.members,
	    sizeof(hello.node.members));
	buf_release(&text);
}
END_TEST

START_TEST(hello_too_large)
{
	struct wire_hello hello;
	struct buf text = { 0 };

	buf_append_text(&text, golden_hello);
	while (text.size <= WIRE_HELLO_SIZE_MAX)
		buf_append_text(&text, " ");
	ck_assert_int_eq(
	    wire_decode_hello(buf_slice(&text), &hello), ERR_TOO_LARGE);
	buf_release(&text);
}
END_TEST

START_TEST(hello_other_version)
{
	struct wire_hello hello;
	struct pieces pieces;
	struct buf text = { 0 };

	pieces_split(golden_hello, &pieces);
	pieces_join_replaced(&text, &pieces, 0, slice_from_text("2"));
	ck_assert_int_eq(
	    wire_decode_hello(buf_slice(&text), &hello), ERR_VERSION);
	buf_release(&text);
}
END_TEST

START_TEST(hello_truncated)
{
	for (size_t i = 0; i < strlen(golden_hello); i++)
		ck_assert(hello_is_refused(slice_of(golden_hello, i)));
}
END_TEST

START_TEST(hello_member_missing_or_twice)
{
	struct pieces pieces;
	struct buf text = { 0 };

	pieces_split(golden_hello, &pieces);
	for (unsigned i = 0; i < pieces.count; i++) {
		struct pieces changed = pieces;

		pieces_remove(&changed, i);
		pieces_join(&text, &changed);
		ck_assert_msg(hello_is_refused(buf_slice(&text)), "%u", i);
		changed = pieces;
		changed.piece[changed.count++] = pieces.piece[i];
		pieces_join(&text, &changed);
		ck_assert_msg(hello_is_refused(buf_slice(&text)), "%u", i);
	}
	pieces.piece[pieces.count++] = slice_from_text("\"more\":1");
	pieces_join(&text, &pieces);
	ck_assert(hello_is_refused(buf_slice(&text)));
	buf_release(&text);
}
END_TEST

#define HEX  "11111111111111111111111111111111"
#define LONG "123456789012345678901234567890123"

static const struct {
	const char *name;
	const char *value;
} wrong[] = {
	{ "version", "\"3\"" },
	{ "version", "null" },
	{ "purpose", "\"\"" },
	{ "purpose", "\"votes\"" },
	{ "purpose", "1" },
	{ "nonce", "\"00\"" },
	{ "nonce", "7" },
	{ "stage", "\"formed\"" },
	{ "stage", "\"\"" },
	{ "stage", "2" },
	{ "stage", "true" },
	{ "to_votes", "1" },
	{ "to_votes", "null" },
	{ "to_votes", "\"true\"" },
	{ "from", "0" },
	{ "from", "-1" },
	{ "from", "1.5" },
	{ "from", "9223372036854775807" },
	{ "from", "99999999999999999999" },
	{ "from", "\"2\"" },
	{ "to", "0" },
	{ "to", "true" },
	{ "to_address", "null" },
	{ "to_address", "1" },
	{ "to_address", "\"" LONG LONG "\"" },
	{ "incarnation", "-1" },
	{ "incarnation", "4611686018427387905" },
	{ "incarnation", "\"1\"" },
	{ "former_boots", "\"00000000000000050000000000000004\"" },
	{ "former_boots", "1" },
	{ "term", "-1" },
	{ "term", "4611686018427387905" },
	{ "term", "null" },
	{ "last_index", "-1" },
	{ "last_index", "4611686018427387905" },
	{ "last_index", "1.0" },
	{ "generation", "-1" },
	{ "generation", "4294967296" },
	{ "generation", "false" },
	{ "damaged", "true" }, /* of a member */
	{ "damaged", "0" },
	{ "boot", "\"0000000000000000\"" },
	{ "boot", "\"deadbeef\"" },
	{ "boot", "1" },
	{ "cluster", "\"\"" },
	{ "cluster", "\"a\\u0000b\"" },
	{ "cluster", "\"" LONG LONG "\"" },
	{ "cluster", "1" },
	{ "cluster_id", "\"1111\"" },
	{ "cluster_id", "\"1111111111111111111111111111111g\"" },
	{ "name", "\"\"" },
	{ "name", "\"" LONG "\"" },
	{ "name", "null" },
	{ "directory", "\"2222\"" },
	{ "known_directory", "null" },
	{ "known_incarnation", "-1" },
	{ "known_incarnation", "\"1\"" },
	{ "known_boot", "\"feedface\"" },
	{ "known_boot", "1" },
	{ "known_last_index", "null" },
	{ "known_last_index", "9223372036854775808" },
	{ "members_index", "-1" },
	{ "members_index", "9223372036854775807" },
	{ "members_index", "\"1\"" },
	{ "members", "[]" },
	{ "members", "{}" },
	{ "members", "[1]" },
	{ "members", "[{}]" },
	{ "members", "[{\"id\":1,\"name\":\"n\",\"address\":\"a\"}]" },
	{ "members", "[{\"id\":0,\"name\":\"n\",\"address\":\"a\","
		     "\"directory\":\"" HEX "\"}]" },
	{ "members", "[{\"id\":1,\"name\":\"\",\"address\":\"a\","
		     "\"directory\":\"" HEX "\"}]" },
	{ "members", "[{\"id\":1,\"name\":\"n\",\"address\":\"\","
		     "\"directory\":\"" HEX "\"}]" },
	{ "members", "[{\"id\":1,\"name\":\"n\",\"address\":\"a\","
		     "\"directory\":\"11\"}]" },
	{ "members", "[{\"id\":1,\"name\":\"n\",\"address\":\"a\","
		     "\"directory\":\"" HEX "\",\"x\":1}]" },
	{ "members", "[{\"id\":1,\"name\":\"" LONG "\",\"address\":\"a\","
		     "\"directory\":\"" HEX "\"}]" },
	{ "members", "[{\"id\":2,\"name\":\"a\",\"address\":\"a\","
		     "\"directory\":\"" HEX "\"},"
		     "{\"id\":2,\"name\":\"b\",\"address\":\"b\","
		     "\"directory\":\"" HEX "\"}]" },
	{ "members", "[{\"id\":2,\"name\":\"a\",\"address\":\"a\","
		     "\"directory\":\"" HEX "\"},"
		     "{\"id\":1,\"name\":\"b\",\"address\":\"b\","
		     "\"directory\":\"" HEX "\"}]" },
};

START_TEST(hello_member_wrong)
{
	struct pieces pieces;
	struct buf text = { 0 };

	pieces_split(golden_hello, &pieces);
	for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
		pieces_join_replaced(&text, &pieces,
		    pieces_find(&pieces, wrong[i].name),
		    slice_from_text(wrong[i].value));
		ck_assert_msg(hello_is_refused(buf_slice(&text)), "%s: %s",
		    wrong[i].name, wrong[i].value);
	}
	buf_release(&text);
}
END_TEST

/* What is wrong above is so by itself: the right one is read. */
START_TEST(hello_one_member)
{
	struct pieces pieces;
	struct buf text = { 0 };

	pieces_split(golden_hello, &pieces);
	pieces_join_replaced(&text, &pieces, pieces_find(&pieces, "members"),
	    slice_from_text("[{\"id\":1,\"name\":\"n\",\"address\":\"a\","
			    "\"directory\":\"" HEX "\"}]"));
	ck_assert(!hello_is_refused(buf_slice(&text)));
	buf_release(&text);
}
END_TEST

START_TEST(hello_too_many_members)
{
	struct pieces pieces;
	struct buf text = { 0 };
	struct buf list = { 0 };

	buf_append_text(&list, "[");
	for (int i = 1; i <= NODE_MEMBERS_MAX + 1; i++)
		buf_printf(&list,
		    "%s{\"id\":%d,\"name\":\"n%d\",\"address\":\"a\","
		    "\"directory\":\"" HEX "\"}",
		    i == 1 ? "" : ",", i, i);
	buf_append_text(&list, "]");
	pieces_split(golden_hello, &pieces);
	pieces_join_replaced(
	    &text, &pieces, pieces_find(&pieces, "members"), buf_slice(&list));
	ck_assert(hello_is_refused(buf_slice(&text)));
	buf_release(&list);
	buf_release(&text);
}
END_TEST

Suite *
wire_hello_suite(void)
{
	Suite *suite = suite_create("wire_hello");
	TCase *tcase = tcase_create("hello");

	tcase_add_test(tcase, hello_golden);
	tcase_add_test(tcase, hello_purposes);
	tcase_add_test(tcase, hello_stages);
	tcase_add_test(tcase, hello_that_cannot_know_a_voter);
	tcase_add_test(tcase, hello_of_a_damaged_member);
	tcase_add_test(tcase, hello_largest_fits);
	tcase_add_test(tcase, hello_too_large);
	tcase_add_test(tcase, hello_other_version);
	tcase_add_test(tcase, hello_truncated);
	tcase_add_test(tcase, hello_member_missing_or_twice);
	tcase_add_test(tcase, hello_member_wrong);
	tcase_add_test(tcase, hello_one_member);
	tcase_add_test(tcase, hello_too_many_members);
	suite_add_tcase(suite, tcase);
	return suite;
}
