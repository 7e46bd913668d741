#ifndef TESTS_API_SITE_H
#define TESTS_API_SITE_H

/*
 * Whole nodes in one process, on one loop, over real sockets: everything but
 * the configuration and the disk. A node that is frozen takes no turn, so
 * nothing is committed there; deadlines are passed by telling the api so.
 */

#include "server_glue.h"
#include "tests/lib/store_mem.h"

#define SITES_MAX                5
#define SITE_GENERATIONS         4
#define SITE_VALUE_MAX           1000
#define SITE_TIMEOUT_US          5000000
#define SITE_ELECTION_TIMEOUT_US 300000
#define SITE_CONNECTIONS_MAX     100
#define SITE_WATCHERS_MAX        4
#define SITE_REQUIRE_CAS         "cas/"
#define SITE_INPUT_MAX           (10 * SITE_VALUE_MAX)
#define SITE_PIECE_BYTES         (1 << 14)
#define WORLD_PASSES_MAX         20000

struct world;

struct site {
	struct world *world;
	struct store_mem_disk *log_disk;
	/* By generation modulo their number. NULL: not there. */
	struct store_mem_disk *data_disks[SITE_GENERATIONS];
	struct store *log;
	struct node *node;
	struct peers *peers;
	struct http_server *server;
	struct api *api;
	struct server_glue glue;
	raft_id id; /* its place, and a founder's id */
	char name[NODE_NAME_SIZE_MAX + 1];
	char address[NODE_ADDRESS_SIZE_MAX + 1];
	bool joins; /* it lists no members */
	bool changed;
	bool members_changed;
	bool frozen;
	bool dead; /* stopped: only the disks are there */
	uint64_t free_bytes;
	unsigned free_asked;
};

struct world {
	struct loop *loop;
	unsigned count;
	unsigned boots;
	uint64_t quota_bytes;
	bool is_roomy;
	struct node_members members; /* the founders */
	struct site site[SITES_MAX];
};

void world_free(struct world *world);
/* One pass of the loop, and the turn of every node. */
void world_pass(struct world *world);

/* One node that leads itself. */
struct world *world_new_one(uint64_t quota_bytes);
/* Three members of which only the first exists: the cluster cannot form. */
struct world *world_new_lonely(void);
/* Three nodes, of which one leads and two follow it. */
struct world *world_new_three(void);
/* One or three of them that take commands of up to 1 MiB, of many keys. */
struct world *world_new_roomy(unsigned count);
/* One more node, n4 after n3, that waits to be made a member. */
struct site *world_add_joining(struct world *world);
struct site *world_leader(struct world *world);
struct site *world_follower(struct world *world);
/* The process is gone, its disks are there. */
void site_stop(struct site *site);
/* Starts a stopped one on its disks, at its address. */
void site_start(struct site *site);
/* Starts a stopped one on its disks, at another address. */
void site_start_elsewhere(struct site *site);
/* Starts a stopped one at its address, on new disks. */
void site_start_wiped(struct site *site);
/* Passes until the site has a request that waits. */
void site_pass_until_busy(struct site *site);
/* The loop's time and `us`. */
uint64_t world_later(const struct world *world, uint64_t us);

/* ---- A client ---- */

/* Send on a connection of their own; its socket is returned. */
int site_send_bytes(const struct site *site, struct slice bytes);
/* `headers` is lines with CRLF; a body with data NULL is none. */
int site_send(const struct site *site, const char *method, const char *target,
    const char *headers, struct slice body);

/* The client is gone, and its system says so. */
void site_break_off(int fd);

struct reply {
	unsigned status;
	char *text; /* all of it, with a NUL behind */
	size_t size;
	struct slice body;
};

/* Passes until the server has answered and closed; the socket is gone. */
struct reply site_receive(struct world *world, int fd);
void reply_release(struct reply *reply);

/* Send and receive in one. */
struct reply site_ask(struct site *site, const char *method, const char *target,
    const char *headers, struct slice body);
struct reply site_get(struct site *site, const char *target);
struct reply
site_get_with(struct site *site, const char *target, const char *headers);
struct reply site_put(struct site *site, const char *target, const char *value);

/*
 * Asks, as in "PUT /kv/a?cas=0", and looks at the status and for a text in the
 * answer, head included. `body` NULL: none.
 */
void site_expect(struct site *site, const char *request, const char *headers,
    const char *body, unsigned status, const char *says);

/* The value of a header, "" without one; valid until the next call. */
const char *reply_header(const struct reply *reply, const char *name);

void assert_status(const struct reply *reply, unsigned status);
void assert_body(const struct reply *reply, const char *text);
void assert_contains(const struct reply *reply, const char *text);
/* One line of JSON with the members that all errors have. Releases it. */
void assert_problem(struct reply reply, unsigned status, const char *code);

#endif
