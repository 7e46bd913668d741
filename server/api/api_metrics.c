#include "api/api_impl.h"
#include "api/api_watches.h"
#include "common/mem.h"
#include <stdio.h>
#include <stdlib.h>

/* The statuses that are counted through a pointer; the usual ones first. */
static const unsigned statuses[] = { 200, 201, 304, 404, 204, 503, 504, 400,
	403, 405, 408, 413, 414, 417, 421, 431, 500, 501, 505, 507 };

#define METHODS_COUNT  (HTTP_OPTIONS + 1)
#define STATUSES_COUNT ARRAY_COUNT(statuses)

/* Of one route. Each metric is registered when it first counts something. */
struct api_route_metrics {
	struct metric *requests[METHODS_COUNT][STATUSES_COUNT];
	struct metric *duration;
};

static const char *
shown_path(const struct api_route *route)
{
	return route == NULL ? "other" : route->shown;
}

static struct api_route_metrics *
metrics_of(const struct api *api, const struct api_route *route)
{
	size_t i =
	    route == NULL ? api_routes_count : (size_t)(route - api_routes);

	return &api->route_metrics[i];
}

static struct metric *
register_requests(const struct api_call *call, unsigned status)
{
	char labels[128];

	snprintf(labels, sizeof(labels),
	    "endpoint=\"%s\",method=\"%s\",code=\"%u\"",
	    shown_path(call->route), http_method_name(call->request->method),
	    status);
	return metric_register(METRIC_COUNTER, "luminous_http_requests_total",
	    labels, "Requests answered.");
}

void
api_count_reply(const struct api_call *call, unsigned status)
{
	struct api_route_metrics *metrics = metrics_of(call->api, call->route);
	struct metric **place;
	size_t i = 0;

	while (i < STATUSES_COUNT && statuses[i] != status)
		i++;
	if (i == STATUSES_COUNT) {
		/* Relayed from a newer leader. */
		metric_add(register_requests(call, status), 1);
		return;
	}
	place = &metrics->requests[call->request->method][i];
	if (*place == NULL)
		*place = register_requests(call, status);
	metric_add(*place, 1);
}

void
api_observe_reply(const struct api_call *call)
{
	struct api_route_metrics *metrics = metrics_of(call->api, call->route);
	uint64_t now = loop_now(call->api->loop);
	uint64_t received = call->request->received_us;

	/* What a client asked to wait for is no delay. */
	if ((call->query.given & API_QUERY_WAIT) != 0)
		return;
	metric_observe_us(metrics->duration, now - MIN(received, now));
}

static struct metric *
register_duration(const struct api_route *route)
{
	char labels[64];

	snprintf(labels, sizeof(labels), "endpoint=\"%s\"", shown_path(route));
	return metric_register(METRIC_HISTOGRAM,
	    "luminous_http_request_duration_seconds", labels,
	    "From a whole request to its answer.");
}

static struct metric *
register_forwarded(const char *result)
{
	char labels[64];

	snprintf(labels, sizeof(labels), "result=\"%s\"", result);
	return metric_register(METRIC_COUNTER, "luminous_http_forwarded_total",
	    labels, "Requests sent on to the leader.");
}

static struct metric *
register_fsync(const char *store)
{
	char labels[64];

	snprintf(labels, sizeof(labels), "store=\"%s\"", store);
	return metric_register(METRIC_HISTOGRAM,
	    "luminous_fsync_duration_seconds", labels,
	    "Commits of the log, and checkpoints of the data.");
}

void
api_metrics_init(struct api *api)
{
	api->route_metrics =
	    mem_zalloc(api_routes_count + 1, sizeof(*api->route_metrics));
	for (size_t i = 0; i < api_routes_count; i++)
		api->route_metrics[i].duration =
		    register_duration(&api_routes[i]);
	api->route_metrics[api_routes_count].duration = register_duration(NULL);
	api->forwarded_relayed = register_forwarded("relayed");
	api->forwarded_repeated = register_forwarded("repeated");
	api->forwarded_unknown = register_forwarded("unknown");
	api->commit_log = register_fsync("log");
	api->commit_data = register_fsync("data");
	api->loop_delay =
	    metric_register(METRIC_HISTOGRAM, "luminous_loop_delay_seconds",
		NULL, "How long a pass of the loop held up everything else.");
}

void
api_metrics_release(struct api *api)
{
	free(api->route_metrics);
}

void
api_observe_loop_delay(struct api *api, uint64_t us)
{
	metric_observe_us(api->loop_delay, us);
}

void
api_observe_commit(struct api *api, bool checkpoint, uint64_t us)
{
	metric_observe_us(checkpoint ? api->commit_data : api->commit_log, us);
}

static void
append_head(
    struct buf *to, const char *type, const char *name, const char *help)
{
	buf_printf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void
api_append_sample(struct buf *to, const char *type, const char *name,
    const char *help, double value)
{
	append_head(to, type, name, help);
	buf_printf(to, "%s %.15g\n", name, value);
}

static void
append_raft(struct buf *to, struct api *api)
{
	struct node_status status;

	node_get_status(api->node, loop_now(api->loop), &status);
	api_append_sample(to, "gauge", "luminous_raft_term", "Current term.",
	    (double)status.raft.term);
	api_append_sample(to, "gauge", "luminous_raft_is_leader",
	    "1 if this node leads.", status.raft.role == RAFT_LEADER);
	api_append_sample(to, "gauge", "luminous_raft_has_leader",
	    "1 if a leader is known.", status.raft.leader != 0);
	api_append_sample(to, "gauge", "luminous_repairing",
	    "1 while damage is mended from the others.", status.repairing);
	api_append_sample(to, "gauge", "luminous_raft_commit_index",
	    "Last committed entry.", (double)status.raft.commit_index);
	api_append_sample(to, "gauge", "luminous_raft_applied_index",
	    "Last applied entry.", (double)status.raft.applied_index);
	api_append_sample(to, "gauge", "luminous_raft_log_entries",
	    "Entries in the log.", (double)status.log_entries);
	api_append_sample(to, "gauge", "luminous_raft_log_bytes",
	    "Bytes of the entries in the log.", (double)status.log_bytes);
	api_append_sample(to, "counter", "luminous_raft_leader_changes_total",
	    "Leaders seen since the start.",
	    (double)status.raft.leader_changes);
	api_append_sample(to, "counter", "luminous_raft_elections_total",
	    "Campaigns begun since the start.", (double)status.raft.elections);
}

/* What a peer sample is made of. */
struct peer_sample {
	const char *name;
	const char *help;
	double (*value)(const struct raft_peer_status *peer,
	    const struct raft_status *raft, uint64_t now);
};

static double
value_lag(const struct raft_peer_status *peer, const struct raft_status *raft,
    uint64_t now)
{
	(void)now; /* other samples need it */
	return (double)(raft->last_index -
			MIN(peer->match_index, raft->last_index));
}

static double
value_rtt(const struct raft_peer_status *peer, const struct raft_status *raft,
    uint64_t now)
{
	(void)raft; /* other samples need them */
	(void)now;
	return (double)peer->rtt / 1e6;
}

static double
value_contact(const struct raft_peer_status *peer,
    const struct raft_status *raft, uint64_t now)
{
	(void)raft; /* other samples need it */
	return (double)(now - MIN(peer->heard_at, now)) / 1e6;
}

static const struct peer_sample peer_samples[] = {
	{ "luminous_raft_peer_match_lag_entries",
	    "Entries that the peer does not hold yet.", value_lag },
	{ "luminous_raft_peer_rtt_seconds", "Last echo of an append.",
	    value_rtt },
	{ "luminous_raft_peer_last_contact_seconds",
	    "Since the peer was last heard.", value_contact },
};

/* Only the leader knows, and only of peers that were heard in its term. */
static void
append_peers(struct buf *to, struct api *api)
{
	const struct node_members *members = node_get_members(api->node);
	uint64_t now = loop_now(api->loop);
	struct node_status status;

	node_get_status(api->node, now, &status);
	if (status.raft.role != RAFT_LEADER)
		return;
	for (size_t i = 0; i < ARRAY_COUNT(peer_samples); i++) {
		const struct peer_sample *sample = &peer_samples[i];

		append_head(to, "gauge", sample->name, sample->help);
		for (unsigned m = 0; m < members->count; m++) {
			struct raft_peer_status peer;

			if (node_get_peer(
				api->node, members->member[m].id, &peer) != 0 ||
			    peer.heard_at == 0)
				continue;
			buf_printf(to, "%s{peer=\"%s\"} %.15g\n", sample->name,
			    members->member[m].name,
			    sample->value(&peer, &status.raft, now));
		}
	}
}

static void
append_scrub(struct buf *to, struct api *api)
{
	struct node_status status;

	node_get_status(api->node, loop_now(api->loop), &status);
	api_append_sample(to, "counter", "luminous_scrub_bytes_total",
	    "Bytes of log and data verified in the background.",
	    (double)status.scrub_bytes);
	api_append_sample(to, "counter", "luminous_scrub_passes_total",
	    "Times that all of log and data was.", (double)status.scrub_passes);
}

static void
append_data(struct buf *to, struct api *api)
{
	struct api_space space;
	struct store_stat store;
	struct kv_stats stats;

	api->params.get_space(api->params.context, &space);
	kv_get_stats(node_kv(api->node), &stats);
	api_append_sample(to, "gauge", "luminous_keys", "Keys stored.",
	    (double)stats.keys_count);
	api_append_sample(to, "gauge", "luminous_data_bytes",
	    "Bytes of all keys and values.", (double)stats.live_bytes);
	api_append_sample(to, "gauge", "luminous_data_quota_bytes",
	    "Puts above are refused; 0: no quota.",
	    (double)api->params.quota_bytes);
	api_append_sample(to, "gauge", "luminous_data_free_bytes",
	    "Free for data where least is left: disk, data file or log.",
	    (double)space.free);
	node_get_data_stat(api->node, &store);
	api_append_sample(to, "gauge", "luminous_memtable_bytes",
	    "Bytes of records that wait in memory for their pages.",
	    (double)store.waiting_bytes);
	api_append_sample(to, "gauge", "luminous_revision",
	    "Of the last change.", (double)kv_revision(node_kv(api->node)));
	api_append_sample(to, "gauge", "luminous_leases",
	    "Leases, and tokens that hold a lock or wait for one.",
	    (double)stats.leases_count);
	api_append_sample(to, "counter", "luminous_expired_keys_total",
	    "Keys that this node saw expire since its start.",
	    (double)stats.expired_count);
}

static void
append_history(struct buf *to, struct api *api)
{
	struct kv_stats stats;

	kv_get_stats(node_kv(api->node), &stats);
	api_append_sample(to, "gauge", "luminous_history_events",
	    "Changes that are kept.", (double)stats.history_count);
	api_append_sample(to, "gauge", "luminous_history_bytes",
	    "What they take; history.max-size bounds it.",
	    (double)stats.history_bytes);
	api_append_sample(to, "gauge", "luminous_history_compacted_revision",
	    "Older states are gone.", (double)kv_compacted(node_kv(api->node)));
}

void
api_metrics_get(struct api_call *call)
{
	struct api *api = call->api;
	struct buf *body = api_body(api);

	append_head(
	    body, "gauge", "luminous_build_info", "The version that runs.");
	buf_printf(body, "luminous_build_info{version=\"%s\"} 1\n",
	    api->params.version);
	append_raft(body, api);
	append_peers(body, api);
	append_data(body, api);
	append_history(body, api);
	append_scrub(body, api);
	api_append_sample(body, "gauge", "luminous_http_in_flight",
	    "Requests under way, this one included.", (double)api->calls_count);
	api_append_sample(body, "gauge", "luminous_watchers",
	    "Watches under way, long polls and waiting GETs included.",
	    (double)api_watches_count(api));
	metrics_print(body);
	api_append_process(body, api);
	api_reply_text(call, 200, "text/plain; version=0.0.4; charset=utf-8",
	    buf_slice(body));
}
