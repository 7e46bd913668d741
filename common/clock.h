#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

/* The only file that reads a clock. Everything else is told the time. */

#include <stdint.h>

/* CLOCK_MONOTONIC in microseconds. */
uint64_t clock_monotonic_us(void);

/* Wall clock in microseconds since 1970, for log lines and HTTP dates. */
uint64_t clock_wall_us(void);

#endif
