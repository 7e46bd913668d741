#include "tests/sim/sim_counters.h"

#include "common/macros.h"
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define COUNTERS_A_LINE 4

static const struct {
	const char *name;
	size_t offset;
	enum sim_cover cover;
} table[] = {
#define ROW(name, cover) { #name, offsetof(struct sim_counters, name), cover },
#define COUNTED(name)    ROW(name, SIM_COVER_NEVER)
#define COVERED(name)    ROW(name, SIM_COVER_ALWAYS)
#define STREAMED(name)   ROW(name, SIM_COVER_BYTES)
#define FILED(name)      ROW(name, SIM_COVER_FILES)
	SIM_COUNTERS(COUNTED, COVERED) SIM_STREAM_COUNTERS(STREAMED)
	    SIM_FILE_COUNTERS(FILED)
#undef ROW
#undef COUNTED
#undef COVERED
#undef STREAMED
#undef FILED
};

uint64_t
sim_counters_get(const struct sim_counters *counters, unsigned number)
{
	uint64_t value;

	memcpy(&value, (const char *)counters + table[number].offset,
	    sizeof(value));
	return value;
}

const char *
sim_counters_name(unsigned number)
{
	return table[number].name;
}

int
sim_counters_find(const char *name)
{
	for (unsigned i = 0; i < ARRAY_COUNT(table); i++) {
		if (strcmp(table[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}

void
sim_counters_add(struct sim_counters *to, const struct sim_counters *from)
{
#define COUNTER(name) to->name += from->name;
	SIM_COUNTERS(COUNTER, COUNTER)
	SIM_STREAM_COUNTERS(COUNTER)
	SIM_FILE_COUNTERS(COUNTER)
#undef COUNTER
}

void
sim_counters_print(const struct sim_counters *counters, unsigned covers)
{
	unsigned place = 0;
	char item[40];

	for (unsigned i = 0; i < ARRAY_COUNT(table); i++) {
		if ((covers & table[i].cover) == 0)
			continue;
		snprintf(item, sizeof(item), "%s %" PRIu64, table[i].name,
		    sim_counters_get(counters, i));
		printf("%-35s%s", item,
		    ++place % COUNTERS_A_LINE == 0 ? "\n" : "");
	}
	if (place % COUNTERS_A_LINE != 0)
		printf("\n");
}

void
sim_counters_list(const struct sim_counters *counters, unsigned covers)
{
	for (unsigned i = 0; i < ARRAY_COUNT(table); i++) {
		if ((covers & table[i].cover) != 0)
			printf("%-28s %" PRIu64 "\n", table[i].name,
			    sim_counters_get(counters, i));
	}
}

unsigned
sim_counters_missing(
    const struct sim_counters *counters, unsigned covers, uint64_t least)
{
	unsigned count = 0;

	for (unsigned i = 0; i < ARRAY_COUNT(table); i++) {
		uint64_t value = sim_counters_get(counters, i);

		if ((covers & table[i].cover) == 0 || value >= least)
			continue;
		count++;
		printf("happened %" PRIu64 " times, not %" PRIu64 ": %s\n",
		    value, least, table[i].name);
	}
	return count;
}
