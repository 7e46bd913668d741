/*
 * power-cut: replays the trace of a daemon's files (record.so) and starts a
 * node on what a power cut would have left, at each moment of it.
 *
 * At each moment there are the images with none and all of the pending
 * operations, each single one lost, and each single one kept; and as many more
 * as are wanted with any of them, and with torn writes. An image that is as one
 * before, when nothing else was promised, is not looked at again.
 */

#include "common/hash.h"
#include "common/mem.h"
#include "common/rng.h"
#include "common/text.h"
#include "tests/cut/cuts.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: power-cut --trace FILE --promises FILE --config FILE\n"
    "                 [--images N] [--seed S] [--serves] [--drop-sync K]\n"
    "                 [--keep DIRECTORY --keep-count N]\n"
    "                 [--only STEP:CHOICE:NUMBER]\n";

enum {
	OPTION_TRACE = 1,
	OPTION_PROMISES,
	OPTION_CONFIG,
	OPTION_IMAGES,
	OPTION_SEED,
	OPTION_SERVES,
	OPTION_DROP_SYNC,
	OPTION_KEEP,
	OPTION_KEEP_COUNT,
	OPTION_ONLY
};

static const struct option long_options[] = {
	{ "trace", required_argument, NULL, OPTION_TRACE },
	{ "promises", required_argument, NULL, OPTION_PROMISES },
	{ "config", required_argument, NULL, OPTION_CONFIG },
	{ "images", required_argument, NULL, OPTION_IMAGES },
	{ "seed", required_argument, NULL, OPTION_SEED },
	{ "serves", no_argument, NULL, OPTION_SERVES },
	{ "drop-sync", required_argument, NULL, OPTION_DROP_SYNC },
	{ "keep", required_argument, NULL, OPTION_KEEP },
	{ "keep-count", required_argument, NULL, OPTION_KEEP_COUNT },
	{ "only", required_argument, NULL, OPTION_ONLY },
	{ NULL, 0, NULL, 0 },
};

static bool
parse_u64(const char *text, uint64_t *ret_value)
{
	return text_parse_u64(slice_from_text(text), ret_value) == 0;
}

/* STEP:CHOICE:NUMBER, as a failure names it. */
static bool
parse_only(const char *text, struct cuts_options *options)
{
	uint64_t numbers[3];
	struct buf part = { 0 };
	bool valid = true;

	for (size_t i = 0; i < 3 && valid; i++) {
		const char *end = strchrnul(text, ':');

		buf_reset(&part);
		buf_append(&part, text, (size_t)(end - text));
		buf_append(&part, "", 1); /* its terminator */
		valid = parse_u64((const char *)part.data, &numbers[i]) &&
			(*end == '\0') == (i == 2);
		text = end + 1;
	}
	buf_release(&part);
	if (!valid || numbers[0] == 0 || numbers[1] >= DISK_MODEL_CHOICES_COUNT)
		return false;
	options->only_step = numbers[0];
	options->only_choice = (enum disk_model_choice)numbers[1];
	options->only_number = numbers[2];
	return true;
}

static bool
parse_option(int option, const char *value, struct cuts_options *options)
{
	switch (option) {
	case OPTION_TRACE: options->replay.path = value; return true;
	case OPTION_PROMISES: options->promises_path = value; return true;
	case OPTION_CONFIG: options->config_path = value; return true;
	case OPTION_IMAGES: return parse_u64(value, &options->images_count);
	case OPTION_SEED: return parse_u64(value, &options->seed);
	case OPTION_SERVES: options->serves = true; return true;
	case OPTION_DROP_SYNC:
		return parse_u64(value, &options->replay.dropped_sync);
	case OPTION_KEEP: options->keep_path = value; return true;
	case OPTION_KEEP_COUNT: return parse_u64(value, &options->keep_count);
	case OPTION_ONLY: return parse_only(value, options);
	default: return false;
	}
}

int
main(int argc, char **argv)
{
	struct cuts_options options = { .images_count = 1000, .seed = 1 };
	int option;

	while (
	    (option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (!parse_option(option, optarg, &options)) {
			fputs(usage, stderr);
			return EXIT_FAILURE;
		}
	}
	if (optind != argc || options.replay.path == NULL ||
	    options.promises_path == NULL || options.config_path == NULL ||
	    (options.keep_count != 0 && options.keep_path == NULL)) {
		fputs(usage, stderr);
		return EXIT_FAILURE;
	}
	return cuts_run(&options);
}
