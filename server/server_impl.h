#ifndef SERVER_IMPL_H
#define SERVER_IMPL_H

/*
 * The server's inside: server.c opens it, server_run.c drives it,
 * server_glue.c is between its parts.
 */

#include "net/loop.h"
#include "notify.h"
#include "server.h"
#include "server_glue.h"
#include "server_join.h"
#include "store/store_dir.h"
#include "store/store_trash.h"

struct server {
	const struct config *config;
	struct server_history *history;
	struct loop *loop;
	struct store_dir *dir;
	struct store *log_store;
	struct node *node;
	struct http_server *http;
	struct peers *peers;
	struct api *api;
	struct server_join *join; /* NULL: this node does not join */
	struct server_glue glue;
	struct notify notify;
	struct store_trash trash; /* old data stores */
	uint64_t trash_at;
	uint64_t watchdog_at;
	bool changed;             /* the node's role, leader or state */
	bool members_changed;     /* whom to dial */
	bool damaged;             /* what was damaged is still set aside */
	bool needed;              /* as noted in the directory */
	bool stopping;            /* SIGTERM came */
	uint64_t hand_over_until; /* UINT64_MAX unless it leads and stops */
	bool draining;            /* new requests are refused */
	uint64_t drain_until;     /* UINT64_MAX unless draining */
	uint64_t status_at;
	char status_text[512]; /* as told last */
	enum node_state state; /* as last logged, */
	enum raft_role role;
	raft_id leader;
	unsigned reached;
	bool repairing;
	uint64_t snapshots_refused;
};

/* Takes the lock of the data directory, and opens the log store in it; what is
 * wrong is logged. Both need the configuration only. */
int server_open_directory(struct server *server);
int server_open_log(struct server *server);

/* Random bytes of the operating system; up to 256. */
void server_fill_random(void *to, size_t size);

/* Of a node that stops with `error`, or of a directory that cannot be opened. */
int server_exit_status(int error);

/* node_host.on_difference: tells the operator. */
void
server_on_difference(void *context, raft_id a, raft_id b, raft_index index);

/* ---- server_repair.c ---- */

/* All kinds are counted from 0, so that the first one is seen as a rise. */
void server_begin_repairs(void);
/* "log", "data" or "identity", for the metrics. */
void server_count_repair(const char *kind);
/* Of what the node mended at its open. */
void server_tell_repairs(struct server *server);
/* Can anybody put this node in its former place? */
bool server_has_fellows(const struct config *config);
/* Notes in the directory whether the others can do without this node. */
void server_note_needed(struct server *server);
/* Once the node is whole again, what was set aside is of no use. */
void server_judge_damage(struct server *server);

/* ---- server_params.c ---- */

/* The founders; none if it joins. */
void server_fill_members(
    const struct config *config, struct node_members *ret_members);
/* The texts stay the configuration's. */
void server_fill_node_params(
    const struct config *config, struct node_params *ret_params);
void server_fill_peers_params(
    const struct config *config, struct peers_params *ret_params);

/* A leader takes this much that is not committed, then answers "busy". */
#define SERVER_UNCOMMITTED_BYTES_MAX (64u << 20)

/* For the API: of what has the least room left. */
void server_get_space(void *context, struct api_space *ret_space);

/* Tells the peers whom the node knows as members. */
void server_dial_members(struct server *server);

/* SIGTERM, SIGINT: hand the leadership over, refuse new work, end when the
 * rest is done. */
void server_on_stop_signal(void *context, int signal_number);

#endif
