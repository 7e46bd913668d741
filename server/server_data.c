#include "server_data.h"

#include "common/log.h"
#include "kv/kv.h"
#include "store/store_dir.h"
#include "store/store_lmdb.h"
#include <stdio.h>

#define DATA_NAME "data"

static void
append_path(struct buf *to, const char *base_dir, uint64_t generation)
{
	store_dir_append_path(to, base_dir, DATA_NAME, generation);
	buf_append(to, "", 1); /* its terminator */
}

int
server_data_open(const char *base_dir, uint64_t generation, bool empty,
    uint64_t map_bytes, uint64_t memtable_bytes, struct store **ret_store)
{
	struct buf path = { 0 };
	char why[160] = "";
	struct store_lmdb_params params = {
		.tables = kv_tables,
		.tables_count = KV_DISK_TABLES_COUNT,
		.map_bytes = map_bytes,
		.why = why,
		.why_size = sizeof(why),
	};
	struct store *disk;
	int error = 0;

	append_path(&path, base_dir, generation);
	params.path = (const char *)path.data;
	if (empty) {
		error = store_dir_remove(params.path);
		if (error != 0)
			log_err("%s: cannot be emptied for a new data store: "
				"%s",
			    params.path,
			    error == ERR_EXISTS ? "there are files in it that "
						  "are not its own: move them "
						  "away"
						: err_text(error));
	}
	if (error == 0) {
		error = store_lmdb_open(&params, &disk);
		if (error == 0) {
			error = kv_store_open(disk, memtable_bytes, ret_store);
			if (error == ERR_CORRUPT || error == ERR_VERSION)
				(void)snprintf(
				    why, sizeof(why), "the memtable's log");
		}
		if (error != 0)
			log_err("%s: cannot open the data store: %s%s%s",
			    params.path, err_text(error),
			    why[0] == '\0' ? "" : ": ", why);
	}
	buf_release(&path);
	return error;
}

static int
remove_unused(const char *path, struct store_trash *trash)
{
	int error = store_dir_remove_into(path, trash);

	if (error == 0) {
		log_info("%s: removed, it is no longer used", path);
	} else if (error == ERR_EXISTS) {
		log_warning("%s: this data store is no longer used, but there "
			    "are files in it that are not its own: it is left, "
			    "and should be moved away",
		    path);
		error = 0;
	} else {
		log_err("%s: cannot remove this data store, which is no longer "
			"used: %s",
		    path, err_text(error));
	}
	return error;
}

int
server_data_remove_but(
    const char *base_dir, uint64_t generation, struct store_trash *trash)
{
	struct buf path = { 0 };
	uint64_t found = 0;
	uint64_t first = 0;
	int error;

	for (;;) {
		error = store_dir_find_next(base_dir, DATA_NAME, first, &found);
		if (error != 0)
			break;
		buf_reset(&path);
		append_path(&path, base_dir, found);
		if (found != generation)
			error = remove_unused((const char *)path.data, trash);
		if (error != 0 || found == UINT64_MAX)
			break;
		first = found + 1;
	}
	buf_release(&path);
	return error == ERR_NOT_FOUND ? 0 : error;
}
