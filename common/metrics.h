#ifndef COMMON_METRICS_H
#define COMMON_METRICS_H

/*
 * Registry of counters, gauges and histograms, printed in the Prometheus text
 * format 0.0.4. A metric is registered by name and label set, lives as long as
 * the process unless it is released, and is changed through the returned
 * pointer at the cost of an addition.
 */

#include "common/buf.h"

struct metric;

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/*
 * `name` as printed; `labels` is what stands between the braces, such as
 * peer="n2", or NULL. The same name and labels give the same metric. Both are
 * copied. `help` is kept as a pointer: static storage.
 * A histogram has the fixed buckets .0001 .00025 .0005 .001 .0025 .005 .01
 * .025 .05 .1 .25 .5 1 2.5 5 10, in seconds.
 */
struct metric *metric_register(enum metric_kind kind, const char *name,
    const char *labels, const char *help);
/*
 * For labels that come and go, as names of members do: ends what one
 * metric_register began. With the last one the metric is gone, and the same
 * name and labels begin anew at 0; the family keeps its place and its help.
 */
void metric_release(struct metric *metric);

void metric_add(struct metric *metric, uint64_t amount);    /* counter */
void metric_set(struct metric *metric, double value);       /* gauge */
void metric_observe_us(struct metric *metric, uint64_t us); /* histogram */

/* All metrics, families together in order of registration. */
void metrics_print(struct buf *to);

#endif
