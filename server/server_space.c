/* What is left to write into, and what to do about it. */

#include "server_impl.h"

/*
 * Kept free in the data file: what is proposed and not yet applied, twice, as
 * a value may take two pages for one, and a checkpoint's copies of pages.
 */
#define DATA_HEADROOM_BYTES (256u << 20)
/* What waits in the memtable comes to pages later, half full at worst: that has
 * to be there when all that is left to do is delete. */
#define WAITING_COST 2u
/* Index and memory of an entry of the log, beside its bytes. */
#define LOG_ENTRY_COST 256u

static uint64_t
less(uint64_t free, uint64_t taken)
{
	return free - MIN(free, taken);
}

/* The daemon stops when a file is full, so puts are refused before. */
void
server_get_space(void *context, struct api_space *ret_space)
{
	struct server *server = context;
	const struct config *config = server->config;
	struct api_space disk = {
		.what = "the file system of the data directory",
		.minimum = config->min_free_disk_bytes,
		.hint = "free some there, or let another node lead with POST "
			"/cluster/leader; storage.min-free-disk is the limit",
	};
	struct api_space data = {
		.what = "the data file, with its free pages,",
		.minimum = DATA_HEADROOM_BYTES,
		.hint = "delete keys, or raise storage.map-size on every node",
	};
	struct api_space log = {
		.what = "the log",
		.minimum = SERVER_UNCOMMITTED_BYTES_MAX,
		.hint = "checkpoints fall behind, or a snapshot is being sent; "
			"storage.log-quota is the limit",
	};
	struct store_stat stat;
	struct node_status status;
	uint64_t log_bytes;
	uint64_t waiting;

	/* If it cannot be known, it is not what refuses a write. */
	if (store_dir_free_bytes(server->dir, &disk.free) != 0)
		disk.free = UINT64_MAX;
	node_get_data_stat(server->node, &stat);
	data.free = less(stat.map_bytes, stat.used_bytes);
	waiting = WAITING_COST * stat.waiting_bytes;
	data.free = less(data.free, waiting);
	/* The file has free pages for some. */
	disk.free = less(
	    disk.free, less(waiting, less(stat.file_bytes, stat.used_bytes)));
	node_get_status(server->node, loop_now(server->loop), &status);
	log_bytes = status.log_bytes + status.log_entries * LOG_ENTRY_COST;
	log.free = less(config->log_quota_bytes, log_bytes);
	*ret_space = disk;
	if (data.free < data.minimum)
		*ret_space = data;
	if (log.free < log.minimum)
		*ret_space = log;
}
