#ifndef TESTS_UNIT_API_STAGE_H
#define TESTS_UNIT_API_STAGE_H

/*
 * Where most tests of the API play: a world, and the node in it that they ask.
 * There is one at a time; a test case begins and ends it by its fixture.
 */

#include "tests/unit/api_site.h"

extern struct world *world;
extern struct site *one;

/* One node, whose quota is 10,000 bytes, or that has none. */
void api_stage_one(void);
void api_stage_unlimited(void);
/* One that takes commands of up to 1 MiB. */
void api_stage_roomy(void);
/* Three; `one` is a follower. */
void api_stage_three(void);
void api_stage_roomy_three(void);
void api_stage_end(void);

/* A PUT that succeeds, and a DELETE that does. */
void api_stage_put(const char *target, const char *value);
void api_stage_delete(const char *target);
/* POST /txn of this document; see site_expect. */
void api_stage_transact(const char *body, unsigned status, const char *says);
/* Imports keys k000000 and on, a thousand in each revision; the value is the
 * number, in `value_size` digits at least. */
void api_stage_fill(unsigned count, unsigned value_size);
/* The document of a transaction that gets one key so many times. */
void api_stage_make_gets(struct buf *body, unsigned count);
/* The leader's. */
uint64_t api_stage_revision(void);
/* Passes until `one` has so many watchers. */
void api_stage_await_watchers(size_t count);

#endif
