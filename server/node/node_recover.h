#ifndef NODE_NODE_RECOVER_H
#define NODE_NODE_RECOVER_H

/*
 * The way out when a majority of the voters is lost for good: the directory of
 * one member, whose node is stopped, becomes that of the sole voter of a new
 * cluster. It gets a new random id, so that nobody of the old one is listened
 * to any more, whatever its terms and votes; others join as usual.
 *
 * What was acknowledged is lost if it was only on disks that are lost. It is
 * all there if this log is the newest, by the term of the last entry first and
 * its index second, of so many voters that no majority is without one of them:
 * hence the others' last entries are asked for.
 *
 * Pure: the stores come from the caller, who holds the directory's lock.
 */

#include "node/node_members.h"
#include "store/store.h"

struct node_recover;

/* What the directory holds. */
struct node_recover_report {
	char cluster[NODE_CLUSTER_SIZE_MAX + 1];
	char name[NODE_NAME_SIZE_MAX + 1];
	raft_id id;
	bool cluster_id_known;
	uint8_t cluster_id[NODE_NONCE_SIZE];
	uint32_t generation; /* how often the cluster was made */
	bool outdated;       /* an old copy: a newer one took part */
	raft_term term;
	raft_term last_term; /* of the last entry of the log */
	raft_index last_index;
	/* Beyond last_index: damage took what was in between. 0: nothing. */
	raft_index repair_until;
	raft_index commit_index; /* known here; may lag the truth */
	raft_index applied_index;
	uint64_t revision;
	/* In effect, by the newest entry of the log, be it committed or not. */
	struct node_membership membership;
};

/* Opens the data store of a generation; see node_host.open_data. */
typedef int node_recover_open_data_fn(
    void *context, uint64_t generation, struct store **ret_store);

/*
 * Reads and verifies log and state; changes nothing. `log` stays the caller's
 * and outlives it. ERR_NOT_FOUND: no node's directory. ERR_MISMATCH: it is of
 * a node that never was a member, or was removed. ERR_CORRUPT: damage, or not
 * all is there. ERR_VERSION; or the store's error. `why` says what was found.
 */
int node_recover_open(struct node_recover **ret_recover, struct store *log,
    node_recover_open_data_fn *open_data, void *context, char *why,
    size_t size) ATTR_MUST_CHECK;
void node_recover_close(struct node_recover *recover); /* NULL is fine */

const struct node_recover_report *
node_recover_get_report(const struct node_recover *recover);

/* Its last entry is that of all that it acknowledged: no damage took any, and
 * no newer copy of the directory is known to have gone on. */
bool node_recover_is_whole(const struct node_recover_report *report);

/* The last entry of another member, as its operator has seen it. */
struct node_recover_seen {
	char name[NODE_NAME_SIZE_MAX + 1];
	raft_term term;
	raft_index index;
};

/*
 * May the cluster be made anew from this directory? Every other voter has to
 * be among the `seen`, and the log whole; with `accept_loss`, not. ERR_INVALID:
 * a name that is no member's, or twice, or this node's, a voter that was not
 * seen, or entries that damage took;
 * ERR_MISMATCH: one of the seen has a newer log; ERR_EXISTS: this is the sole
 * voter already. `why` says so. 0: `why` says what may be lost.
 */
int node_recover_check(const struct node_recover *recover,
    const struct node_recover_seen *seen, unsigned count, bool accept_loss,
    char *why, size_t size) ATTR_MUST_CHECK;

/*
 * Makes it so, after such a check, in one durable commit: either nothing is
 * changed or all. Errors as of a store; then it must not be used any more.
 */
int node_recover_force(struct node_recover *recover,
    const uint8_t cluster_id[NODE_NONCE_SIZE]) ATTR_MUST_CHECK;

#endif
