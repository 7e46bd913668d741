#ifndef TESTS_CUT_CUTS_H
#define TESTS_CUT_CUTS_H

/* All power cuts of one trace. */

#include "tests/cut/replay.h"

struct cuts_options {
	struct replay_options replay;
	const char *promises_path;
	/* Of the node. The directory that has its data-dir in it is for the
	 * images: all that it holds is removed. */
	const char *config_path;
	uint64_t images_count; /* about so many */
	uint64_t seed;
	bool serves; /* as of image_check */
	/* Leaves so many images, any, in directories 1, 2, ... below that path,
	 * which exists, each with a line in its file "cuts": number, revision
	 * that was answered. */
	const char *keep_path;
	uint64_t keep_count;
	/* Not 0: this image alone, and what the node says of it. */
	uint64_t only_step;
	enum disk_model_choice only_choice;
	uint64_t only_number;
};

/* An exit status: 0: good; 1: an image was not; 2: it cannot be run; 3: nothing
 * was tested. Prints what was found. */
int cuts_run(const struct cuts_options *options);

#endif
