#include "tests/torture/check.h"

#include "common/mem.h"
#include <inttypes.h>
#include <stdlib.h>

/*
 * Locks and lifetimes. A lease lives for its whole TTL from the call of what
 * granted or renewed it last, as the servers' time begins no earlier; one that
 * is given back, perhaps, lives no longer for sure.
 */

/* Operations that are about a lease, by lease, then by call. */
struct leases {
	struct check *check;
	const struct check_op **ops;
	size_t count;
	const struct check_op **touches; /* by call */
	size_t touches_count;
};

static int
compare_leases(const void *a, const void *b)
{
	const struct check_op *x = *(const struct check_op *const *)a;
	const struct check_op *y = *(const struct check_op *const *)b;

	if (x->lease != y->lease)
		return x->lease < y->lease ? -1 : 1;
	if (x->call != y->call)
		return x->call < y->call ? -1 : 1;
	return (x->line > y->line) - (x->line < y->line);
}

static void
leases_init(struct leases *leases, struct check *check)
{
	*leases = (struct leases){
		.check = check,
		.ops = mem_zalloc(
		    check->ops_count + 1, sizeof(const struct check_op *)),
		.touches = mem_zalloc(
		    check->ops_count + 1, sizeof(const struct check_op *)),
	};
	for (size_t i = 0; i < check->ops_count; i++) {
		const struct check_op *op = &check->ops[i];

		if (op->lease != 0 && !op->again)
			leases->ops[leases->count++] = op;
		if (op->kind == CHECK_TOUCH)
			leases->touches[leases->touches_count++] = op;
	}
	qsort(
	    leases->ops, leases->count, sizeof(leases->ops[0]), compare_leases);
}

static void
leases_release(struct leases *leases)
{
	free(leases->ops);
	free(leases->touches);
}

static size_t
first_of(const struct leases *leases, check_text lease)
{
	size_t low = 0;
	size_t high = leases->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (leases->ops[middle]->lease < lease)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool
prolongs(const struct check_op *op)
{
	return op->status == CHECK_OK && op->done &&
	       (op->kind == CHECK_LEASE || op->kind == CHECK_LOCK ||
		   op->kind == CHECK_RENEW);
}

/*
 * Until when the lease lives at least, by what was answered before `now`; 0:
 * that is not known, or it may have been given back.
 */
static uint64_t
lives_until(const struct leases *leases, check_text lease, uint64_t now)
{
	uint64_t ttl_ns = 0;
	uint64_t until = 0;

	for (size_t i = first_of(leases, lease);
	     i < leases->count && leases->ops[i]->lease == lease; i++) {
		const struct check_op *op = leases->ops[i];

		if ((op->kind == CHECK_REVOKE || op->kind == CHECK_UNLOCK) &&
		    op->status != CHECK_FAIL)
			until = MIN(until, op->call);
		if (!prolongs(op) || op->ret > now)
			continue;
		if (op->kind != CHECK_RENEW)
			ttl_ns = op->ttl_ns;
		until = MAX(until, op->call + ttl_ns);
	}
	return until;
}

/* ---- Answers that say that a lease is over ---- */

static void
check_lost(const struct leases *leases)
{
	for (size_t i = 0; i < leases->count; i++) {
		const struct check_op *op = leases->ops[i];
		uint64_t until;

		if (op->status != CHECK_OK || op->done)
			continue;
		until = lives_until(leases, op->lease, op->call);
		if (op->ret < until)
			check_fail(leases->check, op, NULL,
			    "its lease is gone %" PRIu64 " us early",
			    (until - op->ret) / 1000);
	}
}

/* ---- Keys that expired ---- */

/* A time before which a key may not go, if `op` gave it its lifetime; 0: it
 * says nothing; CHECK_NEVER: it goes never. */
static uint64_t
bound_of(const struct leases *leases, const struct check_op *op, uint64_t now)
{
	if (op->lease != 0)
		return lives_until(leases, op->lease, now);
	return op->ttl_ns == 0 ? CHECK_NEVER : op->call + op->ttl_ns;
}

/* May it have come behind this put, and before another? Its answer tells which
 * version it found. */
static bool
is_touch(const struct check_op *op, const struct check_change *put)
{
	return op->key == put->item.key &&
	       (op->status == CHECK_INFO ||
		   (op->status == CHECK_OK && op->done &&
		       op->created == put->item.created &&
		       op->version == put->item.version));
}

/*
 * The earliest end that any touch may have left the key with, of those that no
 * later one replaced for sure.
 */
static uint64_t
bound_with_touches(
    const struct leases *leases, const struct check_change *put, uint64_t now)
{
	uint64_t bound = bound_of(leases, put->by, now);
	uint64_t latest = 0; /* call of the last that is known */

	for (size_t i = 0; i < leases->touches_count; i++) {
		const struct check_op *op = leases->touches[i];

		if (op->call > now)
			break;
		if (is_touch(op, put) && op->status == CHECK_OK)
			latest = op->call;
	}
	if (put->by->ret < latest)
		bound = CHECK_NEVER;
	for (size_t i = 0; i < leases->touches_count; i++) {
		const struct check_op *op = leases->touches[i];

		if (op->call > now)
			break;
		if (is_touch(op, put) && op->ret >= latest)
			bound = MIN(bound, op->call + op->ttl_ns);
	}
	return bound;
}

static void
check_expired(const struct leases *leases, const struct check_change *change)
{
	struct check *check = leases->check;
	uint64_t revision = change->item.revision;
	const struct check_change *put =
	    check_state(check, change->item.key, revision - 1);
	const struct check_sight *sight = check_first_sight(check, revision);
	uint64_t bound;

	if (put == NULL || put->by == NULL || sight == NULL)
		return; /* which is wrong, and was said */
	check->expired++;
	bound = bound_with_touches(leases, put, sight->at);
	if (bound == CHECK_NEVER)
		check_fail(check, put->by, sight->op,
		    "%s expires at revision %" PRIu64 ", and has no lifetime",
		    check_text_show(check, change->item.key), revision);
	else if (sight->at < bound)
		check_fail(check, put->by, sight->op,
		    "%s expires at revision %" PRIu64 ", %" PRIu64 " us early",
		    check_text_show(check, change->item.key), revision,
		    (bound - sight->at) / 1000);
}

void
check_lifetimes(struct check *check)
{
	struct leases leases;

	leases_init(&leases, check);
	check_lost(&leases);
	for (size_t i = 0; i < check->changes_count; i++) {
		if (check->changes[i].type == CHECK_LINE_EXPIRE)
			check_expired(&leases, &check->changes[i]);
	}
	leases_release(&leases);
}

/* ---- Locks ---- */

/* One time that a lock was held. */
struct holding {
	const struct check_op *op;
	const struct check_op *proof; /* last one that it was held; NULL */
};

static int
compare_holdings(const void *a, const void *b)
{
	const struct check_op *x = ((const struct holding *)a)->op;
	const struct check_op *y = ((const struct holding *)b)->op;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	if (x->revision != y->revision)
		return x->revision < y->revision ? -1 : 1;
	return (x->line > y->line) - (x->line < y->line);
}

/* The last answer that only who holds the lock can have got. */
static const struct check_op *
find_proof(const struct leases *leases, const struct check_op *lock)
{
	const struct check_op *proof = NULL;

	for (size_t i = first_of(leases, lock->lease);
	     i < leases->count && leases->ops[i]->lease == lock->lease; i++) {
		const struct check_op *op = leases->ops[i];

		if (op != lock && op->status == CHECK_OK && op->done &&
		    (proof == NULL || op->revision >= proof->revision))
			proof = op;
	}
	return proof;
}

/* `next` came to hold it after `holding`, by its fence. */
static void
check_succession(const struct leases *leases, const struct holding *holding,
    const struct check_op *next)
{
	struct check *check = leases->check;
	const struct check_op *op = holding->op;
	uint64_t until = lives_until(leases, op->lease, next->call);

	if (op->revision == next->revision || op->lease == next->lease)
		check_fail(check, op, next, "two hold it with one fence");
	/* Who gives it back does so at the next one's fence, at the latest. */
	if (holding->proof != NULL &&
	    holding->proof->revision >=
		next->revision + (holding->proof->kind == CHECK_UNLOCK))
		check_fail(check, holding->proof, next,
		    "it is held by two at revision %" PRIu64, next->revision);
	if (next->call > op->ret && next->ret < until)
		check_fail(check, op, next,
		    "it is taken over %" PRIu64 " us early",
		    (until - next->ret) / 1000);
}

/* What `holder` says against who was there by then. */
static void
check_holder(struct check *check, const struct check_op *op,
    const struct holding *holdings, size_t count)
{
	const struct holding *last = NULL;

	for (size_t i = 0; i < count; i++) {
		if (holdings[i].op->key == op->key &&
		    holdings[i].op->revision <= op->revision)
			last = &holdings[i];
	}
	if (last == NULL)
		return;
	if (op->out == 0
		? last->proof != NULL && last->proof->kind != CHECK_UNLOCK &&
		      last->proof->revision > op->revision
		: op->fence < last->op->revision)
		check_fail(check, op, last->op,
		    "at revision %" PRIu64 " it was not the holder",
		    op->revision);
	if (op->fence == last->op->revision && op->out != last->op->value)
		check_fail(check, op, last->op, "the holder has another name");
}

static void
check_fence(struct check *check, const struct check_op *op)
{
	size_t count;
	const struct check_change *changes =
	    check_log_at(check, op->revision, &count);

	if (count != 0 && changes[0].by != NULL &&
	    changes[0].by->status == CHECK_OK &&
	    check_op_is_write(changes[0].by))
		check_fail(check, op, changes[0].by,
		    "a fence is the revision of a write");
}

void
check_locks(struct check *check)
{
	struct holding *holdings =
	    mem_zalloc(check->ops_count + 1, sizeof(holdings[0]));
	struct leases leases;
	size_t count = 0;

	leases_init(&leases, check);
	for (size_t i = 0; i < check->ops_count; i++) {
		const struct check_op *op = &check->ops[i];

		if (op->kind != CHECK_LOCK || op->status != CHECK_OK ||
		    !op->done)
			continue;
		holdings[count++] =
		    (struct holding){ op, find_proof(&leases, op) };
		check_fence(check, op);
	}
	qsort(holdings, count, sizeof(holdings[0]), compare_holdings);
	for (size_t i = 1; i < count; i++) {
		if (holdings[i].op->key == holdings[i - 1].op->key)
			check_succession(
			    &leases, &holdings[i - 1], holdings[i].op);
	}
	for (size_t i = 0; i < check->ops_count; i++) {
		if (check->ops[i].kind == CHECK_HOLDER &&
		    check->ops[i].status == CHECK_OK)
			check_holder(check, &check->ops[i], holdings, count);
	}
	free(holdings);
	leases_release(&leases);
}
