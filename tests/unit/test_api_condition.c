/* Conditions of RFC 9110, section 13, and cas=. */

#include "common/macros.h"
#include "tests/unit/api_stage.h"
#include "tests/unit/suites.h"

/* a is at revision 2, b at 3, none is at 1. */
static void
setup_one(void)
{
	api_stage_one();
	site_expect(one, "PUT /kv/a", "", "1", 201, "");
	site_expect(one, "PUT /kv/a", "", "2", 200, "");
	site_expect(one, "PUT /kv/b", "", "3", 201, "");
}

START_TEST(put_conditions)
{
	static const struct {
		const char *request;
		const char *headers;
		unsigned status;
		const char *says;
	} rows[] = {
		{ "PUT /kv/a", "If-Match: \"2\"\r\n", 200, "\"version\":3" },
		{ "PUT /kv/a", "If-Match: 4\r\n", 200, "\"version\":4" },
		{ "PUT /kv/a", "If-Match: *\r\n", 200, "\"version\":5" },
		{ "PUT /kv/a?cas=6", "", 200, "\"version\":6" },
		{ "PUT /kv/a", "If-None-Match: \"2\"\r\n", 200, "" },
		{ "PUT /kv/a", "If-None-Match: \"\"\r\n", 200, "" },
		{ "PUT /kv/a", "If-None-Match: \"x\", W/\"3\"\r\n", 200, "" },
		{ "PUT /kv/new", "If-None-Match: *\r\n", 201, "" },
		{ "PUT /kv/new2?cas=0", "", 201, "" },
		{ "PUT /kv/new3", "If-None-Match: 1, 2\r\n", 201, "" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		site_expect(one, rows[i].request, rows[i].headers, "v",
		    rows[i].status, rows[i].says);
}
END_TEST

/* Nothing changes, and the answer has the present revision. */
START_TEST(put_refused_412)
{
	static const struct {
		const char *request;
		const char *headers;
		const char *says;
	} rows[] = {
		{ "PUT /kv/a", "If-Match: \"1\"\r\n",
		    "\"detail\":\"the key is at revision 2, If-Match asked for "
		    "'\\\"1\\\"'\",\"current\":2,\"exists\":true}" },
		{ "PUT /kv/a", "If-Match: 3\r\n", "asked for '3'" },
		/* A proxy that weakened it changed the bytes. */
		{ "PUT /kv/a", "If-Match: W/\"2\"\r\n", "\"current\":2" },
		{ "PUT /kv/a", "If-Match: \"\"\r\n", "\"current\":2" },
		{ "PUT /kv/a", "If-Match: \"02\"\r\n", "\"current\":2" },
		{ "PUT /kv/a", "If-Match: \"x\"\r\n", "\"current\":2" },
		{ "PUT /kv/a", "If-None-Match: *\r\n", "\"current\":2" },
		{ "PUT /kv/a", "If-None-Match: \"2\"\r\n", "\"current\":2" },
		{ "PUT /kv/a", "If-None-Match: W/\"2\", 9\r\n",
		    "\"current\":2" },
		{ "PUT /kv/a?cas=1", "",
		    "the key is at revision 2, cas asked for 1" },
		{ "PUT /kv/a?cas=0", "", "\"exists\":true" },
		{ "PUT /kv/no", "If-Match: *\r\n",
		    "\"current\":0,\"exists\":false" },
		{ "PUT /kv/no", "If-Match: 0\r\n", "there is no such key" },
		{ "PUT /kv/no?cas=2", "", "\"exists\":false" },
		/* All of several have to hold. */
		{ "PUT /kv/a?cas=1", "If-Match: 2\r\n", "\"current\":2" },
		{ "PUT /kv/a?cas=2", "If-None-Match: 2\r\n", "\"current\":2" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		site_expect(one, rows[i].request, rows[i].headers, "v", 412,
		    rows[i].says);
	site_expect(one, "GET /kv/a", "", NULL, 200, "ETag: \"2\"");
	site_expect(one, "GET /kv/no", "", NULL, 404, "");
}
END_TEST

/* Any of them: RFC 9110, 13.1.1. */
START_TEST(if_match_of_several)
{
	site_expect(one, "PUT /kv/a", "If-Match: \"2\", \"3\"\r\n", "v", 200,
	    "\"revision\":4");
	site_expect(one, "PUT /kv/a", "If-Match: 1,9,4\r\n", "v", 200,
	    "\"revision\":5,\"created\":1,\"version\":4");
	site_expect(one, "PUT /kv/a", "If-Match: W/\"5\", \"4\", \"2\"\r\n",
	    "v", 412, "\"current\":5,\"exists\":true");
	site_expect(one, "PUT /kv/a", "If-Match: W/\"4\", \"5\"\r\n", "v", 200,
	    "\"revision\":6");
	/* That is the place of another key. */
	site_expect(one, "PUT /kv/Z", "If-Match: 6, 3\r\n", "v", 412,
	    "\"current\":0,\"exists\":false");
	site_expect(one, "DELETE /kv/b", "If-Match: 4, 5\r\n", NULL, 412,
	    "\"current\":3,\"exists\":true");
	site_expect(one, "DELETE /kv/b", "If-Match: 4, 3\r\n", NULL, 200,
	    "\"deleted\":1");
	site_expect(one, "POST /kv/n?op=incr", "If-Match: 1, 2\r\n", NULL, 412,
	    "\"exists\":false");
	site_expect(one, "PUT /kv/a?cas=6", "If-Match: 6, 7\r\n", "v", 501,
	    "does not go together");
	site_expect(one, "PUT /kv/a", "If-Match: 6, 7\r\nIf-None-Match: 8\r\n",
	    "v", 501, "does not go together");
}
END_TEST

START_TEST(malformed_400)
{
	static const char *const lines[] = { "If-Match: \r\n",
		"If-Match: \"2\r\n", "If-Match: x\r\n", "If-Match: 2 3\r\n",
		"If-Match: 2,\r\n", "If-Match: ,2\r\n", "If-Match: w/\"2\"\r\n",
		"If-Match: *, 2\r\n", "If-None-Match: -2\r\n",
		"If-Match: 2\r\nIf-Match: 3\r\n",
		"If-None-Match: 2\r\nIf-None-Match: 3\r\n",
		"If-Match: 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17\r\n" };

	for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
		site_expect(one, "PUT /kv/a", lines[i], "v", 400,
		    "\"code\":\"bad_request\"");
		site_expect(one, "DELETE /kv/a", lines[i], NULL, 400, "");
	}
	site_expect(one, "GET /kv/a", "", NULL, 200, "ETag: \"2\"");
}
END_TEST

START_TEST(delete_conditions)
{
	site_expect(
	    one, "DELETE /kv/a", "If-Match: 1\r\n", NULL, 412, "\"current\":2");
	site_expect(one, "DELETE /kv/a?cas=0", "", NULL, 412, "\"current\":2");
	site_expect(one, "DELETE /kv/no", "If-Match: *\r\n", NULL, 412,
	    "\"current\":0,\"exists\":false");
	site_expect(one, "DELETE /kv/no", "", NULL, 200, "\"deleted\":0");
	site_expect(one, "DELETE /kv/a?cas=2", "", NULL, 200, "\"deleted\":1");
	site_expect(
	    one, "DELETE /kv/b", "If-Match: *\r\n", NULL, 200, "\"deleted\":1");
}
END_TEST

START_TEST(get_if_match)
{
	site_expect(one, "GET /kv/a", "If-Match: 2\r\n", NULL, 200, "\r\n2");
	site_expect(one, "GET /kv/a", "If-Match: *\r\n", NULL, 200, "");
	site_expect(
	    one, "GET /kv/a", "If-Match: \"1\", \"2\"\r\n", NULL, 200, "");
	site_expect(one, "GET /kv/a", "If-Match: W/\"2\"\r\n", NULL, 412,
	    "\"current\":2,\"exists\":true");
	site_expect(one, "HEAD /kv/a", "If-Match: 1\r\n", NULL, 412, "");
	site_expect(one, "GET /kv/a", "If-Match: x\r\n", NULL, 400, "");
	/* Without a condition it would be no success: RFC 9110, 13.2.1. */
	site_expect(one, "GET /kv/no", "If-Match: *\r\n", NULL, 404, "");
}
END_TEST

/* ---- http.require-cas ---- */

START_TEST(required_428)
{
	static const char *const requests[] = { "PUT /kv/cas/a",
		"PUT /kv/%63as/", "DELETE /kv/cas/a", "POST /kv/cas/a?op=incr",
		"POST /kv/cas/a?op=touch&ttl=1s", "POST /kv/a?op=copy&to=cas/a",
		"POST /kv/cas/a?op=move&to=b" };

	for (size_t i = 0; i < ARRAY_COUNT(requests); i++)
		site_expect(one, requests[i], "", NULL, 428,
		    "\"code\":\"precondition_required\"");
	site_expect(one, "PUT /kv/cas/a?cas=0", "", "1", 201, "");
	site_expect(one, "PUT /kv/cas/a", "If-Match: 4\r\n", "2", 200, "");
	site_expect(one, "PUT /kv/cas/b", "If-None-Match: *\r\n", "1", 201, "");
	site_expect(one, "POST /kv/cas/a?op=incr&cas=5", "", NULL, 200, "");
	site_expect(one, "POST /kv/cas/", "", "child", 201, "");
	site_expect(one, "POST /kv/cas/a?op=copy&to=b", "", NULL, 200, "");
	site_expect(one, "GET /kv/cas/a", "", NULL, 200, "");
	/* A condition on the source is none on the target, ... */
	site_expect(one, "POST /kv/b?op=copy&to=cas/a", "If-Match: *\r\n", NULL,
	    428, "cas/");
	site_expect(one, "POST /kv/cas/b?op=move&to=cas/a", "If-Match: *\r\n",
	    NULL, 428, "`to`");
	/* ... and neither is one that always holds. */
	site_expect(
	    one, "PUT /kv/cas/a", "If-None-Match: \"\"\r\n", "x", 428, "cas/");
	site_expect(
	    one, "PUT /kv/cas/a", "If-None-Match: \"x\"\r\n", "x", 428, "cas/");
	site_expect(one, "PUT /kv/cas", "", "1", 201, "");
}
END_TEST

Suite *
api_condition_suite(void)
{
	Suite *suite = suite_create("api_condition");
	TCase *tcase = tcase_create("condition");

	tcase_add_checked_fixture(tcase, setup_one, api_stage_end);
	tcase_add_test(tcase, put_conditions);
	tcase_add_test(tcase, put_refused_412);
	tcase_add_test(tcase, if_match_of_several);
	tcase_add_test(tcase, malformed_400);
	tcase_add_test(tcase, delete_conditions);
	tcase_add_test(tcase, get_if_match);
	tcase_add_test(tcase, required_428);
	suite_add_tcase(suite, tcase);
	return suite;
}
