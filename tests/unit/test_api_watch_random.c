#include "api/api_impl.h"
#include "common/clock.h"
#include "common/macros.h"
#include "common/rng.h"
#include "tests/unit/suites.h"
#include "tests/unit/watch_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Writers and watchers on three nodes. The watchers are cut off at random, and
 * come back to any node with the revision they have got; nodes stand still for
 * a while. In the end each has seen exactly what history says, line by line,
 * and history has exactly what was acknowledged.
 */

#define WATCHERS 8
#define ROUNDS   1500

static const char *const ranges[] = { "/watch?", "/watch?prefix=a&",
	"/watch?prefix=a/1&", "/watch/a/11?", "/watch?start=a/2&end=b/1&",
	"/watch?prefix=b/&prev=1&", "/watch/b/02?", "/watch?start=b/12&" };

struct follower {
	struct watch_client client;
	bool open;
	uint64_t resume;  /* since= of the next time */
	struct buf seen;  /* lines of whole revisions */
	struct buf begun; /* of one of which more has to come */
	unsigned cuts;
};

static struct world *world;
static struct rng rng;
static uint64_t seed;
static struct follower followers[WATCHERS];
static uint64_t changes; /* acknowledged */

static void
setup(void)
{
	const char *given = getenv("SEED");

	seed = given != NULL ? strtoull(given, NULL, 10) : clock_wall_us();
	rng_init(&rng, seed);
	world = world_new_three();
	for (unsigned i = 0; i < world->count; i++)
		world->site[i].api->params.watchers_max = 2 * WATCHERS;
	changes = 0;
	memset(followers, 0, sizeof(followers));
}

static void
teardown(void)
{
	world_free(world);
}

static struct site *
any_site(void)
{
	return &world->site[rng_below(&rng, world->count)];
}

/* Keys next to each other are different ones. */
static void
make_key(char key[8], unsigned number)
{
	snprintf(
	    key, 8, "%c/%02u", number % 2 == 0 ? 'a' : 'b', number / 2 % 20);
}

/* Several keys at once, some of them deleted. */
static void
write_something(void)
{
	struct buf command = { 0 };
	uint64_t before;
	unsigned ops = 1 + (unsigned)rng_below(&rng, 4);
	unsigned number = (unsigned)rng_below(&rng, 40);

	kv_encode_transaction(&command, NULL);
	for (unsigned i = 0; i < ops; i++) {
		char key[8];
		struct kv_op op = {
			.kind = rng_below(&rng, 3) == 0 ? KV_DELETE : KV_PUT,
		};

		make_key(key, number + i);
		op.key = slice_from_text(key);
		op.value = op.key;
		kv_encode_op(&command, KV_THEN, &op);
	}
	before = kv_revision(node_kv(world_leader(world)->node));
	if (world_command(world, buf_slice(&command)))
		changes +=
		    kv_revision(node_kv(world_leader(world)->node)) - before;
	buf_release(&command);
}

/* ---- Followers ---- */

static void
cut(struct follower *follower)
{
	watch_client_close(&follower->client);
	follower->open = false;
	follower->cuts++;
	buf_reset(&follower->begun);
}

static void
come_back(struct follower *follower, unsigned range, struct site *site)
{
	char target[96];

	snprintf(target, sizeof(target), "%ssince=%" PRIu64, ranges[range],
	    follower->resume);
	follower->client = watch_client_send(site, target, "");
	follower->open = true;
}

static void
note_line(struct follower *follower, const char *line)
{
	const char *revision = strstr(line, "\"revision\":");

	ck_assert_ptr_nonnull(revision);
	if (strstr(line, "\"progress\"") == NULL) {
		buf_append_text(&follower->begun, line);
		buf_append_text(&follower->begun, "\n");
	}
	if (strstr(line, "\"more\":true") != NULL)
		return;
	/* The first is that of the event; one of "prev" stands behind. */
	follower->resume = strtoull(revision + 11, NULL, 10);
	buf_append_slice(&follower->seen, buf_slice(&follower->begun));
	buf_reset(&follower->begun);
}

static bool
is_line_there(const struct watch_client *client)
{
	return strchr((const char *)client->text.data + client->taken, '\n') !=
	       NULL;
}

static void
read_on(struct follower *follower)
{
	if (!follower->open)
		return;
	watch_client_receive(&follower->client);
	while (is_line_there(&follower->client))
		note_line(follower, watch_client_line(&follower->client));
	/* A position that this node could not confirm in time, say. */
	if (follower->client.cut || follower->client.ended)
		cut(follower);
}

static void
thaw(void)
{
	for (unsigned i = 0; i < world->count; i++)
		world->site[i].frozen = false;
}

static void
act(void)
{
	unsigned choice = (unsigned)rng_below(&rng, 100);
	unsigned place = (unsigned)rng_below(&rng, WATCHERS);
	struct follower *follower = &followers[place];
	struct site *site = any_site();

	if (choice < 40) {
		write_something();
	} else if (choice < 50) {
		if (follower->open)
			cut(follower);
	} else if (choice < 80) {
		if (!follower->open)
			come_back(follower, place, site);
	} else if (choice < 83) {
		thaw();
		/* The others are a quorum. */
		site->frozen = site != world_leader(world);
	} else if (choice < 90) {
		thaw();
	} else {
		world_pass(world);
		read_on(follower);
	}
}

/* What history has of this range. */
static struct buf
read_history(unsigned range)
{
	struct follower reader = { 0 };
	uint64_t revision = kv_revision(node_kv(world_leader(world)->node));

	come_back(&reader, range, world_leader(world));
	for (int i = 0; i < 200 && reader.resume < revision; i++) {
		world_pass(world);
		read_on(&reader);
	}
	ck_assert(reader.open);
	watch_client_close(&reader.client);
	buf_release(&reader.begun);
	return reader.seen;
}

static void
catch_up(unsigned place, const struct buf *history)
{
	struct follower *follower = &followers[place];

	for (int i = 0; i < WORLD_PASSES_MAX; i++) {
		if (follower->seen.size >= history->size)
			return;
		if (!follower->open)
			come_back(follower, place, any_site());
		world_pass(world);
		read_on(follower);
	}
}

static void
check(unsigned place)
{
	struct follower *follower = &followers[place];
	struct buf history = read_history(place);

	catch_up(place, &history);
	buf_append(&history, "", 1);
	buf_append(&follower->seen, "", 1);
	ck_assert_msg(
	    slice_equal(buf_slice(&history), buf_slice(&follower->seen)),
	    "seed %" PRIu64 ", %s: history is\n%s\nbut it saw\n%s", seed,
	    ranges[place], (char *)history.data, (char *)follower->seen.data);
	buf_release(&history);
	if (follower->open)
		watch_client_close(&follower->client);
	buf_release(&follower->seen);
	buf_release(&follower->begun);
}

/* Revisions from 1 to the last have their events, none is missing. */
static void
check_all_is_there(void)
{
	struct buf history = read_history(0);
	uint64_t next = 1;
	char *line;
	char *rest;

	buf_append(&history, "", 1);
	rest = (char *)history.data;
	while ((line = strsep(&rest, "\n")) != NULL && line[0] != '\0') {
		uint64_t revision =
		    strtoull(strstr(line, "\"revision\":") + 11, NULL, 10);

		ck_assert_uint_eq(revision, next);
		if (strstr(line, "\"more\":true") == NULL)
			next++;
	}
	ck_assert_uint_eq(next - 1, changes);
	buf_release(&history);
}

START_TEST(everybody_sees_exactly_what_happened)
{
	unsigned cuts = 0;

	fprintf(stderr, "api_watch_random: SEED=%" PRIu64 "\n", seed);
	for (int i = 0; i < ROUNDS; i++)
		act();
	thaw();
	world_converge(world);
	check_all_is_there();
	for (unsigned place = 0; place < WATCHERS; place++) {
		check(place);
		cuts += followers[place].cuts;
	}
	ck_assert_uint_gt(changes, ROUNDS / 10);
	ck_assert_uint_gt(cuts, WATCHERS);
}
END_TEST

Suite *
api_watch_random_suite(void)
{
	Suite *suite = suite_create("api_watch_random");
	TCase *tcase = tcase_create("random");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, everybody_sees_exactly_what_happened);
	suite_add_tcase(suite, tcase);
	return suite;
}
