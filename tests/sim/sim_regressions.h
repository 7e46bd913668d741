#ifndef TESTS_SIM_REGRESSIONS_H
#define TESTS_SIM_REGRESSIONS_H

/*
 * Runs that failed once, as a text: a line for each, with the options of the
 * command that repeats it, then '#' and what it had found. Empty lines and
 * those that begin with '#' say nothing.
 */

#include "common/buf.h"

/* The words of a line that counts, at most. */
#define SIM_REGRESSION_WORDS_MAX 32

/* `run` gets the words of each line as a program gets its arguments, and the
 * text behind them. Prints a summary; false if one of the runs failed, or there
 * are none. Ends the process if the file cannot be read. */
bool sim_regressions_run(
    const char *path, bool (*run)(int argc, char **argv, const char *text));

#endif
