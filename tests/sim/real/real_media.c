/* The media of build/sim-real. */

#include "tests/sim/real/real_files.h"
#include "tests/sim/real/real_stream.h"

const struct sim_media sim_media = {
	.program = "build/sim-real",
	.streams = &real_streams_ops,
	.files = &real_files,
};
