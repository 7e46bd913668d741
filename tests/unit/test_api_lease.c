#include "common/macros.h"
#include "tests/unit/api_stage.h"
#include "tests/unit/suites.h"

#include <stdio.h>

#define ID_SIZE 16

struct id {
	char text[ID_SIZE + 1];
};

/* The member `name` of an answer, which is 16 hex digits. */
static struct id
id_of(const struct reply *reply, const char *name)
{
	const char *at = strstr((const char *)reply->body.data, name);
	struct id id = { "" };

	ck_assert_ptr_nonnull(at);
	at += strlen(name) + strlen("\":\"");
	ck_assert_uint_eq(strspn(at, "0123456789abcdef"), ID_SIZE);
	memcpy(id.text, at, ID_SIZE);
	return id;
}

static struct id
grant(const char *ttl)
{
	char target[64];
	struct reply reply;
	struct id id;

	snprintf(target, sizeof(target), "/lease?ttl=%s", ttl);
	reply = site_ask(one, "POST", target, "", slice_of(NULL, 0));
	assert_status(&reply, 201);
	id = id_of(&reply, "lease");
	reply_release(&reply);
	return id;
}

/* site_expect with the id in the place of %s. */
static void
expect(const char *format, struct id id, const char *body, unsigned status,
    const char *says)
{
	char request[128];

	snprintf(request, sizeof(request), "%.*s%s%s",
	    (int)(strchr(format, '$') - format), format, id.text,
	    strchr(format, '$') + 1);
	site_expect(one, request, "", body, status, says);
}

START_TEST(granted_201)
{
	struct reply reply =
	    site_ask(one, "POST", "/lease?ttl=15s", "", slice_of(NULL, 0));
	struct id id = id_of(&reply, "lease");
	char location[64];

	assert_status(&reply, 201);
	assert_contains(&reply, ",\"ttl\":15,\"revision\":0}\n");
	snprintf(location, sizeof(location), "/lease/%s", id.text);
	ck_assert_str_eq(reply_header(&reply, "Location"), location);
	reply_release(&reply);
	expect("GET /lease/$", id, NULL, 200, ",\"ttl\":15,\"remaining\":1");
	expect("GET /lease/$", id, NULL, 200,
	    ",\"count\":0,\"keys\":[],\"more\":false}\n");
	ck_assert_str_ne(grant("15s").text, id.text);
}
END_TEST

START_TEST(refused)
{
	static const struct {
		const char *request;
		unsigned status;
		const char *says;
	} rows[] = {
		{ "POST /lease", 400, "query parameters are missing: ttl" },
		{ "POST /lease?ttl=0", 400, "bad_ttl" },
		{ "POST /lease?ttl=99ms", 400, "bad_ttl" },
		{ "GET /lease/1", 400, "16 hex digits" },
		{ "GET /lease/", 400, "no lease's id" },
		{ "GET /lease/00000000000000aa", 404, "lease_not_found" },
		{ "DELETE /lease/00000000000000aa", 404, "lease_not_found" },
		{ "POST /lease/00000000000000aa?op=renew", 404,
		    "lease_not_found" },
		{ "POST /lease/00000000000000aa", 400, "op=renew" },
		{ "POST /lease/00000000000000aa?op=end", 400, "op=renew" },
		{ "GET /lease/00000000000000aa?limit=1001", 400, "at most" },
		{ "GET /lease?limit=0", 400, "above 0" },
		{ "GET /lease?after=x", 400, "no lease's id" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		site_expect(one, rows[i].request, "", NULL, rows[i].status,
		    rows[i].says);
}
END_TEST

START_TEST(its_keys)
{
	struct id id = grant("1h");

	expect("PUT /kv/b?lease=$", id, "v", 201, ",\"lease\":\"");
	expect("PUT /kv/a?lease=$", id, "v", 201, id.text);
	expect("PUT /kv/%FF?lease=$", id, "v", 201, "\"ttl\":3");
	expect("GET /kv/a?json&x=$", id, NULL, 400, "'x'");
	site_expect(one, "GET /kv/a?json", "", NULL, 200, id.text);
	site_expect(one, "GET /kv/a", "", NULL, 200, "Luminous-TTL: 3");
	expect("GET /lease/$", id, NULL, 200,
	    ",\"count\":3,\"keys\":[{\"key\":\"a\"},{\"key\":\"b\"},"
	    "{\"key_base64\":\"/w==\"}],\"more\":false}");
	expect("GET /lease/$?limit=2", id, NULL, 200,
	    "\"keys\":[{\"key\":\"a\"},{\"key\":\"b\"}],\"more\":true,"
	    "\"next\":\"b\"}");
	expect("GET /lease/$?limit=2&after=b", id, NULL, 200,
	    "\"keys\":[{\"key_base64\":\"/w==\"}],\"more\":false}");
	/* A new value without it leaves it. */
	site_expect(one, "PUT /kv/b", "", "v", 200, "\"version\":2}");
	expect("POST /kv/new?op=incr&lease=$", id, NULL, 200, id.text);
	expect("DELETE /lease/$", id, NULL, 200, "{\"deleted\":3,\"lease\":\"");
	site_expect(one, "GET /kv/a", "", NULL, 404, "");
	site_expect(one, "GET /kv/new", "", NULL, 404, "");
	site_expect(one, "GET /kv/b", "", NULL, 200, "");
	expect("DELETE /lease/$", id, NULL, 404, "lease_not_found");
}
END_TEST

START_TEST(renewed)
{
	struct id id = grant("30s");

	expect("POST /lease/$?op=renew", id, NULL, 200,
	    ",\"ttl\":30,\"revision\":0}\n");
	expect("DELETE /lease/$", id, NULL, 200, "");
	expect("POST /lease/$?op=renew", id, NULL, 404, "lease_not_found");
}
END_TEST

/* Page by page, each once; tokens of locks are nobody else's business. */
START_TEST(listed)
{
	struct id ids[5];
	char target[128] = "/lease?limit=2";
	unsigned seen = 0;

	for (size_t i = 0; i < ARRAY_COUNT(ids); i++) {
		char request[64];

		ids[i] = grant("1h");
		snprintf(request, sizeof(request), "PUT /lock/%zu?ttl=1h", i);
		site_expect(one, request, "", "me", 201, "");
	}
	for (unsigned pages = 0;; pages++) {
		struct reply reply = site_get(one, target);

		assert_status(&reply, 200);
		ck_assert_uint_lt(pages, 4);
		for (size_t i = 0; i < ARRAY_COUNT(ids); i++) {
			char member[128];

			snprintf(member, sizeof(member), "{\"lease\":\"%s\"",
			    ids[i].text);
			if (strstr(reply.text, member) == NULL)
				continue;
			ck_assert_uint_eq(seen & 1u << i, 0);
			seen |= 1u << i;
		}
		ck_assert_ptr_null(strstr(reply.text, "\"lock\""));
		if (strstr(reply.text, "\"more\":true") == NULL) {
			reply_release(&reply);
			break;
		}
		snprintf(target, sizeof(target), "/lease?limit=2&after=%s",
		    id_of(&reply, "next").text);
		reply_release(&reply);
	}
	ck_assert_uint_eq(seen, 31);
}
END_TEST

Suite *
api_lease_suite(void)
{
	Suite *suite = suite_create("api_lease");
	TCase *tcase = tcase_create("lease");

	tcase_add_checked_fixture(tcase, api_stage_one, api_stage_end);
	tcase_add_test(tcase, granted_201);
	tcase_add_test(tcase, refused);
	tcase_add_test(tcase, its_keys);
	tcase_add_test(tcase, renewed);
	tcase_add_test(tcase, listed);
	suite_add_tcase(suite, tcase);
	return suite;
}
