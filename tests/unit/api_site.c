#include "tests/unit/api_site.h"
#include "common/json.h"
#include "common/macros.h"
#include "common/mem.h"
#include "common/text.h"
#include "tests/unit/local_client.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A fraction of what a heartbeat may take; see loop_limit_step. */
#define STEP_US_MAX 10000

/* ---- The world of a node ---- */

static raft_usec
host_now(void *context)
{
	return loop_update_now(((struct site *)context)->world->loop);
}

static void
host_send(void *context, const struct raft_message *message,
    struct node_entry *const *entries)
{
	struct site *site = context;

	if (site->peers != NULL)
		peers_send(site->peers, message, entries);
}

static void
host_flush(void *context)
{
	struct site *site = context;

	if (site->peers != NULL)
		peers_flush(site->peers);
}

static void
host_on_change(void *context)
{
	((struct site *)context)->changed = true;
}

static void
host_on_commit(void *context, bool checkpoint, raft_usec took)
{
	struct site *site = context;

	if (site->api != NULL)
		api_observe_commit(site->api, checkpoint, took);
}

static void
host_on_alarm(void *context, enum raft_alarm alarm, raft_id peer)
{
	(void)context;
	ck_abort_msg("alarm %d about %d", (int)alarm, (int)peer);
}

static void
host_on_difference(void *context, raft_id a, raft_id b, raft_index index)
{
	(void)context;
	ck_abort_msg("%d and %d differ at %d", (int)a, (int)b, (int)index);
}

static void
host_on_members(void *context, const struct node_members *members)
{
	(void)members; /* asked for again behind the turn */
	((struct site *)context)->members_changed = true;
}

static void
host_send_snapshot(void *context, raft_id to, struct slice piece)
{
	peers_send_snapshot(((struct site *)context)->peers, to, piece);
}

static void
host_cancel_snapshot(void *context, raft_id to)
{
	peers_cancel_snapshot(((struct site *)context)->peers, to);
}

static void
free_data_disk(struct site *site, unsigned place)
{
	store_mem_disk_free(site->data_disks[place]);
	site->data_disks[place] = NULL;
}

static int
host_open_data(
    void *context, uint64_t generation, bool empty, struct store **ret_store)
{
	struct site *site = context;
	unsigned place = generation % SITE_GENERATIONS;

	if (empty)
		free_data_disk(site, place);
	if (site->data_disks[place] == NULL)
		site->data_disks[place] = store_mem_disk_new(KV_TABLES_COUNT);
	*ret_store = store_mem_open(site->data_disks[place]);
	return 0;
}

static int
host_remove_data_but(void *context, uint64_t generation)
{
	for (unsigned i = 0; i < SITE_GENERATIONS; i++) {
		if (i != generation % SITE_GENERATIONS)
			free_data_disk(context, i);
	}
	return 0;
}

static void
get_space(void *context, struct api_space *ret_space)
{
	struct site *site = context;

	site->free_asked++;
	*ret_space = (struct api_space){
		.what = "the disk",
		.free = site->free_bytes,
		.minimum = 1000,
		.hint = "free some",
	};
}

/* ---- Opening and closing ---- */

static void
make_server(struct site *site)
{
	const struct http_server_params params = {
		.connections_max = SITE_CONNECTIONS_MAX,
		.target_bytes_max = 2048,
		.head_bytes_max = 4096,
		.input_bytes_max =
		    site->world->is_roomy ? 1 << 20 : SITE_INPUT_MAX,
		.output_bytes_max = 16 << 20,
		.idle_timeout_us = 60000000,
		.header_timeout_us = 60000000,
		.body_timeout_us = 60000000,
		.write_timeout_us = 60000000,
	};

	site->server = http_server_new(
	    site->world->loop, &params, &server_http_ops, &site->glue);
}

static void
listen_again(struct site *site)
{
	make_server(site);
	ck_assert_int_eq(http_server_listen(site->server, site->address), 0);
}

static struct node_params
node_params_of(struct site *site)
{
	struct world *world = site->world;
	struct node_params params = {
		.raft = {
		    .election_timeout = SITE_ELECTION_TIMEOUT_US,
		    .heartbeat_interval = 50000,
		    .append_entries_max = 64,
		    .append_bytes_max = 1 << 20,
		    .inflight_appends_max = 4,
		    .inflight_bytes_max = 4 << 20,
		    .inflight_rounds_max = 2,
		    .entry_bytes_max = world->is_roomy ? 1 << 20 : 4096,
		    .uncommitted_bytes_max = world->is_roomy ? 4 << 20 : 10000,
		    .pending_reads_max = 1000,
		    .disk_stall_max = 1000000,
		    .transfer_timeout = SITE_ELECTION_TIMEOUT_US,
		},
		.cluster = "test",
		.boot_id = 1000 * ++world->boots + site->id,
		.directory_nonce = { (uint8_t)world->boots },
		.cluster_id = { 0xc1, 0x15, (uint8_t)site->id },
		.checkpoint_bytes = 1 << 20,
		.checkpoint_interval = 500000,
		.cache_bytes_max = 1 << 20,
		.trailing_bytes_min = 1 << 16,
		.trailing_bytes_max = 1 << 20,
		.snapshot_piece_bytes = SITE_PIECE_BYTES,
		.snapshot_age_max = 5000000,
	};

	if (!site->joins)
		params.members = world->members;
	memcpy(params.name, site->name, sizeof(site->name));
	memcpy(params.address, site->address, sizeof(site->address));
	return params;
}

static void
open_node(struct site *site)
{
	const struct node_host host = {
		.context = site,
		.now = host_now,
		.send = host_send,
		.flush = host_flush,
		.on_change = host_on_change,
		.on_commit = host_on_commit,
		.on_alarm = host_on_alarm,
		.on_difference = host_on_difference,
		.on_members = host_on_members,
		.send_snapshot = host_send_snapshot,
		.cancel_snapshot = host_cancel_snapshot,
		.open_data = host_open_data,
		.remove_data_but = host_remove_data_but,
	};
	struct node_params params = node_params_of(site);
	char why[512] = "";

	site->log = store_mem_open(site->log_disk);
	ck_assert_msg(
	    node_new(&site->node, &params, site->log, &host,
		loop_update_now(site->world->loop), why, sizeof(why)) == 0,
	    "%s", why);
}

static void
open_peers(struct site *site)
{
	const struct peers_params params = {
		.secret = slice_from_text("sesame"),
		.election_timeout = SITE_ELECTION_TIMEOUT_US,
		.idle_timeout_us = 60000000,
		.body_bytes_max = 4 << 20,
		.snapshot_bytes_max = SITE_PIECE_BYTES + (1 << 16),
		.records_max = 64,
		.address = site->address,
		.seed = site->id,
	};

	site->peers = peers_new(
	    site->world->loop, &params, &server_peers_ops, &site->glue);
}

static void
dial_members(struct site *site)
{
	struct node_status status;

	site->members_changed = false;
	node_get_status(site->node, loop_now(site->world->loop), &status);
	peers_set_members(site->peers, node_get_members(site->node),
	    status.state == NODE_REMOVED ? 0 : status.id);
}

static void
open_api(struct site *site)
{
	const struct api_params params = {
		.cluster = "test",
		.node = site->name,
		.version = "1.2.3",
		.data_dir = "data",
		.request_timeout_us = SITE_TIMEOUT_US,
		.value_bytes_max = SITE_VALUE_MAX,
		.quota_bytes = site->world->quota_bytes,
		.watchers_max = SITE_WATCHERS_MAX,
		.require_cas = SITE_REQUIRE_CAS,
		.seed = site->id,
		.get_space = get_space,
		.context = site,
	};

	site->api =
	    api_new(site->world->loop, &params, site->node, site->peers);
}

static void
free_disks(struct site *site)
{
	store_mem_disk_free(site->log_disk);
	for (unsigned i = 0; i < SITE_GENERATIONS; i++)
		free_data_disk(site, i);
}

static void
open_all(struct site *site)
{
	open_node(site);
	open_peers(site);
	open_api(site);
	site->glue = (struct server_glue){
		.loop = site->world->loop,
		.node = site->node,
		.peers = site->peers,
		.api = site->api,
	};
	site->dead = false;
	dial_members(site);
}

void
site_stop(struct site *site)
{
	http_server_free(site->server);
	ck_assert(api_idle(site->api));
	api_free(site->api);
	peers_free(site->peers);
	node_free(site->node);
	store_close(site->log);
	site->server = NULL;
	site->api = NULL;
	site->peers = NULL;
	site->node = NULL;
	site->dead = true;
}

void
site_start_wiped(struct site *site)
{
	free_disks(site);
	site->log_disk = store_mem_disk_new(NODE_LOG_TABLES_COUNT);
	listen_again(site);
	open_all(site);
}

void
site_start(struct site *site)
{
	listen_again(site);
	open_all(site);
}

static void
listen_anywhere(struct site *site)
{
	make_server(site);
	snprintf(site->address, sizeof(site->address), "127.0.0.1:%u",
	    local_listen(site->server));
}

void
site_start_elsewhere(struct site *site)
{
	listen_anywhere(site);
	open_all(site);
}

/* It listens on a port of its own, and is nothing else yet. */
static struct site *
add_site(struct world *world)
{
	struct site *site = &world->site[world->count++];

	ck_assert_uint_le(world->count, SITES_MAX);
	site->world = world;
	site->id = world->count;
	site->free_bytes = 1000000;
	site->log_disk = store_mem_disk_new(NODE_LOG_TABLES_COUNT);
	snprintf(site->name, sizeof(site->name), "n%u", world->count);
	listen_anywhere(site);
	return site;
}

/* The members' addresses are known when all listen. */
static void
add_founder(struct world *world)
{
	struct site *site = add_site(world);
	struct node_member *member =
	    &world->members.member[world->members.count++];

	member->id = site->id;
	memcpy(member->name, site->name, sizeof(member->name));
	memcpy(member->address, site->address, sizeof(member->address));
}

static struct world *
world_new_as(unsigned count, uint64_t quota_bytes, bool is_roomy)
{
	struct world *world = mem_zalloc(1, sizeof(*world));

	world->quota_bytes = quota_bytes;
	world->is_roomy = is_roomy;
	ck_assert_int_eq(loop_new(&world->loop), 0);
	loop_limit_step(world->loop, STEP_US_MAX);
	for (unsigned i = 0; i < count; i++)
		add_founder(world);
	for (unsigned i = 0; i < count; i++)
		open_all(&world->site[i]);
	return world;
}

static struct world *
world_new(unsigned count, uint64_t quota_bytes)
{
	return world_new_as(count, quota_bytes, false);
}

struct site *
world_add_joining(struct world *world)
{
	struct site *site = add_site(world);

	site->joins = true;
	open_all(site);
	return site;
}

void
world_free(struct world *world)
{
	for (unsigned i = 0; i < world->count; i++) {
		if (!world->site[i].dead)
			site_stop(&world->site[i]);
		free_disks(&world->site[i]);
	}
	loop_free(world->loop);
	free(world);
}

/* ---- Passes of the loop ---- */

static uint64_t
next_deadline(struct world *world)
{
	/* Clients' sockets are not watched: look at them every millisecond. */
	uint64_t deadline = loop_now(world->loop) + 1000;

	for (unsigned i = 0; i < world->count; i++) {
		struct site *site = &world->site[i];

		if (site->dead)
			continue;
		deadline = MIN(deadline, http_server_deadline(site->server));
		deadline = MIN(deadline, peers_deadline(site->peers));
		deadline = MIN(deadline, api_deadline(site->api));
		if (!site->frozen)
			deadline = MIN(deadline, node_deadline(site->node));
	}
	return deadline;
}

static void
turn_site(struct site *site)
{
	uint64_t now = loop_now(site->world->loop);

	http_server_expire(site->server, now);
	peers_expire(site->peers, now);
	api_expire(site->api, now);
	if (!site->frozen && node_deadline(site->node) <= now)
		ck_assert_msg(node_turn(site->node, now) == 0, "%s",
		    node_fault(site->node));
	if (site->members_changed)
		dial_members(site);
	if (site->changed) {
		site->changed = false;
		api_on_change(site->api);
	}
	api_on_turn(site->api);
	api_on_pass(site->api);
	peers_flush(site->peers);
	http_server_flush(site->server);
}

void
world_pass(struct world *world)
{
	loop_pass(world->loop, next_deadline(world));
	for (unsigned i = 0; i < world->count; i++) {
		if (!world->site[i].dead)
			turn_site(&world->site[i]);
	}
}

/* ---- The client ---- */

int
site_send_bytes(const struct site *site, struct slice bytes)
{
	int fd = local_client_connect(http_server_port(site->server));

	ck_assert_int_eq(
	    send(fd, bytes.data, bytes.size, MSG_NOSIGNAL), (int)bytes.size);
	return fd;
}

int
site_send(const struct site *site, const char *method, const char *target,
    const char *headers, struct slice body)
{
	struct buf text = { 0 };
	int fd;

	buf_printf(&text,
	    "%s %s HTTP/1.1\r\nHost: localhost:5864\r\n"
	    "Connection: close\r\n%s",
	    method, target, headers);
	if (body.data != NULL)
		buf_printf(&text, "Content-Length: %zu\r\n", body.size);
	buf_append_text(&text, "\r\n");
	buf_append_slice(&text, body);
	fd = site_send_bytes(site, buf_slice(&text));
	buf_release(&text);
	return fd;
}

static struct reply
parse_reply(struct buf *text)
{
	struct reply reply = { 0 };
	uint64_t status;
	const char *end;

	buf_append(text, "", 1);
	reply.text = (char *)buf_detach(text, &reply.size);
	reply.size--;
	ck_assert_uint_gt(reply.size, 12);
	ck_assert_int_eq(memcmp(reply.text, "HTTP/1.1 ", 9), 0);
	ck_assert_int_eq(
	    text_parse_u64(slice_of(reply.text + 9, 3), &status), 0);
	reply.status = (unsigned)status;
	end = strstr(reply.text, "\r\n\r\n");
	ck_assert_ptr_nonnull(end);
	end += 4;
	reply.body = slice_of(end, reply.size - (size_t)(end - reply.text));
	return reply;
}

/* True when the server has closed the connection. */
static bool
drain_socket(int fd, struct buf *to)
{
	char bytes[4096];
	ssize_t size;

	while ((size = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		buf_append(to, bytes, (size_t)size);
	ck_assert(size == 0 || errno == EAGAIN);
	return size == 0;
}

struct reply
site_receive(struct world *world, int fd)
{
	struct buf text = { 0 };

	for (int i = 0; i < WORLD_PASSES_MAX; i++) {
		if (drain_socket(fd, &text)) {
			close(fd);
			return parse_reply(&text);
		}
		world_pass(world);
	}
	ck_abort_msg("no answer came");
	return (struct reply){ 0 };
}

struct reply
site_ask(struct site *site, const char *method, const char *target,
    const char *headers, struct slice body)
{
	return site_receive(
	    site->world, site_send(site, method, target, headers, body));
}

/* Half a close would be answered: it is reset. */
void
site_break_off(int fd)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	ck_assert_int_eq(
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	close(fd);
}

void
reply_release(struct reply *reply)
{
	free(reply->text);
	*reply = (struct reply){ 0 };
}

struct reply
site_get(struct site *site, const char *target)
{
	return site_ask(site, "GET", target, "", slice_of(NULL, 0));
}

struct reply
site_get_with(struct site *site, const char *target, const char *headers)
{
	return site_ask(site, "GET", target, headers, slice_of(NULL, 0));
}

struct reply
site_put(struct site *site, const char *target, const char *value)
{
	return site_ask(site, "PUT", target, "", slice_from_text(value));
}

void
site_expect(struct site *site, const char *request, const char *headers,
    const char *body, unsigned status, const char *says)
{
	const char *target = strchr(request, ' ') + 1;
	char method[16];
	struct reply reply;

	snprintf(method, sizeof(method), "%.*s", (int)(target - request - 1),
	    request);
	reply = site_ask(site, method, target, headers,
	    body == NULL ? slice_of(NULL, 0) : slice_from_text(body));
	ck_assert_msg(reply.status == status, "%s: expected %u: %s", request,
	    status, reply.text);
	ck_assert_msg(strstr(reply.text, says) != NULL, "%s: no '%s' in %s",
	    request, says, reply.text);
	reply_release(&reply);
}

const char *
reply_header(const struct reply *reply, const char *name)
{
	static char value[512];
	char line[128];
	const char *at;
	size_t size;

	snprintf(line, sizeof(line), "\r\n%s: ", name);
	at = strcasestr(reply->text, line);
	if (at == NULL || at >= (const char *)reply->body.data)
		return "";
	at += strlen(line);
	size = strcspn(at, "\r");
	ck_assert_uint_lt(size, sizeof(value));
	memcpy(value, at, size);
	value[size] = '\0';
	return value;
}

void
assert_status(const struct reply *reply, unsigned status)
{
	ck_assert_msg(
	    reply->status == status, "expected %u: %s", status, reply->text);
}

void
assert_body(const struct reply *reply, const char *text)
{
	ck_assert_str_eq((const char *)reply->body.data, text);
}

void
assert_problem(struct reply reply, unsigned status, const char *code)
{
	struct slice text;
	uint64_t number;
	json_t *problem;

	assert_status(&reply, status);
	ck_assert_str_eq(
	    reply_header(&reply, "Content-Type"), "application/problem+json");
	ck_assert_int_eq(json_parse_object(reply.body, 100000, &problem), 0);
	ck_assert_int_eq(json_get_text(problem, "code", &text), 0);
	ck_assert_msg(
	    slice_equal(text, slice_from_text(code)), "%s", reply.text);
	ck_assert_int_eq(json_get_u64(problem, "status", &number), 0);
	ck_assert_uint_eq(number, status);
	ck_assert_int_eq(json_get_text(problem, "title", &text), 0);
	ck_assert_int_eq(json_get_text(problem, "detail", &text), 0);
	ck_assert_uint_gt(text.size, 0);
	ck_assert_uint_eq(reply.body.data[reply.body.size - 1], '\n');
	ck_assert_str_eq(reply_header(&reply, "Retry-After"),
	    status == 503 || status == 429 ? "1" : "");
	json_decref(problem);
	reply_release(&reply);
}

void
assert_contains(const struct reply *reply, const char *text)
{
	ck_assert_msg(strstr(reply->text, text) != NULL, "no %s in: %s", text,
	    reply->text);
}

/* ---- Worlds that are ready ---- */

struct world *
world_new_one(uint64_t quota_bytes)
{
	struct world *world = world_new(1, quota_bytes);

	while (!node_is_leader(world->site[0].node))
		world_pass(world);
	world_pass(world);
	return world;
}

struct world *
world_new_lonely(void)
{
	struct world *world = world_new(3, 0);

	for (unsigned i = 1; i < world->count; i++) {
		site_stop(&world->site[i]);
	}
	world_pass(world);
	return world;
}

struct site *
world_leader(struct world *world)
{
	for (unsigned i = 0; i < world->count; i++) {
		if (!world->site[i].dead && node_is_leader(world->site[i].node))
			return &world->site[i];
	}
	return NULL;
}

struct site *
world_follower(struct world *world)
{
	for (unsigned i = 0; i < world->count; i++) {
		if (!world->site[i].dead &&
		    !node_is_leader(world->site[i].node))
			return &world->site[i];
	}
	return NULL;
}

static bool
everybody_follows(struct world *world)
{
	for (unsigned i = 0; i < world->count; i++) {
		if (node_leader(world->site[i].node) == 0)
			return false;
	}
	return world_leader(world) != NULL;
}

static struct world *
wait_until_everybody_follows(struct world *world)
{
	for (int i = 0; i < WORLD_PASSES_MAX && !everybody_follows(world); i++)
		world_pass(world);
	ck_assert(everybody_follows(world));
	return world;
}

struct world *
world_new_three(void)
{
	return wait_until_everybody_follows(world_new(3, 0));
}

struct world *
world_new_roomy(unsigned count)
{
	return wait_until_everybody_follows(world_new_as(count, 0, true));
}

void
site_pass_until_busy(struct site *site)
{
	for (int i = 0; i < WORLD_PASSES_MAX && api_idle(site->api); i++)
		world_pass(site->world);
	ck_assert(!api_idle(site->api));
}

uint64_t
world_later(const struct world *world, uint64_t us)
{
	return loop_now(world->loop) + us;
}
