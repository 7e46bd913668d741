#ifndef TESTS_UNIT_SNAPSHOT_SITE_H
#define TESTS_UNIT_SNAPSHOT_SITE_H

/*
 * A state machine, its snapshot in pieces, and a store that these go into: all
 * in memory. There is one, that of the running test.
 */

#include "common/buf.h"
#include "kv/kv_snapshot.h"
#include "tests/lib/kv_bench.h"
#include <check.h>

#define SNAPSHOT_SITE_PIECES_MAX 256

struct snapshot_site {
	struct kv_bench source;

	/* Where a snapshot goes. */
	struct {
		struct store_mem_disk *disk;
		struct store *store;
		struct kv_writer *writer;
	} target;

	/* The positions before each piece and behind the last. */
	struct {
		struct kv_snapshot_info info;
		size_t count;
		struct buf piece[SNAPSHOT_SITE_PIECES_MAX];
		struct kv_position position[SNAPSHOT_SITE_PIECES_MAX + 1];
	} pieces;
};

extern struct snapshot_site site;

/*
 * A case of this suite whose tests begin with an empty state, no pieces and an
 * empty target.
 */
TCase *snapshot_site_case(Suite *suite, const char *name);
/* Begins anew with an empty target. */
void snapshot_site_renew_target(void);

/* Logs a change of the source; the next checkpoint applies it. */
void snapshot_site_put(const char *key, struct slice value);
/* Applies and writes them: what waits for that is part of no snapshot. */
void snapshot_site_checkpoint(void);
/*
 * Checkpoints values of no, few and many bytes (keys key-a to key-h, and zone),
 * a deleted key (key-d), and two records of the node (members and log); a lease
 * (7, of the key leased), a key with a deadline (fleeting), a lock that another
 * one waits for (deploy: 8 and 9), an answer kept for a replay (once), and a
 * history that is partly compacted: no table is empty.
 */
void snapshot_site_make_state(void);
/* Records in all tables of the source, the state's own among them. */
uint64_t snapshot_site_records_count(void);

/* A reader of the checkpointed state; the caller closes it. */
struct kv_reader *snapshot_site_open_reader(void);
/* Cuts the checkpointed state into pieces of about `size_max` bytes. */
void snapshot_site_make_pieces(size_t size_max);

/* Adds piece `i` to the target, or those from `i` on; the writer's codes. */
int snapshot_site_add(size_t i);
void snapshot_site_add_from(size_t i);
/* Finishes the target with what the pieces say that they are. */
int snapshot_site_finish(void);

/* Finishes; the target is then the source, byte by byte, and goes on. */
void snapshot_site_expect_copy(void);
/* Two state machines have the same state. */
void snapshot_site_expect_equal(struct kv *a, struct kv *b);

#endif
