#ifndef TESTS_UNIT_PEER_NET_H
#define TESTS_UNIT_PEER_NET_H

/*
 * Up to three members on one loop, each with a real HTTP server on a free
 * port of 127.0.0.1, real peers, and a fake node that notes what it is told.
 * And a stranger: a bare connection that says whatever a test wants.
 */

#include "net/peer.h"
#include "net/wire.h"

#define PEER_NET_SIDES_MAX 3
#define PEER_NET_NOTED_MAX 128

struct peer_net;

/* One member. */
struct side {
	struct peer_net *net;
	raft_id id;
	struct http_server *server;
	struct peers *peers;
	uint64_t boot_id;
	const char *secret;
	const char *address; /* of its configuration; NULL: none */
	bool holds;          /* requests are noted and left without an answer */
	bool joining;        /* it has no id, and waits to be made a member */
	int hear_result;
	int receive_result;
	/* What it answers to a piece of a snapshot. */
	int piece_result;
	const char *piece_answer;

	/* What the node was told. */
	unsigned heard_count;
	struct node_hello heard;
	unsigned received_count;
	struct raft_message received[PEER_NET_NOTED_MAX]; /* the first ones */
	struct http_connection *received_on[PEER_NET_NOTED_MAX];
	char record[64]; /* the first record of the last append, as text */
	unsigned unreachable_count;
	unsigned refused_count;
	unsigned pieces_count;
	raft_id piece_from;
	size_t piece_size;
	char piece[32]; /* how the last one begins, as text */
	unsigned answered_count;
	raft_id answered_by;
	char answered[32];    /* the last answer to a piece, as text */
	unsigned pieces_left; /* so many follow, each upon an answer */

	/* Requests that are not below /raft/, or held, the first ones. */
	unsigned requests_count;
	struct http_request *request[PEER_NET_NOTED_MAX];
	unsigned abandoned_count;
};

struct peer_net {
	struct loop *loop;
	unsigned sides_count;
	struct side side[PEER_NET_SIDES_MAX];
	uint16_t port[PEER_NET_SIDES_MAX];
	raft_usec election_timeout;
	/* The connection whose request is being handled. */
	struct http_connection *current;
};

/* Members 1 .. count, each with its server; none is started. */
void peer_net_init(struct peer_net *net, unsigned count);
void peer_net_release(struct peer_net *net);

/* A member as it starts: with a new boot id, on its port of before. */
void peer_net_start(struct peer_net *net, raft_id id);
/* The same, but it knows of no other one, and so does not dial. */
void peer_net_listen(struct peer_net *net, raft_id id);
/* All members, for peers_set_members. */
struct node_members peer_net_members(const struct peer_net *net);
/* The connections from one member to another. */
struct peer *peer_net_peer(struct peer_net *net, raft_id from, raft_id to);
/* As if its process was killed, or was not there from the beginning. */
void peer_net_kill(struct peer_net *net, raft_id id);
struct side *peer_net_side(struct peer_net *net, raft_id id);

/* One pass of the loop and what follows it. */
void peer_net_pass(struct peer_net *net);
/* Passes that would show what must not happen: all that is queued is done. */
void peer_net_pass_some(struct peer_net *net);
/* Passes until `condition` holds; fails the test after a few seconds. */
#define PEER_NET_WAIT(net, condition)                                          \
	do {                                                                   \
		uint64_t wait_end_us = loop_update_now((net)->loop) + 5000000; \
                                                                               \
		while (!(condition)) {                                         \
			ck_assert_msg(loop_now((net)->loop) < wait_end_us,     \
			    "no " #condition);                                 \
			peer_net_pass(net);                                    \
		}                                                              \
	} while (0)

bool peer_net_connected(struct peer_net *net, raft_id from, raft_id to);
/* Both ways between all that are started. */
bool peer_net_all_connected(struct peer_net *net);

/* ---- Messages ---- */

/* An append from one member to another, with `count` equal records. */
void peer_net_append(struct peer_net *net, raft_id from, raft_id to,
    uint64_t sequence, struct slice record, uint32_t count);
/* A message with what all kinds have. */
struct raft_message peer_net_message(struct peer_net *net,
    enum raft_message_kind kind, raft_id from, raft_id to, uint64_t sequence);

/* ---- A stranger ---- */

struct stranger {
	struct peer_net *net;
	char address[32];       /* that it dialled */
	const char *to_address; /* that it says it dialled */
	struct http_client *client;
	bool closed;
	unsigned replies_count;              /* and errors */
	unsigned status[PEER_NET_NOTED_MAX]; /* 0: an error */
	struct buf body;                     /* of the last reply */
	struct buf proof; /* Luminous-Proof of the last reply */
	struct buf hello; /* as sent */
};

void stranger_init(struct stranger *stranger, struct peer_net *net, raft_id to);
void stranger_release(struct stranger *stranger);
/* Sends a request; wait for it with PEER_NET_WAIT. */
void stranger_send(struct stranger *stranger, const char *path,
    const char *headers, struct slice body);
/* Sends it and waits; its status. */
unsigned stranger_post(struct stranger *stranger, const char *path,
    const char *headers, struct slice body);
/* Says hello as member `from`, whoever listens; the status. */
unsigned stranger_hello(struct stranger *stranger, raft_id from, raft_id to,
    enum wire_purpose purpose);
/* Proves `secret` over the hellos that were exchanged; the status. */
unsigned stranger_prove(struct stranger *stranger, const char *secret);
/* Sends a message with its CRC. */
void stranger_send_message(struct stranger *stranger, const char *path,
    const struct raft_message *message);
unsigned stranger_post_message(struct stranger *stranger, const char *path,
    const struct raft_message *message);

#endif
