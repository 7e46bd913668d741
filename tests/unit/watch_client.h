#ifndef TESTS_WATCH_CLIENT_H
#define TESTS_WATCH_CLIENT_H

/* A client of an answer that comes in parts, and commands past HTTP. */

#include "tests/unit/api_site.h"

struct watch_client {
	struct world *world;
	int fd;
	struct buf raw;  /* as received, not decoded yet */
	struct buf head; /* empty: not there yet */
	struct buf text; /* of the body: decoded, with a NUL behind */
	size_t taken;    /* of the text, by watch_client_line */
	struct buf line;
	bool ended; /* in order */
	bool cut;   /* the connection closed before the end */
};

/* Asks, and waits for nothing. */
struct watch_client
watch_client_send(struct site *site, const char *target, const char *headers);
/* Asks, and waits for the head of a 200. */
struct watch_client
watch_client_open(struct site *site, const char *target, const char *headers);
void watch_client_close(struct watch_client *client);

/* Passes until there is one more line, without its end; valid until the next
 * call. */
const char *watch_client_line(struct watch_client *client);
void watch_client_expect(struct watch_client *client, const char *line);
/* All of its lines have been taken, and the answer has ended in order. */
void watch_client_expect_end(struct watch_client *client);
/* Nothing more comes, and the answer has not ended. */
void watch_client_expect_silence(struct watch_client *client);
/* Takes in what has arrived. */
void watch_client_receive(struct watch_client *client);
const char *
watch_client_header(const struct watch_client *client, const char *name);

/* The number behind `name`, which is there, in a line. */
uint64_t watch_client_number(const char *line, const char *name);
/*
 * Reads up to the last line, which is of this type, and gives it. All before
 * are puts of whole revisions: *ret_revision is that of the last one, unchanged
 * without any, and *ret_count how many there were.
 */
const char *watch_client_read_to_end(struct watch_client *client,
    const char *type, uint64_t *ret_revision, unsigned *ret_count);

/* Passes until the leader has applied it; false: it was lost. */
bool world_command(struct world *world, struct slice command);
/* A transaction of puts of these keys, with the key as the value. */
void world_put_together(struct world *world, const char *const *keys);
/* Puts a large value, and so many copies of it in one more revision, of keys of
 * their own: some 35 KB of lines. */
#define WORLD_COPIES 30
void world_put_large(struct world *world);
void world_copy_large(struct world *world, unsigned number);
/* The leader applies so many of these revisions at once. */
void world_copy_at_once(struct world *world, unsigned count);
/* Both, 300 times: more than the kernel takes of an answer nobody reads. */
void world_fill(struct world *world);
/* All up to this revision is forgotten. */
void world_compact(struct world *world, uint64_t revision);
/* Passes until all who live have applied the same. */
void world_converge(struct world *world);

#endif
