#ifndef TESTS_UNIT_WIRE_SAMPLES_H
#define TESTS_UNIT_WIRE_SAMPLES_H

/* A message of each kind, and its text. */

#include "net/wire.h"

#define WIRE_KINDS_COUNT        9
#define WIRE_SAMPLE_RECORDS_MAX 8

/*
 * What each kind looks like, by kind; there is none of kind 0. A change here is
 * a change of the protocol: raise WIRE_VERSION with it.
 */
extern const char *const wire_golden[WIRE_KINDS_COUNT + 1];
/* The same messages; the append request has the records "first" and "second". */
extern const struct raft_message wire_samples[WIRE_KINDS_COUNT + 1];

/* Appends a message, and as many of the records as it has entries. */
void wire_sample_encode(struct buf *to, const struct raft_message *message,
    const struct slice *records);
/* Decodes without keeping records; the codes of wire_decode_message. */
int wire_sample_decode(struct slice text, struct raft_message *ret_message);
/* The messages have the same fields; entries are not looked at. */
void wire_sample_check_equal(
    const struct raft_message *a, const struct raft_message *b);

#endif
