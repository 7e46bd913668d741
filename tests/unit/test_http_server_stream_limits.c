/* Answers in parts: who is cut when there is too much of them. */

#include "tests/unit/http_site.h"
#include "tests/unit/suites.h"
#include <unistd.h>

#define KIBIBYTE 1024
#define MEBIBYTE (1024 * 1024)

/* Three streams; those that are behind do not take what they are sent. */
struct race {
	struct probe probe;
	struct http_request *request[3];
	int fd[3];
	struct buf received[3];
};

static void
race_begin(struct race *race, uint64_t output_bytes_max)
{
	struct http_server_params params = probe_params;

	*race = (struct race){ 0 };
	params.output_bytes_max = output_bytes_max;
	probe_start(&race->probe, &params);
	race->probe.hold = true;
	for (unsigned i = 0; i < 3; i++) {
		static const char *const texts[] = { GET("/0"), GET("/1"),
			GET("/2") };

		race->fd[i] = probe_connect(&race->probe);
		probe_send_text(&race->probe, race->fd[i], texts[i]);
		probe_settle(&race->probe);
		race->request[i] = probe_stream(&race->probe, i);
	}
	probe_settle(&race->probe);
	buf_reset(&race->probe.events);
}

static void
race_end(struct race *race)
{
	for (unsigned i = 0; i < 3; i++) {
		close(race->fd[i]);
		buf_release(&race->received[i]);
	}
	probe_stop(&race->probe);
}

/* These, and no others. */
static void
check_cut(struct probe *probe, const char *events, unsigned count)
{
	ck_assert_uint_eq(probe_count(&probe->events, events), 1);
	ck_assert_uint_eq(probe->abandoned, count);
}

/* Over the limit the stream that is furthest behind is cut, and no other. */
START_TEST(limit_cuts_the_furthest)
{
	struct race race;

	race_begin(&race, 8 * MEBIBYTE);
	probe_get_behind(&race.probe, race.request[0], 3 * MEBIBYTE);
	probe_get_behind(&race.probe, race.request[1], 4 * MEBIBYTE);
	(void)probe_give_size(race.request[2], 2 * MEBIBYTE);
	probe_settle(&race.probe);
	check_cut(&race.probe, "abandoned /1\n", 1);
	ck_assert_uint_eq(http_server_connections(race.probe.server), 2);
	race_end(&race);
}
END_TEST

/* Nor the one that has just got more than those that are behind, if it keeps
 * up. */
START_TEST(limit_spares_those_that_keep_up)
{
	struct race race;

	race_begin(&race, 8 * MEBIBYTE);
	probe_get_behind(&race.probe, race.request[0], 2 * MEBIBYTE);
	probe_get_behind(&race.probe, race.request[1], 1 * MEBIBYTE);
	(void)probe_give_size(race.request[2], 6 * MEBIBYTE);
	probe_settle(&race.probe);
	check_cut(&race.probe, "abandoned /0\n", 1);
	race_end(&race);
}
END_TEST

/* Streams give way to an ordinary answer, down to what it needs. */
START_TEST(limit_prefers_answers)
{
	struct race race;
	struct buf received = { 0 };
	int fd;

	race_begin(&race, 8 * MEBIBYTE);
	for (unsigned i = 0; i < 3; i++)
		probe_get_behind(&race.probe, race.request[i],
		    2 * MEBIBYTE - i * 128 * KIBIBYTE);
	fd = probe_connect(&race.probe);
	probe_send_text(&race.probe, fd, GET("/answer"));
	probe_settle(&race.probe);
	race.probe.answer_size = 5 * MEBIBYTE;
	buf_reset(&race.probe.events);
	probe_answer(&race.probe, 3);
	while (received.size < race.probe.answer_size) {
		ck_assert(probe_receive(fd, &received));
		probe_turn(&race.probe);
	}
	check_cut(&race.probe, "abandoned /0\nabandoned /1\n", 2);
	close(fd);
	buf_release(&received);
	race_end(&race);
}
END_TEST

/* Half of the limit is left for what cannot wait: who has something unsent is
 * told to wait, who has not gets its part. */
START_TEST(limit_is_not_reached_by_those_that_wait)
{
	struct race race;

	race_begin(&race, 8 * MEBIBYTE);
	probe_get_behind(&race.probe, race.request[0], 4 * MEBIBYTE);
	ck_assert(!http_reply_part(race.request[1], slice_from_text("a")));
	http_server_flush(race.probe.server);
	probe_settle(&race.probe);
	probe_check_events(&race.probe, "drained /1\n");
	ck_assert_uint_eq(http_server_connections(race.probe.server), 3);
	race_end(&race);
}
END_TEST

Suite *
http_server_stream_limits_suite(void)
{
	Suite *suite = suite_create("http_server_stream_limits");
	TCase *tests = tcase_create("http_server_stream_limits");

	tcase_add_test(tests, limit_cuts_the_furthest);
	tcase_add_test(tests, limit_spares_those_that_keep_up);
	tcase_add_test(tests, limit_prefers_answers);
	tcase_add_test(tests, limit_is_not_reached_by_those_that_wait);
	suite_add_tcase(suite, tests);
	return suite;
}
