/*
 * The one record of the journal's table: u8 version, u64 id, u64 generation,
 * u64 capacity, u8 closed, u32 CRC-32C of all before.
 */

#include "common/codec.h"
#include "common/hash.h"
#include "store/store_journal_impl.h"

/* Of this and of the blocks; 1 had no JOURNAL_DELETE_UNTIL. */
enum { STATE_VERSION = 2 };

static struct slice
state_key(void)
{
	return slice_from_text("journal");
}

static bool
state_is_sound(const struct journal_state *state)
{
	return state->id != 0 && state->generation != 0 &&
	       state->capacity % STORE_JOURNAL_UNIT == 0 &&
	       state->capacity > JOURNAL_BLOCKS_OFFSET &&
	       state->capacity <= STORE_JOURNAL_CAPACITY_MAX;
}

static int
state_decode(struct slice bytes, struct journal_state *ret_state)
{
	struct journal_state state;
	struct codec_reader reader;
	struct slice summed;

	if (bytes.size < 5)
		return ERR_CORRUPT;
	summed = slice_of(bytes.data, bytes.size - 4);
	if (codec_load_u32(bytes.data + summed.size) != crc32c(0, summed))
		return ERR_CORRUPT;
	codec_reader_init(&reader, summed);
	if (codec_read_u8(&reader) != STATE_VERSION)
		return ERR_VERSION;
	state.id = codec_read_u64(&reader);
	state.generation = codec_read_u64(&reader);
	state.capacity = codec_read_u64(&reader);
	state.closed = codec_read_u8(&reader) != 0;
	if (!codec_reader_done(&reader) || !state_is_sound(&state))
		return ERR_CORRUPT;
	*ret_state = state;
	return 0;
}

int
journal_state_load(
    struct store_txn *txn, store_table table, struct journal_state *ret_state)
{
	struct slice bytes;
	int error = store_get(txn, table, state_key(), &bytes);

	if (error == ERR_NOT_FOUND) {
		*ret_state = (struct journal_state){ .id = 0 };
		return 0;
	}
	if (error != 0)
		return error;
	return state_decode(bytes, ret_state);
}

int
journal_state_save(
    struct store_txn *txn, store_table table, const struct journal_state *state)
{
	struct buf bytes = { 0 };
	int error;

	codec_append_u8(&bytes, STATE_VERSION);
	codec_append_u64(&bytes, state->id);
	codec_append_u64(&bytes, state->generation);
	codec_append_u64(&bytes, state->capacity);
	codec_append_u8(&bytes, state->closed ? 1 : 0);
	codec_append_u32(&bytes, crc32c(0, buf_slice(&bytes)));
	error = store_put(txn, table, state_key(), buf_slice(&bytes));
	buf_release(&bytes);
	return error;
}
