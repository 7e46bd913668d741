/* build/sim and build/sim-real: one seed or many; see --help. */

#include "common/panic.h"
#include "common/text.h"
#include "tests/sim/sim_campaign.h"
#include "tests/sim/sim_media.h"
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOBS_MAX    64
#define SECONDS_MAX 100000

enum { STATUS_GOOD = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

static const char help[] =
    "Usage: %s --seed N | --seeds RANGE [OPTION...]\n"
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
    "  --nodes N             1 to 7 nodes, instead of what the seed draws\n"
    "  --time SECONDS        of virtual time with faults, likewise\n"
    "  --profile NAME        mix (everything), churn, snapshot, disk, net, "
    "clock\n"
    "  --messages KIND       structs, or bytes as the daemon sends them, "
    "which\n"
    "                        build/sim-real can\n"
    "  --list-coverage       with --seeds: a line for all that can happen,\n"
    "                        and how often it did\n"
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
	{ "messages", required_argument, NULL, OPTION_MESSAGES },
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

static void
take_option(int option, struct arguments *arguments)
{
	struct sim_campaign *campaign = &arguments->campaign;

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
	case OPTION_TRACE: campaign->options.trace = true; break;
	case OPTION_VERIFY: campaign->verify = true; break;
	case OPTION_NODES:
		campaign->options.nodes_count =
		    (unsigned)parse_positive("--nodes", SIM_FOUNDERS_MAX);
		break;
	case OPTION_TIME:
		campaign->options.duration =
		    parse_positive("--time", SECONDS_MAX) * 1000000;
		break;
	case OPTION_PROFILE:
		campaign->options.profile = parse_profile(optarg);
		break;
	case OPTION_MESSAGES:
		campaign->options.messages = parse_messages(optarg);
		break;
	case OPTION_COVERAGE: campaign->lists_coverage = true; break;
	case OPTION_JOBS:
		campaign->jobs_count =
		    (unsigned)parse_positive("--jobs", JOBS_MAX);
		break;
	case OPTION_HELP: printf(help, sim_media.program); exit(STATUS_GOOD);
	default: exit(STATUS_USAGE);
	}
}

static int
run_one(const struct sim_campaign *campaign)
{
	struct sim_result result;
	struct sim_result again;

	sim_run(campaign->first, &campaign->options, &result);
	printf("%s\n", result.line);
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

int
main(int argc, char **argv)
{
	struct arguments arguments = { .campaign = { .jobs_count = 1 } };
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		take_option(option, &arguments);
	if (optind < argc)
		usage("unexpected argument", argv[optind]);
	if (arguments.one_seed == arguments.has_seeds)
		usage("give one of", "--seed, --seeds");
	if (arguments.one_seed)
		return run_one(&arguments.campaign);
	if (arguments.campaign.options.trace)
		usage("only with --seed goes", "--trace");
	return sim_campaign_run(&arguments.campaign) ? STATUS_GOOD
						     : STATUS_FAILED;
}
