#include "common/metrics.h"
#include "tests/unit/suites.h"
#include <signal.h>

/*
 * The registry lives as long as the process, and without a fork between them
 * (CK_FORK=no) the tests share it: each looks only at its own names.
 */
static bool
printed(const char *expected)
{
	struct buf text = { 0 };
	bool found;

	metrics_print(&text);
	buf_append(&text, "", 1);
	found = strstr((const char *)text.data, expected) != NULL;
	buf_release(&text);
	return found;
}

START_TEST(counter_and_gauge_are_printed)
{
	struct metric *counter =
	    metric_register(METRIC_COUNTER, "a_total", NULL, "An a.");
	struct metric *gauge =
	    metric_register(METRIC_GAUGE, "a_bytes", NULL, "Its size.");

	metric_add(counter, 2);
	metric_add(counter, 3);
	metric_set(gauge, 1048576);
	ck_assert(printed("# HELP a_total An a.\n# TYPE a_total counter\n"
			  "a_total 5\n"
			  "# HELP a_bytes Its size.\n# TYPE a_bytes gauge\n"
			  "a_bytes 1048576\n"));
	metric_set(gauge, -0.25);
	ck_assert(printed("\na_bytes -0.25\n"));
}
END_TEST

START_TEST(family_stands_together_with_one_header)
{
	struct metric *n1 = metric_register(
	    METRIC_COUNTER, "b_total", "peer=\"n1\"", "By peer.");

	(void)metric_register(METRIC_GAUGE, "b_other", NULL, "Another.");
	metric_add(metric_register(
		       METRIC_COUNTER, "b_total", "peer=\"n2\"", "By peer."),
	    7);
	metric_add(n1, 1);
	ck_assert(printed("# HELP b_total By peer.\n# TYPE b_total counter\n"
			  "b_total{peer=\"n1\"} 1\n"
			  "b_total{peer=\"n2\"} 7\n"
			  "# HELP b_other Another.\n"));
}
END_TEST

START_TEST(same_name_and_labels_give_the_same_metric)
{
	struct metric *metric =
	    metric_register(METRIC_COUNTER, "c_total", "x=\"1\"", "Once.");

	ck_assert_ptr_eq(metric,
	    metric_register(METRIC_COUNTER, "c_total", "x=\"1\"", "Once."));
	ck_assert_ptr_ne(
	    metric, metric_register(METRIC_COUNTER, "c_total", NULL, "Once."));
}
END_TEST

START_TEST(histogram_buckets_are_cumulative)
{
	struct metric *metric =
	    metric_register(METRIC_HISTOGRAM, "d_seconds", NULL, "Delays.");

	metric_observe_us(metric, 0);
	metric_observe_us(metric, 100); /* a bound belongs to its bucket */
	metric_observe_us(metric, 101);
	metric_observe_us(metric, 10000000);
	metric_observe_us(metric, 10000001); /* above all bounds */
	ck_assert(printed("# TYPE d_seconds histogram\n"
			  "d_seconds_bucket{le=\"0.0001\"} 2\n"
			  "d_seconds_bucket{le=\"0.00025\"} 3\n"
			  "d_seconds_bucket{le=\"0.0005\"} 3\n"));
	ck_assert(printed("d_seconds_bucket{le=\"5\"} 3\n"
			  "d_seconds_bucket{le=\"10\"} 4\n"
			  "d_seconds_bucket{le=\"+Inf\"} 5\n"
			  "d_seconds_sum 20.000202\n"
			  "d_seconds_count 5\n"));
}
END_TEST

START_TEST(histogram_keeps_its_labels)
{
	struct metric *metric = metric_register(
	    METRIC_HISTOGRAM, "e_seconds", "peer=\"n2\"", "Delays.");

	metric_observe_us(metric, 1500000);
	ck_assert(printed("e_seconds_bucket{peer=\"n2\",le=\"1\"} 0\n"
			  "e_seconds_bucket{peer=\"n2\",le=\"2.5\"} 1\n"));
	ck_assert(printed("e_seconds_sum{peer=\"n2\"} 1.500000\n"
			  "e_seconds_count{peer=\"n2\"} 1\n"));
}
END_TEST

START_TEST(released_metric_is_gone_with_its_last_user)
{
	struct metric *first = metric_register(
	    METRIC_COUNTER, "g_total", "peer=\"n1\"", "By peer.");
	struct metric *second = metric_register(
	    METRIC_COUNTER, "g_total", "peer=\"n1\"", "By peer.");

	(void)metric_register(
	    METRIC_COUNTER, "g_total", "peer=\"n2\"", "By peer.");
	metric_add(first, 3);
	metric_release(first);
	ck_assert(printed("\ng_total{peer=\"n1\"} 3\n"));
	metric_release(second);
	ck_assert(printed("# HELP g_total By peer.\n# TYPE g_total counter\n"
			  "g_total{peer=\"n2\"} 0\n"));
	/* Another one of that name. */
	(void)metric_register(
	    METRIC_COUNTER, "g_total", "peer=\"n1\"", "By peer.");
	ck_assert(printed("\ng_total{peer=\"n1\"} 0\n"));
}
END_TEST

START_TEST(another_kind_under_the_same_name_is_a_bug)
{
	(void)metric_register(METRIC_COUNTER, "f_total", NULL, "An f.");
	(void)metric_register(METRIC_GAUGE, "f_total", NULL, "An f.");
}
END_TEST

Suite *
metrics_suite(void)
{
	Suite *suite = suite_create("metrics");
	TCase *tcase = tcase_create("metrics");

	tcase_add_test(tcase, counter_and_gauge_are_printed);
	tcase_add_test(tcase, family_stands_together_with_one_header);
	tcase_add_test(tcase, same_name_and_labels_give_the_same_metric);
	tcase_add_test(tcase, histogram_buckets_are_cumulative);
	tcase_add_test(tcase, histogram_keeps_its_labels);
	tcase_add_test(tcase, released_metric_is_gone_with_its_last_user);
	tcase_add_test_raise_signal(
	    tcase, another_kind_under_the_same_name_is_a_bug, SIGABRT);
	suite_add_tcase(suite, tcase);
	return suite;
}
