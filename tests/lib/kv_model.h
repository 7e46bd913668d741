#ifndef TESTS_KV_MODEL_H
#define TESTS_KV_MODEL_H

/*
 * The state machine of kv_command.h and kv_read.h once more, by the plainest
 * means: every event that ever was in one array, everything found by looking
 * from the end, and a copy of it all to go back to when a command fails. Slow,
 * and hard to get wrong. With the engine it shares the decoder of commands and
 * the types of the contract.
 * It knows no KV_WRITE_BYTES_MAX: that is counted in records, and far away from
 * what tests write.
 *
 * kv_model.c              what there is, and looking at it
 * kv_model_apply.c        commands: leases, locks, expiry, replays
 * kv_model_transaction.c  conditions and operations
 * kv_model_result.c       is that the result of the engine?
 * kv_model_compare.c      is that its state?
 */

#include "kv/kv_impl.h"

struct kv_model_lease {
	uint64_t id;
	uint64_t ttl_us;
	uint64_t deadline_us;
	struct slice lock; /* empty: it is no token */
	struct slice holder;
	uint64_t ticket; /* they grow in the order of asking */
	uint64_t fence;  /* 0: it waits */
};

struct kv_model_result {
	struct kv_result result; /* its outputs are empty */
	struct kv_output *outputs;
	size_t outputs_count;
};

struct kv_model_replay {
	struct slice key;
	uint64_t digest;
	uint64_t time_us;
	struct kv_model_result result;
};

struct kv_model_state {
	uint64_t revision;
	uint64_t cluster_time_us;
	uint64_t compacted;
	struct kv_event *events; /* all that ever were; `more` is not used */
	size_t events_count;
	struct kv_model_lease *leases;
	size_t leases_count;
	struct kv_model_replay *replays; /* the oldest first */
	size_t replays_count;
};

struct kv_model {
	struct kv_model_state state;
	struct kv_model_result result; /* of the last command */
	struct kv_command command;     /* which was this one */
	/* The command being applied: */
	uint64_t time_us;
	uint64_t revision; /* which it has if it changes anything */
	bool changed;
	/* Memory that lives as long as the model. */
	void **kept;
	size_t kept_count;
};

void kv_model_init(struct kv_model *model);
void kv_model_release(struct kv_model *model);

/* Applies a command that is well-formed, as kv_apply does at that time; its
 * result is model->result, valid until the next. */
void kv_model_apply(
    struct kv_model *model, uint64_t cluster_time_us, struct slice command);

/* ---- Looking ---- */

/* NULL: there is none. */
const struct kv_item *
kv_model_get(const struct kv_model *model, struct slice key);
/* As it was at a revision. */
const struct kv_item *kv_model_get_at(
    const struct kv_model *model, struct slice key, uint64_t revision);
const struct kv_model_lease *
kv_model_get_lease(const struct kv_model *model, uint64_t id);
/* Who holds a lock. */
const struct kv_model_lease *
kv_model_get_lock(const struct kv_model *model, struct slice name);
uint64_t kv_model_count_keys(const struct kv_model *model, uint64_t lease);
/* Its own or its lease's; 0: none. */
uint64_t
kv_model_get_deadline(const struct kv_model *model, const struct kv_item *item);

struct kv_model_key {
	struct slice key;
	struct kv_item item;
};

struct kv_model_list {
	struct kv_model_key *keys; /* in order */
	size_t count;
};

/* The keys of a range that are there at a revision. */
void kv_model_list(const struct kv_model *model, const struct kv_range *range,
    uint64_t revision, struct kv_model_list *ret_list);
void kv_model_list_release(struct kv_model_list *list);

/* What ends next, and when; false: nothing has a deadline. */
struct kv_model_end {
	uint64_t deadline_us;
	struct slice key; /* empty: a lease */
	uint64_t lease;
};
bool
kv_model_next_end(const struct kv_model *model, struct kv_model_end *ret_end);

/* ---- Against the engine; false: they differ, and `why` says how ---- */

/* Is `result` what the last command gives? */
bool kv_model_check_result(const struct kv_model *model,
    const struct kv_result *result, struct buf *why);
bool kv_model_check_item(const struct kv_item *expected, int code,
    const struct kv_item *item, bool lifetimes, struct buf *why);

/* All of it: every key that ever was, now and at some past revisions, lists
 * both ways, events, leases, locks, deadlines. */
bool kv_model_check_state(const struct kv_model *model, struct kv *kv,
    uint64_t seed, struct buf *why);

/* ---- Changing; for the other files of the model ---- */

struct slice kv_model_keep(struct kv_model *model, struct slice bytes);
/* Of `item`, value, lease, deadline and content type count. */
const struct kv_item *kv_model_put(
    struct kv_model *model, struct slice key, const struct kv_item *item);
void kv_model_delete(
    struct kv_model *model, struct slice key, enum kv_event_type type);
void kv_model_set_lifetime(struct kv_model *model, struct slice key,
    uint64_t lease, uint64_t deadline_us);
struct kv_model_lease *
kv_model_add_lease(struct kv_model *model, const struct kv_model_lease *lease);
void kv_model_remove_lease(struct kv_model *model, uint64_t id);
/* The same lease, to be changed. */
struct kv_model_lease *kv_model_find_lease(struct kv_model *model, uint64_t id);

void kv_model_output(struct kv_model *model, const struct kv_output *output);
void kv_model_run_transaction(struct kv_model *model);

#endif
