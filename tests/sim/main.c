/* build/sim and build/sim-real: one seed or many; see --help. */

#include "common/panic.h"
#include "common/text.h"
#include "tests/sim/sim_campaign.h"
#include "tests/sim/sim_media.h"
#include "tests/sim/sim_process.h"
#include "tests/sim/sim_regressions.h"
#include "tests/sim/sim_shrink.h"
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOBS_MAX    64
#define SECONDS_MAX 100000

enum { STATUS_GOOD = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

static const char help[] =
    "Usage: %s --seed N | --seeds RANGE | --shrink N |\n"
    "         --regressions FILE [OPTION...]\n"
    "Runs whole clusters of the replica on a virtual clock, network and "
    "disks,\n"
    "with faults, and checks what must hold. A seed decides everything.\n"
    "\n"
    "  --seed N              run one seed and print a line on it\n"
    "  --seeds A..B          run seeds A to B, print a summary; A-B is the\n"
    "                        same, a lone B means 1..B. Stops at the first\n"
    "                        failure and prints how to repeat it\n"
    "  --trace               with --seed: a line for each event\n"
    "  --verify-determinism  run each seed twice and compare event hashes\n"
    "  --profile NAME        mix (everything), churn, snapshot, disk, net, "
    "clock\n"
    "  --messages KIND       structs, or bytes as the daemon sends them, "
    "which\n"
    "                        build/sim-real can\n"
    "  --defect NAME         with bytes: finds a defect that is planted; crc,\n"
    "                        proof, field, split, epoch, or all of them\n"
    "  --disks KIND          memory; or lmdb as the daemon has them, or "
    "lying:\n"
    "                        LMDB on disks that do not sync, with which no\n"
    "                        seed can be good; build/sim-real can\n"
    "\n"
    "Instead of what the seed draws:\n"
    "  --nodes N             1 to 7 nodes\n"
    "  --clients N           1 to 8 clients\n"
    "  --operations N        that these begin, at most\n"
    "  --without NAME,...    no faults of these kinds, as in the line of a "
    "run;\n"
    "                        noise: no message is lost, doubled or damaged;\n"
    "                        watchers\n"
    "  --faults-until SECONDS  of virtual time: none later\n"
    "  --time SECONDS        of virtual time with faults\n"
    "\n"
    "  --shrink N            a seed that fails, with options as above: makes "
    "it\n"
    "                        small, and prints the command that repeats it\n"
    "  --fail-if NAME        take a run for failed in which that (a name of\n"
    "                        --list-coverage) happens: to find one, and with\n"
    "                        --shrink the smallest that shows it\n"
    "  --regressions FILE    run those that failed once, a line of options "
    "each\n"
    "\n"
    "  --list-coverage       with --seeds: a line for all that can happen,\n"
    "                        and how often it did\n"
    "  --require-coverage N  with --seeds: all of that has to happen N times\n"
    "  --jobs J              run so many processes at once\n"
    "  --help                this text\n"
    "\n"
    "In one line of --seed: events; operations done, failed for certain, and\n"
    "of unknown outcome; elections begun; hash of all events.\n"
    "\n"
    "Exit status: 0 all is well, 1 something failed, 2 bad usage.\n";

struct arguments {
	bool one_seed;
	bool has_seeds;
	bool shrinks;
	const char *defect;      /* "all"; NULL: none */
	const char *regressions; /* a file; NULL: none */
	struct sim_campaign campaign;
};

ATTR_NORETURN static void
usage(const char *what, const char *value)
{
	fprintf(stderr, "sim: %s '%s'; see --help\n", what, value);
	exit(STATUS_USAGE);
}

static uint64_t
parse_number(const char *option, struct slice text, uint64_t max)
{
	uint64_t number;

	if (text_parse_u64(text, &number) != 0 || number > max)
		usage("not a number in range for", option);
	return number;
}

/* "A..B", "A-B", or "B". */
static void
parse_range(const char *text, struct sim_campaign *campaign)
{
	struct slice first = slice_of(text, strcspn(text, ".-"));
	const char *rest = text + first.size;

	campaign->first = 1;
	if (*rest == '\0') {
		campaign->last = parse_number("--seeds", first, UINT64_MAX / 2);
	} else {
		rest += strncmp(rest, "..", 2) == 0 ? 2 : 1;
		campaign->first =
		    parse_number("--seeds", first, UINT64_MAX / 2);
		campaign->last = parse_number(
		    "--seeds", slice_from_text(rest), UINT64_MAX / 2);
	}
	if (campaign->first > campaign->last)
		usage("an empty range is no use for", "--seeds");
}

enum option_code {
	OPTION_SEED = 1,
	OPTION_SEEDS,
	OPTION_TRACE,
	OPTION_VERIFY,
	OPTION_NODES,
	OPTION_TIME,
	OPTION_PROFILE,
	OPTION_MESSAGES,
	OPTION_DEFECT,
	OPTION_DISKS,
	OPTION_CLIENTS,
	OPTION_OPERATIONS,
	OPTION_WITHOUT,
	OPTION_FAULTS_UNTIL,
	OPTION_SHRINK,
	OPTION_FAIL_IF,
	OPTION_REGRESSIONS,
	OPTION_REQUIRE,
	OPTION_COVERAGE,
	OPTION_JOBS,
	OPTION_HELP
};

static const struct option options[] = {
	{ "seed", required_argument, NULL, OPTION_SEED },
	{ "seeds", required_argument, NULL, OPTION_SEEDS },
	{ "trace", no_argument, NULL, OPTION_TRACE },
	{ "verify-determinism", no_argument, NULL, OPTION_VERIFY },
	{ "nodes", required_argument, NULL, OPTION_NODES },
	{ "time", required_argument, NULL, OPTION_TIME },
	{ "profile", required_argument, NULL, OPTION_PROFILE },
	{ "defect", required_argument, NULL, OPTION_DEFECT },
	{ "messages", required_argument, NULL, OPTION_MESSAGES },
	{ "disks", required_argument, NULL, OPTION_DISKS },
	{ "clients", required_argument, NULL, OPTION_CLIENTS },
	{ "operations", required_argument, NULL, OPTION_OPERATIONS },
	{ "without", required_argument, NULL, OPTION_WITHOUT },
	{ "faults-until", required_argument, NULL, OPTION_FAULTS_UNTIL },
	{ "shrink", required_argument, NULL, OPTION_SHRINK },
	{ "fail-if", required_argument, NULL, OPTION_FAIL_IF },
	{ "regressions", required_argument, NULL, OPTION_REGRESSIONS },
	{ "require-coverage", required_argument, NULL, OPTION_REQUIRE },
	{ "list-coverage", no_argument, NULL, OPTION_COVERAGE },
	{ "jobs", required_argument, NULL, OPTION_JOBS },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 },
};

static uint64_t
parse_positive(const char *option, uint64_t max)
{
	uint64_t number = parse_number(option, slice_from_text(optarg), max);

	if (number == 0)
		usage("0 is no use for", option);
	return number;
}

static enum sim_profile
parse_profile(const char *name)
{
	for (unsigned i = 0; i < SIM_PROFILES_COUNT; i++) {
		if (strcmp(sim_profile_names[i], name) == 0)
			return (enum sim_profile)i;
	}
	usage("no such profile", name);
}

static enum sim_messages
parse_messages(const char *name)
{
	if (strcmp(name, "structs") == 0)
		return SIM_MESSAGES_STRUCTS;
	if (strcmp(name, "bytes") != 0 || sim_media.streams == NULL)
		usage("this program has no such messages", name);
	return SIM_MESSAGES_BYTES;
}

static enum sim_disks_kind
parse_disks(const char *name)
{
	for (unsigned i = 0; i < SIM_DISKS_COUNT; i++) {
		if (strcmp(sim_disks_names[i], name) == 0 &&
		    (i == SIM_DISKS_MEMORY || sim_media.files != NULL))
			return (enum sim_disks_kind)i;
	}
	usage("this program has no such disks", name);
}

/* "3", "3.25": whole milliseconds. */
static raft_usec
parse_seconds(const char *option)
{
	struct slice whole = slice_of(optarg, strcspn(optarg, "."));
	struct slice rest = slice_from_text(optarg + whole.size);
	uint64_t ms = parse_number(option, whole, SECONDS_MAX) * 1000;
	uint64_t digit = 100;

	if (rest.size == 1 || rest.size > 4)
		usage("not a number in range for", option);
	for (size_t i = 1; i < rest.size; i++, digit /= 10)
		ms +=
		    digit * parse_number(option, slice_of(rest.data + i, 1), 9);
	if (ms == 0)
		usage("0 is no use for", option);
	return ms * 1000;
}

static uint32_t
parse_parts(const char *text)
{
	uint32_t parts = 0;

	while (*text != '\0') {
		size_t size = strcspn(text, ",");
		unsigned i = 0;

		while (i < SIM_PARTS_COUNT &&
		       (strlen(sim_part_names[i]) != size ||
			   memcmp(sim_part_names[i], text, size) != 0))
			i++;
		if (i == SIM_PARTS_COUNT)
			usage("no such part of a run", text);
		parts |= 1u << i;
		text += size + (text[size] == ',');
	}
	return parts;
}

static unsigned
parse_counter(const char *name)
{
	int number = sim_counters_find(name);

	if (number < 0)
		usage("nothing is counted by the name of", name);
	return (unsigned)number + 1;
}

/* How a run differs from what the seed draws; false: it is none of these. */
static bool
take_run_option(int option, struct sim_options *run)
{
	switch (option) {
	case OPTION_TRACE: run->trace = true; return true;
	case OPTION_NODES:
		run->nodes_count =
		    (unsigned)parse_positive("--nodes", SIM_FOUNDERS_MAX);
		return true;
	case OPTION_CLIENTS:
		run->clients_count =
		    (unsigned)parse_positive("--clients", SIM_CLIENTS_MAX);
		return true;
	case OPTION_OPERATIONS:
		run->operations_max =
		    parse_positive("--operations", UINT64_MAX / 2);
		return true;
	case OPTION_WITHOUT: run->without |= parse_parts(optarg); return true;
	case OPTION_FAULTS_UNTIL:
		run->faults_until = parse_seconds("--faults-until");
		return true;
	case OPTION_TIME: run->duration = parse_seconds("--time"); return true;
	case OPTION_PROFILE: run->profile = parse_profile(optarg); return true;
	case OPTION_DISKS: run->disks = parse_disks(optarg); return true;
	case OPTION_FAIL_IF: run->fail_if = parse_counter(optarg); return true;
	default: return false;
	}
}

static void
take_option(int option, struct arguments *arguments)
{
	struct sim_campaign *campaign = &arguments->campaign;

	if (take_run_option(option, &campaign->options))
		return;
	switch (option) {
	case OPTION_SEED:
		arguments->one_seed = true;
		campaign->first = parse_number(
		    "--seed", slice_from_text(optarg), UINT64_MAX / 2);
		break;
	case OPTION_SEEDS:
		arguments->has_seeds = true;
		parse_range(optarg, campaign);
		break;
	case OPTION_SHRINK:
		arguments->shrinks = true;
		campaign->first = parse_number(
		    "--shrink", slice_from_text(optarg), UINT64_MAX / 2);
		break;
	case OPTION_REGRESSIONS: arguments->regressions = optarg; break;
	case OPTION_VERIFY: campaign->verify = true; break;
	case OPTION_REQUIRE:
		campaign->coverage =
		    parse_positive("--require-coverage", UINT64_MAX / 2);
		break;
	case OPTION_MESSAGES:
		campaign->options.messages = parse_messages(optarg);
		break;
	case OPTION_DEFECT: arguments->defect = optarg; break;
	case OPTION_COVERAGE: campaign->lists_coverage = true; break;
	case OPTION_JOBS:
		campaign->jobs_count =
		    (unsigned)parse_positive("--jobs", JOBS_MAX);
		break;
	case OPTION_HELP: printf(help, sim_media.program); exit(STATUS_GOOD);
	default: exit(STATUS_USAGE);
	}
}

static void
parse_arguments(int argc, char **argv, struct arguments *ret_arguments)
{
	int option;

	*ret_arguments = (struct arguments){ .campaign = { .jobs_count = 1 } };
	optind = 0; /* from the first one on, again */
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		take_option(option, ret_arguments);
	if (optind < argc)
		usage("unexpected argument", argv[optind]);
}

/* A line of the regressions. */
static bool
run_again(int argc, char **argv, const char *text)
{
	struct sim_result *result = sim_process_result();
	struct arguments arguments;

	parse_arguments(argc, argv, &arguments);
	if (!arguments.one_seed)
		usage("a line without", "--seed");
	sim_process_run(
	    arguments.campaign.first, &arguments.campaign.options, result);
	if (!result->failed)
		return true;
	printf("FAILED: %s (it once was:%s)\n", result->failure, text);
	sim_print_repeat(arguments.campaign.first, &arguments.campaign.options);
	return false;
}

static int
run_one(const struct sim_campaign *campaign)
{
	struct sim_result result;
	struct sim_result again;

	sim_run(campaign->first, &campaign->options, &result);
	printf("%s\n", result.line);
	if (result.vacuous != NULL)
		printf("shows nothing: %s\n", result.vacuous);
	if (result.failed) {
		printf("FAILED: %s\n", result.failure);
		sim_print_repeat(campaign->first, &campaign->options);
		return STATUS_FAILED;
	}
	if (!campaign->verify)
		return STATUS_GOOD;
	sim_run(campaign->first, &campaign->options, &again);
	printf("%s\n", again.line);
	if (again.hash == result.hash)
		return STATUS_GOOD;
	printf("FAILED: not the same twice\n");
	return STATUS_FAILED;
}

/* What fails there is what should. */
static bool
finds_defect(struct arguments *arguments, const char *defect)
{
	struct sim_campaign *campaign = &arguments->campaign;
	bool found;

	campaign->options.defect = defect;
	found = arguments->one_seed ? run_one(campaign) == STATUS_FAILED
				    : !sim_campaign_run(campaign);
	printf("%sdefect '%s' is%s found\n", found ? "" : "FAILED: ", defect,
	    found ? "" : " not");
	return found;
}

static int
find_defects(struct arguments *arguments)
{
	const char *name = arguments->defect;
	bool all = strcmp(name, "all") == 0;
	unsigned count = 0;
	bool good = true;

	if (arguments->campaign.options.messages != SIM_MESSAGES_BYTES)
		usage("only with --messages bytes goes", "--defect");
	for (unsigned i = 0; sim_media.streams->defects[i] != NULL; i++) {
		const char *defect = sim_media.streams->defects[i];

		if (!all && strcmp(name, defect) != 0)
			continue;
		good = finds_defect(arguments, defect) && good;
		count++;
	}
	if (count == 0)
		usage("there is no such defect", name);
	return good ? STATUS_GOOD : STATUS_FAILED;
}

static bool
run(struct arguments *arguments)
{
	const struct sim_campaign *campaign = &arguments->campaign;

	if (arguments->defect != NULL)
		return find_defects(arguments) == STATUS_GOOD;
	if (arguments->one_seed)
		return run_one(campaign) == STATUS_GOOD;
	if (arguments->shrinks)
		return sim_shrink(campaign->first, &campaign->options);
	if (arguments->regressions != NULL)
		return sim_regressions_run(arguments->regressions, run_again);
	return sim_campaign_run(campaign);
}

int
main(int argc, char **argv)
{
	struct arguments arguments;
	bool good;

	parse_arguments(argc, argv, &arguments);
	if (arguments.one_seed + arguments.has_seeds + arguments.shrinks +
		(arguments.regressions != NULL) !=
	    1)
		usage(
		    "give one of", "--seed, --seeds, --shrink, --regressions");
	if (arguments.campaign.options.trace && !arguments.one_seed)
		usage("only with --seed goes", "--trace");
	if (sim_media.files != NULL)
		sim_media.files->begin();
	good = run(&arguments);
	if (sim_media.files != NULL)
		sim_media.files->end();
	return good ? STATUS_GOOD : STATUS_FAILED;
}
