#include "server_impl.h"

#include "common/log.h"
#include "common/mem.h"
#include "common/panic.h"
#include "common/version.h"
#include "data_dir.h"
#include "server_damage.h"
#include "server_data.h"
#include "store/store_journal.h"
#include "store/store_lmdb.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* Address space of the log's file: pages half full, and deletes, which are
 * never refused, have to fit as well. */
#define LOG_MAP_FACTOR 4
/*
 * The log's commits since the last one of LMDB. What they changed is in memory
 * as well; a larger file means fewer and longer commits of LMDB.
 */
#define LOG_JOURNAL_BYTES (2u << 20)

/* ---- What the node asks of the world ---- */

static raft_usec
host_now(void *context)
{
	struct server *server = context;

	return loop_update_now(server->loop);
}

static void
host_send(void *context, const struct raft_message *message,
    struct node_entry *const *entries)
{
	struct server *server = context;

	/* The first turn, at open, comes before there are peers. */
	if (server->peers != NULL)
		peers_send(server->peers, message, entries);
}

static void
host_flush(void *context)
{
	struct server *server = context;

	/* The first turn, at open, comes before there is anybody. */
	if (server->peers != NULL)
		peers_flush(server->peers);
	if (server->http != NULL)
		http_server_flush(server->http);
}

static void
host_on_change(void *context)
{
	struct server *server = context;

	server->changed = true;
}

static void
host_on_commit(void *context, bool checkpoint, raft_usec took)
{
	struct server *server = context;
	uint64_t slow = server->config->slow_fsync_us;

	if (server->api != NULL)
		api_observe_commit(server->api, checkpoint, took);
	if (slow != 0 && took > slow)
		log_warning("slow disk: a %s took %llu ms (log.slow-fsync)",
		    checkpoint ? "checkpoint" : "log commit",
		    (unsigned long long)(took / 1000));
}

static void
host_on_alarm(void *context, enum raft_alarm alarm, raft_id peer)
{
	struct server *server = context;
	const struct node_member *member = node_find_member(server->node, peer);
	const char *name = member == NULL ? "?" : member->name;

	switch (alarm) {
	case RAFT_ALARM_LOST_TAIL:
		log_err("%s lost entries that it had acknowledged: its disk "
			"or data-dir went back in time",
		    name);
		break;
	case RAFT_ALARM_REPAIRING:
		log_notice("%s found damage in its log: it gets the entries "
			   "that it lost again",
		    name);
		break;
	}
}

/* Links are ended and begun behind the turn, which this is called from. */
static void
host_on_members(void *context, const struct node_members *members)
{
	struct server *server = context;

	(void)members; /* asked for again then */
	server->members_changed = true;
}

static void
host_send_snapshot(void *context, raft_id to, struct slice piece)
{
	struct server *server = context;

	peers_send_snapshot(server->peers, to, piece);
}

static void
host_cancel_snapshot(void *context, raft_id to)
{
	struct server *server = context;

	peers_cancel_snapshot(server->peers, to);
}

static int
host_open_data(
    void *context, uint64_t generation, bool empty, struct store **ret_store)
{
	struct server *server = context;

	return server_data_open(server->config->data_dir, generation, empty,
	    server->config->map_bytes, server->config->memtable_bytes,
	    ret_store);
}

static int
host_remove_data_but(void *context, uint64_t generation)
{
	struct server *server = context;

	return server_data_remove_but(
	    server->config->data_dir, generation, &server->trash);
}

/* ---- Opening ---- */

void
server_fill_random(void *to, size_t size)
{
	/* Up to 256 bytes come whole once the kernel's pool is ready. */
	if (getrandom(to, size, 0) != (ssize_t)size)
		fatal("getrandom gave no random bytes");
}

static int
open_store(const char *data_dir, const char *name, const char *const *tables,
    unsigned tables_count, uint64_t map_bytes, struct store **ret_store)
{
	struct buf path = { 0 };
	char why[160] = "";
	struct store_lmdb_params params = {
		.tables = tables,
		.tables_count = tables_count,
		.map_bytes = map_bytes,
		.why = why,
		.why_size = sizeof(why),
	};
	int error;

	buf_printf(&path, "%s/%s", data_dir, name);
	params.path = (const char *)path.data;
	error = store_lmdb_open(&params, ret_store);
	if (error != 0)
		log_err("%s: cannot open the %s store: %s%s%s", params.path,
		    name, err_text(error), why[0] == '\0' ? "" : ": ", why);
	buf_release(&path);
	return error;
}

int
server_open_log(struct server *server)
{
	const struct config *config = server->config;
	const char *tables[NODE_LOG_TABLES_COUNT + 1];
	struct store_journal_params params = {
		.capacity = LOG_JOURNAL_BYTES,
		.table = NODE_LOG_TABLES_COUNT,
	};
	struct buf path = { 0 };
	struct store *lmdb;
	char why[256];
	int error;

	memcpy(tables, node_log_tables, sizeof(node_log_tables));
	tables[NODE_LOG_TABLES_COUNT] = "journal";
	error = open_store(config->data_dir, "log", tables, ARRAY_COUNT(tables),
	    LOG_MAP_FACTOR * config->log_quota_bytes, &lmdb);
	if (error != 0)
		return error;
	buf_printf(&path, "%s/log", config->data_dir);
	params.directory = (const char *)path.data;
	server_fill_random(&params.random_id, sizeof(params.random_id));
	params.random_id |= 1; /* not 0 */
	error = store_journal_open(
	    &params, lmdb, &server->log_store, why, sizeof(why));
	if (error != 0)
		log_err(
		    "%s: cannot open the log store: %s", params.directory, why);
	buf_release(&path);
	return error;
}

int
server_open_directory(struct server *server)
{
	const struct config *config = server->config;
	int error;

	if (server->dir != NULL)
		return 0;
	error = store_dir_open(config->data_dir, &server->dir);
	if (error == ERR_LOCKED) {
		log_err("%s: another luminousd runs on this directory; stop "
			"it, or set node.data-dir to another one",
		    config->data_dir);
		return error;
	}
	if (error == ERR_NOT_FOUND)
		log_err("%s: the directory above it does not exist; create it, "
			"or set node.data-dir",
		    config->data_dir);
	else if (error != 0)
		log_err("%s: cannot use this data directory: %s",
		    config->data_dir, err_text(error));
	return error;
}

static int
open_node(struct server *server)
{
	const struct config *config = server->config;
	const struct node_host host = {
		.context = server,
		.now = host_now,
		.send = host_send,
		.flush = host_flush,
		.on_change = host_on_change,
		.on_commit = host_on_commit,
		.on_alarm = host_on_alarm,
		.on_difference = server_on_difference,
		.on_members = host_on_members,
		.send_snapshot = host_send_snapshot,
		.cancel_snapshot = host_cancel_snapshot,
		.open_data = host_open_data,
		.remove_data_but = host_remove_data_but,
	};
	struct node_params params;
	char why[512];
	int error;

	server_fill_node_params(config, &params);
	error = node_new(&server->node, &params, server->log_store, &host,
	    loop_update_now(server->loop), why, sizeof(why));
	if (error != 0) {
		log_err("%s: %s", config->data_dir, why);
		return error;
	}
	server->damaged = params.damaged;
	server->needed = server_damage_is_needed(config->data_dir);
	server_note_needed(server);
	server_tell_repairs(server);
	return 0;
}

static int
open_parts(struct server *server)
{
	int error;

	error = data_dir_check(server->config->data_dir);
	if (error == 0)
		error = server_open_directory(server);
	if (error == 0)
		error = server_open_log(server);
	if (error == 0)
		error = open_node(server);
	return error;
}

/* What this node promised is not known any more: it begins anew, as another. */
static int
begin_again(struct server *server)
{
	const char *data_dir = server->config->data_dir;
	int error;

	log_warning("%s: the log, or what says whose it is, is damaged: it is "
		    "set aside in \"damaged\", and this node begins again; the "
		    "leader puts it in its former place, no operator is needed "
		    "as long as the others are a majority",
	    data_dir);
	server_count_repair("identity");
	store_close(server->log_store);
	server->log_store = NULL;
	error = server_open_directory(server);
	if (error == 0)
		error = server_damage_set_aside(data_dir);
	if (error == 0)
		error = open_parts(server);
	return error;
}

static int
open_replica(struct server *server)
{
	const struct config *config = server->config;
	bool unfinished = server_damage_unfinished(config->data_dir);
	int error = unfinished ? ERR_CORRUPT : open_parts(server);

	if (error != ERR_CORRUPT)
		return error;
	if (server_has_fellows(config))
		return begin_again(server);
	log_err("%s: %sthe other voters are no majority, and cannot put this "
		"node in its former place: it stops; put back the newest "
		"data-dir that is whole (README: status 70)",
	    config->data_dir,
	    unfinished ? "the log was set aside in \"damaged\"; " : "");
	return error;
}

/*
 * The list in the file founds a cluster and has no effect later, so that it may
 * grow old; but who reads it shall not be misled.
 */
static void
compare_members(const struct server *server)
{
	struct node_members listed;

	/* Who waits to be a member knows none. */
	if (node_get_members(server->node)->count == 0)
		return;
	server_fill_members(server->config, &listed);
	for (unsigned i = 0; i < listed.count; i++) {
		const struct node_member *member = &listed.member[i];
		const struct node_member *stored =
		    node_find_member_name(server->node, member->name);

		if (stored == NULL ||
		    strcmp(member->address, stored->address) != 0)
			log_notice("[members] has %s = %s, which is not so any "
				   "more: the data directory knows the "
				   "members, GET /cluster shows them",
			    member->name, member->address);
	}
}

static void
make_peers(struct server *server)
{
	const struct config *config = server->config;
	struct peers_params params;

	server_fill_peers_params(config, &params);
	server->peers =
	    peers_new(server->loop, &params, &server_peers_ops, &server->glue);
	server_dial_members(server);
}

static void
make_api(struct server *server)
{
	const struct config *config = server->config;
	struct api_params params = {
		.cluster = config->cluster_name,
		.node = config->node_name,
		.version = version_text(),
		.data_dir = config->data_dir,
		.request_timeout_us = config->request_timeout_us,
		.value_bytes_max = config->value_bytes_max,
		.quota_bytes = config->quota_bytes,
		.watchers_max = config->watchers_max,
		.require_cas = config->require_cas,
		.get_space = server_get_space,
		.context = server,
	};

	server_fill_random(&params.seed, sizeof(params.seed));
	server->api =
	    api_new(server->loop, &params, server->node, server->peers);
}

static int
open_http(struct server *server)
{
	const struct config *config = server->config;
	const struct http_server_params params = {
		.connections_max = config->connections_max,
		.target_bytes_max = (uint32_t)config->target_bytes_max,
		.head_bytes_max = (uint32_t)config->head_bytes_max,
		.input_bytes_max = config->input_bytes_max,
		.output_bytes_max = config->output_bytes_max,
		.idle_timeout_us = config->idle_timeout_us,
		.header_timeout_us = config->header_timeout_us,
		.body_timeout_us = config->body_timeout_us,
		.write_timeout_us = config->write_timeout_us,
	};
	int error;

	server->http = http_server_new(
	    server->loop, &params, &server_http_ops, &server->glue);
	error = http_server_listen(server->http, config->listen);
	if (error == ERR_LOCKED)
		log_err("cannot listen on %s: the address is in use; stop "
			"what uses it or set node.listen",
		    config->listen);
	else if (error != 0)
		log_err(
		    "cannot listen on %s: %s; is it an address of this host? "
		    "see node.listen, node.name",
		    config->listen, err_text(error));
	return error;
}

/* Once it is a member, the file says nothing more about it. */
static bool
asks_to_join(const struct server *server)
{
	struct node_status status;

	node_get_status(server->node, loop_now(server->loop), &status);
	return status.state == NODE_JOINING &&
	       server->config->join_address != NULL;
}

static int
open_all(struct server *server)
{
	int error;

	if (loop_new(&server->loop) != 0 ||
	    loop_on_signal(
		server->loop, SIGTERM, server_on_stop_signal, server) != 0 ||
	    loop_on_signal(
		server->loop, SIGINT, server_on_stop_signal, server) != 0) {
		log_err("no event queue: the kernel gives none, or no memory");
		return SERVER_EXIT_FAILED;
	}
	error = open_replica(server);
	if (error != 0)
		return server_exit_status(error);
	compare_members(server);
	make_peers(server);
	make_api(server);
	server->glue = (struct server_glue){
		.loop = server->loop,
		.node = server->node,
		.peers = server->peers,
		.api = server->api,
	};
	if (open_http(server) != 0)
		return SERVER_EXIT_FAILED;
	if (asks_to_join(server))
		server->join = server_join_new(server->loop, server->config);
	return 0;
}

int
server_new(struct server **ret_server, const struct config *config,
    struct server_history *history)
{
	struct server *server = mem_zalloc(1, sizeof(*server));
	int status;

	server->config = config;
	server->history = history;
	server->drain_until = UINT64_MAX;
	server->hand_over_until = UINT64_MAX;
	server->changed = true;
	server_begin_repairs();
	notify_init(&server->notify);
	if (server->notify.watchdog_interval_us == 0)
		server->watchdog_at = UINT64_MAX;
	status = open_all(server);
	if (status != 0) {
		server_free(server);
		return status;
	}
	*ret_server = server;
	return 0;
}

void
server_free(struct server *server)
{
	if (server == NULL)
		return;
	server_join_free(server->join);
	http_server_free(server->http);
	api_free(server->api);
	peers_free(server->peers);
	node_free(server->node);
	store_close(server->log_store);
	store_dir_close(server->dir);
	store_trash_release(&server->trash);
	loop_free(server->loop);
	free(server);
}
