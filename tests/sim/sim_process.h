#ifndef TESTS_SIM_PROCESS_H
#define TESTS_SIM_PROCESS_H

/*
 * One run in a process of its own: whatever happens to that, an assertion that
 * fails or a run without an end, is a failure of the run.
 */

#include "tests/sim/sim.h"

/* The memory that sim_process_run writes to; freed at the end of the process. */
struct sim_result *sim_process_result(void);

/* As sim_run; `result` is one of sim_process_result(). */
void sim_process_run(uint64_t seed, const struct sim_options *options,
    struct sim_result *result);

/* Why a process ended as `status` of waitpid says; false: it did so well. */
bool sim_process_failed(int status, char *why, size_t size);

#endif
