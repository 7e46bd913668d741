#include "api/api_impl.h"
#include "common/macros.h"
#include "tests/unit/api_stage.h"
#include "tests/unit/suites.h"

#include <stdio.h>
#include <unistd.h>

#define TOKEN_SIZE 16

struct token {
	char text[TOKEN_SIZE + 1];
};

static struct token
token_of(const struct reply *reply)
{
	static const char begin[] = "{\"token\":\"";
	const char *body = (const char *)reply->body.data;
	struct token token = { "" };

	assert_status(reply, 201);
	ck_assert_int_eq(strncmp(body, begin, strlen(begin)), 0);
	body += strlen(begin);
	ck_assert_uint_eq(strspn(body, "0123456789abcdef"), TOKEN_SIZE);
	memcpy(token.text, body, TOKEN_SIZE);
	return token;
}

static struct token
lock(const char *holder)
{
	struct reply reply = site_put(one, "/lock/deploy?ttl=1h", holder);
	struct token token = token_of(&reply);

	reply_release(&reply);
	return token;
}

static void
release(struct token token, unsigned status)
{
	char request[64];

	snprintf(request, sizeof(request), "DELETE /lock/deploy?token=%s",
	    token.text);
	site_expect(one, request, "", NULL, status, "");
}

/* A client that waits, with its place in the queue. */
static int
wait_for(const char *holder, const char *headers, unsigned place)
{
	int fd = site_send(one, "PUT", "/lock/deploy?ttl=30s&wait=60s", headers,
	    slice_from_text(holder));
	char says[32];

	snprintf(says, sizeof(says), "\"waiting\":%u}", place);
	for (int i = 0; i < 10; i++)
		world_pass(world);
	site_expect(one, "GET /lock/deploy", "", NULL, 200, says);
	return fd;
}

START_TEST(taken_201)
{
	struct reply reply;

	site_expect(one, "GET /lock/deploy", "", NULL, 404, "lock_not_found");
	site_expect(one, "PUT /kv/a", "", "v", 201, "");
	reply = site_put(one, "/lock/deploy?ttl=30s", "host7");
	(void)token_of(&reply);
	assert_contains(
	    &reply, "\",\"fence\":2,\"name\":\"deploy\",\"ttl\":30}\n");
	reply_release(&reply);
	/* Whoever looks does not see the token. */
	reply = site_get(one, "/lock/deploy");
	assert_contains(&reply,
	    "{\"name\":\"deploy\",\"holder\":\"host7\",\"fence\":2,"
	    "\"ttl\":30,\"remaining\":");
	assert_contains(&reply, ",\"waiting\":0}\n");
	ck_assert_ptr_null(strstr(reply.text, "token"));
	reply_release(&reply);
}
END_TEST

START_TEST(held_409)
{
	struct token token = lock("host7");

	site_expect(one, "PUT /lock/deploy?ttl=30s", "", "host8", 409,
	    "\"code\":\"lock_held\"");
	site_expect(one, "PUT /lock/deploy?ttl=30s", "", "host8", 409,
	    "\"holder\":\"host7\",\"fence\":1}");
	site_expect(one, "PUT /lock/deploy?ttl=30s", "", "host8", 409,
	    "renews it by POST /lease/TOKEN?op=renew");
	site_expect(one, "PUT /lock/other?ttl=30s", "", "host8", 201, "");
	site_expect(one, "DELETE /lock/deploy?token=00000000000000aa", "", NULL,
	    404, "\"code\":\"lock_not_found\"");
	release(token, 200);
	release(token, 404);
	site_expect(one, "GET /lock/deploy", "", NULL, 404, "");
	(void)lock("host8");
}
END_TEST

START_TEST(refused)
{
	char holder[1026] = "";
	char name[300] = "PUT /lock/";

	site_expect(one, "PUT /lock/a", "", "me", 400, "are missing: ttl");
	site_expect(one, "PUT /lock/a?ttl=0", "", "me", 400, "bad_ttl");
	site_expect(one, "PUT /lock/a?token=00000000000000aa", "", "me", 400,
	    "; a lock is renewed by POST /lease/TOKEN?op=renew");
	site_expect(one, "PUT /lock/a?ttl=1s&wait=601", "", "me", 400, "10m");
	site_expect(one, "PUT /lock/a?ttl=1s&wait=0s", "", "me", 400, "wait");
	site_expect(one, "PUT /lock/a?ttl=1s&wait=11m", "", "me", 400, "10m");
	site_expect(one, "PUT /lock/?ttl=1s", "", "me", 400, "lock's name");
	site_expect(one, "DELETE /lock/a", "", NULL, 400, "missing: token");
	site_expect(one, "DELETE /lock/a?token=1", "", NULL, 400, "16 hex");
	memset(name + strlen(name), 'n', 257);
	snprintf(name + strlen(name), 10, "?ttl=1s");
	site_expect(one, name, "", "me", 414, "\"limit\":256");
	memset(holder, 'h', 1025);
	site_expect(one, "PUT /lock/a?ttl=1s", "", holder, 413, "");
	site_expect(one, "GET /lock/a", "", NULL, 404, "");
}
END_TEST

/* A lock is a lease. */
START_TEST(renewed_by_its_token)
{
	struct token token = lock("host7");
	char request[64];

	snprintf(
	    request, sizeof(request), "POST /lease/%s?op=renew", token.text);
	site_expect(one, request, "", NULL, 200, ",\"ttl\":3600,");
	snprintf(request, sizeof(request), "GET /lease/%s", token.text);
	site_expect(one, request, "", NULL, 200, ",\"lock\":\"deploy\",");
	snprintf(request, sizeof(request), "PUT /kv/a?lease=%s", token.text);
	site_expect(one, request, "", "v", 201, "");
	release(token, 200);
	site_expect(one, "GET /kv/a", "", NULL, 404, "");
}
END_TEST

/* ---- Waiting ---- */

START_TEST(in_order_of_arrival)
{
	struct token token = lock("first");
	int second = wait_for("second", "", 1);
	int third = wait_for("third", "", 2);
	struct reply reply;

	release(token, 200);
	reply = site_receive(world, second);
	token = token_of(&reply);
	/* The fence is the revision at which it came to hold the lock. */
	assert_contains(
	    &reply, "\"fence\":2,\"name\":\"deploy\",\"ttl\":30}\n");
	reply_release(&reply);
	site_expect(one, "GET /lock/deploy", "", NULL, 200,
	    "\"holder\":\"second\",\"fence\":2,\"ttl\":30,");
	release(token, 200);
	reply = site_receive(world, third);
	assert_contains(&reply, "\"fence\":3,");
	release(token_of(&reply), 200);
	reply_release(&reply);
	site_expect(one, "GET /lock/deploy", "", NULL, 404, "");
}
END_TEST

START_TEST(wait_on_a_free_lock)
{
	site_expect(one, "PUT /lock/deploy?ttl=30s&wait=60s", "", "me", 201,
	    "\"fence\":1");
	site_expect(one, "PUT /lock/other?ttl=30&wait=60", "", "me", 201,
	    "\"ttl\":30}");
}
END_TEST

/* Who gave up does not get it later. */
START_TEST(time_passes_409)
{
	struct token token = lock("first");
	int fd = wait_for("second", "", 1);
	struct reply reply;

	api_expire(one->api, world_later(world, 59000000));
	ck_assert(!api_idle(one->api));
	api_expire(one->api, world_later(world, 60000000));
	reply = site_receive(world, fd);
	assert_contains(&reply, "\"holder\":\"first\",\"fence\":1}");
	assert_problem(reply, 409, "lock_held");
	for (int i = 0; i < 10; i++)
		world_pass(world);
	site_expect(one, "GET /lock/deploy", "", NULL, 200, "\"waiting\":0}");
	release(token, 200);
	site_expect(one, "GET /lock/deploy", "", NULL, 404, "");
}
END_TEST

static void
pass_until_idle(void)
{
	for (int i = 0; i < WORLD_PASSES_MAX && !api_idle(one->api); i++)
		world_pass(world);
	ck_assert(api_idle(one->api));
	for (int i = 0; i < 10; i++)
		world_pass(world);
}

START_TEST(client_that_waits_goes)
{
	(void)lock("first");
	close(wait_for("second", "", 1));
	pass_until_idle();
	site_expect(one, "GET /lock/deploy", "", NULL, 200, "\"waiting\":0}");
}
END_TEST

/* It cannot have learnt its token. */
START_TEST(client_goes_before_the_commit)
{
	int fd;

	one->frozen = true;
	fd = site_send(
	    one, "PUT", "/lock/deploy?ttl=1h", "", slice_from_text("me"));
	site_pass_until_busy(one);
	site_break_off(fd);
	pass_until_idle();
	one->frozen = false;
	pass_until_idle();
	site_expect(one, "GET /lock/deploy", "", NULL, 404, "");
	site_expect(one, "GET /kv/a", "", NULL, 404, "Luminous-Revision: 1");
}
END_TEST

START_TEST(unknown_outcome_is_given_back)
{
	int fd;

	one->frozen = true;
	fd = site_send(
	    one, "PUT", "/lock/deploy?ttl=1h", "", slice_from_text("me"));
	site_pass_until_busy(one);
	api_expire(one->api, world_later(world, SITE_TIMEOUT_US));
	assert_problem(site_receive(world, fd), 504, "outcome_unknown");
	one->frozen = false;
	pass_until_idle();
	site_expect(one, "GET /lock/deploy", "", NULL, 404, "");
}
END_TEST

/* Its client can ask again, and keeps its place. */
START_TEST(client_with_an_identity_goes)
{
	static const char key[] = "Idempotency-Key: 1\r\n";
	struct token token = lock("first");
	struct reply reply;
	int fd;

	site_break_off(wait_for("second", key, 1));
	pass_until_idle();
	site_expect(one, "GET /lock/deploy", "", NULL, 200, "\"waiting\":1}");
	fd = wait_for("second", key, 1);
	release(token, 200);
	reply = site_receive(world, fd);
	ck_assert_str_eq(reply_header(&reply, "Idempotency-Replayed"), "true");
	assert_contains(&reply, "\"fence\":2,");
	release(token_of(&reply), 200);
	reply_release(&reply);
	/* Its place is gone, and with it the promise. */
	site_expect(one, "PUT /lock/deploy?ttl=30s&wait=60s", key, "second",
	    409, "neither holds the lock nor waits");
}
END_TEST

/* The answer of before would make two believe that they hold it. */
START_TEST(repeated_request_for_a_lock_that_is_lost_409)
{
	static const char key[] = "Idempotency-Key: 1\r\n";
	static const char request[] = "PUT /lock/deploy?ttl=1h";
	int fd = site_send(
	    one, "PUT", "/lock/deploy?ttl=1h", key, slice_from_text("first"));
	struct reply reply = site_receive(world, fd);
	struct token token = token_of(&reply);

	reply_release(&reply);
	site_expect(one, request, key, "first", 201, token.text);
	release(token, 200);
	site_expect(one, request, key, "first", 409,
	    "neither holds the lock nor waits");
	token = lock("second");
	site_expect(one, request, key, "first", 409, "\"holder\":\"second\"");
	release(token, 200);
}
END_TEST

START_TEST(too_many_wait_429)
{
	struct token token = lock("first");
	struct reply reply;
	int fds[SITE_WATCHERS_MAX];

	for (unsigned i = 0; i < SITE_WATCHERS_MAX; i++)
		fds[i] = wait_for("me", "", i + 1);
	site_expect(one, "PUT /lock/deploy?ttl=30s&wait=1s", "", "me", 429,
	    "\"limit\":4,\"option\":\"http.max-watchers\"");
	site_expect(one, "PUT /lock/deploy?ttl=30s", "", "me", 409, "");
	release(token, 200);
	reply = site_receive(world, fds[0]);
	release(token_of(&reply), 200);
	reply_release(&reply);
	for (unsigned i = 1; i < SITE_WATCHERS_MAX; i++)
		site_break_off(fds[i]);
	pass_until_idle();
	/* The second held it for a moment. */
	site_expect(one, "PUT /lock/other?ttl=30s&wait=1s", "", "me", 201, "");
}
END_TEST

START_TEST(drained_503)
{
	int fd;

	(void)lock("first");
	fd = wait_for("second", "", 1);
	api_drain(one->api);
	assert_problem(site_receive(world, fd), 503, "shutting_down");
}
END_TEST

/* ---- Through a follower ---- */

START_TEST(forwarded)
{
	struct token token = lock("first");
	int fd = wait_for("second", "", 1);
	struct reply reply;

	release(token, 200);
	reply = site_receive(world, fd);
	(void)token_of(&reply);
	assert_contains(&reply, "\"fence\":2,");
	ck_assert_str_eq(reply_header(&reply, "Luminous-Node"), one->name);
	reply_release(&reply);
}
END_TEST

static void
expect_nobody_waits(void)
{
	for (int i = 0; i < WORLD_PASSES_MAX; i++) {
		struct reply reply = site_get(one, "/lock/deploy");
		bool gone = strstr(reply.text, "\"waiting\":0}") != NULL;

		reply_release(&reply);
		if (gone)
			return;
	}
	ck_abort_msg("it still waits");
}

/* Its leader sees it go as well. */
START_TEST(client_of_a_follower_goes)
{
	int fd;

	(void)lock("first");
	fd = wait_for("second", "", 1);
	close(fd);
	expect_nobody_waits();
}
END_TEST

/* Else the lock would be given to nobody, for all of its TTL. */
START_TEST(client_of_a_follower_with_a_short_wait_goes)
{
	struct token token = lock("first");
	int fd = site_send(one, "PUT", "/lock/deploy?ttl=1h&wait=2s", "",
	    slice_from_text("second"));

	for (int i = 0; i < 50; i++)
		world_pass(world);
	site_expect(one, "GET /lock/deploy", "", NULL, 200, "\"waiting\":1}");
	close(fd);
	for (int i = 0; i < 50; i++)
		world_pass(world);
	release(token, 200);
	site_expect(one, "GET /lock/deploy", "", NULL, 404, "lock_not_found");
}
END_TEST

/* A leader is not waited for as long as the lock may be. */
START_TEST(no_leader_is_said_in_time)
{
	int fd;

	for (unsigned i = 0; i < world->count; i++) {
		if (&world->site[i] != one)
			site_stop(&world->site[i]);
	}
	while (node_leader(one->node) != 0)
		world_pass(world);
	fd = site_send(one, "PUT", "/lock/deploy?ttl=30s&wait=60s", "",
	    slice_from_text("me"));
	site_pass_until_busy(one);
	api_expire(one->api, world_later(world, SITE_TIMEOUT_US));
	assert_problem(site_receive(world, fd), 503, "no_leader");
}
END_TEST

/* Whoever waits at a follower has all of its time. */
START_TEST(waits_at_a_follower_for_its_time)
{
	struct token token = lock("first");
	int fd = wait_for("second", "", 1);
	struct reply reply;

	api_expire(one->api, world_later(world, 59000000));
	release(token, 200);
	reply = site_receive(world, fd);
	(void)token_of(&reply);
	reply_release(&reply);
}
END_TEST

/* They wait at the leader, each on a connection from the follower. */
START_TEST(those_who_wait_at_a_follower_hold_up_nobody)
{
	int fds[70];

	one->api->params.watchers_max = ARRAY_COUNT(fds);
	world_leader(world)->api->params.watchers_max = ARRAY_COUNT(fds);
	(void)lock("first");
	for (size_t i = 0; i < ARRAY_COUNT(fds); i++)
		fds[i] = site_send(one, "PUT", "/lock/deploy?ttl=30s&wait=60s",
		    "", slice_from_text("me"));
	for (int i = 0; i < 500; i++)
		world_pass(world);
	api_stage_put("/kv/a", "1");
	site_expect(one, "GET /lock/deploy", "", NULL, 200, "\"waiting\":70}");
	for (size_t i = 0; i < ARRAY_COUNT(fds); i++)
		site_break_off(fds[i]);
}
END_TEST

Suite *
api_lock_suite(void)
{
	Suite *suite = suite_create("api_lock");
	TCase *tcase = tcase_create("one");
	TCase *three = tcase_create("three");

	tcase_add_checked_fixture(tcase, api_stage_one, api_stage_end);
	tcase_add_test(tcase, taken_201);
	tcase_add_test(tcase, held_409);
	tcase_add_test(tcase, refused);
	tcase_add_test(tcase, renewed_by_its_token);
	tcase_add_test(tcase, in_order_of_arrival);
	tcase_add_test(tcase, wait_on_a_free_lock);
	tcase_add_test(tcase, time_passes_409);
	tcase_add_test(tcase, client_that_waits_goes);
	tcase_add_test(tcase, client_goes_before_the_commit);
	tcase_add_test(tcase, unknown_outcome_is_given_back);
	tcase_add_test(tcase, client_with_an_identity_goes);
	tcase_add_test(tcase, repeated_request_for_a_lock_that_is_lost_409);
	tcase_add_test(tcase, too_many_wait_429);
	tcase_add_test(tcase, drained_503);
	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(three, api_stage_three, api_stage_end);
	tcase_add_test(three, forwarded);
	tcase_add_test(three, no_leader_is_said_in_time);
	tcase_add_test(three, waits_at_a_follower_for_its_time);
	tcase_add_test(three, client_of_a_follower_goes);
	tcase_add_test(three, client_of_a_follower_with_a_short_wait_goes);
	tcase_add_test(three, those_who_wait_at_a_follower_hold_up_nobody);
	suite_add_tcase(suite, three);
	return suite;
}
