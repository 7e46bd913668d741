#include "tests/sim/sim_image.h"

#include "common/codec.h"
#include "common/hash.h"
#include "common/panic.h"
#include "node/node_log.h"
#include "tests/sim/sim_check.h"
#include <inttypes.h>

void
sim_image_release(struct sim_image *image)
{
	if (image->txn != NULL)
		store_abort(image->txn);
	store_close(image->store);
	store_mem_disk_free(image->disk);
	*image = (struct sim_image){ 0 };
}

/*
 * The hard state record as node_log_disk.c writes it: version, term, vote,
 * commit hint, the last cut entry (index, term, hash, time), the generation of
 * the data, the last entry (index, hash), what was lost (index, term), CRC.
 */
static void
load_hard_state(struct sim_image *image)
{
	struct codec_reader reader;
	struct slice bytes;
	int error = store_get(
	    image->txn, NODE_TABLE_STATE, slice_from_text("hard"), &bytes);

	if (error == ERR_NOT_FOUND)
		return;
	ASSERT(error == 0);
	codec_reader_init(&reader, bytes);
	(void)codec_read_u8(&reader);
	image->term = codec_read_u64(&reader);
	image->vote = codec_read_u64(&reader);
	(void)codec_read_u64(&reader);
	image->compacted_index = codec_read_u64(&reader);
	(void)codec_read_raw(&reader, 4 * sizeof(uint64_t));
	image->last_index = codec_read_u64(&reader);
	(void)codec_read_raw(&reader, 3 * sizeof(uint64_t));
	(void)codec_read_u32(&reader);
	ASSERT(codec_reader_done(&reader));
	image->formed = true;
}

void
sim_image_load(struct sim_image *image, struct sim_node *node)
{
	uint64_t count = store_mem_commits_count(node->disks.log);
	int error;

	image->broken = node->broken;
	if (image->disk != NULL && image->source == node->disks.log &&
	    image->commits_count == count)
		return;
	sim_image_release(image);
	image->broken = node->broken;
	image->source = node->disks.log;
	image->commits_count = count;
	image->disk = store_mem_disk_clone(node->disks.log);
	image->store = store_mem_open(image->disk);
	error = store_begin(image->store, false, &image->txn);
	ASSERT(error == 0);
	load_hard_state(image);
}

/* No data: there is none. */
struct slice
sim_image_record(const struct sim_image *image, raft_index index)
{
	struct slice bytes = { 0 };
	uint8_t key[8];

	codec_store_u64(key, index);
	if (store_get(image->txn, NODE_TABLE_LOG, slice_of(key, sizeof(key)),
		&bytes) != 0)
		return slice_of(NULL, 0);
	return bytes;
}

bool
sim_image_entry(struct sim *sim, const struct sim_image *image,
    raft_index index, struct sim_entry *ret_entry)
{
	struct node_record record;
	struct slice bytes;

	if (image->txn == NULL || index <= image->compacted_index ||
	    index > image->last_index)
		return false;
	bytes = sim_image_record(image, index);
	if (bytes.data == NULL || node_record_decode(bytes, &record) != 0 ||
	    record.index != index) {
		if (!image->broken)
			sim_fail(sim,
			    "entry %" PRIu64 " is missing on disk or damaged",
			    index);
		return false;
	}
	*ret_entry = (struct sim_entry){
		.term = record.term,
		.type = record.type,
		.hash = hash64(0, bytes),
		.payload = hash64(0, record.payload),
	};
	if (record.type == RAFT_ENTRY_MEMBERS)
		ret_entry->membership = sim_check_membership(
		    sim, ret_entry->payload, record.payload);
	return true;
}
