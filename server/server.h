#ifndef SERVER_H
#define SERVER_H

/*
 * The composition root: opens the data directory, puts stores, node, HTTP,
 * peers and API together and drives the turns.
 */

#include "config.h"

struct server;

enum {
	SERVER_EXIT_FAILED = 1, /* address in use, directory locked, ... */
	/* Damage, or a disk that is broken: a human is needed. */
	SERVER_EXIT_STOPPED = 70, /* EX_SOFTWARE of sysexits.h */
	/* The disk is full, and nothing is lost: to be started again. */
	SERVER_EXIT_FULL = 75 /* EX_TEMPFAIL */
};

/*
 * Opens everything and listens. What goes wrong is logged, with what to do;
 * the result is then an exit status of SERVER_EXIT_..., or CONFIG_EXIT_STATUS
 * for a directory that is another node's or no node's; else 0. `config` is borrowed
 * for the server's life.
 */
int server_new(struct server **ret_server, const struct config *config);

/*
 * Serves until SIGTERM or SIGINT, then refuses new work, finishes what is
 * under way and returns 0. SERVER_EXIT_STOPPED, SERVER_EXIT_FULL: the node
 * had to stop; the reason is logged.
 */
int server_run(struct server *server);

void server_free(struct server *server); /* NULL is fine */

#endif
