/* The media of build/sim: structs, and memory. */

#include "tests/sim/sim_media.h"

const struct sim_media sim_media = { .program = "build/sim" };
