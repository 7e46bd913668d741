#include "common/macros.h"
#include "node/node_log_impl.h"

static int
check_next(struct node_log *log, struct store_txn *txn, raft_index index,
    uint64_t *chain, size_t *ret_size)
{
	struct node_record record;
	struct slice bytes;
	int error;

	error = node_log_read(log, txn, index, &bytes);
	if (error == 0)
		error = node_record_decode(bytes, &record);
	if (error != 0)
		return error;
	if (record.chain != node_record_chain(bytes, *chain))
		return ERR_CORRUPT;
	*chain = record.chain;
	*ret_size = bytes.size;
	return 0;
}

static int
check_entries(struct node_log *log, struct store_txn *txn, raft_index *position,
    size_t bytes_max, size_t *ret_bytes)
{
	uint64_t chain;
	size_t size;
	int error = node_log_read_chain(log, txn, *position, &chain);

	if (error != 0) {
		/* It was sound when it was passed. */
		(*position)--;
		return error;
	}
	while (*position < log->durable_index && *ret_bytes < bytes_max) {
		error = check_next(log, txn, *position + 1, &chain, &size);
		if (error != 0)
			return error;
		(*position)++;
		*ret_bytes += size;
	}
	return 0;
}

int
node_log_scrub(struct node_log *log, raft_index *position, size_t bytes_max,
    size_t *ret_bytes)
{
	struct store_txn *txn;
	int error;

	*ret_bytes = 0;
	/* Meanwhile entries may have been cut, at either end. */
	*position = MAX(*position, log->compacted_index);
	if (*position >= log->durable_index)
		return ERR_NOT_FOUND;
	error = store_begin(log->store, false, &txn);
	if (error != 0)
		return error;
	error = check_entries(log, txn, position, bytes_max, ret_bytes);
	store_abort(txn);
	return error;
}
