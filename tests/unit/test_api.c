#include "api/api_impl.h"
#include "common/json.h"
#include "common/macros.h"
#include "tests/unit/api_stage.h"
#include "tests/unit/suites.h"

#include <stdio.h>
#include <unistd.h>

/* ---- What is refused ---- */

START_TEST(query_refused)
{
	static const struct {
		const char *method;
		const char *target;
		const char *says;
	} rows[] = {
		{ "GET", "/kv/a?ttl=5s", "unknown query parameter 'ttl'" },
		{ "GET", "/kv/a?ttl=5s", "consistency, json, timeout" },
		{ "GET", "/kv/a?at=7", "the revision is 0" },
		{ "GET", "/kv/a?at=x", "which is a number" },
		{ "GET", "/kv/a?since=1", "'since'" },
		{ "GET", "/kv/a?consistency", "strong or stale" },
		{ "GET", "/kv/a?consistency=weak", "strong or stale" },
		{ "GET", "/kv/a?consistency=stale&consistency=strong",
		    "twice" },
		{ "GET", "/kv/a?timeout=1.5s", "in whole numbers" },
		{ "GET", "/kv/a?timeout=18446744073710", "500ms" },
		{ "GET", "/kv/a?timeout=0", "500ms" },
		{ "GET", "/kv/a?timeout=%zz", "500ms" },
		{ "GET", "/kv/a?json=no", "or 1" },
		{ "GET", "/kv/a?%zz=1", "malformed" },
		{ "GET", "/kv/a?%00=1", "'?'" },
		{ "PUT", "/kv/a?cas=-1", "only if there is no such key" },
		{ "PUT", "/kv/a?op=incr", "'op'" },
		{ "PUT", "/kv/a?consistency=strong", "'consistency'" },
		{ "PUT", "/kv/a?lease=1", "16 hex digits" },
		{ "PUT", "/kv/a?lease=0000000000000000", "16 hex digits" },
		{ "PUT", "/kv/a?ttl=1s&keep_ttl", "exclude each other" },
		{ "PUT", "/kv/a?ttl=1s&lease=0000000000000001",
		    "exclude each other" },
		{ "PUT", "/kv/a?keep_ttl&lease=0000000000000001",
		    "exclude each other" },
		{ "DELETE", "/kv/a?ttl=1", "known here: timeout, cas" },
		{ "GET", "/kv/a?max_lag=2.5", "500ms or 2s" },
		{ "GET", "/kv/a?max_lag=2", "add consistency=stale" },
		{ "GET", "/kv/a?min_revision=-1", "which is a number" },
		{ "GET", "/kv/a?max_lag=2s", "add consistency=stale" },
		{ "GET", "/kv/a?min_revision=1", "add consistency=stale" },
		{ "GET", "/kv/a?consistency=strong&min_revision=1",
		    "add consistency=stale" },
		{ "GET", "/livez?verbose", "there are none here" },
		{ "GET", "/readyz?exclude=quota", "known here: verbose" },
		{ "GET", "/metrics?name=x", "'name'" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct reply reply = site_ask(
		    one, rows[i].method, rows[i].target, "", slice_of(NULL, 0));

		assert_contains(&reply, rows[i].says);
		assert_problem(reply, 400, "bad_request");
	}
	assert_problem(site_get(one, "/kv/a"), 404, "key_not_found");
}
END_TEST

START_TEST(query_taken)
{
	static const char *const queries[] = { "", "?", "?&",
		"?consistency=strong", "?consistency=linearizable",
		"?timeout=1s", "?timeout=2", "?consistency=stale&max_lag=2",
		"?%74imeout=1%73&&json" };
	struct reply reply = site_put(one, "/kv/a?timeout=2s", "1");

	assert_status(&reply, 201);
	reply_release(&reply);
	for (size_t i = 0; i < ARRAY_COUNT(queries); i++) {
		char target[64];

		snprintf(target, sizeof(target), "/kv/a%s", queries[i]);
		reply = site_get(one, target);
		assert_status(&reply, 200);
		reply_release(&reply);
	}
}
END_TEST

START_TEST(conditions_refused)
{
	static const char *const rows[][2] = {
		{ "PUT /kv/a", "Content-Range: bytes 0-1/2\r\n" },
		{ "POST /lease?ttl=1s", "If-Match: \"1\"\r\n" },
		{ "PUT /lock/a?ttl=1s", "If-None-Match: *\r\n" },
		{ "POST /cluster/leader", "Idempotency-Key: 7\r\n" },
		{ "DELETE /cluster/members/n1", "If-Match: *\r\n" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		site_expect(one, rows[i][0], rows[i][1], NULL, 501,
		    "\"code\":\"not_implemented\"");
	assert_problem(site_get(one, "/kv/a"), 404, "key_not_found");
}
END_TEST

START_TEST(coding_415)
{
	site_expect(one, "PUT /kv/a", "Content-Encoding: gzip\r\n", "v", 415,
	    "leave the header out");
	site_expect(one, "PUT /import", "Content-Encoding: gzip\r\n", "v", 415,
	    "\"code\":\"unsupported_media_type\"");
	assert_problem(site_get(one, "/kv/a"), 404, "key_not_found");
	site_expect(
	    one, "PUT /kv/a", "Content-Encoding: Identity\r\n", "v", 201, "");
}
END_TEST

START_TEST(cross_site_403)
{
	struct reply reply;

	assert_problem(
	    site_ask(one, "PUT", "/kv/a", "Sec-Fetch-Site: cross-site\r\n",
		slice_from_text("1")),
	    403, "forbidden");
	assert_problem(site_ask(one, "DELETE", "/kv/a",
			   "Sec-Fetch-Site: cross-site\r\n", slice_of(NULL, 0)),
	    403, "forbidden");
	assert_problem(
	    site_get_with(one, "/kv/a", "Sec-Fetch-Site: cross-site\r\n"), 404,
	    "key_not_found");
	reply = site_ask(one, "PUT", "/kv/a", "Sec-Fetch-Site: same-origin\r\n",
	    slice_from_text("1"));
	assert_status(&reply, 201);
	reply_release(&reply);
}
END_TEST

START_TEST(wrong_cluster_421)
{
	struct reply reply = site_put(one, "/kv/a", "1");
	char line[128];

	snprintf(line, sizeof(line), "Luminous-Cluster: %s\r\n",
	    reply_header(&reply, "Luminous-Cluster"));
	reply_release(&reply);
	reply = site_get_with(one, "/kv/a", line);
	assert_status(&reply, 200);
	reply_release(&reply);
	assert_problem(
	    site_get_with(one, "/kv/a", "Luminous-Cluster: beef\r\n"), 421,
	    "wrong_cluster");
}
END_TEST

START_TEST(unknown_path_404)
{
	struct reply reply = site_get(one, "/v1/kv/%22a");

	assert_contains(&reply, "'/v1/kv/%22a'");
	assert_contains(&reply, "\"paths\":[\"/kv/KEY\",");
	assert_contains(&reply, ",\"/lease\",\"/lease/ID\",\"/lock/NAME\",");
	assert_contains(&reply,
	    "\"/\",\"/cluster\",\"/cluster/members\","
	    "\"/cluster/members/NAME\",\"/cluster/replace\","
	    "\"/cluster/leader\",\"/livez\",\"/readyz\",\"/leader\","
	    "\"/metrics\"]");
	assert_problem(reply, 404, "unknown_path");
}
END_TEST

START_TEST(methods)
{
	struct reply reply =
	    site_ask(one, "OPTIONS", "/kv/a", "", slice_of(NULL, 0));

	assert_status(&reply, 204);
	ck_assert_str_eq(reply_header(&reply, "Allow"),
	    "GET, HEAD, PUT, POST, DELETE, OPTIONS");
	reply_release(&reply);
	reply = site_ask(one, "POST", "/lock/a", "", slice_of(NULL, 0));
	ck_assert_str_eq(
	    reply_header(&reply, "Allow"), "GET, HEAD, PUT, DELETE, OPTIONS");
	assert_contains(&reply, "renewed by POST /lease/TOKEN?op=renew");
	assert_problem(reply, 405, "method_not_allowed");
	reply = site_ask(one, "PUT", "/livez", "", slice_of(NULL, 0));
	ck_assert_str_eq(reply_header(&reply, "Allow"), "GET, HEAD, OPTIONS");
	assert_problem(reply, 405, "method_not_allowed");
	/* HAProxy's check asks so, and means the health. */
	reply = site_ask(one, "OPTIONS", "/leader", "", slice_of(NULL, 0));
	assert_status(&reply, 200);
	reply_release(&reply);
	assert_problem(site_ask(one, "OPTIONS", "/no", "", slice_of(NULL, 0)),
	    404, "unknown_path");
}
END_TEST

START_TEST(errors_as_text)
{
	struct reply reply =
	    site_get_with(one, "/kv/?", "Accept: text/plain\r\n");

	assert_status(&reply, 400);
	ck_assert_str_eq(
	    reply_header(&reply, "Content-Type"), "text/plain; charset=utf-8");
	assert_body(&reply, "luminous: the path holds no key (write the key "
			    "behind /kv/)\n");
	reply_release(&reply);
	reply = site_get_with(one, "/kv/no", "Accept: text/plain\r\n");
	assert_body(&reply, "luminous: there is no such key\n");
	reply_release(&reply);
}
END_TEST

/* What the HTTP server refuses gets the same errors as everything else. */
START_TEST(server_refusals)
{
	static const struct {
		const char *bytes;
		unsigned status;
		const char *code;
	} rows[] = {
		{ "GET /kv/a HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n", 400,
		    "bad_request" },
		{ "PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
		  "Expect: miracles\r\n\r\n",
		    417, "expectation_failed" },
		{ "PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n"
		  "Expect: 100-continue\r\n\r\n",
		    413, "too_large" },
		{ "PUT /raft/append HTTP/1.1\r\nHost: a\r\n"
		  "Content-Length: 999999999\r\n\r\n",
		    413, "too_large" },
		{ "OPTIONS /livez HTTP/1.1\r\nHost: a\r\n"
		  "Content-Length: 1\r\n\r\n",
		    413, "too_large" },
		{ "BREW /kv/a HTTP/1.1\r\nHost: a\r\n\r\n", 501,
		    "not_implemented" },
		{ "PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
		  "Transfer-Encoding: gzip, chunked\r\n\r\n",
		    501, "not_implemented" },
		{ "GET /kv/a HTTP/3.0\r\nHost: a\r\n\r\n", 505,
		    "version_not_supported" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		assert_problem(
		    site_receive(world,
			site_send_bytes(one, slice_from_text(rows[i].bytes))),
		    rows[i].status, rows[i].code);
}
END_TEST

/* Only of a value it is said that it is too large. */
START_TEST(no_body_taken_413)
{
	struct reply reply =
	    site_ask(one, "OPTIONS", "/livez", "", slice_from_text("x"));

	assert_contains(&reply, "OPTIONS takes no body here");
	assert_contains(&reply, "\"hint\":\"parameters go into the query");
	assert_problem(reply, 413, "too_large");
}
END_TEST

START_TEST(too_much_input_503)
{
	static const char head[] =
	    "PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";
	struct reply reply;
	char value[SITE_VALUE_MAX] = { 0 };
	struct buf bytes = { 0 };
	int fd[SITE_INPUT_MAX / SITE_VALUE_MAX + 1];

	/* Each lacks something, and all together are what may be there. */
	buf_append_text(&bytes, head);
	buf_append(&bytes, value, SITE_VALUE_MAX - 1);
	for (size_t i = 0; i < ARRAY_COUNT(fd); i++) {
		if (i == ARRAY_COUNT(fd) - 1)
			bytes.size = strlen(head) + ARRAY_COUNT(fd) - 1;
		fd[i] = site_send_bytes(one, buf_slice(&bytes));
	}
	buf_release(&bytes);
	for (int i = 0; i < 10; i++)
		world_pass(world);
	reply =
	    site_ask(one, "PUT", "/kv/a", "", slice_of(value, SITE_VALUE_MAX));
	ck_assert_str_eq(reply_header(&reply, "Retry-After"), "1");
	assert_contains(
	    &reply, "\"limit\":10000,\"option\":\"http.max-input\"");
	assert_problem(reply, 503, "busy");
	for (size_t i = 0; i < ARRAY_COUNT(fd); i++)
		close(fd[i]);
	for (int i = 0; i < 10; i++)
		world_pass(world);
	reply = site_put(one, "/kv/a", "1");
	assert_status(&reply, 201);
	reply_release(&reply);
}
END_TEST

START_TEST(server_limits)
{
	struct buf text = { 0 };

	buf_append_text(&text, "GET /kv/");
	for (int i = 0; i < 3000; i++)
		buf_append_text(&text, "k");
	buf_append_text(&text, " HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_problem(
	    site_receive(world, site_send_bytes(one, buf_slice(&text))), 414,
	    "too_large");
	buf_reset(&text);
	buf_append_text(&text, "GET /kv/a HTTP/1.1\r\nHost: a\r\nX: ");
	for (int i = 0; i < 5000; i++)
		buf_append_text(&text, "x");
	buf_append_text(&text, "\r\n\r\n");
	assert_problem(
	    site_receive(world, site_send_bytes(one, buf_slice(&text))), 431,
	    "too_large");
	buf_release(&text);
}
END_TEST

/* Health checks and peers have connections of their own. */
START_TEST(too_many_connections_503)
{
	struct reply reply;
	int fd[SITE_CONNECTIONS_MAX];

	for (size_t i = 0; i < ARRAY_COUNT(fd); i++)
		fd[i] = site_send_bytes(one, slice_from_text("GET /kv/a"));
	for (int i = 0; i < 10; i++)
		world_pass(world);
	assert_problem(site_get(one, "/kv/a"), 503, "too_many_connections");
	assert_problem(site_get(one, "/metrics"), 503, "too_many_connections");
	reply = site_get(one, "/readyz");
	assert_status(&reply, 200);
	reply_release(&reply);
	for (size_t i = 0; i < ARRAY_COUNT(fd); i++)
		close(fd[i]);
}
END_TEST

START_TEST(server_timeout_408)
{
	int fd =
	    site_send_bytes(one, slice_from_text("GET /kv/a HTTP/1.1\r\n"));

	for (int i = 0; i < 5; i++)
		world_pass(world);
	http_server_expire(one->server, loop_now(world->loop) + 61000000);
	assert_problem(site_receive(world, fd), 408, "timeout");
}
END_TEST

/* ---- Every answer ---- */

START_TEST(headers_of_every_answer)
{
	static const char *const targets[] = { "/", "/kv/a", "/kv/no", "/kv/",
		"/cluster", "/livez", "/readyz", "/leader", "/metrics", "/no" };
	struct reply reply = site_put(one, "/kv/a", "1");

	reply_release(&reply);
	for (size_t i = 0; i < ARRAY_COUNT(targets); i++) {
		reply = site_get(one, targets[i]);
		ck_assert_str_eq(reply_header(&reply, "Luminous-Node"), "n1");
		ck_assert_str_eq(reply_header(&reply, "Luminous-Leader"), "n1");
		ck_assert_str_eq(
		    reply_header(&reply, "Luminous-Revision"), "1");
		ck_assert_str_eq(reply_header(&reply, "Luminous-Cluster"),
		    "c1150100000000000000000000000000");
		ck_assert_str_eq(
		    reply_header(&reply, "X-Content-Type-Options"), "nosniff");
		ck_assert_int_eq(
		    reply.body.data[reply.body.size - 1] == '\n', i != 1);
		reply_release(&reply);
	}
}
END_TEST

START_TEST(root_uses_host)
{
	struct reply reply = site_get(one, "/");

	assert_status(&reply, 200);
	assert_contains(&reply, "luminous 1.2.3, node n1 of cluster test");
	assert_contains(&reply, "localhost:5864/kv/");
	reply_release(&reply);
	reply = site_receive(world,
	    site_send_bytes(one, slice_from_text("GET / HTTP/1.1\r\n"
						 "Host: db7.example:80\r\n"
						 "Connection: close\r\n\r\n")));
	assert_contains(&reply, " db7.example:80/kv/");
	reply_release(&reply);
}
END_TEST

/* ---- Health, cluster, metrics ---- */

START_TEST(health_of_a_leader)
{
	struct reply reply = site_get(one, "/readyz");

	assert_status(&reply, 200);
	assert_body(&reply, "ready\n");
	reply_release(&reply);
	reply = site_get(one, "/readyz?verbose");
	assert_body(&reply,
	    "[+]running\n[+]whole\n[+]member\n[+]leader\n[+]quorum\nready\n");
	reply_release(&reply);
	reply = site_get(one, "/livez");
	assert_body(&reply, "alive\n");
	reply_release(&reply);
	reply = site_get(one, "/leader");
	assert_status(&reply, 200);
	assert_body(&reply, "n1\n");
	reply_release(&reply);
}
END_TEST

START_TEST(readyz_needs_a_quorum)
{
	struct reply reply;
	int fd;

	one->frozen = true;
	fd = site_send(one, "GET", "/readyz?verbose", "", slice_of(NULL, 0));
	site_pass_until_busy(one);
	api_expire(one->api, world_later(world, 1000000));
	reply = site_receive(world, fd);
	assert_status(&reply, 503);
	assert_contains(&reply, "[+]leader\n[-]quorum: ");
	ck_assert_str_eq(reply_header(&reply, "Retry-After"), "1");
	reply_release(&reply);
}
END_TEST

START_TEST(cluster_json)
{
	struct reply reply = site_put(one, "/kv/a", "1");
	struct slice text;
	json_t *object;
	json_t *members;
	json_t *history;
	uint64_t number;

	reply_release(&reply);
	reply = site_get(one, "/cluster");
	assert_status(&reply, 200);
	ck_assert_int_eq(json_parse_object(reply.body, 100000, &object), 0);
	ck_assert_int_eq(json_get_text(object, "cluster", &text), 0);
	ck_assert(slice_equal(text, slice_from_text("test")));
	ck_assert_int_eq(json_get_text(object, "leader", &text), 0);
	ck_assert(slice_equal(text, slice_from_text("n1")));
	ck_assert_int_eq(json_get_text(object, "id", &text), 0);
	ck_assert_uint_eq(text.size, 32);
	ck_assert_int_eq(json_get_u64(object, "quorum", &number), 0);
	ck_assert_uint_eq(number, 1);
	ck_assert_int_eq(json_get_u64(object, "healthy", &number), 0);
	ck_assert_uint_eq(number, 1);
	ck_assert_int_eq(json_get_array(object, "members", &members), 0);
	ck_assert_uint_eq(json_array_size(members), 1);
	history = json_object_get(object, "history");
	ck_assert_int_eq(json_get_u64(history, "oldest", &number), 0);
	ck_assert_uint_eq(number, 0);
	ck_assert_int_eq(json_get_u64(history, "events", &number), 0);
	ck_assert_uint_eq(number, 1);
	ck_assert_int_eq(json_get_u64(history, "bytes", &number), 0);
	ck_assert_uint_gt(number, 0);
	ck_assert_int_eq(
	    json_get_text(json_array_get(members, 0), "state", &text), 0);
	ck_assert(slice_equal(text, slice_from_text("leader")));
	json_decref(object);
	reply_release(&reply);
}
END_TEST

START_TEST(metrics_text)
{
	static const char *const names[] = {
		"luminous_build_info{version=\"1.2.3\"} 1\n",
		"luminous_raft_is_leader 1\n",
		"luminous_raft_has_leader 1\n",
		"luminous_keys 1\n",
		"luminous_data_bytes 2\n",
		"luminous_data_quota_bytes 10000\n",
		"luminous_data_free_bytes 1000000\n",
		"luminous_memtable_bytes 0\n",
		"luminous_leases 0\n",
		"luminous_expired_keys_total 0\n",
		"luminous_history_events 1\n",
		"luminous_history_bytes ",
		"luminous_history_compacted_revision 0\n",
		"luminous_http_in_flight 1\n",
		"luminous_http_requests_total{endpoint=\"/kv/KEY\","
		"method=\"PUT\",code=\"201\"} ",
		"luminous_http_request_duration_seconds_count{endpoint="
		"\"/kv/KEY\"} ",
		"luminous_fsync_duration_seconds_count{store=\"log\"} ",
		"luminous_loop_delay_seconds_count ",
		"luminous_http_forwarded_total{result=\"relayed\"} ",
		"process_resident_memory_bytes ",
		"process_cpu_seconds_total ",
		"process_open_fds ",
		"process_start_time_seconds ",
	};
	struct reply reply = site_put(one, "/kv/a", "1");

	reply_release(&reply);
	reply = site_get(one, "/metrics");
	assert_status(&reply, 200);
	ck_assert_str_eq(reply_header(&reply, "Content-Type"),
	    "text/plain; version=0.0.4; charset=utf-8");
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		char line[256];

		snprintf(line, sizeof(line), "\n%s", names[i]);
		assert_contains(&reply, line);
	}
	reply_release(&reply);
}
END_TEST

/* The figures of the process cost much, so nobody gets them at will. */
START_TEST(metrics_of_the_process_are_kept)
{
	struct reply reply;

	one->api->process.open_files = 12345;
	one->api->process.until_us = UINT64_MAX;
	reply = site_get(one, "/metrics");
	assert_contains(&reply, "\nprocess_open_fds 12345\n");
	reply_release(&reply);
	one->api->process.until_us = 0;
	reply = site_get(one, "/metrics");
	ck_assert_ptr_null(strstr(reply.text, "12345"));
	ck_assert_uint_gt(
	    one->api->process.until_us, loop_now(world->loop) - 1000000);
	reply_release(&reply);
}
END_TEST

static void
add_refusal_cases(Suite *suite)
{
	TCase *tcase = tcase_create("refusals");

	tcase_add_checked_fixture(tcase, api_stage_one, api_stage_end);
	tcase_add_test(tcase, query_refused);
	tcase_add_test(tcase, query_taken);
	tcase_add_test(tcase, conditions_refused);
	tcase_add_test(tcase, coding_415);
	tcase_add_test(tcase, cross_site_403);
	tcase_add_test(tcase, wrong_cluster_421);
	tcase_add_test(tcase, unknown_path_404);
	tcase_add_test(tcase, methods);
	tcase_add_test(tcase, errors_as_text);
	tcase_add_test(tcase, server_refusals);
	tcase_add_test(tcase, no_body_taken_413);
	tcase_add_test(tcase, too_much_input_503);
	tcase_add_test(tcase, server_limits);
	tcase_add_test(tcase, too_many_connections_503);
	tcase_add_test(tcase, server_timeout_408);
	suite_add_tcase(suite, tcase);
}

static void
add_answer_cases(Suite *suite)
{
	TCase *tcase = tcase_create("answers");

	tcase_add_checked_fixture(tcase, api_stage_one, api_stage_end);
	tcase_add_test(tcase, headers_of_every_answer);
	tcase_add_test(tcase, root_uses_host);
	tcase_add_test(tcase, health_of_a_leader);
	tcase_add_test(tcase, readyz_needs_a_quorum);
	tcase_add_test(tcase, cluster_json);
	tcase_add_test(tcase, metrics_text);
	tcase_add_test(tcase, metrics_of_the_process_are_kept);
	suite_add_tcase(suite, tcase);
}

Suite *
api_suite(void)
{
	Suite *suite = suite_create("api");

	add_refusal_cases(suite);
	add_answer_cases(suite);
	return suite;
}
