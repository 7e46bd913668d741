/*
 * The journal's file, damaged as the input says, and opened around the inner
 * store that belongs to it; or, if the first byte is 'p', a block with any
 * changes under right checksums. What is opened has all of a number of commits
 * and nothing else: all of them, if the damage is of one place.
 */

#include "common/macros.h"
#include "common/panic.h"
#include "store/store_journal_impl.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/store_mem.h"
#include "tests/unit/journal_site.h"

#include <stdlib.h>
#include <unistd.h>

#define COMMITS_COUNT 6

static struct journal_site site;
static struct journal_image image;

static void
set_up(void)
{
	if (site.path != NULL)
		return;
	journal_site_init(&site, JOURNAL_CAPACITY);
	for (uint64_t number = 1; number <= COMMITS_COUNT; number++)
		journal_site_commit(
		    &site, number, number == 2 ? JOURNAL_UNIT : 50 * number);
	image = journal_image_take(&site);
	journal_site_release(&site);
}

static void
check_damaged(struct slice input)
{
	unsigned changes = fuzz_take_below(&input, 5);
	struct buf journal = { 0 };
	unsigned changed = 0;
	uint64_t number;

	set_up();
	buf_append_slice(&journal, buf_slice(&image.journal));
	while (changes-- > 0)
		changed += fuzz_damage(&input, &journal);
	number = journal_site_recover(
	    &site, buf_slice(&image.data), buf_slice(&journal));
	if (number != JOURNAL_REFUSED) {
		ASSERT(number <= COMMITS_COUNT);
		ASSERT(changed > 1 || number == COMMITS_COUNT);
	}
	ASSERT(changed > 0 || number == COMMITS_COUNT);
	buf_release(&journal);
}

/* ---- Changes that nobody made, in a block that is whole ---- */

static void
check_payload(struct slice payload)
{
	struct store_mem_disk *disk = store_mem_disk_new(JOURNAL_TABLES_COUNT);
	struct store *store = store_mem_open(disk);
	struct store_txn *txn;
	int error;

	ASSERT(store_begin(store, true, &txn) == 0);
	error = journal_payload_apply(payload, txn, JOURNAL_TABLES_COUNT);
	ASSERT(error == 0 || error == ERR_CORRUPT);
	store_abort(txn);
	store_close(store);
	store_mem_disk_free(disk);
}

static void
check_block(struct slice input)
{
	struct journal_header header;
	struct buf block = { 0 };
	uint8_t unit[STORE_JOURNAL_UNIT];
	struct slice payload;

	journal_block_clear(&block);
	buf_append_slice(&block, input);
	journal_block_finish(&block, 1, 2, 3);
	ASSERT(journal_header_decode(buf_slice(&block), &header));
	ASSERT(header.payload_size == input.size);
	ASSERT(journal_block_size(&header) == block.size);
	ASSERT(journal_block_payload(buf_slice(&block), &header, &payload));
	ASSERT(slice_equal(payload, input));
	journal_seal_make(buf_slice(&block), unit);
	ASSERT(!journal_header_decode(slice_of(unit, sizeof(unit)), &header));
	ASSERT(journal_seal_decode(slice_of(unit, sizeof(unit)), &header));
	check_payload(payload);
	buf_release(&block);
}

void
fuzz_store_journal(struct slice input)
{
	unsigned what = fuzz_take_u8(&input);

	if (what == 'p')
		check_block(input);
	else
		check_damaged(input);
}
