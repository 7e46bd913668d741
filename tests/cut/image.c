#include "tests/cut/image.h"

#include "common/hash.h"
#include "common/text.h"
#include "node/node.h"
#include "server_impl.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* Far more than the commit of a whole log takes. */
#define TURNS_MAX 10000
#define SCAN_KEYS 4096

struct check {
	struct server *server;
	struct promises_made made;
	struct node_status status;
	bool failed;
};

ATTR_PRINTF(2, 3)
static void
complain(struct check *check, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	check->failed = true;
}

/* A cut damages nothing: nothing is to be mended or set aside. */
static void
check_repairs(struct check *check)
{
	if (check->made.damaged)
		return;
	for (int i = 0; i < NODE_REPAIRS_COUNT; i++) {
		const char *text =
		    node_get_repair(check->server->node, (enum node_repair)i);

		if (text != NULL)
			complain(check, "taken for damage: %s", text);
	}
	if (check->server->damaged || check->status.repairing)
		complain(check, "taken for damage");
}

static void
check_vote(struct check *check)
{
	const struct raft_status *raft = &check->status.raft;
	const struct promises_made *made = &check->made;

	if (raft->term < made->term)
		complain(check, "term %" PRIu64 ", said was %" PRIu64,
		    raft->term, made->term);
	else if (raft->term == made->term && made->vote != 0 &&
		 raft->vote != made->vote)
		complain(check,
		    "voted for %" PRIu64 " in term %" PRIu64
		    ", said was %" PRIu64,
		    raft->vote, raft->term, made->vote);
	if (raft->last_index < made->last_index)
		complain(check,
		    "entries up to %" PRIu64 ", said was up to %" PRIu64,
		    raft->last_index, made->last_index);
}

/* The same directory in a later life; if nobody knows it, any. */
static void
check_life(struct check *check)
{
	struct node_hello hello;
	char directory[2 * NODE_NONCE_SIZE + 1] = "";

	if (check->made.directory == NULL)
		return;
	node_get_hello(check->server->node, 0, &hello);
	for (size_t i = 0; i < NODE_NONCE_SIZE; i++)
		(void)snprintf(
		    directory + 2 * i, 3, "%02x", hello.directory[i]);
	if (strcmp(directory, check->made.directory) != 0)
		complain(check, "another directory, %s, than it said, %s",
		    directory, check->made.directory);
	if (hello.incarnation <= check->made.lives_count &&
	    check->made.lives_count != 0)
		complain(check,
		    "life %" PRIu64 ", and it was already in life %" PRIu64,
		    hello.incarnation, check->made.lives_count);
}

/* A sole voter leads at once, and commits what is in its log. */
static void
apply_all(struct check *check)
{
	struct server *server = check->server;
	uint64_t now = loop_update_now(server->loop);

	for (int i = 0; i < TURNS_MAX; i++) {
		int error = node_turn(server->node, now);

		if (error != 0) {
			complain(check, "a turn failed: %s: %s",
			    err_text(error), node_fault(server->node));
			return;
		}
		node_get_status(server->node, now, &check->status);
		if (node_is_leader(server->node) &&
		    check->status.raft.applied_index ==
			check->status.raft.last_index)
			return;
		now = MAX(now + 1, node_deadline(server->node));
	}
	complain(check, "it does not come to serve");
}

/* ---- Data ---- */

struct comparison {
	struct kv_scan scan;
	struct check *check;
	const struct mem_tree *wanted;
	uint64_t count;
};

static enum kv_scan_next
compare_key(struct kv_scan *scan, struct slice key, const struct kv_item *item)
{
	struct comparison *comparison =
	    CONTAINER_OF(scan, struct comparison, scan);
	const struct mem_record *wanted =
	    mem_tree_find(comparison->wanted, key);

	comparison->count++;
	if (wanted == NULL ||
	    !slice_equal(mem_record_value(wanted), item->value))
		complain(comparison->check,
		    "%.*s holds %zu bytes of revision %" PRIu64
		    " that were not there at revision %" PRIu64,
		    (int)key.size, (const char *)key.data, item->value.size,
		    item->modified, comparison->check->status.revision);
	return KV_SCAN_ON;
}

static void
compare_data(struct check *check, const struct mem_tree *wanted)
{
	struct kv *kv = node_kv(check->server->node);
	struct comparison comparison = {
		.scan.take = compare_key, .check = check, .wanted = wanted
	};
	int error = 0;

	while (error == 0 && !comparison.scan.ended)
		error = kv_scan_step(kv, &comparison.scan, SCAN_KEYS);
	kv_scan_release(&comparison.scan);
	if (error != 0)
		complain(check, "reading the data: %s", err_text(error));
	else if (comparison.count != wanted->count)
		complain(check,
		    "%" PRIu64 " keys, and there were %" PRIu64
		    " at revision %" PRIu64,
		    comparison.count, wanted->count, check->status.revision);
}

static void
check_data(struct check *check, const struct promises *promises)
{
	struct mem_tree wanted = { .root = NULL };

	if (check->status.revision < check->made.revision)
		complain(check, "revision %" PRIu64 ", answered was %" PRIu64,
		    check->status.revision, check->made.revision);
	promises_state(promises, check->status.revision, &wanted);
	/* Of a node that waits for its cluster there is none yet. */
	if (check->status.state == NODE_MEMBER)
		compare_data(check, &wanted);
	mem_tree_release(&wanted);
}

static void
check_node(struct check *check)
{
	char why[256];

	if (!node_check(check->server->node, why, sizeof(why)))
		complain(check, "%s", why);
}

bool
image_check(const struct config *config, const struct promises *promises,
    uint64_t records, bool serves, struct image_found *ret_found)
{
	struct server_history history = { .reopened_at_us = 0 };
	struct check check = { .made = promises_until(promises, records) };
	int status = server_new(&check.server, config, &history);
	struct node *node;

	if (status != 0) {
		complain(&check, "it does not start: status %d", status);
		return false;
	}
	node = check.server->node;
	node_get_status(node, loop_now(check.server->loop), &check.status);
	check_repairs(&check);
	check_vote(&check);
	check_life(&check);
	if (serves && !check.failed)
		apply_all(&check);
	if (!check.failed)
		check_data(&check, promises);
	check_node(&check);
	*ret_found = (struct image_found){ .revision = check.status.revision,
		.term = check.status.raft.term };
	return !check.failed;
}
