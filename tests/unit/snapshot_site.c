#include "tests/unit/snapshot_site.h"
#include "common/err.h"
#include "common/macros.h"
#include "kv/kv_impl.h"

struct snapshot_site site;

static void
target_open(void)
{
	site.target.disk = store_mem_disk_new(KV_TABLES_COUNT);
	site.target.store = store_mem_open(site.target.disk);
	ck_assert_int_eq(
	    kv_writer_open(site.target.store, &site.target.writer), 0);
}

static void
target_close(void)
{
	kv_writer_close(site.target.writer);
	store_close(site.target.store);
	store_mem_disk_free(site.target.disk);
	memset(&site.target, 0, sizeof(site.target));
}

static void
pieces_release(void)
{
	for (size_t i = 0; i < site.pieces.count; i++)
		buf_release(&site.pieces.piece[i]);
	memset(&site.pieces, 0, sizeof(site.pieces));
}

static void
set_up(void)
{
	kv_bench_init(&site.source);
	target_open();
}

static void
tear_down(void)
{
	pieces_release();
	target_close();
	kv_bench_release(&site.source);
}

TCase *
snapshot_site_case(Suite *suite, const char *name)
{
	TCase *tests = tcase_create(name);

	tcase_add_checked_fixture(tests, set_up, tear_down);
	suite_add_tcase(suite, tests);
	return tests;
}

void
snapshot_site_renew_target(void)
{
	target_close();
	target_open();
}

void
snapshot_site_put(const char *key, struct slice value)
{
	kv_bench_log_put(&site.source, slice_from_text(key), value);
}

void
snapshot_site_checkpoint(void)
{
	ck_assert_int_eq(kv_bench_replay(&site.source), 0);
	ck_assert_int_eq(kv_checkpoint(site.source.kv), 0);
}

/* Leases, locks, deadlines and an answer that is kept. */
static void
log_hangers_on(void)
{
	struct kv_identity identity = { .key = slice_from_text("once"),
		.digest = 1 };
	struct kv_lock_request request = { .name = slice_from_text("deploy"),
		.holder = slice_from_text("n1"),
		.token = 8,
		.ttl_us = 60000000,
		.wait_us = 30000000 };
	struct kv_op op = { .kind = KV_PUT,
		.key = slice_from_text("leased"),
		.value = slice_from_text("1"),
		.lifetime = KV_LIFETIME_LEASE,
		.lease = 7 };
	struct buf *entry;

	kv_encode_grant(kv_bench_log_entry(&site.source), NULL, 7, 60000000);
	entry = kv_bench_log_entry(&site.source);
	kv_encode_transaction(entry, &identity);
	kv_encode_op(entry, KV_THEN, &op);
	op.key = slice_from_text("fleeting");
	op.lifetime = KV_LIFETIME_TTL;
	op.ttl_us = 50000000;
	kv_encode_op(entry, KV_THEN, &op);
	kv_encode_lock(kv_bench_log_entry(&site.source), NULL, &request);
	request.token = 9;
	kv_encode_lock(kv_bench_log_entry(&site.source), NULL, &request);
	/* Some of it is deleted, and some only gone. */
	kv_encode_compact(kv_bench_log_entry(&site.source), 5, 3);
}

void
snapshot_site_make_state(void)
{
	static const uint8_t bytes[3000];
	static const size_t sizes[] = { 0, 1, 17, 100, 3000, 40, 999, 2 };
	char key[] = "key-a";

	for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
		key[4] = (char)('a' + i);
		snapshot_site_put(key, slice_of(bytes, sizes[i]));
	}
	snapshot_site_put(
	    "zone", slice_from_text("above every name in the other table"));
	snapshot_site_put("key-c", slice_from_text("again"));
	kv_bench_log_skip(&site.source);
	kv_bench_log_delete(&site.source, slice_from_text("key-d"));
	log_hangers_on();
	ck_assert_int_eq(kv_bench_replay(&site.source), 0);
	ck_assert_int_eq(
	    kv_set_meta(site.source.kv, "members", slice_from_text("n1 n2")),
	    0);
	ck_assert_int_eq(
	    kv_set_meta(site.source.kv, "log", slice_from_text("base")), 0);
	snapshot_site_checkpoint();
}

uint64_t
snapshot_site_records_count(void)
{
	uint64_t count = 1;

	for (unsigned i = 0; i < KV_TABLES_COUNT; i++)
		count += site.source.kv->state.sums[i].count;
	return count;
}

struct kv_reader *
snapshot_site_open_reader(void)
{
	struct kv_reader *reader = NULL;

	ck_assert_int_eq(kv_reader_open(site.source.store, &reader), 0);
	return reader;
}

void
snapshot_site_make_pieces(size_t size_max)
{
	struct kv_reader *reader = snapshot_site_open_reader();
	struct kv_position at = { 0 };
	int code;

	pieces_release();
	kv_reader_get_info(reader, &site.pieces.info);
	for (;;) {
		ck_assert_uint_lt(site.pieces.count, SNAPSHOT_SITE_PIECES_MAX);
		code = kv_reader_read(reader, &at, size_max,
		    &site.pieces.piece[site.pieces.count]);
		if (code != 0)
			break;
		site.pieces.position[++site.pieces.count] = at;
	}
	ck_assert_int_eq(code, ERR_NOT_FOUND);
	ck_assert_uint_eq(site.pieces.piece[site.pieces.count].size, 0);
	buf_release(&site.pieces.piece[site.pieces.count]);
	kv_reader_close(reader);
}

int
snapshot_site_add(size_t i)
{
	return kv_writer_add(
	    site.target.writer, buf_slice(&site.pieces.piece[i]));
}

void
snapshot_site_add_from(size_t i)
{
	for (; i < site.pieces.count; i++)
		ck_assert_int_eq(snapshot_site_add(i), 0);
}

int
snapshot_site_finish(void)
{
	return kv_writer_finish(site.target.writer, &site.pieces.info);
}

void
snapshot_site_expect_equal(struct kv *a, struct kv *b)
{
	struct kv_stats stats_a;
	struct kv_stats stats_b;

	ck_assert_uint_eq(kv_state_hash(a), kv_state_hash(b));
	ck_assert_uint_eq(kv_revision(a), kv_revision(b));
	ck_assert_uint_eq(kv_applied_index(a), kv_applied_index(b));
	ck_assert_uint_eq(a->state.cluster_time_us, b->state.cluster_time_us);
	kv_get_stats(a, &stats_a);
	kv_get_stats(b, &stats_b);
	ck_assert_uint_eq(stats_a.keys_count, stats_b.keys_count);
	ck_assert_uint_eq(stats_a.live_bytes, stats_b.live_bytes);
	ck_assert_uint_eq(stats_a.checkpoint_index, stats_b.checkpoint_index);
}

void
snapshot_site_expect_copy(void)
{
	struct kv *copy = NULL;

	ck_assert_int_eq(snapshot_site_finish(), 0);
	kv_writer_close(site.target.writer);
	site.target.writer = NULL;
	ck_assert_uint_eq(store_mem_digest(site.target.disk),
	    store_mem_digest(site.source.disk));
	ck_assert_int_eq(kv_open(site.target.store, false, &copy), 0);
	ck_assert_int_eq(kv_verify(copy), 0);
	snapshot_site_expect_equal(copy, site.source.kv);
	ck_assert_int_eq(kv_skip(copy, kv_applied_index(copy) + 1), 0);
	ck_assert_int_eq(kv_checkpoint(copy), 0);
	kv_close(copy);
}
