#include "node/node_recover.h"

#include "common/mem.h"
#include "common/panic.h"
#include "kv/kv.h"
#include "node/node_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct node_recover {
	struct store *log_store;
	struct store *data_store;
	struct node_identity identity;
	struct node_log *log;
	struct kv *kv;
	struct node_recover_report report;
};

/* ---- Reading ---- */

static int
check_stage(const struct node_identity *identity, char *why, size_t size)
{
	switch (identity->stage) {
	case NODE_STAGE_FOUNDING:
		snprintf(why, size,
		    "node %s waits to found cluster %s and holds nothing: "
		    "there is nothing to recover here; look on the others, or "
		    "start it",
		    identity->name, identity->cluster);
		return ERR_MISMATCH;
	case NODE_STAGE_JOINING:
		snprintf(why, size,
		    "node %s waits to be added to cluster %s and holds "
		    "nothing: there is nothing to recover here; look on the "
		    "members",
		    identity->name, identity->cluster);
		return ERR_MISMATCH;
	case NODE_STAGE_REMOVED:
		snprintf(why, size,
		    "node %s was removed from cluster %s, which went on "
		    "without it: look on the members that were left",
		    identity->name, identity->cluster);
		return ERR_MISMATCH;
	case NODE_STAGE_MEMBER:
	case NODE_STAGE_OUTDATED: break;
	}
	return 0;
}

static int
load_identity(struct node_recover *recover, char *why, size_t size)
{
	int error = node_identity_load(recover->log_store, &recover->identity);

	if (error == 0)
		return check_stage(&recover->identity, why, size);
	if (error == ERR_NOT_FOUND)
		snprintf(why, size,
		    "the directory was begun, but no node has been started in "
		    "it: there is nothing to recover");
	else if (error == ERR_VERSION)
		snprintf(why, size,
		    "this directory was written by another version of "
		    "luminousd: run that one");
	else
		snprintf(why, size, "identity: %s", err_text(error));
	return error;
}

/* The newest membership of the log, and its last term. */
static int
visit(void *context, const struct node_record *record, uint32_t size)
{
	struct node_recover *recover = context;
	struct node_recover_report *report = &recover->report;
	struct node_membership membership;
	int error;

	(void)size;
	report->last_term = record->term;
	if (record->type != RAFT_ENTRY_MEMBERS)
		return 0;
	error = node_membership_decode(record->payload, report->cluster_id,
	    &membership.members, &membership.roles);
	if (error != 0)
		return error;
	membership.roles.index = record->index;
	report->membership = membership;
	report->cluster_id_known = true;
	return 0;
}

static int
load_log(struct node_recover *recover, char *why, size_t size)
{
	struct node_recover_report *report = &recover->report;
	struct node_log_state state;
	raft_index bad;
	int error;

	error = node_log_open(recover->log_store, 0, &recover->log, why, size);
	if (error == 0)
		error = node_log_load(
		    recover->log, NULL, visit, recover, &bad, why, size);
	if (error != 0)
		return error;
	if (bad != 0) {
		snprintf(why, size,
		    "log entry %" PRIu64 " is damaged or missing: recover on "
		    "another member; or start this one, which cuts its log "
		    "there, stop it, and look again",
		    bad);
		return ERR_CORRUPT;
	}
	node_log_get_state(recover->log, &state);
	report->repair_until = state.repair_until;
	report->term = state.term;
	report->last_index = state.last_index;
	if (state.last_index == state.compacted_index)
		report->last_term = state.compacted_term;
	report->commit_index = state.commit_hint;
	return 0;
}

static int
check_data(const struct node_recover *recover, char *why, size_t size)
{
	raft_index applied = kv_applied_index(recover->kv);
	struct node_log_base base;
	struct node_log_base noted;
	struct node_log_state log;
	struct slice bytes;
	int error;

	node_log_get_state(recover->log, &log);
	if (applied < log.compacted_index || applied > log.last_index) {
		snprintf(why, size,
		    "the log holds entries %" PRIu64 " to %" PRIu64
		    " but the data ends at %" PRIu64
		    ": what was between is lost here; recover on another "
		    "member",
		    log.compacted_index + 1, log.last_index, applied);
		return ERR_CORRUPT;
	}
	if (applied == 0)
		return 0;
	error = kv_get_meta(recover->kv, NODE_BASE_META, &bytes);
	if (error == 0)
		error = node_base_decode(bytes, &noted);
	if (error == 0)
		error = node_log_get_base(recover->log, applied, &base);
	if (error == 0 && noted.index == base.index &&
	    noted.chain == base.chain)
		return 0;
	if (error != 0 && error != ERR_CORRUPT && error != ERR_NOT_FOUND) {
		snprintf(why, size, "entry %" PRIu64 ": %s", applied,
		    err_text(error));
		return error;
	}
	snprintf(why, size,
	    "log and data are not of the same history at entry %" PRIu64
	    ": put back a data-dir that is whole, or recover on another "
	    "member",
	    applied);
	return ERR_CORRUPT;
}

static int
load_data(struct node_recover *recover, node_recover_open_data_fn *open_data,
    void *context, char *why, size_t size)
{
	struct node_log_state log;
	int error;

	node_log_get_state(recover->log, &log);
	error = open_data(context, log.data_generation, &recover->data_store);
	if (error == 0)
		error = kv_open(recover->data_store, true, &recover->kv);
	if (error != 0) {
		snprintf(why, size, "data: %s", err_text(error));
		return error;
	}
	recover->report.applied_index = kv_applied_index(recover->kv);
	recover->report.revision = kv_revision(recover->kv);
	return check_data(recover, why, size);
}

/* Without one in the log, that of the state, or what it began with. */
static int
find_membership(struct node_recover *recover, char *why, size_t size)
{
	struct node_recover_report *report = &recover->report;
	const struct node_identity *identity = &recover->identity;
	static const uint8_t no_nonce[NODE_NONCE_SIZE];
	int error = 0;

	if (!report->cluster_id_known)
		error = node_stored_membership(recover->kv, recover->log,
		    report->cluster_id, &report->membership);
	if (error != 0 && error != ERR_NOT_FOUND) {
		snprintf(why, size, "membership: %s", err_text(error));
		return error;
	}
	if (error == 0)
		report->cluster_id_known = true;
	if (error == 0 &&
	    report->membership.roles.index >= identity->members_index)
		return 0;
	/* The log has not come to where this node joined. */
	node_identity_membership(identity, &report->membership);
	if (memcmp(identity->cluster_id, no_nonce, NODE_NONCE_SIZE) != 0) {
		memcpy(
		    report->cluster_id, identity->cluster_id, NODE_NONCE_SIZE);
		report->cluster_id_known = true;
	}
	return 0;
}

static int
load(struct node_recover *recover, node_recover_open_data_fn *open_data,
    void *context, char *why, size_t size)
{
	struct node_recover_report *report = &recover->report;
	const struct node_identity *identity = &recover->identity;
	int error;

	error = load_identity(recover, why, size);
	if (error != 0)
		return error;
	memcpy(report->cluster, identity->cluster, sizeof(report->cluster));
	memcpy(report->name, identity->name, sizeof(report->name));
	report->id = identity->id;
	report->generation = identity->generation;
	report->outdated = identity->stage == NODE_STAGE_OUTDATED;
	error = load_log(recover, why, size);
	if (error == 0)
		error = load_data(recover, open_data, context, why, size);
	if (error == 0)
		error = find_membership(recover, why, size);
	return error;
}

int
node_recover_open(struct node_recover **ret_recover, struct store *log,
    node_recover_open_data_fn *open_data, void *context, char *why, size_t size)
{
	struct node_recover *recover = mem_zalloc(1, sizeof(*recover));
	int error;

	recover->log_store = log;
	error = load(recover, open_data, context, why, size);
	if (error != 0) {
		node_recover_close(recover);
		return error;
	}
	*ret_recover = recover;
	return 0;
}

void
node_recover_close(struct node_recover *recover)
{
	if (recover == NULL)
		return;
	node_log_free(recover->log);
	kv_close(recover->kv);
	store_close(recover->data_store);
	free(recover);
}

const struct node_recover_report *
node_recover_get_report(const struct node_recover *recover)
{
	return &recover->report;
}

/* ---- Judging ---- */

bool
node_recover_is_whole(const struct node_recover_report *report)
{
	return report->repair_until <= report->last_index && !report->outdated;
}

static bool
votes(const struct raft_member *member)
{
	return member->role_old == RAFT_MEMBER_VOTER ||
	       member->role_new == RAFT_MEMBER_VOTER;
}

static bool
is_sole_voter(const struct node_recover_report *report)
{
	const struct raft_members *roles = &report->membership.roles;

	return roles->count == 1 && roles->member[0].id == report->id &&
	       votes(&roles->member[0]);
}

static int
check_seen(const struct node_recover_report *report,
    const struct node_recover_seen *seen, unsigned position, char *why,
    size_t size)
{
	const struct node_recover_seen *one = &seen[position];
	const struct node_member *member =
	    node_members_find_name(&report->membership.members, one->name);

	if (member == NULL || member->id == report->id) {
		snprintf(why, size, "--seen %s: %s", one->name,
		    member == NULL ? "no member is called so"
				   : "this is that node itself");
		return ERR_INVALID;
	}
	for (unsigned i = 0; i < position; i++) {
		if (strcmp(seen[i].name, one->name) == 0) {
			snprintf(
			    why, size, "--seen %s is given twice", one->name);
			return ERR_INVALID;
		}
	}
	if (one->term < report->last_term ||
	    (one->term == report->last_term &&
		one->index <= report->last_index))
		return 0;
	snprintf(why, size,
	    "the log of %s is newer (term %" PRIu64 ", entry %" PRIu64
	    "; here term %" PRIu64 ", entry %" PRIu64
	    "): recover on %s instead",
	    one->name, one->term, one->index, report->last_term,
	    report->last_index, one->name);
	return ERR_MISMATCH;
}

static bool
was_seen(const struct node_recover_report *report,
    const struct node_recover_seen *seen, unsigned count, raft_id id)
{
	const struct node_member *member =
	    node_members_find(&report->membership.members, id);

	if (id == report->id)
		return node_recover_is_whole(report);
	for (unsigned i = 0; i < count; i++) {
		if (strcmp(seen[i].name, member->name) == 0)
			return true;
	}
	return false;
}

static int
check_all_seen(const struct node_recover_report *report,
    const struct node_recover_seen *seen, unsigned count, char *why,
    size_t size)
{
	const struct raft_members *roles = &report->membership.roles;

	for (unsigned i = 0; i < roles->count; i++) {
		raft_id id = roles->member[i].id;
		const char *name;

		if (!votes(&roles->member[i]) ||
		    was_seen(report, seen, count, id))
			continue;
		name = node_members_find(&report->membership.members, id)->name;
		snprintf(why, size,
		    "nothing is said of %s, which votes: run luminousd "
		    "--recover there and give --seen %s=TERM:INDEX, or, if "
		    "its disk is lost, --accept-loss",
		    name, name);
		return ERR_INVALID;
	}
	return 0;
}

/* What lacks entries that it acknowledged does not say what is the last one. */
static int
check_whole(const struct node_recover_report *report, char *why, size_t size)
{
	if (node_recover_is_whole(report))
		return 0;
	if (report->outdated)
		snprintf(why, size,
		    "this directory is an old copy: recover on another member "
		    "or, if no other is left, --accept-loss");
	else
		snprintf(why, size,
		    "damage took entries %" PRIu64 " to %" PRIu64
		    " of this log: recover on another member or, if no other "
		    "is "
		    "left, --accept-loss",
		    report->last_index + 1, report->repair_until);
	return ERR_INVALID;
}

/* Could a majority have acknowledged what none of those seen holds? A joint
 * membership needs one of each half. */
static bool
may_lose(const struct node_recover_report *report,
    const struct node_recover_seen *seen, unsigned count)
{
	const struct raft_members *roles = &report->membership.roles;
	uint64_t unseen[RAFT_MEMBERS_MAX];

	for (unsigned i = 0; i < roles->count; i++)
		unseen[i] =
		    was_seen(report, seen, count, roles->member[i].id) ? 0 : 1;
	return raft_quorum_value(roles, unseen) == 1;
}

int
node_recover_check(const struct node_recover *recover,
    const struct node_recover_seen *seen, unsigned count, bool accept_loss,
    char *why, size_t size)
{
	const struct node_recover_report *report = &recover->report;
	int error = 0;

	if (is_sole_voter(report)) {
		snprintf(why, size,
		    "%s is the sole voter of cluster %s already (generation "
		    "%u): nothing is to be done; start it",
		    report->name, report->cluster, report->generation);
		return ERR_EXISTS;
	}
	for (unsigned i = 0; error == 0 && i < count; i++)
		error = check_seen(report, seen, i, why, size);
	if (error == 0 && !accept_loss)
		error = check_whole(report, why, size);
	if (error == 0 && !accept_loss)
		error = check_all_seen(report, seen, count, why, size);
	if (error != 0)
		return error;
	if (may_lose(report, seen, count))
		snprintf(why, size,
		    "writes that were acknowledged may be lost: those behind "
		    "entry %" PRIu64 " that only members hold which were not "
		    "seen, or that damage took",
		    report->last_index);
	else
		snprintf(why, size,
		    "no acknowledged write is lost, if what was given as "
		    "--seen is right");
	return 0;
}

/* ---- Forcing ---- */

static void
make_members(
    const struct node_recover *recover, struct node_members *ret_members)
{
	raft_id id = recover->report.id;
	const struct node_member *self =
	    node_members_find(&recover->report.membership.members, id);

	/* Who is being removed is in the list that it began with. */
	if (self == NULL)
		self = node_members_find(&recover->identity.members, id);
	ASSERT(self != NULL);
	*ret_members = (struct node_members){ .count = 0 };
	node_members_add(ret_members, self);
	memcpy(ret_members->member[0].directory, recover->identity.directory,
	    NODE_NONCE_SIZE);
}

/* In a term of its own, so that this log is newer than any other. */
static void
append_members(struct node_recover *recover, const struct node_members *members,
    const uint8_t cluster_id[NODE_NONCE_SIZE])
{
	struct raft_members roles;
	struct buf payload = { 0 };

	node_members_to_raft(members, &roles);
	node_membership_encode(&payload, cluster_id, members, &roles);
	node_log_append(recover->log, RAFT_ENTRY_MEMBERS,
	    recover->report.term + 1, 0, buf_slice(&payload));
	buf_release(&payload);
}

static int
write_all(struct node_recover *recover, struct store_txn *txn)
{
	raft_index index = recover->report.last_index + 1;
	const struct raft_op_persist persist = {
		.term = recover->report.term + 1,
		.vote = recover->report.id,
		.commit_index = recover->report.commit_index,
		.first = index,
		.last = index,
	};
	int error;

	error = node_log_write(recover->log, txn, &persist);
	if (error == 0)
		error = node_identity_write(txn, &recover->identity);
	return error;
}

int
node_recover_force(
    struct node_recover *recover, const uint8_t cluster_id[NODE_NONCE_SIZE])
{
	struct node_identity *identity = &recover->identity;
	struct store_txn *txn;
	int error;

	error = store_begin(recover->log_store, true, &txn);
	if (error != 0)
		return error;
	make_members(recover, &identity->members);
	append_members(recover, &identity->members, cluster_id);
	memcpy(identity->cluster_id, cluster_id, NODE_NONCE_SIZE);
	identity->stage = NODE_STAGE_MEMBER;
	identity->members_index = recover->report.last_index + 1;
	identity->generation = recover->report.generation + 1;
	error = write_all(recover, txn);
	if (error != 0) {
		store_abort(txn);
		return error;
	}
	return store_commit(txn);
}
