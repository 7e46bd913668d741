/* Commands and results as bytes. */

#include "common/macros.h"
#include "common/mem.h"
#include "tests/unit/suites.h"
#include "tests/unit/txn_site.h"
#include <stdlib.h>

static struct buf command;

static void
set_up(void)
{
	command = (struct buf){ 0 };
}

static void
tear_down(void)
{
	buf_release(&command);
}

/* Applies it to a fresh state, where it changes nothing if it is refused. */
static void
expect_refused(struct slice bytes, int expected)
{
	struct kv_result result = { .revision = 77 };
	struct kv_bench fresh;

	kv_bench_init(&fresh);
	ck_assert_int_eq(kv_apply(fresh.kv, 1, 0, bytes, &result), expected);
	ck_assert_uint_eq(result.revision, 77);
	ck_assert_uint_eq(kv_applied_index(fresh.kv), 0);
	/* Never skipped, and nothing of it ever stored. */
	ck_assert_int_eq(kv_skip(fresh.kv, 1), ERR_STOPPED);
	ck_assert_int_eq(kv_checkpoint(fresh.kv), ERR_STOPPED);
	kv_bench_release(&fresh);
}

static void
expect_corrupt(void)
{
	struct kv_command decoded;

	ck_assert_int_eq(
	    kv_command_decode(buf_slice(&command), &decoded), ERR_CORRUPT);
}

/* ---- The bytes ---- */

static const struct kv_identity identity = {
	.key = { (const uint8_t *)"id", 2 }, .digest = 0x0102030405060708
};

static void
encode_put(void)
{
	kv_encode_put(&command, slice_of("k\0", 2), TEXT("v"));
}

static void
encode_delete(void)
{
	kv_encode_delete(&command, TEXT("k"));
}

static void
encode_conditional(void)
{
	struct kv_condition condition = { .key = TEXT("k"),
		.target = KV_TARGET_MODIFIED,
		.relation = KV_LESS,
		.number = 300 };
	struct kv_condition value = { .key = TEXT("k"),
		.target = KV_TARGET_VALUE,
		.relation = KV_EQUAL,
		.value = TEXT("v") };

	kv_encode_transaction(&command, &identity);
	kv_encode_condition(&command, &condition);
	kv_encode_condition(&command, &value);
	kv_encode_else(&command);
}

static void
encode_ops(void)
{
	struct kv_op list = { .kind = KV_LIST,
		.key = TEXT("a"),
		.other = TEXT("b"),
		.limit = 200,
		.reverse = true,
		.keys_only = true };
	struct kv_op append = { .kind = KV_APPEND,
		.key = TEXT("a"),
		.value = TEXT("v"),
		.lifetime = KV_LIFETIME_TTL,
		.ttl_us = 200000,
		.size_max = 5 };
	struct kv_op increment = { .kind = KV_INCREMENT,
		.key = TEXT("a"),
		.lifetime = KV_LIFETIME_LEASE,
		.lease = 7,
		.by = -2 };
	struct kv_op put = { .kind = KV_PUT,
		.key = TEXT("a"),
		.lifetime = KV_LIFETIME_KEEP,
		.content_type = KV_CONTENT_PEM,
		.previous = true };

	kv_encode_transaction(&command, NULL);
	kv_encode_op(&command, KV_THEN, &list);
	kv_encode_op(&command, KV_THEN, &append);
	kv_encode_op(&command, KV_THEN, &increment);
	kv_encode_op(&command, KV_ELSE, &put);
}

static void
encode_grant(void)
{
	kv_encode_grant(&command, NULL, 7, 200000);
}

static void
encode_renew(void)
{
	kv_encode_renew(&command, NULL, 7);
}

static void
encode_revoke(void)
{
	kv_encode_revoke(&command, NULL, 7);
}

static void
encode_lock(void)
{
	struct kv_lock_request request = { .name = TEXT("n"),
		.holder = TEXT("me"),
		.token = 9,
		.ttl_us = 200000,
		.wait_us = 1 };

	kv_encode_lock(&command, NULL, &request);
}

static void
encode_unlock(void)
{
	kv_encode_unlock(&command, NULL, TEXT("n"), 9);
}

static void
encode_expire(void)
{
	kv_encode_expire(&command, 200, 1000);
}

static void
encode_mark(void)
{
	kv_encode_mark(&command);
}

static void
encode_compact(void)
{
	kv_encode_compact(&command, 200, 1000);
}

#define ID8(n) 0, 0, 0, 0, 0, 0, 0, (n)

/* The log keeps them: these bytes mean this for ever. */
static const struct {
	void (*encode)(void);
	size_t size;
	uint8_t bytes[64];
} known[] = {
	{ encode_put, 11, { 2, 1, 0, 2, 1, 0, 2, 'k', 0, 1, 'v' } },
	{ encode_delete, 8, { 2, 1, 0, 2, 2, 0, 1, 'k' } },
	{ encode_conditional, 29,
	    { 2, 1, 1, 2, 'i', 'd', 1, 2, 3, 4, 5, 6, 7, 8, 1, 1, 3, 1, 'k',
		0xac, 2, 1, 5, 1, 1, 'k', 1, 'v', 3 } },
	{ encode_ops, 50,
	    { 2, 1, 0, 2, 5, 0xc0, 1, 'a', 1, 'b', 0xc8, 1, 2, 7, 2, 1, 'a',
		0xc0, 0x9a, 0x0c, 5, 1, 'v', 2, 6, 3, 1, 'a', ID8(7), 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 4, 1, 0x31, 1, 'a',
		0 } },
	{ encode_grant, 14, { 2, 2, 0, ID8(7), 0xc0, 0x9a, 0x0c } },
	{ encode_renew, 11, { 2, 3, 0, ID8(7) } },
	{ encode_revoke, 11, { 2, 4, 0, ID8(7) } },
	{ encode_lock, 20,
	    { 2, 5, 0, 1, 'n', ID8(9), 2, 'm', 'e', 0xc0, 0x9a, 0x0c, 1 } },
	{ encode_unlock, 13, { 2, 6, 0, 1, 'n', ID8(9) } },
	{ encode_expire, 9, { 2, 7, 0, 0xc8, 1, 0, 0, 3, 0xe8 } },
	{ encode_mark, 3, { 2, 8, 0 } },
	{ encode_compact, 9, { 2, 9, 0, 0xc8, 1, 0, 0, 3, 0xe8 } },
};

START_TEST(kv_command_bytes_never_change)
{
	known[_i].encode();
	ck_assert_uint_eq(command.size, known[_i].size);
	ck_assert_mem_eq(command.data, known[_i].bytes, known[_i].size);
}
END_TEST

START_TEST(kv_command_is_decoded_whole)
{
	struct kv_command decoded;

	known[_i].encode();
	ck_assert_int_eq(kv_command_decode(buf_slice(&command), &decoded), 0);
	ck_assert_int_eq(decoded.kind, known[_i].bytes[1]);
	codec_append_u8(&command, 0);
	ck_assert_int_eq(
	    kv_command_decode(buf_slice(&command), &decoded), ERR_CORRUPT);
}
END_TEST

/* A transaction may end after each part, any other command nowhere. */
START_TEST(kv_command_cut_at_every_byte)
{
	struct kv_command decoded;
	unsigned taken = 0;

	known[_i].encode();
	for (size_t size = 0; size < command.size; size++) {
		int code =
		    kv_command_decode(slice_of(command.data, size), &decoded);

		taken += code == 0;
		ck_assert(code == 0 || code == ERR_CORRUPT);
	}
	if (known[_i].bytes[1] != KV_COMMAND_TRANSACTION)
		ck_assert_uint_eq(taken, 0);
	ck_assert_uint_le(taken, 4);
}
END_TEST

START_TEST(kv_transaction_parts_come_back)
{
	struct kv_command decoded;
	struct kv_part part;
	struct slice parts;

	encode_ops();
	ck_assert_int_eq(kv_command_decode(buf_slice(&command), &decoded), 0);
	ck_assert(decoded.has_else);
	ck_assert_uint_eq(decoded.then_count, 3);
	ck_assert_uint_eq(decoded.else_count, 1);
	parts = decoded.parts;
	ck_assert(kv_part_next(&parts, &part));
	ck_assert_int_eq(part.kind, KV_PART_THEN);
	ck_assert(part.op.reverse && part.op.keys_only);
	ck_assert_uint_eq(part.op.limit, 200);
	ck_assert(slice_equal(part.op.other, TEXT("b")));
	ck_assert(kv_part_next(&parts, &part));
	ck_assert_uint_eq(part.op.ttl_us, 200000);
	ck_assert_uint_eq(part.op.size_max, 5);
	ck_assert(slice_equal(part.op.value, TEXT("v")));
	ck_assert(kv_part_next(&parts, &part));
	ck_assert_uint_eq(part.op.lease, 7);
	ck_assert_int_eq(part.op.by, -2);
	ck_assert(kv_part_next(&parts, &part));
	ck_assert_int_eq(part.kind, KV_PART_ELSE);
	ck_assert(part.op.previous);
	ck_assert_int_eq(part.op.content_type, KV_CONTENT_PEM);
	ck_assert(!kv_part_next(&parts, &part));
}
END_TEST

START_TEST(kv_empty_else_branch_is_one)
{
	struct kv_command decoded;
	struct kv_part part;

	encode_conditional();
	ck_assert_int_eq(kv_command_decode(buf_slice(&command), &decoded), 0);
	ck_assert(decoded.has_else);
	ck_assert_uint_eq(decoded.conditions_count, 2);
	ck_assert(slice_equal(decoded.identity.key, TEXT("id")));
	ck_assert_uint_eq(decoded.identity.digest, identity.digest);
	ck_assert(kv_part_next(&decoded.parts, &part));
	ck_assert_uint_eq(part.condition.number, 300);
	ck_assert(kv_part_next(&decoded.parts, &part));
	ck_assert(slice_equal(part.condition.value, TEXT("v")));
	ck_assert(!kv_part_next(&decoded.parts, &part));
}
END_TEST

/* ---- What is refused ---- */

START_TEST(kv_command_of_other_version_or_kind)
{
	encode_delete();
	command.data[0] = 1;
	expect_refused(buf_slice(&command), ERR_VERSION);
	command.data[0] = 3;
	expect_refused(buf_slice(&command), ERR_VERSION);
	command.data[0] = 0;
	expect_refused(buf_slice(&command), ERR_CORRUPT);
	command.data[0] = 2;
	command.data[1] = 0;
	expect_refused(buf_slice(&command), ERR_CORRUPT);
	command.data[1] = 10;
	expect_refused(buf_slice(&command), ERR_CORRUPT);
	command.data[1] = 1;
	command.data[2] = 2; /* neither without nor with an identity */
	expect_refused(buf_slice(&command), ERR_CORRUPT);
}
END_TEST

/* Nothing of it runs, whatever comes before the part that is wrong. */
START_TEST(kv_transaction_is_checked_before_it_runs)
{
	encode_put();
	codec_append_u8(&command, 2); /* then */
	codec_append_u8(&command, 12);
	expect_refused(buf_slice(&command), ERR_CORRUPT);
}
END_TEST

/* A transaction of one part that has these bytes. */
static void
one_part(const char *bytes, size_t size)
{
	buf_reset(&command);
	kv_encode_transaction(&command, NULL);
	buf_append(&command, bytes, size);
}

START_TEST(kv_part_with_wrong_bytes)
{
	static const struct {
		const char *what;
		const char *bytes;
		size_t size;
	} cases[] = {
		{ "tag", "\x05\x02\x00\x01k", 5 },
		{ "tag 0", "\x00\x02\x00\x01k", 5 },
		{ "kind", "\x02\x0c\x00\x01k", 5 },
		{ "kind 0", "\x02\x00\x00\x01k", 5 },
		{ "lifetime of a delete", "\x02\x02\x01\x01k", 5 },
		{ "content type of a delete", "\x02\x02\x04\x01k", 5 },
		{ "previous of a get", "\x02\x04\x20\x01k", 5 },
		{ "reverse of a delete", "\x02\x02\x40\x01k", 5 },
		{ "content type 5", "\x02\x01\x14\x01k\x00", 6 },
		{ "key of nothing", "\x02\x02\x00\x00", 4 },
		{ "copy to nothing", "\x02\x09\x00\x01k\x00", 6 },
		{ "value too short", "\x02\x01\x00\x01k\x02v", 7 },
		{ "TTL too short", "\x02\x08\x02\x01k\x9f\x8d\x06", 8 },
		{ "limit of 33 bits",
		    "\x02\x05\x00\x01k\x00\x80\x80\x80\x80\x10", 11 },
		{ "target 0", "\x01\x00\x01\x01k\x00", 6 },
		{ "target 6", "\x01\x06\x01\x01k\x00", 6 },
		{ "relation 0", "\x01\x01\x00\x01k\x00", 6 },
		{ "relation 7", "\x01\x01\x07\x01k\x00", 6 },
		{ "condition on nothing", "\x01\x01\x01\x00\x00", 5 },
		{ "two else", "\x03\x03", 2 },
		{ "operation in an empty else", "\x03\x04\x02\x00\x01k", 6 },
		{ "then after else", "\x03\x02\x02\x00\x01k", 6 },
		{ "condition after then",
		    "\x02\x02\x00\x01k\x01\x01\x01\x01k\x00", 11 },
		{ "else after its first operation", "\x04\x02\x00\x01k\x03",
		    6 },
	};

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct kv_command decoded;

		one_part(cases[i].bytes, cases[i].size);
		ck_assert_msg(kv_command_decode(
				  buf_slice(&command), &decoded) == ERR_CORRUPT,
		    "%s", cases[i].what);
	}
}
END_TEST

START_TEST(kv_command_with_a_size_beyond_its_limit)
{
	uint8_t bytes[KV_KEY_SIZE_MAX + 1] = { 0 };
	static const uint8_t kinds[] = { KV_PUT, KV_DELETE, KV_GET };

	for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
		one_part("\x02", 1);
		codec_append_u8(&command, kinds[i]);
		codec_append_u8(&command, 0);
		codec_append_varint(&command, sizeof(bytes));
		buf_append(&command, bytes, sizeof(bytes));
		if (kinds[i] == KV_PUT)
			codec_append_u8(&command, 0);
		expect_corrupt();
	}
	/* A child's name has 20 digits more. */
	one_part("\x02\x0b\x00", 3);
	codec_append_varint(&command, KV_KEY_SIZE_MAX - 19);
	buf_append(&command, bytes, KV_KEY_SIZE_MAX - 19);
	codec_append_u8(&command, 0);
	expect_corrupt();
	/* An identity of 65 bytes. */
	buf_reset(&command);
	buf_append(&command, "\x02\x01\x01\x41", 4);
	buf_append(&command, bytes, KV_IDENTITY_SIZE_MAX + 1 + 8);
	expect_corrupt();
	/* A lock's name of 257. */
	buf_reset(&command);
	buf_append(&command, "\x02\x06\x00\x81\x02", 5);
	buf_append(&command, bytes, KV_LOCK_NAME_SIZE_MAX + 1 + 8);
	expect_corrupt();
}
END_TEST

START_TEST(kv_transaction_of_too_many_parts)
{
	struct kv_op op = { .kind = KV_GET, .key = TEXT("k") };
	struct kv_command decoded;

	kv_encode_transaction(&command, NULL);
	for (unsigned i = 0; i < KV_TRANSACTION_OPS_MAX; i++)
		kv_encode_op(&command, i < 500 ? KV_THEN : KV_ELSE, &op);
	ck_assert_int_eq(kv_command_decode(buf_slice(&command), &decoded), 0);
	kv_encode_op(&command, KV_ELSE, &op);
	expect_corrupt();
}
END_TEST

/* Its answer would take the place of a client's. */
START_TEST(kv_leaders_own_command_with_an_identity)
{
	static const char *const texts[] = {
		"\x02\x07\x01\x02id\x01\x02\x03\x04\x05\x06\x07\x08\x05\0\0\0"
		"\x09",
		"\x02\x08\x01\x02id\x01\x02\x03\x04\x05\x06\x07\x08",
		"\x02\x09\x01\x02id\x01\x02\x03\x04\x05\x06\x07\x08\x05\0\0\0"
		"\x09",
	};
	static const size_t sizes[] = { 19, 14, 19 };

	for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
		expect_refused(slice_of(texts[i], sizes[i]), ERR_CORRUPT);
}
END_TEST

/* An id of 0 stands for none. */
START_TEST(kv_lease_without_an_id)
{
	encode_grant();
	command.data[10] = 0;
	expect_corrupt();
	buf_reset(&command);
	encode_lock();
	command.data[12] = 0;
	expect_corrupt();
}
END_TEST

START_TEST(kv_command_overhead_is_bounded)
{
	uint8_t key[KV_KEY_SIZE_MAX] = { 0 };
	struct kv_identity longest = { .key = slice_of(
					   key, KV_IDENTITY_SIZE_MAX) };
	struct kv_condition condition = { .key = slice_of(key, sizeof(key)),
		.target = KV_TARGET_MODIFIED,
		.relation = KV_EQUAL,
		.number = UINT64_MAX };
	struct kv_op op = { .kind = KV_PUT,
		.key = slice_of(key, sizeof(key)),
		.value = slice_of(NULL, 0),
		.lifetime = KV_LIFETIME_TTL,
		.ttl_us = KV_TTL_US_MAX };

	kv_encode_transaction(&command, &longest);
	kv_encode_condition(&command, &condition);
	kv_encode_op(&command, KV_THEN, &op);
	kv_encode_else(&command);
	ck_assert_uint_le(command.size + 4, KV_COMMAND_OVERHEAD_MAX);
}
END_TEST

/* ---- Results ---- */

START_TEST(kv_result_comes_back)
{
	struct kv_result result = { .status = KV_TOO_LARGE,
		.changed = true,
		.revision = 300,
		.op = 1023,
		.outputs = TEXT("outputs") };
	struct kv_result back;

	kv_result_encode(&command, &result);
	ck_assert_int_eq(kv_result_decode(buf_slice(&command), &back), 0);
	ck_assert_int_eq(back.status, KV_TOO_LARGE);
	ck_assert(back.changed && !back.succeeded && !back.replayed);
	ck_assert_uint_eq(back.revision, 300);
	ck_assert_uint_eq(back.op, 1023);
	ck_assert(slice_equal(back.outputs, TEXT("outputs")));
	for (size_t size = 0; size < 7; size++)
		ck_assert_int_eq(
		    kv_result_decode(slice_of(command.data, size), &back),
		    ERR_CORRUPT);
	command.data[1] = KV_REUSED + 1;
	ck_assert_int_eq(
	    kv_result_decode(buf_slice(&command), &back), ERR_CORRUPT);
	command.data[0] = 2;
	ck_assert_int_eq(
	    kv_result_decode(buf_slice(&command), &back), ERR_VERSION);
}
END_TEST

START_TEST(kv_output_comes_back)
{
	struct kv_output output = { .kind = KV_OUTPUT_ITEM,
		.index = 1000,
		.key = TEXT("key"),
		.exists = true,
		.has_value = true,
		.more = true,
		.value = TEXT(""),
		.content_type = KV_CONTENT_TEXT,
		.modified = 4,
		.created = 3,
		.version = 2,
		.lease = UINT64_MAX,
		.ttl_us = 5,
		.count = 6 };
	struct kv_output back;
	struct kv_bench bench;
	struct slice outputs;

	kv_bench_init(&bench);
	kv_output_add(bench.kv, &output);
	outputs = buf_slice(&bench.kv->outputs);
	ck_assert_int_eq(kv_output_next(&outputs, &back), 0);
	ck_assert_int_eq(back.kind, KV_OUTPUT_ITEM);
	ck_assert_uint_eq(back.index, 1000);
	ck_assert(slice_equal(back.key, output.key));
	ck_assert(back.exists && back.has_value && back.more);
	ck_assert_uint_eq(back.value.size, 0);
	ck_assert_int_eq(back.content_type, KV_CONTENT_TEXT);
	ck_assert_uint_eq(back.modified, 4);
	ck_assert_uint_eq(back.created, 3);
	ck_assert_uint_eq(back.version, 2);
	ck_assert_uint_eq(back.lease, UINT64_MAX);
	ck_assert_uint_eq(back.ttl_us, 5);
	ck_assert_uint_eq(back.count, 6);
	ck_assert_int_eq(kv_output_next(&outputs, &back), ERR_NOT_FOUND);
	for (size_t size = 1; size < bench.kv->outputs.size; size++) {
		outputs = slice_of(bench.kv->outputs.data, size);
		ck_assert_int_eq(kv_output_next(&outputs, &back), ERR_CORRUPT);
	}
	kv_bench_release(&bench);
}
END_TEST

/* Cut off, they would pass for another index and another content type. */
START_TEST(kv_output_number_of_33_bits)
{
	static const char *const texts[] = {
		"\x01\x00\x00\x81\x80\x80\x80\x10",
		"\x01\x00\x10\x01\x81\x80\x80\x80\x10",
	};
	static const size_t sizes[] = { 8, 9 };

	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		struct slice outputs = slice_of(texts[i], sizes[i]);
		struct kv_output output;

		ck_assert_int_eq(
		    kv_output_next(&outputs, &output), ERR_CORRUPT);
		ck_assert_uint_eq(outputs.size, sizes[i]);
	}
}
END_TEST

Suite *
kv_command_suite(void)
{
	Suite *suite = suite_create("kv_command");
	TCase *core = tcase_create("core");
	int count = (int)ARRAY_COUNT(known);

	tcase_add_checked_fixture(core, set_up, tear_down);
	tcase_add_loop_test(core, kv_command_bytes_never_change, 0, count);
	tcase_add_loop_test(core, kv_command_is_decoded_whole, 0, count);
	tcase_add_loop_test(core, kv_command_cut_at_every_byte, 0, count);
	tcase_add_test(core, kv_transaction_parts_come_back);
	tcase_add_test(core, kv_empty_else_branch_is_one);
	tcase_add_test(core, kv_command_of_other_version_or_kind);
	tcase_add_test(core, kv_transaction_is_checked_before_it_runs);
	tcase_add_test(core, kv_part_with_wrong_bytes);
	tcase_add_test(core, kv_command_with_a_size_beyond_its_limit);
	tcase_add_test(core, kv_transaction_of_too_many_parts);
	tcase_add_test(core, kv_leaders_own_command_with_an_identity);
	tcase_add_test(core, kv_lease_without_an_id);
	tcase_add_test(core, kv_command_overhead_is_bounded);
	tcase_add_test(core, kv_result_comes_back);
	tcase_add_test(core, kv_output_comes_back);
	tcase_add_test(core, kv_output_number_of_33_bits);
	suite_add_tcase(suite, core);
	return suite;
}
