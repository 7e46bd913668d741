#ifndef SERVER_JOIN_H
#define SERVER_JOIN_H

/*
 * A node with node.join and an empty data directory asks the member named
 * there, like any client, to be added:
 *
 *	POST /cluster/members?name=NAME&address=ADDRESS
 *
 * again and again until the node is a member. An operator may send the same
 * request: adding twice is adding once.
 */

#include "config.h"
#include "net/loop.h"

struct server_join;

/* `config` is borrowed for the life of it. */
struct server_join *
server_join_new(struct loop *loop, const struct config *config);
void server_join_free(struct server_join *join); /* NULL is fine */

uint64_t server_join_deadline(const struct server_join *join);
void server_join_expire(struct server_join *join, uint64_t now_us);

#endif
