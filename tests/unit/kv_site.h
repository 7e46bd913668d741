#ifndef TESTS_UNIT_KV_SITE_H
#define TESTS_UNIT_KV_SITE_H

/*
 * A state machine for the suites about what lives for a time: each call applies
 * one command, whose stamp is now_us. The result is in bench.result.
 */

#include "kv/kv_impl.h"
#include "tests/lib/kv_bench.h"

struct kv_site {
	struct kv_bench bench;
	uint64_t now_us;
	/* Of the next commands; key NULL: they have none. */
	const char *identity;
	uint64_t digest;
};

#define SECOND_US UINT64_C(1000000)

void kv_site_init(struct kv_site *site);
void kv_site_release(struct kv_site *site);
/* Checkpoints, ends and starts again, with all its checks. */
void kv_site_restart(struct kv_site *site);
/* Applies the command and empties it; it does not fail with an error. */
void kv_site_apply(struct kv_site *site, struct buf *command);

void kv_site_put(struct kv_site *site, const char *key, const char *value);
void kv_site_put_ttl(struct kv_site *site, const char *key, uint64_t ttl_us);
void kv_site_put_lease(struct kv_site *site, const char *key, uint64_t lease);
void kv_site_delete(struct kv_site *site, const char *key);
void kv_site_grant(struct kv_site *site, uint64_t lease, uint64_t ttl_us);
void kv_site_renew(struct kv_site *site, uint64_t lease);
void kv_site_revoke(struct kv_site *site, uint64_t lease);
void kv_site_lock(
    struct kv_site *site, const char *name, uint64_t token, uint64_t wait_us);
void kv_site_unlock(struct kv_site *site, const char *name, uint64_t token);
/* Until now. */
void kv_site_expire(struct kv_site *site, uint32_t limit);
void kv_site_compact(struct kv_site *site, uint64_t revision, uint32_t limit);

/* Tickets of kv_site_lock: their TTL, and their holders, "h<token>". */
#define KV_SITE_LOCK_TTL_US (30 * SECOND_US)

/* The last command ended with this status. */
void kv_site_expect(const struct kv_site *site, enum kv_status status);
bool kv_site_has(struct kv_site *site, const char *key);
uint64_t kv_site_revision(const struct kv_site *site);
/* Records in a table. */
uint64_t kv_site_count(const struct kv_site *site, enum kv_table table);
/* The only output of the last command. */
struct kv_output kv_site_output(const struct kv_site *site);
/* The type of the event at a place. */
enum kv_event_type
kv_site_event(struct kv_site *site, uint64_t revision, uint32_t ordinal);
/* Who holds a lock; 0: it is free. */
uint64_t kv_site_holder(struct kv_site *site, const char *name);
struct kv_lease kv_site_lease(struct kv_site *site, uint64_t lease);

#endif
