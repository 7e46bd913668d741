#ifndef TESTS_UNIT_FILE_FAULTS_H
#define TESTS_UNIT_FILE_FAULTS_H

/*
 * Calls on files that fail, for what is on a real disk: the store and LMDB
 * below it. The unit tests' program has its own open(2), openat, pread, pwrite,
 * fsync, fdatasync, ftruncate, mkdir, rmdir, unlinkat, flock and fstatfs, which
 * libraries get as well (LMDB has writev, too, for pages side by side). While
 * nothing is armed they do what they always do.
 */

#include <stdbool.h>

/* Instead of an errno: a write does half of it, all else fails with EIO. */
#define FILE_FAULT_SHORT 0

/* The n-th of these calls from now on (1: the next) fails, once. */
void file_faults_arm(unsigned n, int error);
/* None fails any more. True: one has. */
bool file_faults_disarm(void);

#endif
