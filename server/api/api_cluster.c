#include "api/api_impl.h"
#include "common/text.h"
#include <inttypes.h>

/* One member as this node sees it. */
struct view {
	const struct node_member *member;
	const char *state;
	enum raft_member_role role;
	bool is_self;
	bool has_peer; /* the leader alone knows more of the others */
	bool is_heard;
	struct raft_peer_status peer;
	uint64_t lag; /* entries; with is_self or has_peer */
	uint64_t contact_us;
	struct peers_link link;
	struct node_snapshot_status snapshot;
};

static const char *
name_state(enum node_state state)
{
	switch (state) {
	case NODE_FORMING: return "forming";
	case NODE_JOINING: return "joining";
	case NODE_WIPED: return "wiped";
	case NODE_REMOVED: return "removed";
	case NODE_OUTDATED: return "outdated";
	case NODE_MEMBER: return "member";
	}
	return "";
}

static void
view_self(const struct node_status *status, struct view *view)
{
	view->is_self = true;
	view->state = status->repairing ? "repairing"
		      : status->state == NODE_MEMBER
			  ? raft_role_name(status->raft.role)
			  : name_state(status->state);
	view->lag = status->raft.commit_index - status->raft.applied_index;
}

static struct view
view_member(const struct api *api, const struct node_status *status,
    const struct node_member *member)
{
	uint64_t now = loop_now(api->loop);
	struct view view = {
		.member = member,
		.role = node_get_role(api->node, member->id),
	};

	if (member->id == status->id) {
		view_self(status, &view);
		return view;
	}
	if (peers_get_link(api->peers, member->id, &view.link) != 0 ||
	    !view.link.connected)
		view.state = "unreachable";
	else if (member->id == status->raft.leader)
		view.state = "leader";
	else
		view.state = "connected";
	if (node_get_peer(api->node, member->id, &view.peer) != 0)
		return view;
	view.has_peer = true;
	node_get_snapshot(api->node, member->id, &view.snapshot);
	view.lag = status->raft.last_index -
		   MIN(view.peer.match_index, status->raft.last_index);
	if (view.peer.heard_at == 0)
		return view;
	view.is_heard = true;
	view.contact_us = now - MIN(view.peer.heard_at, now);
	if (view.link.connected)
		view.state = "follower";
	return view;
}

/* Voters in touch; only the leader and a forming node count answers. */
static unsigned
count_healthy(const struct api *api, const struct node_status *status)
{
	const struct node_members *members = node_get_members(api->node);
	unsigned healthy = 1;

	if (status->raft.role == RAFT_LEADER || status->state == NODE_FORMING)
		return status->reached;
	for (unsigned i = 0; i < members->count; i++) {
		struct peers_link link;

		if (members->member[i].id != status->id &&
		    node_get_role(api->node, members->member[i].id) ==
			RAFT_MEMBER_VOTER &&
		    peers_get_link(api->peers, members->member[i].id, &link) ==
			0 &&
		    link.connected)
			healthy++;
	}
	return healthy;
}

static void
append_text_member(struct buf *to, const char *name, const char *text)
{
	buf_printf(to, "\"%s\":", name);
	text_append_json_string(to, slice_from_text(text));
}

static void
append_view_json(
    struct buf *to, const struct node_status *status, const struct view *view)
{
	buf_append_text(to, "{");
	append_text_member(to, "name", view->member->name);
	buf_append_text(to, ",");
	append_text_member(to, "address", view->member->address);
	buf_printf(to, ",\"role\":\"%s\",\"state\":\"%s\"",
	    raft_member_role_name(view->role), view->state);
	if (view->is_self)
		buf_printf(to, ",\"applied\":%" PRIu64 ",\"lag\":%" PRIu64,
		    status->raft.applied_index, view->lag);
	if (view->has_peer)
		buf_printf(to, ",\"match\":%" PRIu64 ",\"lag\":%" PRIu64,
		    view->peer.match_index, view->lag);
	if (view->is_heard)
		buf_printf(to, ",\"last_contact\":%.3f,\"rtt_ms\":%.3f",
		    (double)view->contact_us / 1e6,
		    (double)view->peer.rtt / 1e3);
	if (view->snapshot.sending)
		buf_printf(to,
		    ",\"snapshot\":{\"index\":%" PRIu64 ",\"bytes\":%" PRIu64
		    "}",
		    view->snapshot.index, view->snapshot.bytes_sent);
	if (view->snapshot.refused != 0) {
		buf_append_text(to, ",");
		append_text_member(
		    to, "snapshot_refused", err_text(view->snapshot.refused));
	}
	if (!view->is_self && !view->link.connected) {
		buf_append_text(to, ",");
		append_text_member(to, "error", view->link.last_error);
	}
	buf_append_text(to, "}");
}

/* What a leader does by itself, or did not finish yet: a sentence, or null. */
static void
append_change(struct buf *to, struct api *api, const struct node_status *status)
{
	const struct node_members *members = node_get_members(api->node);
	const struct raft_status *raft = &status->raft;

	if (raft->transfer_target != 0) {
		buf_printf(to, "\"hand-over to %s\"",
		    api_member_name(api, raft->transfer_target));
		return;
	}
	for (unsigned i = 0; i < members->count; i++) {
		const struct node_member *member = &members->member[i];

		if (node_get_role(api->node, member->id) ==
		    RAFT_MEMBER_JOINING) {
			buf_printf(to, "\"%s catches up\"", member->name);
			return;
		}
	}
	buf_append_text(
	    to, status->state != NODE_MEMBER || raft->members_committed
		    ? "null"
		    : "\"membership\"");
}

/* How far back reads of the past and watches reach, on this node. */
static void
append_history(struct buf *to, struct api *api)
{
	uint64_t time_us = node_cluster_time(api->node, loop_now(api->loop));
	struct kv_history history;
	int rc = kv_get_history(node_kv(api->node), &history);
	uint64_t age_us = 0;

	if (rc != 0) {
		node_fail(api->node, rc, "reading history");
		return;
	}
	if (history.events_count != 0)
		age_us = time_us - MIN(history.oldest_time_us, time_us);
	buf_printf(to,
	    ",\"history\":{\"oldest\":%" PRIu64 ",\"events\":%" PRIu64
	    ",\"bytes\":%" PRIu64 ",\"age\":%.1f}",
	    history.compacted, history.events_count, history.bytes,
	    (double)age_us / 1e6);
}

static void
append_cluster_json(struct buf *to, struct api *api)
{
	const struct node_members *members = node_get_members(api->node);
	struct slice id = api_cluster_id(api);
	struct node_status status;

	node_get_status(api->node, loop_now(api->loop), &status);
	buf_append_text(to, "{");
	append_text_member(to, "cluster", api->params.cluster);
	buf_printf(to, ",\"id\":\"%.*s\",", (int)id.size,
	    id.size == 0 ? "" : (const char *)id.data);
	if (status.generation > 1)
		buf_printf(to, "\"generation\":%u,", status.generation);
	append_text_member(to, "node", api->params.node);
	buf_printf(to, ",\"state\":\"%s\",", name_state(status.state));
	append_text_member(
	    to, "leader", api_member_name(api, status.raft.leader));
	buf_printf(to,
	    ",\"term\":%" PRIu64 ",\"revision\":%" PRIu64
	    ",\"quorum\":%u,\"healthy\":%u,\"change_in_progress\":",
	    status.raft.term, status.revision, status.quorum,
	    count_healthy(api, &status));
	append_change(to, api, &status);
	buf_printf(
	    to, ",\"repairing\":%s", status.repairing ? "true" : "false");
	append_history(to, api);
	buf_append_text(to, ",\"members\":[");
	for (unsigned i = 0; i < members->count; i++) {
		struct view view =
		    view_member(api, &status, &members->member[i]);

		buf_append_text(to, i == 0 ? "" : ",");
		append_view_json(to, &status, &view);
	}
	buf_append_text(to, "]}\n");
}

static int
width_of(const struct node_members *members, size_t offset, const char *title)
{
	size_t width = strlen(title);

	for (unsigned i = 0; i < members->count; i++) {
		const char *text = (const char *)&members->member[i] + offset;

		width = MAX(width, strlen(text));
	}
	return (int)width;
}

static void
append_view_text(
    struct buf *to, const struct view *view, int name_width, int address_width)
{
	buf_printf(to, "%-*s  %-*s  %-7s  %-13s", name_width,
	    view->member->name, address_width, view->member->address,
	    raft_member_role_name(view->role), view->state);
	if (view->is_self || view->has_peer)
		buf_printf(to, "  %5" PRIu64, view->lag);
	else
		buf_append_text(to, "      -");
	if (view->is_heard)
		buf_printf(to, "  %6.3fs  %7.3fms",
		    (double)view->contact_us / 1e6,
		    (double)view->peer.rtt / 1e3);
	else
		buf_append_text(to, "        -          -");
	if (!view->is_self && view->link.last_error[0] != '\0' &&
	    !view->link.connected)
		buf_printf(to, "  %s", view->link.last_error);
	if (view->snapshot.refused != 0)
		buf_printf(to, "  it refuses a snapshot: %s",
		    err_text(view->snapshot.refused));
	buf_append_text(to, "\n");
}

static void
append_cluster_text(struct buf *to, struct api *api)
{
	const struct node_members *members = node_get_members(api->node);
	int name_width =
	    width_of(members, offsetof(struct node_member, name), "NAME");
	int address_width =
	    width_of(members, offsetof(struct node_member, address), "ADDRESS");
	struct slice id = api_cluster_id(api);
	struct node_status status;
	const char *leader;

	node_get_status(api->node, loop_now(api->loop), &status);
	leader = api_member_name(api, status.raft.leader);
	buf_printf(to, "cluster %s  id %.*s", api->params.cluster,
	    id.size == 0 ? 1 : (int)id.size,
	    id.size == 0 ? "-" : (const char *)id.data);
	if (status.generation > 1)
		buf_printf(to, "  generation %u", status.generation);
	buf_printf(to,
	    "  leader %s  term %" PRIu64 "  revision %" PRIu64
	    "  quorum %u  healthy %u of %u\n",
	    leader[0] == '\0' ? "-" : leader, status.raft.term, status.revision,
	    status.quorum, count_healthy(api, &status), members->count);
	buf_printf(to,
	    "%-*s  %-*s  ROLE     STATE            LAG  CONTACT        RTT\n",
	    name_width, "NAME", address_width, "ADDRESS");
	for (unsigned i = 0; i < members->count; i++) {
		struct view view =
		    view_member(api, &status, &members->member[i]);

		append_view_text(to, &view, name_width, address_width);
	}
}

void
api_cluster_get(struct api_call *call)
{
	struct buf *body = api_body(call->api);

	if (api_wants_text(call)) {
		append_cluster_text(body, call->api);
		api_reply_text(
		    call, 200, "text/plain; charset=utf-8", buf_slice(body));
		return;
	}
	append_cluster_json(body, call->api);
	api_reply_text(call, 200, "application/json", buf_slice(body));
}
