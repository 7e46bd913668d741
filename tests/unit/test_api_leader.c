#include "common/err.h"
#include "common/macros.h"
#include "tests/unit/api_stage.h"
#include "tests/unit/suites.h"

#include <stdio.h>

static void
setup_lonely(void)
{
	world = world_new_lonely();
	one = &world->site[0];
}

static void
setup_three(void)
{
	world = world_new_three();
	one = &world->site[0];
}

/* ---- Consistency, deadlines, limits ---- */

START_TEST(stale_asks_nobody)
{
	struct reply reply = site_put(one, "/kv/a", "1");

	reply_release(&reply);
	one->frozen = true;
	reply = site_get(one, "/kv/a?consistency=stale");
	assert_status(&reply, 200);
	assert_body(&reply, "1");
	ck_assert_str_ne(reply_header(&reply, "Luminous-Applied"), "");
	reply_release(&reply);
	assert_problem(
	    site_get(one, "/kv/b?consistency=stale"), 404, "key_not_found");
}
END_TEST

START_TEST(read_unconfirmed_503)
{
	int fd;

	one->frozen = true;
	fd = site_send(one, "GET", "/kv/a", "", slice_of(NULL, 0));
	site_pass_until_busy(one);
	api_expire(one->api, world_later(world, SITE_TIMEOUT_US - 1000000));
	ck_assert(!api_idle(one->api));
	api_expire(one->api, world_later(world, SITE_TIMEOUT_US));
	assert_problem(site_receive(world, fd), 503, "no_leader");
	/* The node has forgotten it. */
	one->frozen = false;
	world_pass(world);
}
END_TEST

START_TEST(write_unknown_504)
{
	struct reply reply;
	int fd;

	one->frozen = true;
	fd = site_send(one, "PUT", "/kv/a", "", slice_from_text("1"));
	site_pass_until_busy(one);
	api_expire(one->api, world_later(world, SITE_TIMEOUT_US));
	reply = site_receive(world, fd);
	assert_contains(&reply, "GET the key to see");
	assert_problem(reply, 504, "outcome_unknown");
	/* Unknown is not lost: here it is applied later. */
	one->frozen = false;
	reply = site_get(one, "/kv/a");
	assert_status(&reply, 200);
	reply_release(&reply);
}
END_TEST

START_TEST(timeout_lowers_only)
{
	int fd;

	one->frozen = true;
	fd = site_send(
	    one, "PUT", "/kv/a?timeout=100ms", "", slice_from_text("1"));
	site_pass_until_busy(one);
	api_expire(one->api, world_later(world, 100000));
	assert_problem(site_receive(world, fd), 504, "outcome_unknown");
	fd =
	    site_send(one, "PUT", "/kv/a?timeout=1d", "", slice_from_text("1"));
	site_pass_until_busy(one);
	api_expire(one->api, world_later(world, SITE_TIMEOUT_US));
	assert_problem(site_receive(world, fd), 504, "outcome_unknown");
}
END_TEST

/* They expire by deadline, whatever the order they came in. */
START_TEST(deadlines_in_order)
{
	static const unsigned timeouts_ms[] = { 700, 300, 900, 100, 500, 800,
		200, 600, 400 };
	int fd[ARRAY_COUNT(timeouts_ms)];
	uint64_t began;

	one->frozen = true;
	world_pass(world);
	began = loop_now(world->loop);
	for (size_t i = 0; i < ARRAY_COUNT(timeouts_ms); i++) {
		char target[64];

		snprintf(target, sizeof(target), "/kv/a?timeout=%ums",
		    4 * timeouts_ms[i]);
		fd[i] = site_send(one, "PUT", target, "", slice_from_text("1"));
		world_pass(world);
	}
	for (int i = 0; i < 5; i++)
		world_pass(world);
	for (unsigned due_ms = 100; due_ms <= 900; due_ms += 100) {
		uint64_t before = api_deadline(one->api);

		ck_assert_uint_ge(before, began + 4000 * due_ms);
		ck_assert_uint_lt(before, began + 4000 * (due_ms + 100));
		api_expire(one->api, before);
		ck_assert_uint_gt(api_deadline(one->api), before);
	}
	ck_assert(api_idle(one->api));
	ck_assert_uint_eq(api_deadline(one->api), RAFT_NEVER);
	for (size_t i = 0; i < ARRAY_COUNT(timeouts_ms); i++)
		assert_problem(
		    site_receive(world, fd[i]), 504, "outcome_unknown");
}
END_TEST

START_TEST(busy_503)
{
	char value[SITE_VALUE_MAX];
	int fd[16];

	memset(value, 'v', sizeof(value));
	one->frozen = true;
	for (size_t i = 0; i < ARRAY_COUNT(fd); i++) {
		fd[i] = site_send(
		    one, "PUT", "/kv/a", "", slice_of(value, sizeof(value)));
		world_pass(world);
	}
	/* The core takes 10,000 bytes that are not committed. */
	assert_problem(site_receive(world, fd[15]), 503, "busy");
	one->frozen = false;
	for (size_t i = 0; i < ARRAY_COUNT(fd) - 1; i++) {
		struct reply reply = site_receive(world, fd[i]);

		ck_assert_msg(reply.status == 201 || reply.status == 200 ||
				  reply.status == 503,
		    "%s", reply.text);
		reply_release(&reply);
	}
}
END_TEST

START_TEST(abandoned_requests)
{
	int fd[3];

	one->frozen = true;
	fd[0] = site_send(one, "GET", "/kv/a", "", slice_of(NULL, 0));
	fd[1] = site_send(one, "PUT", "/kv/a", "", slice_from_text("1"));
	fd[2] = site_send(one, "GET", "/kv/b", "", slice_of(NULL, 0));
	for (int i = 0; i < 10; i++)
		world_pass(world);
	ck_assert(!api_idle(one->api));
	for (size_t i = 0; i < ARRAY_COUNT(fd); i++)
		site_break_off(fd[i]);
	for (int i = 0; i < 10; i++)
		world_pass(world);
	ck_assert(api_idle(one->api));
	ck_assert_uint_eq(api_deadline(one->api), RAFT_NEVER);
	one->frozen = false;
	for (int i = 0; i < 5; i++)
		world_pass(world);
}
END_TEST

START_TEST(quota_507)
{
	char value[SITE_VALUE_MAX];
	struct reply reply;

	memset(value, 'v', sizeof(value));
	for (int i = 0; i < 9; i++) {
		char target[32];

		snprintf(target, sizeof(target), "/kv/key%d", i);
		reply = site_ask(
		    one, "PUT", target, "", slice_of(value, sizeof(value)));
		assert_status(&reply, 201);
		reply_release(&reply);
	}
	/* 9 x 1,004 bytes are there, 964 are left of 10,000. */
	reply = site_ask(one, "PUT", "/kv/more", "", slice_of(value, 961));
	assert_contains(&reply, "\"used\":9036,\"quota\":10000");
	assert_problem(reply, 507, "quota_exceeded");
	/* What replaces a value counts by how much it grows. */
	reply = site_ask(
	    one, "PUT", "/kv/key0", "", slice_of(value, sizeof(value)));
	assert_status(&reply, 200);
	reply_release(&reply);
	reply = site_ask(one, "PUT", "/kv/more", "", slice_of(value, 960));
	assert_status(&reply, 201);
	reply_release(&reply);
	reply = site_ask(one, "DELETE", "/kv/key0", "", slice_of(NULL, 0));
	assert_status(&reply, 200);
	reply_release(&reply);
	reply = site_ask(one, "PUT", "/kv/again", "", slice_of(value, 961));
	assert_status(&reply, 201);
	reply_release(&reply);
}
END_TEST

START_TEST(full_disk_507)
{
	struct reply reply;

	one->free_bytes = 999;
	reply = site_put(one, "/kv/a", "1");
	assert_contains(&reply, "\"detail\":\"on n1 ");
	assert_contains(&reply, "\"free\":999,\"minimum\":1000");
	assert_problem(reply, 507, "quota_exceeded");
	/* Asked at most once a second. */
	assert_problem(site_put(one, "/kv/a", "1"), 507, "quota_exceeded");
	ck_assert_uint_eq(one->free_asked, 1);
	reply = site_ask(one, "DELETE", "/kv/a", "", slice_of(NULL, 0));
	assert_status(&reply, 200);
	reply_release(&reply);
}
END_TEST

/* What leaves no more than there was makes room, or keeps keys alive. */
START_TEST(full_disk_takes_what_keeps_nothing)
{
	struct buf large = { 0 };
	struct reply reply;

	one->free_bytes = 999;
	assert_problem(site_put(one, "/kv/b", "1"), 507, "quota_exceeded");
	assert_problem(site_ask(one, "POST", "/kv/a?op=touch&ttl=90s", "",
			   slice_of(NULL, 0)),
	    404, "key_not_found");
	assert_problem(site_ask(one, "POST", "/txn", "",
			   slice_from_text("{\"then\":[{\"delete\":\"a\"}],"
					   "\"else\":[{\"put\":\"b\","
					   "\"value\":\"1\"}]}")),
	    507, "quota_exceeded");
	reply = site_ask(one, "POST", "/txn", "",
	    slice_from_text("{\"then\":[{\"delete\":\"a\"}]}"));
	assert_status(&reply, 200);
	reply_release(&reply);
	/* All of it would go into the log. */
	buf_append_text(&large, "{\"then\":[{\"delete\":\"a\"}");
	for (unsigned i = 0; i < 20; i++)
		buf_printf(&large, ",{\"get\":\"%0300u\"}", i);
	buf_append_text(&large, "]}");
	assert_problem(site_ask(one, "POST", "/txn", "", buf_slice(&large)),
	    507, "quota_exceeded");
	buf_release(&large);
}
END_TEST

/* A value that cannot be read is never "not found", and stops the node. */
START_TEST(damage_500)
{
	struct reply reply = site_put(one, "/kv/a", "1");

	reply_release(&reply);
	one->frozen = true;
	store_mem_fail_operation(one->data_disks[0], 1, ERR_IO);
	assert_problem(
	    site_get(one, "/kv/a?consistency=stale"), 500, "internal");
	ck_assert_int_eq(node_turn(one->node, loop_now(world->loop)), ERR_IO);
	ck_assert_str_eq(
	    node_fault(one->node), "reading a key: input/output error");
}
END_TEST

/* While a leader that stops hands over, it serves, but nobody new shall come.
 */
START_TEST(leave)
{
	struct reply reply = site_get(one, "/readyz");

	assert_status(&reply, 200);
	reply_release(&reply);
	api_leave(one->api);
	reply = site_get(one, "/readyz");
	assert_contains(&reply, "running: shutting down");
	assert_problem(reply, 503, "not_ready");
	reply = site_put(one, "/kv/a", "1");
	assert_status(&reply, 201);
	reply_release(&reply);
}
END_TEST

START_TEST(drain)
{
	struct reply reply;
	int fd;

	one->frozen = true;
	fd = site_send(one, "PUT", "/kv/a", "", slice_from_text("1"));
	site_pass_until_busy(one);
	api_drain(one->api);
	assert_problem(site_get(one, "/kv/a"), 503, "shutting_down");
	assert_problem(site_get(one, "/cluster"), 503, "shutting_down");
	assert_problem(site_get(one, "/readyz"), 503, "not_ready");
	reply = site_get(one, "/livez");
	assert_status(&reply, 200);
	reply_release(&reply);
	ck_assert(!api_idle(one->api));
	/* What was under way is finished. */
	one->frozen = false;
	reply = site_receive(world, fd);
	assert_status(&reply, 201);
	reply_release(&reply);
	ck_assert(api_idle(one->api));
}
END_TEST

/* ---- A node without a cluster ---- */

START_TEST(forming_503)
{
	struct reply reply;
	int fd = site_send(one, "PUT", "/kv/a", "", slice_from_text("1"));

	site_pass_until_busy(one);
	api_expire(one->api, world_later(world, SITE_TIMEOUT_US));
	reply = site_receive(world, fd);
	assert_contains(&reply, "not connected yet: n2, n3");
	assert_problem(reply, 503, "starting");
	/* What it holds is not the cluster's state. */
	assert_problem(
	    site_get(one, "/kv/a?consistency=stale"), 503, "starting");
	reply = site_get(one, "/leader");
	assert_contains(&reply, "GET /cluster shows");
	assert_problem(reply, 503, "not_leader");
	assert_problem(site_get(one, "/readyz"), 503, "not_ready");
	reply = site_get(one, "/readyz?verbose");
	assert_contains(&reply, "[+]running\n[+]whole\n[-]member: ");
	reply_release(&reply);
	reply = site_get(one, "/livez");
	assert_status(&reply, 200);
	ck_assert_str_eq(reply_header(&reply, "Luminous-Leader"), "");
	reply_release(&reply);
	reply = site_get(one, "/cluster");
	assert_contains(&reply, "\"state\":\"forming\",\"leader\":\"\"");
	reply_release(&reply);
}
END_TEST

/* Who has proved nothing cannot make a request jump the wait. */
START_TEST(forwarded_by_unproved_is_ignored)
{
	int fd = site_send(one, "GET", "/kv/a", "Luminous-Forwarded-By: 2\r\n",
	    slice_of(NULL, 0));

	for (int i = 0; i < 20; i++)
		world_pass(world);
	ck_assert(!api_idle(one->api));
	api_expire(one->api, world_later(world, SITE_TIMEOUT_US));
	assert_problem(site_receive(world, fd), 503, "starting");
}
END_TEST

/* ---- Three nodes ---- */

/* A list may be split over several lines, of which none is lost. */
START_TEST(forwarded_with_all_lines_of_a_header)
{
	site_expect(world_follower(world), "PUT /kv/a",
	    "Prefer: wait=1\r\nprefer: return=minimal\r\n", "1", 204,
	    "Preference-Applied: return=minimal");
}
END_TEST

START_TEST(forwarded_write_and_read)
{
	struct site *leader = world_leader(world);
	struct site *follower = world_follower(world);
	struct reply reply = site_put(follower, "/kv/a%2fb", "1");

	assert_status(&reply, 201);
	assert_body(&reply, "{\"key\":\"a/b\",\"revision\":1,\"created\":1,"
			    "\"version\":1}\n");
	ck_assert_str_eq(reply_header(&reply, "Luminous-Node"), follower->name);
	ck_assert_str_eq(reply_header(&reply, "Luminous-Leader"), leader->name);
	ck_assert_str_eq(reply_header(&reply, "Luminous-Revision"), "1");
	ck_assert_str_eq(reply_header(&reply, "ETag"), "\"1\"");
	ck_assert_str_eq(
	    reply_header(&reply, "Content-Type"), "application/json");
	reply_release(&reply);
	reply = site_get(follower, "/kv/a/b");
	assert_status(&reply, 200);
	assert_body(&reply, "1");
	ck_assert_str_eq(
	    reply_header(&reply, "Content-Security-Policy"), "sandbox");
	ck_assert_str_eq(reply_header(&reply, "Luminous-Node"), follower->name);
	reply_release(&reply);
	reply = site_get(follower, "/kv/a/b?json&timeout=2s");
	assert_contains(&reply, "\"value\":\"1\"");
	reply_release(&reply);
	reply =
	    site_get_with(follower, "/kv/a/b", "Accept: application/json\r\n");
	assert_contains(&reply, "\"value\":\"1\"");
	reply_release(&reply);
	reply = site_ask(follower, "HEAD", "/kv/a/b", "", slice_of(NULL, 0));
	ck_assert_str_eq(reply_header(&reply, "Content-Length"), "1");
	ck_assert_uint_eq(reply.body.size, 0);
	reply_release(&reply);
	reply = site_get_with(follower, "/kv/a/b", "If-None-Match: \"1\"\r\n");
	assert_status(&reply, 304);
	reply_release(&reply);
	assert_problem(site_get(follower, "/kv/no"), 404, "key_not_found");
	reply = site_ask(follower, "DELETE", "/kv/a/b", "", slice_of(NULL, 0));
	assert_contains(&reply, "{\"deleted\":1,");
	reply_release(&reply);
}
END_TEST

/* The leader only says how far: the value comes from the follower. */
START_TEST(strong_read_is_served_by_the_follower)
{
	struct site *follower = world_follower(world);
	struct reply reply = site_put(follower, "/kv/a", "1");
	int fd;

	reply_release(&reply);
	fd = site_send(follower, "GET", "/kv/a", "", slice_of(NULL, 0));
	site_pass_until_busy(follower);
	for (int i = 0; i < 1000 && !api_idle(follower->api); i++) {
		world_pass(world);
		ck_assert(api_idle(world_leader(world)->api));
	}
	reply = site_receive(world, fd);
	assert_status(&reply, 200);
	assert_body(&reply, "1");
	reply_release(&reply);
}
END_TEST

/* A follower's local state is enough for a stale read. */
START_TEST(stale_at_a_follower)
{
	struct site *follower = world_follower(world);
	struct reply reply = site_put(follower, "/kv/a", "1");

	reply_release(&reply);
	do {
		reply = site_get(follower, "/kv/a?consistency=stale");
		if (reply.status == 200)
			break;
		reply_release(&reply);
	} while (true);
	world_leader(world)->frozen = true;
	reply_release(&reply);
	reply = site_get(follower, "/kv/a?consistency=stale");
	assert_status(&reply, 200);
	reply_release(&reply);
	world_leader(world)->frozen = false;
}
END_TEST

START_TEST(health_of_a_follower)
{
	struct site *follower = world_follower(world);
	struct site *leader = world_leader(world);
	char members[150];
	struct reply reply = site_get(follower, "/readyz?verbose");

	assert_status(&reply, 200);
	assert_contains(&reply, "[+]quorum\nready\n");
	reply_release(&reply);
	reply = site_get(follower, "/leader");
	snprintf(members, sizeof(members),
	    ",\"leader\":\"%s\",\"address\":\"%s\"}", leader->name,
	    leader->address);
	assert_contains(&reply, members);
	assert_contains(&reply, "\"hint\":\"it is at ");
	assert_problem(reply, 503, "not_leader");
}
END_TEST

/* A read whose leader falls silent is served by the next one. */
START_TEST(read_moves_to_the_next_leader)
{
	struct site *leader = world_leader(world);
	struct site *follower = world_follower(world);
	struct reply reply = site_put(follower, "/kv/a", "1");

	reply_release(&reply);
	leader->frozen = true;
	reply = site_get(follower, "/kv/a");
	assert_status(&reply, 200);
	assert_body(&reply, "1");
	ck_assert_str_ne(reply_header(&reply, "Luminous-Leader"), leader->name);
	reply_release(&reply);
	leader->frozen = false;
}
END_TEST

/* Which write was handed to a leader that fell silent, nobody knows. */
START_TEST(write_to_a_silent_leader_504)
{
	struct site *leader = world_leader(world);
	struct site *follower = world_follower(world);
	struct reply reply = site_get(follower, "/kv/a");
	int fd;

	reply_release(&reply);
	leader->frozen = true;
	fd = site_send(
	    follower, "PUT", "/kv/a?timeout=100ms", "", slice_from_text("1"));
	assert_problem(site_receive(world, fd), 504, "outcome_unknown");
	leader->frozen = false;
}
END_TEST

/* Nothing was sent to it: the write waits for the next leader. */
START_TEST(write_waits_for_the_next_leader)
{
	struct site *leader = world_leader(world);
	struct site *follower = world_follower(world);
	struct reply reply;

	site_stop(leader);
	reply = site_put(follower, "/kv/a", "1");
	assert_status(&reply, 201);
	ck_assert_str_ne(reply_header(&reply, "Luminous-Leader"), leader->name);
	reply_release(&reply);
}
END_TEST

/* The link broke behind a write: it may be applied, and is not repeated. */
START_TEST(write_to_a_dying_leader_504)
{
	struct site *leader = world_leader(world);
	struct site *follower = world_follower(world);
	int fd;

	leader->frozen = true;
	fd = site_send(follower, "PUT", "/kv/a", "", slice_from_text("1"));
	site_pass_until_busy(leader);
	site_stop(leader);
	assert_problem(site_receive(world, fd), 504, "outcome_unknown");
}
END_TEST

/* With an identity it is repeated, and done once. */
START_TEST(write_with_an_identity_goes_to_the_next_leader)
{
	struct site *leader = world_leader(world);
	struct site *follower = world_follower(world);
	struct reply reply;
	int fd;

	leader->frozen = true;
	fd = site_send(follower, "POST", "/kv/n?op=incr",
	    "Idempotency-Key: 1\r\n", slice_of(NULL, 0));
	site_pass_until_busy(leader);
	site_stop(leader);
	reply = site_receive(world, fd);
	assert_status(&reply, 200);
	assert_body(&reply,
	    "{\"key\":\"n\",\"value\":\"1\",\"revision\":1,\"created\":1,"
	    "\"version\":1}\n");
	reply_release(&reply);
}
END_TEST

/* That it was not done is more than anybody knows. */
START_TEST(write_with_an_identity_and_no_next_leader_504)
{
	struct site *leader = world_leader(world);
	struct site *follower = world_follower(world);
	int fd;

	leader->frozen = true;
	fd = site_send(follower, "POST", "/kv/n?op=incr&timeout=2s",
	    "Idempotency-Key: 1\r\n", slice_of(NULL, 0));
	site_pass_until_busy(leader);
	site_stop(leader);
	for (unsigned i = 0; i < world->count; i++)
		world->site[i].frozen = true;
	assert_problem(site_receive(world, fd), 504, "outcome_unknown");
}
END_TEST

static struct site *
other_leader(const struct site *former)
{
	for (unsigned i = 0; i < world->count; i++) {
		struct site *site = &world->site[i];

		if (site != former && node_is_leader(site->node))
			return site;
	}
	return NULL;
}

/* It is not waited for until the deadline. */
START_TEST(write_moves_on_from_a_leader_that_vanished)
{
	struct site *leader = world_leader(world);
	struct site *follower = world_follower(world);
	struct reply reply;
	int fd;

	leader->frozen = true;
	fd = site_send(follower, "POST", "/kv/n?op=incr",
	    "Idempotency-Key: 1\r\n", slice_of(NULL, 0));
	reply = site_receive(world, fd);
	assert_status(&reply, 200);
	ck_assert_str_ne(reply_header(&reply, "Luminous-Leader"), leader->name);
	reply_release(&reply);
	leader->frozen = false;
}
END_TEST

START_TEST(write_to_a_leader_that_vanished_504_before_its_deadline)
{
	struct site *leader = world_leader(world);
	struct site *follower = world_follower(world);
	uint64_t deadline_us = world_later(world, SITE_TIMEOUT_US);
	int fd;

	leader->frozen = true;
	fd =
	    site_send(follower, "POST", "/kv/n?op=incr", "", slice_of(NULL, 0));
	assert_problem(site_receive(world, fd), 504, "outcome_unknown");
	ck_assert_uint_lt(loop_now(world->loop), deadline_us);
	ck_assert_ptr_nonnull(other_leader(leader));
	leader->frozen = false;
}
END_TEST

START_TEST(read_from_a_dying_leader)
{
	struct site *leader = world_leader(world);
	struct site *follower = world_follower(world);
	struct reply reply = site_put(follower, "/kv/a", "1");
	int fd;

	reply_release(&reply);
	leader->frozen = true;
	fd = site_send(follower, "GET", "/kv/a", "", slice_of(NULL, 0));
	site_pass_until_busy(follower);
	for (int i = 0; i < 10; i++)
		world_pass(world);
	ck_assert(!api_idle(follower->api));
	site_stop(leader);
	reply = site_receive(world, fd);
	assert_status(&reply, 200);
	assert_body(&reply, "1");
	reply_release(&reply);
}
END_TEST

/* What it was asked as a leader, it forwards when it is none any more. */
START_TEST(deposed_leader_forwards_its_reads)
{
	struct site *leader = world_leader(world);
	struct reply reply = site_put(leader, "/kv/a", "1");
	int fd;

	reply_release(&reply);
	leader->frozen = true;
	fd = site_send(leader, "GET", "/kv/a", "", slice_of(NULL, 0));
	site_pass_until_busy(leader);
	while (other_leader(leader) == NULL)
		world_pass(world);
	leader->frozen = false;
	reply = site_receive(world, fd);
	assert_status(&reply, 200);
	ck_assert_str_eq(reply_header(&reply, "Luminous-Node"), leader->name);
	ck_assert_str_ne(reply_header(&reply, "Luminous-Leader"), leader->name);
	reply_release(&reply);
}
END_TEST

/* One hop: a member that is asked for another but does not lead says so. */
START_TEST(forwarded_is_not_forwarded_again)
{
	struct site *leader = world_leader(world);
	struct site *follower = world_follower(world);
	struct reply reply = site_put(follower, "/kv/a", "1");
	int fd;

	reply_release(&reply);
	for (unsigned i = 0; i < world->count; i++)
		world->site[i].frozen = &world->site[i] != leader;
	while (node_is_leader(leader->node))
		world_pass(world);
	/* The follower took no turn and believes in its leader still. */
	ck_assert_uint_eq(node_leader(follower->node), leader->id);
	fd = site_send(follower, "GET", "/kv/a", "", slice_of(NULL, 0));
	site_pass_until_busy(follower);
	for (int i = 0; i < 100; i++) {
		world_pass(world);
		ck_assert(api_idle(leader->api));
	}
	ck_assert(!api_idle(follower->api));
	for (unsigned i = 0; i < world->count; i++)
		world->site[i].frozen = false;
	reply = site_receive(world, fd);
	assert_status(&reply, 200);
	reply_release(&reply);
}
END_TEST

/* As in a rolling restart: refused for now, then served by the next one. */
START_TEST(leader_that_shuts_down)
{
	struct site *leader = world_leader(world);
	struct site *follower = world_follower(world);
	struct reply reply = site_put(follower, "/kv/a", "1");
	int fd;

	reply_release(&reply);
	api_drain(leader->api);
	fd = site_send(follower, "PUT", "/kv/a", "", slice_from_text("2"));
	site_pass_until_busy(follower);
	/* Nothing tells when it would be taken: it is tried now and then, and
	 * between two tries the next one is the deadline. */
	for (int i = 0; i < 10000 && api_deadline(follower->api) >=
					 world_later(world, 100000);
	     i++)
		world_pass(world);
	ck_assert(!api_idle(follower->api));
	ck_assert_uint_lt(
	    api_deadline(follower->api), world_later(world, 100000));
	site_stop(leader);
	reply = site_receive(world, fd);
	assert_status(&reply, 200);
	reply_release(&reply);
}
END_TEST

START_TEST(wiped_503)
{
	struct site *follower = world_follower(world);
	struct reply reply = site_put(follower, "/kv/a", "1");

	reply_release(&reply);
	site_stop(follower);
	site_start_wiped(follower);
	do {
		reply = site_get(follower, "/cluster");
		if (strstr(reply.text, "\"state\":\"wiped\"") != NULL)
			break;
		reply_release(&reply);
	} while (true);
	reply_release(&reply);
	assert_problem(site_get(follower, "/kv/a"), 503, "wiped");
	assert_problem(site_put(follower, "/kv/a", "1"), 503, "wiped");
	assert_problem(
	    site_get(follower, "/kv/a?consistency=stale"), 503, "wiped");
	assert_problem(site_get(follower, "/readyz"), 503, "not_ready");
}
END_TEST

START_TEST(cluster_of_three)
{
	struct site *leader = world_leader(world);
	struct site *follower = world_follower(world);
	struct reply reply =
	    site_get_with(leader, "/cluster", "Accept: text/plain\r\n");

	assert_contains(&reply, "quorum 2");
	assert_contains(&reply, "NAME  ADDRESS");
	assert_contains(&reply, "  voter    leader  ");
	assert_contains(&reply, "  voter    follower");
	reply_release(&reply);
	reply = site_get(leader, "/cluster");
	assert_contains(&reply, "\"rtt_ms\":");
	reply_release(&reply);
	reply = site_get(follower, "/cluster");
	assert_contains(&reply, "\"state\":\"leader\"");
	assert_contains(&reply, "\"state\":\"follower\"");
	reply_release(&reply);
	reply = site_get(leader, "/metrics");
	assert_contains(&reply, "luminous_raft_peer_match_lag_entries{peer=");
	reply_release(&reply);
	reply = site_get(follower, "/metrics");
	ck_assert_ptr_null(strstr(reply.text, "luminous_raft_peer_match_lag"));
	reply_release(&reply);
}
END_TEST

static void
add_outcome_cases(Suite *suite)
{
	TCase *tcase = tcase_create("outcomes");

	tcase_add_checked_fixture(tcase, api_stage_one, api_stage_end);
	tcase_add_test(tcase, stale_asks_nobody);
	tcase_add_test(tcase, read_unconfirmed_503);
	tcase_add_test(tcase, write_unknown_504);
	tcase_add_test(tcase, timeout_lowers_only);
	tcase_add_test(tcase, deadlines_in_order);
	tcase_add_test(tcase, busy_503);
	tcase_add_test(tcase, abandoned_requests);
	tcase_add_test(tcase, quota_507);
	tcase_add_test(tcase, full_disk_507);
	tcase_add_test(tcase, full_disk_takes_what_keeps_nothing);
	tcase_add_test(tcase, damage_500);
	tcase_add_test(tcase, drain);
	tcase_add_test(tcase, leave);
	suite_add_tcase(suite, tcase);
}

Suite *
api_leader_suite(void)
{
	Suite *suite = suite_create("api_leader");
	TCase *lonely = tcase_create("lonely");
	TCase *three = tcase_create("three");

	add_outcome_cases(suite);
	tcase_add_checked_fixture(lonely, setup_lonely, api_stage_end);
	tcase_add_test(lonely, forming_503);
	tcase_add_test(lonely, forwarded_by_unproved_is_ignored);
	suite_add_tcase(suite, lonely);
	tcase_add_checked_fixture(three, setup_three, api_stage_end);
	tcase_add_test(three, forwarded_write_and_read);
	tcase_add_test(three, forwarded_with_all_lines_of_a_header);
	tcase_add_test(three, strong_read_is_served_by_the_follower);
	tcase_add_test(three, stale_at_a_follower);
	tcase_add_test(three, health_of_a_follower);
	tcase_add_test(three, read_moves_to_the_next_leader);
	tcase_add_test(three, write_to_a_silent_leader_504);
	tcase_add_test(three, write_waits_for_the_next_leader);
	tcase_add_test(three, write_to_a_dying_leader_504);
	tcase_add_test(three, write_with_an_identity_goes_to_the_next_leader);
	tcase_add_test(three, write_with_an_identity_and_no_next_leader_504);
	tcase_add_test(three, write_moves_on_from_a_leader_that_vanished);
	tcase_add_test(
	    three, write_to_a_leader_that_vanished_504_before_its_deadline);
	tcase_add_test(three, read_from_a_dying_leader);
	tcase_add_test(three, deposed_leader_forwards_its_reads);
	tcase_add_test(three, forwarded_is_not_forwarded_again);
	tcase_add_test(three, leader_that_shuts_down);
	tcase_add_test(three, wiped_503);
	tcase_add_test(three, cluster_of_three);
	suite_add_tcase(suite, three);
	return suite;
}
