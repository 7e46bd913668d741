#include "tests/sim/sim_command.h"

#include "tests/sim/sim_client.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define MS          UINT64_C(1000)
#define KEY_SIZE    24
#define LOCKS_COUNT 2
#define AGAIN_MAX   3
/* Of those with an identity, those that are sent once more although they were answered. */
#define DOUBLE_PPM 50000
/* A holder of a lease or lock that is never heard of again. */
#define FORGET_PPM 100000

/* What the slices of a command being made point to. */
struct draft {
	char key[KEY_SIZE];
	char other[KEY_SIZE];
	char value[64];
	char identity[24];
};

static struct rng *
rng_of(struct sim *sim)
{
	return &sim->rng[SIM_RNG_CLIENT];
}

static uint64_t
below(struct sim *sim, uint64_t bound)
{
	return rng_below(rng_of(sim), bound);
}

void
sim_commander_release(struct sim_commander *commander)
{
	for (unsigned i = 0; i < SIM_CLIENTS_MAX; i++)
		buf_release(&commander->again[i]);
}

/* ---- Parts ---- */

static unsigned
draw_shared(struct sim *sim, char to[KEY_SIZE])
{
	unsigned number = (unsigned)below(sim, SIM_SHARED_KEYS);

	snprintf(to, KEY_SIZE, "t/%u", number);
	return number;
}

/* Unique, so that a value tells who wrote it. */
static struct slice
draw_value(struct sim *sim, struct draft *draft)
{
	snprintf(draft->value, sizeof(draft->value), "v%" PRIu64,
	    ++sim->clients->values_count);
	return slice_from_text(draft->value);
}

static uint64_t
draw_ttl(struct sim *sim)
{
	if (below(sim, 16) == 0)
		return rng_between(rng_of(sim), KV_TTL_US_MIN, SIM_TTL_MAX);
	return rng_between(rng_of(sim), KV_TTL_US_MIN,
	    (UINT64_C(1) << below(sim, 5)) * 200 * MS);
}

static const struct kv_identity *
draw_identity(struct sim *sim, struct draft *draft, struct sim_intent *intent,
    struct kv_identity *identity)
{
	intent->identified = sim_chance(rng_of(sim), sim->config.identity_ppm);
	if (!intent->identified)
		return NULL;
	snprintf(draft->identity, sizeof(draft->identity), "id-%" PRIu64,
	    ++sim->clients->commander.identities_count);
	identity->key = slice_from_text(draft->identity);
	identity->digest = sim->clients->commander.identities_count;
	return identity;
}

/* ---- Commands ---- */

struct order {
	struct sim *sim;
	unsigned client;
	struct buf *to;
	struct sim_intent *intent;
	const struct kv_identity *identity;
	struct draft *draft;
};

static void
make_put(struct order *order, struct kv_op *op)
{
	*op = (struct kv_op){
		.kind = KV_PUT,
		.key = slice_from_text(order->draft->key),
		.value = draw_value(order->sim, order->draft),
		.previous = below(order->sim, 4) == 0,
		.content_type = (enum kv_content_type)below(
		    order->sim, KV_CONTENT_TYPES_COUNT),
	};
}

static void
encode_swap(struct order *order)
{
	unsigned number = draw_shared(order->sim, order->draft->key);
	const struct kv_condition condition = {
		.key = slice_from_text(order->draft->key),
		.target = KV_TARGET_MODIFIED,
		.relation = KV_EQUAL,
		.number = order->sim->clients->commander.seen[number],
	};
	struct kv_op op;

	make_put(order, &op);
	if (below(order->sim, 5) == 0)
		op = (struct kv_op){ .kind = KV_DELETE, .key = op.key };
	kv_encode_transaction(order->to, order->identity);
	kv_encode_condition(order->to, &condition);
	kv_encode_op(order->to, KV_THEN, &op);
}

/* One of the operations of a transaction. */
static void
encode_op(struct order *order, enum kv_branch branch)
{
	static const enum kv_op_kind kinds[] = { KV_PUT, KV_PUT, KV_GET, KV_GET,
		KV_DELETE, KV_COPY, KV_MOVE, KV_APPEND, KV_LIST };
	struct kv_op op;

	(void)draw_shared(order->sim, order->draft->key);
	(void)draw_shared(order->sim, order->draft->other);
	make_put(order, &op);
	op.kind = kinds[below(order->sim, ARRAY_COUNT(kinds))];
	op.previous = op.previous && op.kind == KV_PUT;
	if (op.kind != KV_PUT)
		op.content_type = KV_CONTENT_NONE;
	if (op.kind != KV_PUT && op.kind != KV_APPEND)
		op.value = slice_of(NULL, 0);
	if (op.kind == KV_COPY || op.kind == KV_MOVE || op.kind == KV_LIST)
		op.other = slice_from_text(order->draft->other);
	if (op.kind == KV_APPEND)
		op.size_max = 200;
	if (op.kind == KV_COPY || op.kind == KV_MOVE || op.kind == KV_APPEND)
		op.lifetime = KV_LIFETIME_KEEP;
	kv_encode_op(order->to, branch, &op);
}

static void
encode_change(struct order *order)
{
	unsigned number = draw_shared(order->sim, order->draft->key);
	const struct kv_condition condition = {
		.key = slice_from_text(order->draft->key),
		.target = KV_TARGET_MODIFIED,
		.relation = KV_LESS_OR_EQUAL,
		.number = order->sim->clients->commander.seen[number],
	};
	bool conditional = below(order->sim, 3) == 0;

	kv_encode_transaction(order->to, order->identity);
	if (conditional)
		kv_encode_condition(order->to, &condition);
	for (uint64_t i = rng_between(rng_of(order->sim), 1, 3); i > 0; i--)
		encode_op(order, KV_THEN);
	if (conditional && below(order->sim, 2) == 0)
		encode_op(order, KV_ELSE);
}

/* With a TTL, or on the client's lease if it has one. */
static void
encode_lasting(struct order *order)
{
	const struct sim_hold *hold =
	    &order->sim->clients->commander.holds[order->client];
	struct kv_op op;

	(void)draw_shared(order->sim, order->draft->key);
	make_put(order, &op);
	if (below(order->sim, 4) == 0)
		op = (struct kv_op){ .kind = KV_TOUCH, .key = op.key };
	op.lifetime = KV_LIFETIME_TTL;
	op.ttl_us = draw_ttl(order->sim);
	if (hold->lease != 0 && below(order->sim, 2) == 0) {
		op.lifetime = KV_LIFETIME_LEASE;
		op.ttl_us = 0;
		op.lease = hold->lease;
		order->intent->lease = hold->lease;
	}
	kv_encode_transaction(order->to, order->identity);
	kv_encode_op(order->to, KV_THEN, &op);
}

static void
encode_count(struct order *order)
{
	const struct kv_op op = {
		.kind = KV_INCREMENT,
		.key = slice_from_text("n/0"),
		.by = (int64_t)below(order->sim, 5) - 1,
	};

	kv_encode_transaction(order->to, order->identity);
	kv_encode_op(order->to, KV_THEN, &op);
}

/* All children, or all shared keys; or one more child. */
static void
encode_sweep(struct order *order)
{
	struct kv_op op = {
		.kind = KV_CREATE_CHILD,
		.key = slice_from_text("q/"),
		.value = draw_value(order->sim, order->draft),
	};

	if (below(order->sim, 3) == 0)
		op = (struct kv_op){
			.kind = KV_DELETE_RANGE,
			.key = slice_from_text("q/"),
			.other = slice_from_text("q0"),
			.limit = (uint32_t)below(order->sim, 4),
		};
	else if (below(order->sim, 4) == 0)
		op = (struct kv_op){
			.kind = KV_DELETE_RANGE,
			.key = slice_from_text("t/"),
			.other = slice_from_text("t0"),
		};
	kv_encode_transaction(order->to, order->identity);
	kv_encode_op(order->to, KV_THEN, &op);
}

static void
encode_lock(struct order *order)
{
	unsigned number =
	    (unsigned)rng_between(rng_of(order->sim), 1, LOCKS_COUNT);
	struct kv_lock_request request = {
		.holder = slice_from_text("someone"),
		.token = order->intent->lease,
		.ttl_us = draw_ttl(order->sim),
		.wait_us = below(order->sim, 3) == 0 ? 0 : draw_ttl(order->sim),
	};
	struct sim_hold *hold =
	    &order->sim->clients->commander.holds[order->client];

	snprintf(order->draft->key, KEY_SIZE, "lock-%u", number);
	request.name = slice_from_text(order->draft->key);
	*hold = (struct sim_hold){ .lease = request.token, .lock = number };
	kv_encode_lock(order->to, order->identity, &request);
}

/* Who has none asks for a lease or a lock; who has one, renews or ends it. */
static void
encode_hold(struct order *order)
{
	struct sim_hold *hold =
	    &order->sim->clients->commander.holds[order->client];
	uint64_t choice = below(order->sim, 10);

	if (hold->lease != 0 && sim_chance(rng_of(order->sim), FORGET_PPM))
		*hold = (struct sim_hold){ 0 };
	order->intent->lease = hold->lease;
	if (hold->lease == 0)
		order->intent->lease = rng_next(rng_of(order->sim)) | 1;
	if (hold->lease == 0 && choice < 6) {
		order->intent->kind = SIM_INTENT_LOCK;
		encode_lock(order);
	} else if (hold->lease == 0) {
		order->intent->kind = SIM_INTENT_GRANT;
		hold->lease = order->intent->lease;
		kv_encode_grant(order->to, order->identity, hold->lease,
		    draw_ttl(order->sim));
	} else if (choice < 5) {
		order->intent->kind = SIM_INTENT_RENEW;
		kv_encode_renew(order->to, order->identity, hold->lease);
	} else if (hold->lock == 0) {
		order->intent->kind = SIM_INTENT_REVOKE;
		kv_encode_revoke(order->to, order->identity, hold->lease);
	} else {
		order->intent->kind = SIM_INTENT_UNLOCK;
		snprintf(order->draft->key, KEY_SIZE, "lock-%u", hold->lock);
		kv_encode_unlock(order->to, order->identity,
		    slice_from_text(order->draft->key), hold->lease);
	}
}

static void
encode_any(struct order *order)
{
	static const struct {
		enum sim_intent_kind kind;
		void (*encode)(struct order *order);
	} kinds[] = {
		{ SIM_INTENT_SWAP, encode_swap },
		{ SIM_INTENT_SWAP, encode_swap },
		{ SIM_INTENT_CHANGE, encode_change },
		{ SIM_INTENT_CHANGE, encode_change },
		{ SIM_INTENT_TTL, encode_lasting },
		{ SIM_INTENT_TTL, encode_lasting },
		{ SIM_INTENT_COUNT, encode_count },
		{ SIM_INTENT_SWEEP, encode_sweep },
		{ SIM_INTENT_NONE, encode_hold },
		{ SIM_INTENT_NONE, encode_hold },
		{ SIM_INTENT_NONE, encode_hold },
	};
	uint64_t number = below(order->sim, ARRAY_COUNT(kinds));

	order->intent->kind = kinds[number].kind;
	kinds[number].encode(order);
}

static bool
repeat(
    struct sim *sim, unsigned client, struct buf *to, struct sim_intent *intent)
{
	struct sim_commander *commander = &sim->clients->commander;
	struct buf *again = &commander->again[client];

	if (again->size == 0)
		return false;
	buf_append_slice(to, buf_slice(again));
	buf_reset(again);
	*intent = commander->again_intent[client];
	intent->repeats++;
	sim->counters.commands_repeated++;
	return true;
}

void
sim_command_draw(
    struct sim *sim, unsigned client, struct buf *to, struct sim_intent *intent)
{
	struct draft draft;
	struct kv_identity identity;
	struct order order = {
		.sim = sim,
		.client = client,
		.to = to,
		.intent = intent,
		.draft = &draft,
	};

	if (repeat(sim, client, to, intent))
		return;
	*intent = (struct sim_intent){ 0 };
	order.identity = draw_identity(sim, &draft, intent, &identity);
	encode_any(&order);
}

void
sim_command_outlast(
    struct sim *sim, unsigned client, struct buf *to, struct sim_intent *intent)
{
	struct draft draft = { .key = "t/0" };
	struct order order = { .sim = sim, .client = client, .draft = &draft };
	struct kv_op op;

	*intent = (struct sim_intent){ .kind = SIM_INTENT_TTL };
	make_put(&order, &op);
	op.lifetime = KV_LIFETIME_TTL;
	op.ttl_us = rng_between(rng_of(sim), SIM_TTL_MAX / 4, SIM_TTL_MAX);
	kv_encode_transaction(to, NULL);
	kv_encode_op(to, KV_THEN, &op);
}

/* ---- Answers ---- */

static void
note_seen(struct sim *sim, const struct kv_output *output)
{
	unsigned number;

	if (output->key.size != 3 || memcmp(output->key.data, "t/", 2) != 0)
		return;
	number = (unsigned)(output->key.data[2] - '0');
	if (number < SIM_SHARED_KEYS && output->kind != KV_OUTPUT_DELETED)
		sim->clients->commander.seen[number] = output->modified;
}

static void
count_result(struct sim *sim, const struct sim_intent *intent,
    const struct kv_result *result)
{
	struct sim_counters *counters = &sim->counters;
	bool good = result->status == KV_OK;

	counters->results_replayed += result->replayed;
	counters->swaps += intent->kind == SIM_INTENT_SWAP && good;
	counters->swaps_failed += result->status == KV_CONDITION_FAILED;
	counters->transactions += intent->kind == SIM_INTENT_CHANGE && good;
	counters->transactions_failed +=
	    intent->kind == SIM_INTENT_CHANGE && !good;
	counters->increments += intent->kind == SIM_INTENT_COUNT && good;
	counters->leases_granted += intent->kind == SIM_INTENT_GRANT && good;
	counters->leases_renewed += intent->kind == SIM_INTENT_RENEW && good;
	counters->leases_revoked += intent->kind == SIM_INTENT_REVOKE && good;
	counters->leases_missed += result->status == KV_LEASE_NOT_FOUND;
	counters->locks_taken +=
	    intent->kind == SIM_INTENT_LOCK && result->succeeded;
	counters->locks_waited_for +=
	    intent->kind == SIM_INTENT_LOCK && good && !result->succeeded;
	counters->locks_refused += result->status == KV_LOCK_HELD;
	counters->locks_released += intent->kind == SIM_INTENT_UNLOCK && good;
}

/* Is what it holds gone by now? */
static void
note_hold(struct sim_hold *hold, const struct sim_intent *intent,
    const struct kv_result *result)
{
	if (hold->lease != intent->lease)
		return;
	if (intent->kind == SIM_INTENT_REVOKE ||
	    intent->kind == SIM_INTENT_UNLOCK ||
	    (result->status != KV_OK && result->status != KV_LEASE_EXISTS))
		*hold = (struct sim_hold){ 0 };
}

static void
keep_again(struct sim *sim, unsigned client, const struct sim_intent *intent,
    struct slice command)
{
	struct sim_commander *commander = &sim->clients->commander;

	if (!intent->identified || intent->repeats >= AGAIN_MAX)
		return;
	buf_reset(&commander->again[client]);
	buf_append_slice(&commander->again[client], command);
	commander->again_intent[client] = *intent;
}

void
sim_command_done(struct sim *sim, unsigned client,
    const struct sim_intent *intent, struct slice command,
    const struct kv_result *result)
{
	struct slice outputs = result->outputs;
	struct kv_output output;

	count_result(sim, intent, result);
	while (kv_output_next(&outputs, &output) == 0)
		note_seen(sim, &output);
	if (intent->lease != 0)
		note_hold(
		    &sim->clients->commander.holds[client], intent, result);
	if (sim_chance(rng_of(sim), DOUBLE_PPM))
		keep_again(sim, client, intent, command);
}

void
sim_command_unknown(struct sim *sim, unsigned client,
    const struct sim_intent *intent, struct slice command)
{
	keep_again(sim, client, intent, command);
}
