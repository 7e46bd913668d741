#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

/*
 * Targets: functions that take any bytes and assert what must be true of
 * whatever those do. libFuzzer looks for bytes that break that
 * (scripts/fuzz.sh); build/fuzz-replay repeats those that were kept in
 * tests/fuzz/corpus/TARGET, what is near to them, and needs no clang.
 *
 * A new one: fuzz_TARGET.c, a row in the table of fuzz_target.c, and a few
 * seeds of at most FUZZ_SEED_SIZE_MAX bytes.
 */

#include "common/buf.h"

#define FUZZ_SEED_SIZE_MAX 4096

struct fuzz_target {
	const char *name;
	void (*run)(struct slice input);
	/* What the replay makes of each seed besides itself: prefixes and
	 * mutations. For targets that take long, fewer. */
	unsigned variants;
};

extern const struct fuzz_target fuzz_targets[];
extern const size_t fuzz_targets_count;
/* NULL: there is none of this name. */
const struct fuzz_target *fuzz_target_find(const char *name);

void fuzz_api_json(struct slice input);
void fuzz_api_request(struct slice input);
void fuzz_config(struct slice input);
void fuzz_http_request(struct slice input);
void fuzz_http_response(struct slice input);
void fuzz_http_stream(struct slice input);
void fuzz_http_uri(struct slice input);
void fuzz_kv_command(struct slice input);
void fuzz_kv_model(struct slice input);
void fuzz_kv_snapshot(struct slice input);
void fuzz_node_log(struct slice input);
void fuzz_peer_door(struct slice input);
void fuzz_raft_step(struct slice input);
void fuzz_store_journal(struct slice input);
void fuzz_store_lmdb(struct slice input);
void fuzz_store_memtable(struct slice input);
void fuzz_text(struct slice input);
void fuzz_wire(struct slice input);

/* ---- Inputs that are read as a list of decisions; zeros behind the end ---- */

uint8_t fuzz_take_u8(struct slice *input);
uint16_t fuzz_take_u16(struct slice *input);
uint64_t fuzz_take_u64(struct slice *input);
/* Up to `size` bytes, fewer at the end. */
struct slice fuzz_take(struct slice *input, size_t size);
/* 0 .. bound - 1; bound is 1 .. 65536. */
unsigned fuzz_take_below(struct slice *input, unsigned bound);
/*
 * Changes `bytes` in one place, as the next six of the input say: some are
 * overwritten by others, flipped, copied from elsewhere, or zeroed. False if
 * nothing is different from before.
 */
bool fuzz_damage(struct slice *input, struct buf *bytes);

#endif
