#ifndef TESTS_UNIT_PAST_SITE_H
#define TESTS_UNIT_PAST_SITE_H

/*
 * A state machine with a history, and a plain copy of every state that it was
 * in: what reading the past must give. There is one, that of the running test.
 */

#include "common/rng.h"
#include "kv/kv_read.h"
#include "tests/lib/kv_bench.h"
#include <check.h>

#define PAST_KEYS_MAX      64
#define PAST_REVISIONS_MAX 4096

/* A value of a key, once for all states that have it; a touch changes it. */
struct past_item {
	struct past_item *next; /* all of them, to be freed */
	struct kv_item item;
	uint8_t value[];
};

struct past_state {
	struct past_item *items[PAST_KEYS_MAX]; /* NULL: it is not there */
};

struct past_site {
	struct kv_bench bench;
	uint64_t time_us;                 /* of the next command */
	uint32_t compact_limit;           /* events that a compaction deletes */
	struct kv_result result;          /* of the last command */
	struct slice keys[PAST_KEYS_MAX]; /* those copied, in order */
	unsigned keys_count;
	uint8_t memory[PAST_KEYS_MAX][KV_KEY_SIZE_MAX];
	struct past_state *states; /* by revision; NULL: none are copied */
	struct past_item *all;
};

extern struct past_site past;

/* A case of this suite whose tests begin with an empty state. */
TCase *past_site_case(Suite *suite, const char *name);

/* From here on states are copied, with these keys: the state must be empty, and
 * no command may change others. */
void past_site_copy(const struct slice *keys, unsigned count);

/* Applies a command a second after the one before, and empties it. */
void past_apply(struct buf *command);
/* Commands; a time to live of 0 is none, as is a lease 0. */
void past_put(const char *key, const char *value);
void past_put_for(
    struct slice key, struct slice value, uint64_t ttl_us, uint64_t lease);
void past_delete(const char *key);
void past_touch(const char *key, uint64_t ttl_us);
void past_compact(uint64_t revision);

/* Ends the process after a checkpoint, and starts it again, which verifies. */
void past_restart(void);

/* Lists a range at a revision, or now (0), in steps of `keys_max` keys; and what
 * that has to be, of the copies: keys and items as text. */
void past_list(struct buf *to, const struct kv_range *range, uint64_t at,
    bool reverse, uint32_t keys_max);
void past_list_copy(
    struct buf *to, const struct kv_range *range, uint64_t at, bool reverse);

/* Appends a key with its item, a line of text; `item` NULL: it is missing. */
void past_show(struct buf *to, struct slice key, const struct kv_item *item);
/* Fails the test if they differ, and shows both. */
void past_expect_same(const struct buf *found, const struct buf *expected);
/* The same for a text; empties `found`. */
void past_expect_text(struct buf *found, const char *expected);

#endif
