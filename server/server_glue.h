#ifndef SERVER_GLUE_H
#define SERVER_GLUE_H

/*
 * What peers and HTTP server ask of node and API, which know nothing of each
 * other: the callbacks of both, for whoever puts the four together.
 */

#include "api/api.h"
#include "net/http_server.h"
#include "net/peer.h"
#include "node/node.h"

/* The context of the callbacks; complete before the first pass of the loop. */
struct server_glue {
	struct loop *loop;
	struct node *node;
	struct peers *peers;
	struct api *api;
};

extern const struct peers_ops server_peers_ops;
/* Peers below /raft/, clients elsewhere. */
extern const struct http_server_ops server_http_ops;

#endif
