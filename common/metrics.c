#include "common/metrics.h"
#include "common/list.h"
#include "common/mem.h"
#include "common/panic.h"
#include <stdlib.h>

struct bucket {
	const char *bound; /* in seconds, as printed */
	uint64_t bound_us;
};

static const struct bucket buckets[] = {
	{ "0.0001", 100 },
	{ "0.00025", 250 },
	{ "0.0005", 500 },
	{ "0.001", 1000 },
	{ "0.0025", 2500 },
	{ "0.005", 5000 },
	{ "0.01", 10000 },
	{ "0.025", 25000 },
	{ "0.05", 50000 },
	{ "0.1", 100000 },
	{ "0.25", 250000 },
	{ "0.5", 500000 },
	{ "1", 1000000 },
	{ "2.5", 2500000 },
	{ "5", 5000000 },
	{ "10", 10000000 },
};

struct metric {
	struct list link; /* in family->metrics */
	enum metric_kind kind;
	uint64_t users; /* times that it is registered */
	char *labels;   /* "" for none */
	uint64_t counter;
	double gauge;
	uint64_t sum_us;
	/* Each observation is counted in one; the last is above all bounds. */
	uint64_t observed[ARRAY_COUNT(buckets) + 1];
};

/* All metrics of one name, which share their kind and help. */
struct family {
	struct list link; /* in families */
	enum metric_kind kind;
	char *name;
	const char *help;
	struct list metrics;
};

static struct list families = { &families, &families };

static struct family *
find_family(const char *name)
{
	struct list *node;

	LIST_EACH(node, &families) {
		struct family *family = CONTAINER_OF(node, struct family, link);

		if (strcmp(family->name, name) == 0)
			return family;
	}
	return NULL;
}

static struct family *
add_family(enum metric_kind kind, const char *name, const char *help)
{
	struct family *family = mem_zalloc(1, sizeof(*family));

	family->kind = kind;
	family->name = mem_strdup(name);
	family->help = help;
	list_init(&family->metrics);
	list_push(&families, &family->link);
	return family;
}

static struct metric *
find_metric(struct family *family, const char *labels)
{
	struct list *node;

	LIST_EACH(node, &family->metrics) {
		struct metric *metric = CONTAINER_OF(node, struct metric, link);

		if (strcmp(metric->labels, labels) == 0)
			return metric;
	}
	return NULL;
}

static struct metric *
add_metric(struct family *family, const char *labels)
{
	struct metric *metric = mem_zalloc(1, sizeof(*metric));

	metric->kind = family->kind;
	metric->labels = mem_strdup(labels);
	list_push(&family->metrics, &metric->link);
	return metric;
}

struct metric *
metric_register(enum metric_kind kind, const char *name, const char *labels,
    const char *help)
{
	struct family *family = find_family(name);
	struct metric *metric;

	if (family == NULL)
		family = add_family(kind, name, help);
	ASSERT(family->kind == kind);
	if (labels == NULL)
		labels = "";
	metric = find_metric(family, labels);
	if (metric == NULL)
		metric = add_metric(family, labels);
	metric->users++;
	return metric;
}

void
metric_release(struct metric *metric)
{
	ASSERT(metric->users > 0);
	metric->users--;
	if (metric->users > 0)
		return;
	list_remove(&metric->link);
	free(metric->labels);
	free(metric);
}

void
metric_add(struct metric *metric, uint64_t amount)
{
	ASSERT(metric->kind == METRIC_COUNTER);
	metric->counter += amount;
}

void
metric_set(struct metric *metric, double value)
{
	ASSERT(metric->kind == METRIC_GAUGE);
	metric->gauge = value;
}

void
metric_observe_us(struct metric *metric, uint64_t us)
{
	size_t i = 0;

	ASSERT(metric->kind == METRIC_HISTOGRAM);
	while (i < ARRAY_COUNT(buckets) && us > buckets[i].bound_us)
		i++;
	metric->observed[i]++;
	metric->sum_us += us;
}

static void
print_histogram(struct buf *to, const char *name, const struct metric *metric)
{
	const char *labels = metric->labels;
	const char *comma = labels[0] == '\0' ? "" : ",";
	const char *open = labels[0] == '\0' ? "" : "{";
	const char *close = labels[0] == '\0' ? "" : "}";
	uint64_t count = 0;

	for (size_t i = 0; i <= ARRAY_COUNT(buckets); i++) {
		const char *bound =
		    i == ARRAY_COUNT(buckets) ? "+Inf" : buckets[i].bound;

		count += metric->observed[i];
		buf_printf(to, "%s_bucket{%s%sle=\"%s\"} ", name, labels, comma,
		    bound);
		buf_append_u64(to, count);
		buf_append_text(to, "\n");
	}
	buf_printf(to, "%s_sum%s%s%s %ju.%06u\n", name, open, labels, close,
	    (uintmax_t)(metric->sum_us / 1000000),
	    (unsigned)(metric->sum_us % 1000000));
	buf_printf(to, "%s_count%s%s%s %ju\n", name, open, labels, close,
	    (uintmax_t)count);
}

static void
print_metric(struct buf *to, const char *name, const struct metric *metric)
{
	if (metric->kind == METRIC_HISTOGRAM) {
		print_histogram(to, name, metric);
		return;
	}
	buf_append_text(to, name);
	if (metric->labels[0] != '\0')
		buf_printf(to, "{%s}", metric->labels);
	if (metric->kind == METRIC_COUNTER)
		buf_printf(to, " %ju\n", (uintmax_t)metric->counter);
	else
		/* Whole numbers below 10^15 are printed as such. */
		buf_printf(to, " %.15g\n", metric->gauge);
}

void
metrics_print(struct buf *to)
{
	static const char *const kinds[] = {
		[METRIC_COUNTER] = "counter",
		[METRIC_GAUGE] = "gauge",
		[METRIC_HISTOGRAM] = "histogram",
	};
	struct list *node;
	struct list *inner;

	LIST_EACH(node, &families) {
		struct family *family = CONTAINER_OF(node, struct family, link);

		buf_printf(to, "# HELP %s %s\n# TYPE %s %s\n", family->name,
		    family->help, family->name, kinds[family->kind]);
		LIST_EACH(inner, &family->metrics) {
			print_metric(to, family->name,
			    CONTAINER_OF(inner, struct metric, link));
		}
	}
}
