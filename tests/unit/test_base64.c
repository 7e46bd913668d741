#include "common/base64.h"
#include "common/err.h"
#include "common/rng.h"
#include "tests/unit/suites.h"

struct vector {
	const char *plain;
	const char *text;
};

/* RFC 4648 section 10. */
static const struct vector vectors[] = {
	{ "", "" },
	{ "f", "Zg==" },
	{ "fo", "Zm8=" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
};

START_TEST(base64_rfc4648_vectors)
{
	const struct vector *vector = &vectors[_i];
	struct buf text = { 0 };
	struct buf plain = { 0 };

	base64_encode(&text, slice_from_text(vector->plain));
	ck_assert(slice_equal(buf_slice(&text), slice_from_text(vector->text)));
	ck_assert_int_eq(
	    base64_decode(&plain, slice_from_text(vector->text)), 0);
	ck_assert(
	    slice_equal(buf_slice(&plain), slice_from_text(vector->plain)));
	buf_release(&text);
	buf_release(&plain);
}
END_TEST

START_TEST(base64_every_length_round_trips)
{
	uint8_t bytes[64];
	struct rng rng;

	rng_init(&rng, 1);
	for (size_t size = 0; size <= sizeof(bytes); size++) {
		struct buf text = { 0 };
		struct buf plain = { 0 };

		for (size_t i = 0; i < size; i++)
			bytes[i] = (uint8_t)rng_next(&rng);
		base64_encode(&text, slice_of(bytes, size));
		ck_assert_uint_eq(text.size, BASE64_SIZE(size));
		buf_append_text(&plain, "kept");
		ck_assert_int_eq(base64_decode(&plain, buf_slice(&text)), 0);
		buf_drain(&plain, 4);
		ck_assert(
		    slice_equal(buf_slice(&plain), slice_of(bytes, size)));
		buf_release(&text);
		buf_release(&plain);
	}
}
END_TEST

static const char *const malformed[] = {
	"Z",
	"Zg",
	"Zg=",
	"Zm9vY", /* lengths */
	"====",
	"Z===",
	"=Zg=",
	"Zg=v",
	"Zg==Zg==",
	"Zm8=Zm8=", /* padding */
	"Zh==",
	"Zm9=",
	"Zm9vYh==", /* bits left over */
	"Zm-v",
	"Zm_v",
	"Zm9 ",
	"Zm\n9",
	"Zm9v\n",
	"Zm*v", /* alphabet */
	"\x80m9v",
	"\xffm9vZm9v",
	"Zm9vZm9\xc3",
};

START_TEST(base64_refuses_malformed_text)
{
	struct buf plain = { 0 };

	buf_append_text(&plain, "kept");
	ck_assert_int_eq(
	    base64_decode(&plain, slice_from_text(malformed[_i])), ERR_INVALID);
	ck_assert(slice_equal(buf_slice(&plain), slice_from_text("kept")));
	buf_release(&plain);
}
END_TEST

/* A NUL is no padding, no end and no zero. */
START_TEST(base64_refuses_nul)
{
	struct buf plain = { 0 };

	for (size_t at = 0; at < 8; at++) {
		char text[] = "Zm9vZm9v";

		text[at] = '\0';
		ck_assert_int_eq(
		    base64_decode(&plain, slice_of(text, 8)), ERR_INVALID);
	}
	buf_release(&plain);
}
END_TEST

Suite *
base64_suite(void)
{
	Suite *suite = suite_create("base64");
	TCase *tcase = tcase_create("base64");

	tcase_add_loop_test(
	    tcase, base64_rfc4648_vectors, 0, ARRAY_COUNT(vectors));
	tcase_add_test(tcase, base64_every_length_round_trips);
	tcase_add_loop_test(
	    tcase, base64_refuses_malformed_text, 0, ARRAY_COUNT(malformed));
	tcase_add_test(tcase, base64_refuses_nul);
	suite_add_tcase(suite, tcase);
	return suite;
}
