#include "tests/sim/sim_counters.h"

#include <inttypes.h>
#include <stdio.h>

#define COUNTERS_A_LINE 4

void
sim_counters_add(struct sim_counters *to, const struct sim_counters *from)
{
#define COUNTER(name) to->name += from->name;
	SIM_COUNTERS(COUNTER, COUNTER)
#undef COUNTER
}

static void
print_counter(const char *name, uint64_t value, unsigned *place)
{
	char item[40];

	snprintf(item, sizeof(item), "%s %" PRIu64, name, value);
	printf("%-35s%s", item, ++*place % COUNTERS_A_LINE == 0 ? "\n" : "");
}

void
sim_counters_print(const struct sim_counters *counters)
{
	unsigned place = 0;

#define COUNTER(name) print_counter(#name, counters->name, &place);
	SIM_COUNTERS(COUNTER, COUNTER)
#undef COUNTER
	if (place % COUNTERS_A_LINE != 0)
		printf("\n");
}

void
sim_counters_list(const struct sim_counters *counters)
{
#define COUNTED(name)
#define COVERED(name) printf("%-28s %" PRIu64 "\n", #name, counters->name);
	SIM_COUNTERS(COUNTED, COVERED)
#undef COUNTED
#undef COVERED
}

static unsigned
report_missing(const char *name, uint64_t value)
{
	if (value > 0)
		return 0;
	printf("never happened: %s\n", name);
	return 1;
}

unsigned
sim_counters_missing(const struct sim_counters *counters)
{
	unsigned count = 0;

#define COUNTED(name)
#define COVERED(name) count += report_missing(#name, counters->name);
	SIM_COUNTERS(COUNTED, COVERED)
#undef COUNTED
#undef COVERED
	return count;
}
