#include "common/address.h"
#include "common/err.h"
#include "tests/unit/suites.h"

static const struct {
	const char *text;
	const char *formatted; /* NULL: refused */
	unsigned port;
} addresses[] = {
	{ "127.0.0.1:5864", "127.0.0.1:5864", 5864 },
	{ "0.0.0.0:0", "0.0.0.0:0", 0 },
	{ "255.255.255.255:65535", "255.255.255.255:65535", 65535 },
	{ "[::1]:5864", "[::1]:5864", 5864 },
	{ "[0:0:0:0:0:0:0:1]:5864", "[::1]:5864", 5864 },
	{ "[2001:db8:1111:2222:3333:4444:5555:6666]:65535",
	    "[2001:db8:1111:2222:3333:4444:5555:6666]:65535", 65535 },
	{ "[::ffff:255.255.255.255]:65535", "[::ffff:255.255.255.255]:65535",
	    65535 },
	{ "", NULL, 0 },
	{ ":5864", NULL, 0 },
	{ "127.0.0.1", NULL, 0 },
	{ "127.0.0.1:", NULL, 0 },
	{ "127.0.0.1:65536", NULL, 0 },
	{ "127.0.0.1:-1", NULL, 0 },
	{ "127.0.0.1:5864x", NULL, 0 },
	{ "127.0.0.1 :5864", NULL, 0 },
	{ "127.1:5864", NULL, 0 },
	{ "256.0.0.1:5864", NULL, 0 },
	{ "localhost:5864", NULL, 0 },
	{ "::1:5864", NULL, 0 },
	{ "[::1]", NULL, 0 },
	{ "[::1:5864", NULL, 0 },
	{ "[]:5864", NULL, 0 },
	{ "[:5864", NULL, 0 },
	{ "[127.0.0.1]:5864", NULL, 0 },
	{ "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb]:1", NULL,
	    0 },
};

START_TEST(parse_and_format)
{
	struct address address;
	char text[ADDRESS_TEXT_SIZE];
	int rc = address_parse(slice_from_text(addresses[_i].text), &address);

	if (addresses[_i].formatted == NULL) {
		ck_assert_int_eq(rc, ERR_INVALID);
		return;
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_uint_eq(address_port(&address), addresses[_i].port);
	address_format(&address, text);
	ck_assert_str_eq(text, addresses[_i].formatted);
}
END_TEST

START_TEST(parse_refuses_nul)
{
	static const char text[] = "127.0.0.1\0x:5864";
	struct address address;

	ck_assert_int_eq(
	    address_parse(slice_of(text, sizeof(text) - 1), &address),
	    ERR_INVALID);
}
END_TEST

START_TEST(format_of_another_family)
{
	struct address address = { .storage.ss_family = AF_UNIX };
	char text[ADDRESS_TEXT_SIZE];

	address_format(&address, text);
	ck_assert_str_eq(text, "?");
	ck_assert_uint_eq(address_port(&address), 0);
}
END_TEST

START_TEST(hosts_are_told_apart)
{
	static const struct {
		const char *text;
		const char *host;
		bool loopback;
		bool wildcard;
	} rows[] = {
		{ "127.0.0.1:1", "127.0.0.1", true, false },
		{ "127.8.9.1:1", "127.8.9.1", true, false },
		{ "[::1]:1", "::1", true, false },
		{ "0.0.0.0:1", "0.0.0.0", false, true },
		{ "[::]:1", "::", false, true },
		{ "10.0.0.1:1", "10.0.0.1", false, false },
		{ "[::ffff:127.0.0.1]:1", "::ffff:127.0.0.1", false, false },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct address address;
		char host[ADDRESS_HOST_SIZE];

		ck_assert_int_eq(
		    address_parse(slice_from_text(rows[i].text), &address), 0);
		ck_assert(address_is_loopback(&address) == rows[i].loopback);
		ck_assert(address_is_wildcard(&address) == rows[i].wildcard);
		address_format_host(&address, host);
		ck_assert_str_eq(host, rows[i].host);
		for (size_t j = 0; j < ARRAY_COUNT(rows); j++) {
			struct address other;

			ck_assert_int_eq(
			    address_parse(
				slice_from_text(rows[j].text), &other),
			    0);
			ck_assert(
			    address_same_host(&address, &other) == (i == j));
		}
	}
}
END_TEST

START_TEST(same_host_whatever_the_port)
{
	struct address a;
	struct address b;

	ck_assert_int_eq(address_parse(slice_from_text("10.0.0.1:1"), &a), 0);
	ck_assert_int_eq(address_parse(slice_from_text("10.0.0.1:2"), &b), 0);
	ck_assert(address_same_host(&a, &b));
}
END_TEST

Suite *
address_suite(void)
{
	Suite *suite = suite_create("address");
	TCase *tests = tcase_create("address");

	tcase_add_loop_test(tests, parse_and_format, 0, ARRAY_COUNT(addresses));
	tcase_add_test(tests, parse_refuses_nul);
	tcase_add_test(tests, format_of_another_family);
	tcase_add_test(tests, hosts_are_told_apart);
	tcase_add_test(tests, same_host_whatever_the_port);
	suite_add_tcase(suite, tests);
	return suite;
}
