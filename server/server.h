#ifndef SERVER_H
#define SERVER_H

/*
 * The composition root: opens the data directory, puts stores, node, HTTP,
 * peers and API together and drives the turns.
 */

#include "config.h"

struct server;

/* What outlives a server that is opened again; zeros at first. */
struct server_history {
	uint64_t reopened_at_us; /* 0: never */
};

enum {
	/* None: damage was found while it served; to be freed, and made anew,
	 * which verifies all and mends it. At most once a minute. */
	SERVER_REOPEN = -1,
	SERVER_EXIT_FAILED = 1, /* address in use, directory locked, ... */
	/* Damage that nobody else can make good, or a disk that is broken: a
	 * human is needed. */
	SERVER_EXIT_STOPPED = 70, /* EX_SOFTWARE of sysexits.h */
	/* The disk is full, and nothing is lost: to be started again. */
	SERVER_EXIT_FULL = 75 /* EX_TEMPFAIL */
};

/*
 * Opens everything and listens. What goes wrong is logged, with what to do;
 * the result is then an exit status of SERVER_EXIT_..., or CONFIG_EXIT_STATUS
 * for a directory that is another node's or no node's; else 0. Damage is mended
 * (node_new) or, if this node has fellows and what it promised is not known any
 * more, set aside (server_damage.h). `config` and `history` are borrowed for the
 * server's life.
 */
int server_new(struct server **ret_server, const struct config *config,
    struct server_history *history);

/*
 * Serves until SIGTERM or SIGINT, then refuses new work, finishes what is
 * under way and returns 0. SERVER_EXIT_STOPPED, SERVER_EXIT_FULL,
 * SERVER_REOPEN: the node had to stop; the reason is logged.
 */
int server_run(struct server *server);

void server_free(struct server *server); /* NULL is fine */

#endif
