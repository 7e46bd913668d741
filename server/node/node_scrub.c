#include "node/node_scrub.h"

#include "node/node_impl.h"

#include <inttypes.h>

#define STEP_BYTES (64 * 1024)
#define STEP_TIME  1000
/* The clock is looked at after about so many. */
#define READ_BYTES (8 * 1024)

#define SECOND UINT64_C(1000000)

void
node_scrub_init(struct node *node, raft_usec now)
{
	node->scrub.due_at = node->params.scrub_rate == 0
				 ? RAFT_NEVER
				 : now + node->params.scrub_pause;
}

void
node_scrub_release(struct node *node)
{
	kv_scrub_free(node->scrub.data);
	node->scrub.data = NULL;
}

/* ---- Reading ---- */

/* ERR_NOT_FOUND: the data is through. */
static int
read_data(struct node *node, size_t *ret_bytes)
{
	struct node_scrub *scrub = &node->scrub;
	struct buf where = { 0 };
	int error;

	if (scrub->data == NULL)
		scrub->data = kv_scrub_new(node->kv);
	error = kv_scrub_step(scrub->data, READ_BYTES, ret_bytes);
	if (error == 0 || error == ERR_NOT_FOUND)
		return error;
	kv_scrub_describe(scrub->data, &where);
	(void)node_set_fault(node, error, "scrub: %.*s: %s", (int)where.size,
	    (const char *)where.data, err_text(error));
	buf_release(&where);
	return error;
}

/* ERR_NOT_FOUND: the log is through. */
static int
read_log(struct node *node, size_t *ret_bytes)
{
	struct node_scrub *scrub = &node->scrub;
	int error;

	error =
	    node_log_scrub(node->log, &scrub->position, READ_BYTES, ret_bytes);
	if (error == 0 || error == ERR_NOT_FOUND)
		return error;
	return node_set_fault(node, error, "scrub: log entry %" PRIu64 ": %s",
	    scrub->position + 1, err_text(error));
}

/* Some more of a pass: the data, then the log. ERR_NOT_FOUND: it is done. */
static int
read_some(struct node *node, size_t *ret_bytes)
{
	struct node_scrub *scrub = &node->scrub;
	int error;

	if (scrub->in_log)
		return read_log(node, ret_bytes);
	error = read_data(node, ret_bytes);
	if (error != ERR_NOT_FOUND)
		return error;
	node_scrub_release(node);
	scrub->in_log = true;
	scrub->position = 0;
	return 0;
}

/* ---- Pace ---- */

static int
step(struct node *node, uint64_t *ret_bytes)
{
	raft_usec begun = node->host.now(node->host.context);
	size_t bytes;
	int error = 0;

	*ret_bytes = 0;
	while (error == 0 && *ret_bytes < STEP_BYTES &&
	       node->host.now(node->host.context) - begun < STEP_TIME) {
		error = read_some(node, &bytes);
		*ret_bytes += bytes;
	}
	return error;
}

int
node_scrub_turn(struct node *node, raft_usec now)
{
	struct node_scrub *scrub = &node->scrub;
	uint64_t bytes;
	int error;

	if (now < scrub->due_at)
		return 0;
	error = step(node, &bytes);
	scrub->bytes += bytes;
	scrub->due_at = now + bytes * SECOND / node->params.scrub_rate;
	if (error != ERR_NOT_FOUND)
		return error;
	scrub->in_log = false;
	scrub->passes++;
	scrub->due_at += node->params.scrub_pause;
	return 0;
}
