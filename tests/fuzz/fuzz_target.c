#include "common/codec.h"
#include "common/macros.h"
#include "common/mem.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#define TARGET(target_name, of_variants)                                       \
	{                                                                      \
		.name = #target_name, .run = fuzz_##target_name,               \
		.variants = (of_variants),                                     \
	}

const struct fuzz_target fuzz_targets[] = {
	TARGET(api_json, 10),
	TARGET(api_request, 10),
	TARGET(config, 40),
	TARGET(http_request, 200),
	TARGET(http_response, 200),
	TARGET(http_stream, 10),
	TARGET(http_uri, 200),
	TARGET(kv_command, 200),
	TARGET(kv_model, 10),
	TARGET(kv_snapshot, 40),
	TARGET(node_log, 100),
	TARGET(peer_door, 10),
	TARGET(raft_step, 10),
	TARGET(store_journal, 10),
	TARGET(store_lmdb, 10),
	TARGET(store_memtable, 100),
	TARGET(text, 200),
	TARGET(wire, 200),
};

const size_t fuzz_targets_count = ARRAY_COUNT(fuzz_targets);

const struct fuzz_target *
fuzz_target_find(const char *name)
{
	for (size_t i = 0; i < fuzz_targets_count; i++) {
		if (strcmp(fuzz_targets[i].name, name) == 0)
			return &fuzz_targets[i];
	}
	return NULL;
}

struct slice
fuzz_take(struct slice *input, size_t size)
{
	struct slice taken = slice_of(input->data, MIN(size, input->size));

	if (taken.size != 0)
		input->data += taken.size;
	input->size -= taken.size;
	return taken;
}

uint8_t
fuzz_take_u8(struct slice *input)
{
	struct slice taken = fuzz_take(input, 1);

	return taken.size == 0 ? 0 : taken.data[0];
}

uint16_t
fuzz_take_u16(struct slice *input)
{
	unsigned high = fuzz_take_u8(input);

	return (uint16_t)(high << 8 | fuzz_take_u8(input));
}

uint64_t
fuzz_take_u64(struct slice *input)
{
	uint8_t bytes[8] = { 0 };
	struct slice taken = fuzz_take(input, sizeof(bytes));

	if (taken.size != 0)
		memcpy(bytes, taken.data, taken.size);
	return codec_load_u64(bytes);
}

unsigned
fuzz_take_below(struct slice *input, unsigned bound)
{
	return bound <= 256 ? fuzz_take_u8(input) % bound
			    : fuzz_take_u16(input) % bound;
}

/* ---- Damage ---- */

#define PAGE_SIZE 4096

enum { DAMAGE_STORE, DAMAGE_FLIP, DAMAGE_COPY, DAMAGE_ZERO, DAMAGE_KINDS };

/* Copies are of pages as often as of a few bytes. */
static size_t
damage_size(unsigned kind, unsigned choice)
{
	if (kind < DAMAGE_COPY)
		return 1;
	return choice % 2 == 0 ? PAGE_SIZE : choice % 64 + 1;
}

/* One of `places`: half of them where pages begin, for there is what says how
 * the rest is read. */
static size_t
take_place(struct slice *input, size_t places, unsigned choice)
{
	size_t high = fuzz_take_u16(input);
	size_t low = fuzz_take_u8(input);

	if (choice < 128 || places <= PAGE_SIZE)
		return (high * 257 + low) % places;
	return MIN(
	    high % (places / PAGE_SIZE + 1) * PAGE_SIZE + low, places - 1);
}

bool
fuzz_damage(struct slice *input, struct buf *bytes)
{
	unsigned choice = fuzz_take_u8(input);
	unsigned kind = choice % DAMAGE_KINDS;
	size_t size = MIN(bytes->size, damage_size(kind, choice / 4));
	size_t step = size == PAGE_SIZE ? PAGE_SIZE : 1;
	size_t places = (bytes->size - size) / step + 1;
	size_t to = take_place(input, places, choice) * step;
	size_t from = fuzz_take_u16(input);
	uint8_t *before;
	bool changed;

	if (size == 0)
		return false;
	before = mem_alloc(size);
	memcpy(before, bytes->data + to, size);
	switch (kind) {
	case DAMAGE_STORE: bytes->data[to] = (uint8_t)from; break;
	case DAMAGE_FLIP:
		bytes->data[to] = (uint8_t)(bytes->data[to] ^ 1u << from % 8);
		break;
	case DAMAGE_COPY:
		memmove(
		    bytes->data + to, bytes->data + from % places * step, size);
		break;
	default: memset(bytes->data + to, 0, size); break;
	}
	changed = memcmp(before, bytes->data + to, size) != 0;
	free(before);
	return changed;
}
