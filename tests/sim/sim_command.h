#ifndef TESTS_SIM_COMMAND_H
#define TESTS_SIM_COMMAND_H

/*
 * What clients ask for beyond plain puts and deletes: everything that a command
 * can be, on few keys, with leases and locks that they hold, lose and forget.
 * What a client knows of its lease or lock comes from the answers.
 */

#include "common/buf.h"
#include "kv/kv_command.h"
#include "tests/sim/sim.h"

enum sim_intent_kind {
	SIM_INTENT_NONE,
	SIM_INTENT_SWAP,   /* put or delete, if the key is at a revision */
	SIM_INTENT_CHANGE, /* a transaction over some keys, or one operation */
	SIM_INTENT_TTL,    /* a put or touch with a lifetime */
	SIM_INTENT_COUNT,  /* increment */
	SIM_INTENT_SWEEP,  /* delete by prefix */
	SIM_INTENT_GRANT,
	SIM_INTENT_RENEW,
	SIM_INTENT_REVOKE,
	SIM_INTENT_LOCK,
	SIM_INTENT_UNLOCK
};

/* Why a command is sent, for the client that gets the answer. */
struct sim_intent {
	enum sim_intent_kind kind;
	bool identified;  /* it may be sent again */
	unsigned repeats; /* how often it was */
	uint64_t lease;
};

/* A client's lease, or a lock's token. */
struct sim_hold {
	uint64_t lease; /* 0: none */
	unsigned lock;  /* its number; 0: it is no token */
};

#define SIM_SHARED_KEYS 4
/* No lease, key or wait for a lock lasts longer. */
#define SIM_TTL_MAX UINT64_C(12000000)

struct sim_commander {
	struct sim_hold holds[SIM_CLIENTS_MAX];
	/* Revisions of the shared keys, as some client saw them last. */
	uint64_t seen[SIM_SHARED_KEYS];
	/* What each may send again: its last command of unknown outcome. */
	struct buf again[SIM_CLIENTS_MAX];
	struct sim_intent again_intent[SIM_CLIENTS_MAX];
	uint64_t identities_count;
};

void sim_commander_release(struct sim_commander *commander);

/* Appends a command of this client's. */
void sim_command_draw(struct sim *sim, unsigned client, struct buf *to,
    struct sim_intent *intent);

/* Likewise one that gives a key a lifetime of some seconds. */
void sim_command_outlast(struct sim *sim, unsigned client, struct buf *to,
    struct sim_intent *intent);

/* The client is told what came of its command. */
void sim_command_done(struct sim *sim, unsigned client,
    const struct sim_intent *intent, struct slice command,
    const struct kv_result *result);
/* It will never know, or was not answered; it may ask again. */
void sim_command_unknown(struct sim *sim, unsigned client,
    const struct sim_intent *intent, struct slice command);

#endif
