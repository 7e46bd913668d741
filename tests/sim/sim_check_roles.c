/* Who may act, by which membership, and what a leader believes of the others. */

#include "tests/sim/sim_check.h"
#include <inttypes.h>

/* By its own clock, and a little late. */
#define UNHEARD_TIMEOUTS_MAX 2

static struct sim_watch *
watch_of(struct sim *sim, const struct sim_node *node)
{
	return &sim->checks->watches[node->id];
}

/* ---- Who acts ---- */

/* Who knows that it is removed, or an old copy, says nothing any more. */
static void
check_not_gone(struct sim *sim, const struct sim_node *node)
{
	sim->counters.senders_checked++;
	if (node->state == NODE_REMOVED || node->state == NODE_OUTDATED)
		sim_fail(sim,
		    "node %" PRIu64 " is no member any more, and sends",
		    node->id);
}

/* By the newest membership on its disk, or, until that is committed, by the one
 * that is: whoever removes itself may have to lead for that (thesis 4.2.2). */
bool
sim_check_may_campaign(struct sim *sim, const struct sim_node *node)
{
	struct sim_watch *watch = watch_of(sim, node);
	raft_index committed = MIN(watch->commit_index, watch->log.last_index);

	return watch->members != NULL &&
	       (raft_members_voter(watch->members, node->member_id) ||
		   raft_members_voter(
		       sim_check_members_at(sim, &watch->log, committed),
		       node->member_id));
}

static void
check_candidate(struct sim *sim, const struct sim_node *node)
{
	if (!node->broken && !sim_check_may_campaign(sim, node))
		sim_fail(sim,
		    "node %" PRIu64 " campaigns, and does not vote itself",
		    node->id);
}

void
sim_check_sender(struct sim *sim, const struct sim_node *node,
    const struct raft_message *message)
{
	check_not_gone(sim, node);
	if (message->kind == RAFT_VOTE_REQUEST ||
	    message->kind == RAFT_PREVOTE_REQUEST)
		check_candidate(sim, node);
}

/* ---- Memberships ---- */

/* The next change begins when the last one is committed. */
static void
check_one_change(struct sim *sim, const struct sim_node *node)
{
	struct sim_log *log = &watch_of(sim, node)->log;
	raft_index index = sim->checks->committed.last_index + 1;
	unsigned count = 0;

	for (; index <= log->last_index; index++)
		count += sim_log_at(log, index)->membership != NULL;
	if (count > 1)
		sim_fail(sim,
		    "the log of node %" PRIu64
		    " has %u memberships that are not committed",
		    node->id, count);
}

/* The newest one in the log is in effect, also after a cut and a start. */
static void
check_in_effect(struct sim *sim, const struct sim_node *node,
    const struct raft_status *raft)
{
	const struct sim_watch *watch = watch_of(sim, node);

	if (node->broken || watch->members == NULL ||
	    raft->durable_index != raft->last_index ||
	    raft->last_index != watch->log.last_index)
		return;
	sim->counters.memberships_checked++;
	if (raft->members_index != watch->newest_members)
		sim_fail(sim,
		    "node %" PRIu64 " goes by the membership of entry %" PRIu64
		    ", and its log has one at %" PRIu64,
		    node->id, raft->members_index, watch->newest_members);
}

/* ---- A leader and its peers ---- */

static bool
is_heard(struct sim *sim, struct sim_node *node, const void *context)
{
	const struct sim_node *leader = context;
	const struct sim_watch *watch = watch_of(sim, leader);
	raft_usec since = MAX(watch->heard_at[node->id], watch->leads_since);

	return node == leader ||
	       sim_node_clock(leader, sim->now) - since <=
		   UNHEARD_TIMEOUTS_MAX * sim->config.raft.election_timeout;
}

/* Check quorum: nobody leads for long whom no quorum answers. */
static void
check_heard(struct sim *sim, const struct sim_node *node,
    const struct raft_status *raft)
{
	struct sim_watch *watch = watch_of(sim, node);
	const struct raft_members *members;

	/* By another membership it may need one whom it has not needed yet. */
	if (watch->role != RAFT_LEADER || watch->life_term != raft->term ||
	    watch->members_index != raft->members_index) {
		watch->leads_since = sim_node_clock(node, sim->now);
		return;
	}
	members = sim_check_members_of(sim, node, raft->members_index);
	if (members == NULL)
		return;
	sim->counters.quorums_checked++;
	if (!sim_check_quorum(sim, members, is_heard, node))
		sim_fail(sim,
		    "node %" PRIu64 " leads in term %" PRIu64
		    ", and has heard no quorum for %d election timeouts",
		    node->id, raft->term, UNHEARD_TIMEOUTS_MAX);
}

/* The peer's disk holds what the leader believes it does: the same entry. */
static void
check_match(struct sim *sim, const struct sim_node *node,
    const struct raft_status *raft, struct sim_node *peer)
{
	struct sim_watch *watch = watch_of(sim, node);
	struct sim_image *image = &watch_of(sim, peer)->image;
	struct raft_peer_status status;
	struct sim_entry entry;
	raft_index match;

	if (peer == node || peer->wiped || peer->broken ||
	    node_get_peer(node->node, peer->member_id, &status) != 0)
		return;
	match = status.match_index;
	if (match == 0 || match == watch->matched[peer->id])
		return;
	watch->matched[peer->id] = match;
	sim_image_load(image, peer);
	/* A later leader may have cut it since. */
	if (image->term > raft->term)
		return;
	sim->counters.matches_checked++;
	if (match > image->last_index ||
	    (match <= watch->log.last_index &&
		sim_image_entry(sim, image, match, &entry) &&
		entry.hash != sim_log_at(&watch->log, match)->hash))
		sim_fail(sim,
		    "node %" PRIu64 " believes that node %" PRIu64
		    " holds entry %" PRIu64 ", and its disk does not",
		    node->id, peer->id, match);
}

void
sim_check_roles(struct sim *sim, const struct sim_node *node,
    const struct raft_status *raft)
{
	check_one_change(sim, node);
	check_in_effect(sim, node, raft);
	if (raft->role != RAFT_LEADER)
		return;
	check_heard(sim, node, raft);
	for (raft_id id = 1; id <= sim->config.hosts_count; id++)
		check_match(sim, node, raft, sim_node_get(sim, id));
}
