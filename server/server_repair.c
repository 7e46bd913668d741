/* What the daemon tells of damage that was mended. */

#include "server_impl.h"

#include "common/log.h"
#include "common/macros.h"
#include "common/metrics.h"
#include "server_damage.h"

#include <stdio.h>

/* The same for the same kind. */
static struct metric *
counter_of(const char *kind)
{
	char labels[32];

	snprintf(labels, sizeof(labels), "kind=\"%s\"", kind);
	return metric_register(METRIC_COUNTER, "luminous_repairs_total", labels,
	    "Damage that was mended without an operator.");
}

void
server_begin_repairs(void)
{
	static const char *const kinds[] = { "log", "data", "identity" };

	for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
		(void)counter_of(kinds[i]);
}

void
server_count_repair(const char *kind)
{
	metric_add(counter_of(kind), 1);
}

void
server_tell_repairs(struct server *server)
{
	static const char *const kinds[] = {
		[NODE_REPAIR_LOG] = "log",
		[NODE_REPAIR_DATA] = "data",
	};

	for (unsigned i = 0; i < NODE_REPAIRS_COUNT; i++) {
		const char *text =
		    node_get_repair(server->node, (enum node_repair)i);

		if (text == NULL)
			continue;
		server_count_repair(kinds[i]);
		log_warning("%s: %s", server->config->data_dir, text);
	}
}

/* Of two, the other one alone is no majority. The configuration only tells how
 * the cluster began. */
bool
server_has_fellows(const struct config *config)
{
	return (config->join != NULL || config->members_count > 2) &&
	       !server_damage_is_needed(config->data_dir);
}

void
server_note_needed(struct server *server)
{
	struct node_status status;
	bool needed = node_is_needed(server->node);

	node_get_status(server->node, loop_now(server->loop), &status);
	if (status.state != NODE_MEMBER || needed == server->needed)
		return;
	/* If not, the reason is logged, and the next change tries again. */
	if (server_damage_note_needed(server->config->data_dir, needed) == 0)
		server->needed = needed;
}

void
server_judge_damage(struct server *server)
{
	struct node_status status;

	if (!server->damaged)
		return;
	node_get_status(server->node, loop_now(server->loop), &status);
	/* Until then they may be the last copy of what this node had. */
	if (status.begun_again)
		return;
	server->damaged = false;
	/* If not, the reason is logged, and the next start tries again. */
	if (server_damage_forget(server->config->data_dir, &server->trash) == 0)
		log_notice("%s: what was damaged is removed: this node is a "
			   "voter again, and has all",
		    server->config->data_dir);
}
