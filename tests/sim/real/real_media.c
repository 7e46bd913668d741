/* The media of build/sim-real. */

#include "tests/sim/sim_media.h"

const struct sim_media sim_media = { .program = "build/sim-real" };
