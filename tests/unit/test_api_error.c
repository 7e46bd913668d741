/* Every error that a client can get: its status, its code, its form. */

#include "api/api_impl.h"
#include "common/macros.h"
#include "tests/unit/api_stage.h"
#include "tests/unit/suites.h"

#include <stdio.h>

/* By their codes in api_impl.h; scripts go by status and text, for ever. */
static const struct {
	enum api_code code;
	unsigned status;
	const char *name;
} rows[] = {
	{ API_BAD_REQUEST, 400, "bad_request" },
	{ API_BAD_JSON, 400, "bad_json" },
	{ API_BAD_TTL, 400, "bad_ttl" },
	{ API_FORBIDDEN, 403, "forbidden" },
	{ API_KEY_NOT_FOUND, 404, "key_not_found" },
	{ API_LEASE_NOT_FOUND, 404, "lease_not_found" },
	{ API_LOCK_NOT_FOUND, 404, "lock_not_found" },
	{ API_MEMBER_NOT_FOUND, 404, "member_not_found" },
	{ API_UNKNOWN_PATH, 404, "unknown_path" },
	{ API_METHOD_NOT_ALLOWED, 405, "method_not_allowed" },
	{ API_TIMEOUT, 408, "timeout" },
	{ API_CANNOT_JOIN, 409, "cannot_join" },
	{ API_CANNOT_MOVE, 409, "cannot_move" },
	{ API_CHANGE_IN_PROGRESS, 409, "change_in_progress" },
	{ API_LEASE_EXISTS, 409, "lease_exists" },
	{ API_LOCK_HELD, 409, "lock_held" },
	{ API_MEMBER_EXISTS, 409, "member_exists" },
	{ API_NOT_A_NUMBER, 409, "not_a_number" },
	{ API_NOT_TRANSFERRED, 409, "not_transferred" },
	{ API_TOO_MANY_MEMBERS, 409, "too_many_members" },
	{ API_WOULD_LOSE_QUORUM, 409, "would_lose_quorum" },
	{ API_COMPACTED, 410, "compacted" },
	{ API_PRECONDITION_FAILED, 412, "precondition_failed" },
	{ API_BODY_TOO_LARGE, 413, "too_large" },
	{ API_TARGET_TOO_LARGE, 414, "too_large" },
	{ API_MEDIA_TYPE, 415, "unsupported_media_type" },
	{ API_EXPECTATION_FAILED, 417, "expectation_failed" },
	{ API_WRONG_CLUSTER, 421, "wrong_cluster" },
	{ API_KEY_REUSED, 422, "idempotency_key_reused" },
	{ API_PRECONDITION_REQUIRED, 428, "precondition_required" },
	{ API_TOO_MANY_WATCHERS, 429, "too_many_watchers" },
	{ API_HEADERS_TOO_LARGE, 431, "too_large" },
	{ API_INTERNAL, 500, "internal" },
	{ API_NOT_IMPLEMENTED, 501, "not_implemented" },
	{ API_NO_LEADER, 503, "no_leader" },
	{ API_NOT_LEADER, 503, "not_leader" },
	{ API_NOT_READY, 503, "not_ready" },
	{ API_REPAIRING, 503, "repairing" },
	{ API_STARTING, 503, "starting" },
	{ API_TOO_STALE, 503, "too_stale" },
	{ API_WIPED, 503, "wiped" },
	{ API_REMOVED, 503, "removed" },
	{ API_OUTDATED, 503, "outdated" },
	{ API_SHUTTING_DOWN, 503, "shutting_down" },
	{ API_BUSY, 503, "busy" },
	{ API_TOO_MANY_CONNECTIONS, 503, "too_many_connections" },
	{ API_OUTCOME_UNKNOWN, 504, "outcome_unknown" },
	{ API_VERSION_NOT_SUPPORTED, 505, "version_not_supported" },
	{ API_QUOTA_EXCEEDED, 507, "quota_exceeded" },
};

static void
setup(void)
{
	api_stage_one();
	one->frozen = true;
}

static void
teardown(void)
{
	one->frozen = false;
	world_free(world);
}

/* What the node has not answered yet is answered with this error. */
static struct reply
fail_with(enum api_code code, const char *headers)
{
	int fd = site_send(one, "GET", "/kv/a", headers, slice_of(NULL, 0));
	struct api_call *call;

	site_pass_until_busy(one);
	call = api_deadline_first(one->api);
	ck_assert_ptr_nonnull(call);
	api_cancel(call);
	api_fail(call, code, "do \"this\"", "what\nhappened: %d", 7);
	return site_receive(world, fd);
}

static void
assert_one_line(const struct reply *reply)
{
	const char *end = strchr((const char *)reply->body.data, '\n');

	ck_assert_ptr_nonnull(end);
	ck_assert_ptr_eq(end + 1, reply->body.data + reply->body.size);
}

START_TEST(as_json)
{
	struct reply reply = fail_with(rows[_i].code, "");
	char begin[128];

	/* In the order of the codes, so none is missing. */
	ck_assert_int_eq((int)rows[_i].code, _i);
	assert_status(&reply, rows[_i].status);
	snprintf(begin, sizeof(begin), "{\"code\":\"%s\",\"status\":%u,",
	    rows[_i].name, rows[_i].status);
	ck_assert_int_eq(
	    strncmp((const char *)reply.body.data, begin, strlen(begin)), 0);
	assert_contains(&reply, ",\"detail\":\"what\\nhappened: 7\","
				"\"hint\":\"do \\\"this\\\"\"}\n");
	assert_one_line(&reply);
	/* What curl --retry may repeat says when. */
	ck_assert_str_eq(reply_header(&reply, "Retry-After"),
	    rows[_i].status == 503 || rows[_i].status == 429 ? "1" : "");
	assert_problem(reply, rows[_i].status, rows[_i].name);
}
END_TEST

START_TEST(as_text)
{
	struct reply reply = fail_with(rows[_i].code, "Accept: text/plain\r\n");

	assert_status(&reply, rows[_i].status);
	ck_assert_str_eq(
	    reply_header(&reply, "Content-Type"), "text/plain; charset=utf-8");
	assert_body(&reply, "luminous: what\nhappened: 7 (do \"this\")\n");
	reply_release(&reply);
}
END_TEST

START_TEST(every_code_has_a_row)
{
	ck_assert_uint_eq(ARRAY_COUNT(rows), API_QUOTA_EXCEEDED + 1);
}
END_TEST

Suite *
api_error_suite(void)
{
	Suite *suite = suite_create("api_error");
	TCase *tcase = tcase_create("error");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, as_json, 0, ARRAY_COUNT(rows));
	tcase_add_loop_test(tcase, as_text, 0, ARRAY_COUNT(rows));
	tcase_add_test(tcase, every_code_has_a_row);
	suite_add_tcase(suite, tcase);
	return suite;
}
