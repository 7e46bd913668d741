#ifndef TESTS_SIM_REAL_FILES_H
#define TESTS_SIM_REAL_FILES_H

#include "tests/sim/sim_files.h"

extern const struct sim_files_ops real_files;

#endif
