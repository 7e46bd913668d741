#include "net/peer_impl.h"

#include "common/address.h"
#include "common/log.h"
#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* Who answers at an address? One connection, which ends with the answer. */
struct peers_probe {
	struct list link; /* in peers->probes */
	struct peer_dial dial;
	char address[NODE_ADDRESS_SIZE_MAX + 1];
	struct node_hello heard;
	uint64_t deadline_us;
	peers_probe_fn *fn;
	void *context;
};

static void
probe_free(struct peers_probe *probe)
{
	probe->dial.peers->probes_count--;
	list_remove(&probe->link);
	peer_dial_release(&probe->dial);
	free(probe);
}

void
peer_probes_release(struct peers *peers)
{
	struct list *node;
	struct list *following;

	LIST_EACH_SAFE(node, following, &peers->probes)
		probe_free(CONTAINER_OF(node, struct peers_probe, link));
}

int
peers_probe(struct peers *peers, const char *address, uint64_t deadline_us,
    peers_probe_fn *fn, void *context, struct peers_probe **ret_probe)
{
	struct peers_probe *probe;
	struct address parsed;

	if (strlen(address) > NODE_ADDRESS_SIZE_MAX ||
	    address_parse(slice_from_text(address), &parsed) != 0)
		return ERR_INVALID;
	if (peers->probes_count >= PEER_PROBES_MAX)
		return ERR_BUSY;
	probe = mem_zalloc(1, sizeof(*probe));
	(void)snprintf(probe->address, sizeof(probe->address), "%s", address);
	probe->deadline_us =
	    MIN(deadline_us, loop_now(peers->loop) + PEER_PROBE_TIMEOUT_US);
	probe->fn = fn;
	probe->context = context;
	list_push(&peers->probes, &probe->link);
	peers->probes_count++;
	peer_dial_init_probe(
	    &probe->dial, peers, probe->address, &probe->heard);
	peer_dial_begin(&probe->dial);
	*ret_probe = probe;
	return 0;
}

void
peers_probe_cancel(struct peers *peers, struct peers_probe *probe)
{
	(void)peers; /* the probe knows where it is */
	probe_free(probe);
}

/* ---- How it ended ---- */

/* What the log says of those that did not prove themselves. */
static const char *
reason_of(const struct peers_probe *probe)
{
	const struct peer_dial *dial = &probe->dial;

	if (dial->refused)
		return "nobody listens there";
	switch (dial->error) {
	case ERR_CLOSED: return "the connection failed";
	case ERR_TIMEOUT: return "it does not answer in time";
	case ERR_DENIED: return "it does not know the cluster secret";
	case ERR_VERSION:
		return "it speaks another version of the peers' protocol";
	case ERR_INVALID: return "it is no Luminous node";
	default: return dial->reason;
	}
}

/* A line a second, as for strangers: clients can ask for many. */
static void
report(const struct peers_probe *probe)
{
	struct peers *peers = probe->dial.peers;
	uint64_t now_us = loop_now(peers->loop);

	if (now_us < peers->probe_logged_until_us)
		return;
	peers->probe_logged_until_us = now_us + PEER_STRANGER_LOG_US;
	log_notice(
	    "asked %s who is there: %s", probe->address, reason_of(probe));
}

/* A sentence for the operator. */
static void
explain(const struct peers_probe *probe, char why[2 * PEER_REASON_SIZE])
{
	const struct peer_dial *dial = &probe->dial;
	const size_t size = 2 * PEER_REASON_SIZE;

	if (dial->error == ERR_UNSUPPORTED)
		(void)snprintf(why, size,
		    "%s is not asked: there is no cluster secret",
		    dial->address);
	else if (dial->proved && dial->error == ERR_MISMATCH)
		(void)snprintf(why, size, "the node at %s says: %s",
		    dial->address, dial->reason);
	else
		(void)snprintf(why, size,
		    "no luminousd that knows the cluster secret answers at %s; "
		    "the log of the leader says more",
		    dial->address);
}

static void
end(struct peers_probe *probe)
{
	char why[2 * PEER_REASON_SIZE];
	bool succeeded = probe->dial.state == PEER_DIAL_OPEN;
	struct node_hello heard = probe->heard;
	peers_probe_fn *fn = probe->fn;
	void *context = probe->context;
	int error = probe->dial.error;

	if (error == ERR_CLOSED && !probe->dial.reached)
		error = ERR_NOT_FOUND;
	if (!succeeded) {
		explain(probe, why);
		report(probe);
	}
	/* Its place is free for what `fn` may ask. */
	probe_free(probe);
	if (succeeded)
		fn(context, &heard, 0, NULL);
	else
		fn(context, NULL, error, why);
}

static bool
has_ended(const struct peers_probe *probe)
{
	return probe->dial.state == PEER_DIAL_OPEN ||
	       probe->dial.state == PEER_DIAL_FAILED;
}

/* ---- Time ---- */

uint64_t
peer_probes_deadline(const struct peers *peers)
{
	uint64_t deadline_us = UINT64_MAX;
	struct list *node;

	LIST_EACH(node, &peers->probes) {
		const struct peers_probe *probe =
		    CONTAINER_OF(node, struct peers_probe, link);

		deadline_us = MIN(deadline_us, probe->deadline_us);
		deadline_us =
		    MIN(deadline_us, peer_dial_deadline(&probe->dial));
	}
	return deadline_us;
}

void
peer_probes_expire(struct peers *peers, uint64_t now_us)
{
	struct list ended;
	struct list *node;
	struct list *following;

	/* Set apart, since `fn` may cancel others. */
	list_init(&ended);
	LIST_EACH_SAFE(node, following, &peers->probes) {
		struct peers_probe *probe =
		    CONTAINER_OF(node, struct peers_probe, link);

		peer_dial_expire(&probe->dial, now_us);
		if (!has_ended(probe) && now_us >= probe->deadline_us)
			peer_dial_fail(&probe->dial, ERR_TIMEOUT,
			    "it does not answer in time");
		if (!has_ended(probe))
			continue;
		list_remove(node);
		list_push(&ended, node);
	}
	while (!list_empty(&ended))
		end(CONTAINER_OF(ended.next, struct peers_probe, link));
}
