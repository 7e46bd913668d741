/* The loop: wait, run callbacks, take the turn, flush, say what changed. */

#include "server_impl.h"

#include "common/log.h"

#include <stdio.h>
#include <string.h>

/* How often it is looked whether the status has changed. */
#define STATUS_INTERVAL_US 1000000
/* How often a part of a removed data store is given back: 80 MB/s. */
#define TRASH_INTERVAL_US 100000
/* After SIGTERM, requests under way get this long beyond request-timeout. */
#define DRAIN_EXTRA_US 5000000u
/* Damage that comes again sooner is not mended by opening again. */
#define REOPEN_INTERVAL_US 60000000u

/* For good: this life never will. */
static bool
takes_no_part(const struct node_status *status)
{
	return status->state == NODE_REMOVED || status->state == NODE_OUTDATED;
}

void
server_dial_members(struct server *server)
{
	struct node_status status;

	node_get_status(server->node, loop_now(server->loop), &status);
	/* Who was removed, or is an old copy, or has lost its disk, has nobody
	 * to talk to; those that remember it dial it. */
	peers_set_members(server->peers, node_get_members(server->node),
	    takes_no_part(&status) ? 0 : status.id);
}

static void
drain(struct server *server)
{
	server->draining = true;
	server->hand_over_until = UINT64_MAX;
	server->drain_until = loop_now(server->loop) +
			      server->config->request_timeout_us +
			      DRAIN_EXTRA_US;
	api_drain(server->api);
}

/*
 * A leader first hands over: meanwhile its clients wait, and are served by the
 * next leader, instead of by nobody until an election timeout has passed.
 */
void
server_on_stop_signal(void *context, int signal_number)
{
	struct server *server = context;
	uint64_t now = loop_now(server->loop);

	if (server->stopping)
		return;
	log_info("%s: finishing what is under way", strsignal(signal_number));
	server->stopping = true;
	api_leave(server->api);
	server_join_free(server->join);
	server->join = NULL;
	notify_stopping(&server->notify);
	if (node_is_leader(server->node) &&
	    node_transfer(server->node, now, NULL) == 0)
		server->hand_over_until =
		    now + server->config->election_timeout_us;
	else
		drain(server);
}

/* Another leads, or none took over in time. */
static void
judge_hand_over(struct server *server)
{
	if (!server->stopping || server->draining)
		return;
	if (loop_now(server->loop) < server->hand_over_until &&
	    (node_is_leader(server->node) || node_leader(server->node) == 0))
		return;
	drain(server);
}

/* ---- What an operator sees ---- */

static const char *
member_name(const struct server *server, raft_id id)
{
	const struct node_member *member = node_find_member(server->node, id);

	return member == NULL ? "nobody" : member->name;
}

void
server_on_difference(void *context, raft_id a, raft_id b, raft_index index)
{
	struct server *server = context;

	log_err("the data of %s differs from that of %s at entry %llu; no "
		"majority tells who is right",
	    member_name(server, b), member_name(server, a),
	    (unsigned long long)index);
}

/* "follower of n1, term 7, applied 1931", for systemctl status. */
static void
describe(const struct server *server, const struct node_status *status,
    char *text, size_t size)
{
	const struct raft_status *raft = &status->raft;
	unsigned members = node_get_members(server->node)->count;

	if (status->state == NODE_FORMING)
		snprintf(text, size,
		    "waiting to form the cluster: heard %u of %u members",
		    status->reached, members);
	else if (status->state == NODE_JOINING && status->repairing)
		snprintf(text, size,
		    "damage was found, and its directory begun anew: waits "
		    "for the leader, which needs a majority without this "
		    "node; the damaged files are kept in %s/damaged",
		    server->config->data_dir);
	else if (status->state == NODE_JOINING)
		snprintf(
		    text, size, "empty directory: waits to be made a member");
	else if (status->state == NODE_WIPED)
		snprintf(text, size,
		    "empty directory, but the cluster remembers this node: "
		    "takes no part");
	else if (status->state == NODE_REMOVED)
		snprintf(text, size, "removed from the cluster: takes no part");
	else if (status->state == NODE_OUTDATED)
		snprintf(text, size,
		    "the data-dir is an old copy: takes no part; put back the "
		    "newest one, or replace this node (POST /cluster/replace)");
	else if (raft->role == RAFT_LEADER)
		snprintf(text, size,
		    "leader, term %llu, applied %llu, %u of %u members "
		    "answer, quorum %u",
		    (unsigned long long)raft->term,
		    (unsigned long long)raft->applied_index, status->reached,
		    members, status->quorum);
	else if (status->begun_again)
		snprintf(text, size,
		    "repairing: its directory was begun anew, and it is no "
		    "voter yet, applied %llu; the damaged files are kept in "
		    "%s/damaged",
		    (unsigned long long)raft->applied_index,
		    server->config->data_dir);
	else if (raft->state_lost)
		snprintf(text, size,
		    "repairing: waits for a snapshot, serves no reads, term "
		    "%llu",
		    (unsigned long long)raft->term);
	else if (status->repairing)
		snprintf(text, size,
		    "repairing: has entries up to %llu, lost some up to %llu, "
		    "is not elected, term %llu",
		    (unsigned long long)raft->last_index,
		    (unsigned long long)raft->repair_until,
		    (unsigned long long)raft->term);
	else if (raft->leader != 0)
		snprintf(text, size, "follower of %s, term %llu, applied %llu",
		    member_name(server, raft->leader),
		    (unsigned long long)raft->term,
		    (unsigned long long)raft->applied_index);
	else
		snprintf(text, size,
		    "%s, no leader, term %llu, applied %llu, quorum %u of %u",
		    raft_role_name(raft->role), (unsigned long long)raft->term,
		    (unsigned long long)raft->applied_index, status->quorum,
		    members);
}

static bool
worth_telling(const struct server *server, const struct node_status *status)
{
	return status->state != server->state ||
	       status->raft.role != server->role ||
	       status->raft.leader != server->leader ||
	       status->reached != server->reached ||
	       status->repairing != server->repairing;
}

static void
tell_refusal(struct server *server, const struct node_status *status)
{
	if (status->snapshots_refused == server->snapshots_refused)
		return;
	server->snapshots_refused = status->snapshots_refused;
	log_warning("a snapshot was refused: %s; until one is taken this node "
		    "falls behind, and no write counts on it%s%s",
	    err_text(status->snapshot_refusal),
	    status->snapshot_refusal == ERR_NO_SPACE ? ": make room in " : "",
	    status->snapshot_refusal == ERR_NO_SPACE ? server->config->data_dir
						     : "");
}

/* The service manager sees the newest text; the log only what is news. */
static void
tell_status(struct server *server)
{
	struct node_status status;
	char text[sizeof(server->status_text)];

	server->status_at = loop_now(server->loop) + STATUS_INTERVAL_US;
	node_get_status(server->node, loop_now(server->loop), &status);
	tell_refusal(server, &status);
	describe(server, &status, text, sizeof(text));
	if (strcmp(text, server->status_text) == 0)
		return;
	memcpy(server->status_text, text, sizeof(text));
	notify_status(&server->notify, "%s", text);
	if (!worth_telling(server, &status))
		return;
	server->state = status.state;
	server->role = status.raft.role;
	server->leader = status.raft.leader;
	server->reached = status.reached;
	server->repairing = status.repairing;
	if (status.state == NODE_WIPED || takes_no_part(&status))
		log_err("%s", text);
	else if (status.raft.role == RAFT_PRECANDIDATE ||
		 status.raft.role == RAFT_CANDIDATE)
		log_debug("%s", text);
	else
		log_notice("%s", text);
}

/*
 * What is written after the directory was removed is lost with this process,
 * and so must not be acknowledged for long. Looked at as often as the status.
 */
static int
judge_directory(const struct server *server)
{
	if (loop_now(server->loop) < server->status_at ||
	    !store_dir_is_gone(server->dir))
		return 0;
	log_err("%s: the data directory was removed or replaced under the "
		"running node, which stops: what it writes would be lost with "
		"its end; put the directory back if it was moved, else replace "
		"this node (POST /cluster/replace)",
	    server->config->data_dir);
	return SERVER_EXIT_STOPPED;
}

/* ---- The loop ---- */

static uint64_t
next_deadline(const struct server *server)
{
	uint64_t deadline = node_deadline(server->node);

	deadline = MIN(deadline, http_server_deadline(server->http));
	deadline = MIN(deadline, peers_deadline(server->peers));
	deadline = MIN(deadline, api_deadline(server->api));
	deadline = MIN(deadline, server->watchdog_at);
	deadline = MIN(deadline, server->status_at);
	deadline = MIN(deadline, server->hand_over_until);
	if (!store_trash_is_empty(&server->trash))
		deadline = MIN(deadline, server->trash_at);
	if (server->join != NULL)
		deadline = MIN(deadline, server_join_deadline(server->join));
	return MIN(deadline, server->drain_until);
}

/* Deadlines are judged after the sockets were drained, never before. */
static void
expire(struct server *server)
{
	uint64_t now = loop_now(server->loop);

	http_server_expire(server->http, now);
	peers_expire(server->peers, now);
	api_expire(server->api, now);
	if (server->join != NULL)
		server_join_expire(server->join, now);
	if (now >= server->status_at)
		tell_status(server);
	if (!store_trash_is_empty(&server->trash) && now >= server->trash_at) {
		store_trash_step(&server->trash);
		server->trash_at = now + TRASH_INTERVAL_US;
	}
	if (now >= server->watchdog_at) {
		server->watchdog_at = now + server->notify.watchdog_interval_us;
		notify_watchdog(&server->notify);
	}
}

/* A member has no more to ask for. */
static void
judge_join(struct server *server)
{
	if (server->join == NULL || server->state == NODE_JOINING)
		return;
	server_join_free(server->join);
	server->join = NULL;
}

int
server_exit_status(int error)
{
	switch (error) {
	case ERR_MISMATCH: return CONFIG_EXIT_STATUS;
	case ERR_NO_SPACE: return SERVER_EXIT_FULL;
	case ERR_CORRUPT:
	case ERR_IO:
	case ERR_STOPPED:
	case ERR_VERSION: return SERVER_EXIT_STOPPED;
	default: return SERVER_EXIT_FAILED;
	}
}

/* All is verified, and mended, when it is opened. */
static bool
may_reopen(struct server *server)
{
	struct server_history *history = server->history;
	uint64_t now = loop_now(server->loop);

	if (server->stopping ||
	    (history->reopened_at_us != 0 &&
		now - history->reopened_at_us < REOPEN_INTERVAL_US))
		return false;
	history->reopened_at_us = now;
	return true;
}

static int
stop(struct server *server, int error)
{
	log_err("node stopped: %s", node_fault(server->node));
	if (error != ERR_CORRUPT || !may_reopen(server))
		return server_exit_status(error);
	log_warning("damage was found: all is opened again, verified and "
		    "mended");
	return SERVER_REOPEN;
}

static int
take_turn(struct server *server)
{
	uint64_t now = loop_now(server->loop);
	int error;

	if (node_deadline(server->node) > now)
		return 0;
	error = node_turn(server->node, now);
	if (error != 0)
		return stop(server, error);
	if (server->members_changed) {
		server->members_changed = false;
		server_dial_members(server);
	}
	if (server->changed) {
		server->changed = false;
		tell_status(server);
		judge_join(server);
		server_note_needed(server);
		server_judge_damage(server);
		api_on_change(server->api);
	}
	api_on_turn(server->api);
	return 0;
}

static int
pass(struct server *server)
{
	uint64_t woke;
	int status;

	loop_pass(server->loop, next_deadline(server));
	woke = loop_now(server->loop);
	status = judge_directory(server);
	if (status != 0)
		return status;
	expire(server);
	status = take_turn(server);
	if (status != 0)
		return status;
	api_on_pass(server->api);
	peers_flush(server->peers);
	http_server_flush(server->http);
	api_observe_loop_delay(
	    server->api, loop_update_now(server->loop) - woke);
	return 0;
}

/* First the clients' answers, then the listener: peers still talk to us. */
static bool
drained(struct server *server)
{
	judge_hand_over(server);
	if (!server->draining)
		return false;
	if (loop_now(server->loop) >= server->drain_until) {
		log_warning("requests under way did not finish in time");
		return true;
	}
	if (!api_idle(server->api))
		return false;
	http_server_drain(server->http);
	return http_server_connections(server->http) == 0;
}

/* Whoever reads this log later shall know that writes may be missing. */
static void
tell_generation(const struct server *server)
{
	struct node_status status;

	node_get_status(server->node, loop_now(server->loop), &status);
	if (status.generation > 1)
		log_warning("cluster %s was made anew by force "
			    "(--force-new-cluster): generation %u; members of "
			    "before are refused",
		    server->config->cluster_name, status.generation);
}

int
server_run(struct server *server)
{
	log_info("%s listens on %s, cluster %s, data in %s",
	    server->config->node_name, server->config->listen,
	    server->config->cluster_name, server->config->data_dir);
	tell_generation(server);
	notify_ready(&server->notify);
	tell_status(server);
	while (!drained(server)) {
		int status = pass(server);

		if (status != 0)
			return status;
	}
	log_info("stopped");
	return 0;
}
