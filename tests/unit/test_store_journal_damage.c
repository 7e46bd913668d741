/* Damage to the journal's file, and files that do not fit together. */

#include "common/codec.h"
#include "common/hash.h"
#include "common/macros.h"
#include "tests/lib/temp_dir.h"
#include "tests/unit/journal_site.h"
#include "tests/unit/suites.h"

#define TEXT(text) slice_from_text(text)

static struct journal_site site;

static void
set_up(void)
{
	journal_site_init(&site, JOURNAL_CAPACITY);
}

static void
tear_down(void)
{
	journal_site_release(&site);
}

/* ---- Damage, and what does not fit ---- */

START_TEST(journal_damage_before_the_last_block_is_seen)
{
	struct journal_image image;

	for (uint64_t i = 1; i <= 4; i++)
		journal_site_commit(&site, i, JOURNAL_UNIT + 100);
	image = journal_image_take(&site);
	for (size_t at = 0; at < JOURNAL_UNIT + 150;
	     at += at < JOURNAL_HEADER_SIZE ? 1 : 97) {
		uint8_t *byte = image.journal.data + 3 * JOURNAL_UNIT + at;

		*byte ^= 0x10;
		ck_assert_msg(
		    journal_image_recover(&site, &image) == JOURNAL_REFUSED,
		    "byte %zu of the second block", at);
		*byte ^= 0x10;
	}
	ck_assert_uint_eq(journal_image_recover(&site, &image), 4);
	ck_assert_str_eq(site.why, "");
	journal_image_release(&image);
}
END_TEST

/* What a start finds with one byte changed. */
static uint64_t
recover_with_damage(struct journal_image *image, size_t at, uint8_t bits)
{
	uint64_t number;

	image->journal.data[at] ^= bits;
	number = journal_image_recover(&site, image);
	image->journal.data[at] ^= bits;
	return number;
}

/* Each byte of each block, the last as well: its seal is behind it. */
START_TEST(journal_damage_to_any_block_is_seen)
{
	/* Of the header and the changes of commits with such values. */
	enum { USED = JOURNAL_HEADER_SIZE + 10 + 6 + 8 + 10 + 8 + 40 };
	struct journal_image image;

	for (uint64_t i = 1; i <= 3; i++)
		journal_site_commit(&site, i, 40);
	image = journal_image_take(&site);
	for (size_t at = 0; at < (size_t)3 * USED; at++) {
		size_t byte = (at / USED + 1) * JOURNAL_UNIT + at % USED;

		ck_assert_msg(recover_with_damage(&image, byte,
				  (uint8_t)(1u << at % 8)) == JOURNAL_REFUSED,
		    "byte %zu of block %zu", at % USED, at / USED + 1);
	}
	/* What fills the unit up is not in use. */
	ck_assert_uint_eq(
	    recover_with_damage(&image, 3 * JOURNAL_UNIT + USED, 1), 3);
	journal_image_release(&image);
}
END_TEST

START_TEST(journal_damage_to_a_large_last_block_is_seen)
{
	struct journal_image image;

	journal_site_commit(&site, 1, 100);
	journal_site_commit(&site, 2, 2 * JOURNAL_UNIT);
	image = journal_image_take(&site);
	for (size_t at = 0; at < 2 * JOURNAL_UNIT;
	     at += at < JOURNAL_HEADER_SIZE ? 1 : 201)
		ck_assert_msg(recover_with_damage(&image, 2 * JOURNAL_UNIT + at,
				  0x40) == JOURNAL_REFUSED,
		    "byte %zu", at);
	/* All of it lost, as by a disk that only said that it flushed. */
	memset(image.journal.data + 2 * JOURNAL_UNIT, 0, 3 * JOURNAL_UNIT);
	ck_assert_uint_eq(
	    journal_image_recover(&site, &image), JOURNAL_REFUSED);
	journal_image_release(&image);
}
END_TEST

/* Nothing depends on it while its block is whole. */
START_TEST(journal_damage_to_the_seal_alone_is_harmless)
{
	struct journal_image image;

	journal_site_commit(&site, 1, 100);
	journal_site_commit(&site, 2, 100);
	image = journal_image_take(&site);
	ck_assert_mem_eq(image.journal.data + 3 * JOURNAL_UNIT, "LumS", 4);
	for (size_t at = 0; at <= JOURNAL_HEADER_SIZE; at++)
		ck_assert_uint_eq(
		    recover_with_damage(
			&image, 3 * JOURNAL_UNIT + at, (uint8_t)(1u << at % 8)),
		    2);
	memset(image.journal.data + 3 * JOURNAL_UNIT, 0, JOURNAL_UNIT);
	ck_assert_uint_eq(journal_image_recover(&site, &image), 2);
	/* Without it the block looks like one that was never flushed. */
	ck_assert_uint_eq(
	    recover_with_damage(&image, 2 * JOURNAL_UNIT + 50, 1), 1);
	journal_image_release(&image);
}
END_TEST

/* Of a later block, or of one with the same number and other changes. */
START_TEST(journal_seal_of_another_block_is_seen)
{
	struct journal_image image;
	struct buf before = { 0 };

	for (uint64_t i = 1; i <= 4; i++) {
		journal_site_commit(&site, i, 100);
		if (i == 3)
			journal_file_read(site.path, "journal", &before);
	}
	image = journal_image_take(&site);
	memcpy(before.data + 4 * JOURNAL_UNIT,
	    image.journal.data + 5 * JOURNAL_UNIT, JOURNAL_UNIT);
	ck_assert_uint_eq(journal_site_recover(&site, buf_slice(&image.data),
			      buf_slice(&before)),
	    JOURNAL_REFUSED);
	buf_release(&before);
	journal_image_release(&image);
}
END_TEST

/* They stay in the file, behind what was written since. */
START_TEST(journal_seals_of_earlier_generations_say_nothing)
{
	struct journal_image image;

	for (uint64_t i = 1; i <= 6; i++)
		journal_site_commit(&site, i, 2 * JOURNAL_UNIT * (i % 2) + 100);
	ck_assert_int_eq(store_settle(site.live), 0);
	ck_assert_uint_eq(journal_site_number_after_crash(&site), 6);
	journal_site_commit(&site, 7, 100);
	image = journal_image_take(&site);
	ck_assert_uint_eq(journal_image_recover(&site, &image), 7);
	memset(image.journal.data + 2 * JOURNAL_UNIT, 0, JOURNAL_UNIT);
	ck_assert_uint_eq(recover_with_damage(&image, JOURNAL_UNIT + 50, 1), 6);
	journal_image_release(&image);
}
END_TEST

/* The last unit is kept free for the seal of the last block that fits. */
START_TEST(journal_full_file_has_its_last_seal)
{
	struct journal_image image;
	unsigned count = JOURNAL_CAPACITY / JOURNAL_UNIT - 2;

	for (uint64_t i = 1; i <= count; i++)
		journal_site_commit(&site, i, 100);
	ck_assert(!store_is_settled(site.live));
	image = journal_image_take(&site);
	ck_assert_uint_eq(journal_image_recover(&site, &image), count);
	ck_assert_uint_eq(
	    recover_with_damage(&image, count * JOURNAL_UNIT + 50, 1),
	    JOURNAL_REFUSED);
	journal_site_commit(&site, count + 1, 100);
	ck_assert(store_is_settled(site.live));
	ck_assert_uint_eq(journal_site_number_after_crash(&site), count + 1);
	journal_image_release(&image);
}
END_TEST

START_TEST(journal_missing_block_is_seen)
{
	for (uint64_t i = 1; i <= 4; i++)
		journal_site_commit(&site, i, 100);
	for (unsigned block = 1; block <= 3; block++) {
		struct journal_image image = journal_image_take(&site);

		memset(
		    image.journal.data + block * JOURNAL_UNIT, 0, JOURNAL_UNIT);
		ck_assert_uint_eq(
		    journal_image_recover(&site, &image), JOURNAL_REFUSED);
		journal_image_release(&image);
	}
}
END_TEST

/* The copy could be replayed: it changes one key, as those around it do. */
START_TEST(journal_block_in_the_wrong_place_is_seen)
{
	struct slice key = slice_from_text("k");
	struct journal_image image;

	for (unsigned i = 1; i <= 3; i++) {
		struct store_txn *txn = journal_begin_txn(site.live, true);

		ck_assert_int_eq(store_put(txn, JOURNAL_TABLE_A, key,
				     slice_of("one two three", i)),
		    0);
		ck_assert_int_eq(store_commit(txn), 0);
	}
	image = journal_image_take(&site);
	ck_assert_uint_eq(journal_image_recover(&site, &image), 0);
	memcpy(image.journal.data + 3 * JOURNAL_UNIT,
	    image.journal.data + 2 * JOURNAL_UNIT, JOURNAL_UNIT);
	ck_assert_uint_eq(
	    journal_image_recover(&site, &image), JOURNAL_REFUSED);
	journal_image_release(&image);
}
END_TEST

START_TEST(journal_of_an_older_inner_store_is_seen)
{
	struct journal_image old = journal_image_take(&site);
	struct journal_image image;

	journal_site_commit(&site, 1, 100);
	ck_assert_int_eq(store_settle(site.live), 0);
	journal_site_commit(&site, 2, 100);
	image = journal_image_take(&site);
	ck_assert_uint_eq(journal_site_recover(&site, buf_slice(&old.data),
			      buf_slice(&image.journal)),
	    JOURNAL_REFUSED);
	ck_assert_ptr_nonnull(strstr(site.why, "newer than data.mdb"));
	journal_image_release(&old);
	journal_image_release(&image);
}
END_TEST

/* As above, but the older one was closed, and could do without the file. */
START_TEST(journal_of_an_older_closed_inner_store_is_seen)
{
	struct journal_image old;
	struct journal_image image;

	journal_site_commit(&site, 1, 100);
	store_close(site.live);
	old = journal_image_take(&site);
	journal_site_open(&site, JOURNAL_CAPACITY);
	journal_site_commit(&site, 2, 100);
	image = journal_image_take(&site);
	ck_assert_uint_eq(journal_site_recover(&site, buf_slice(&old.data),
			      buf_slice(&image.journal)),
	    JOURNAL_REFUSED);
	journal_image_release(&old);
	journal_image_release(&image);
}
END_TEST

START_TEST(journal_missing_file_is_seen)
{
	struct journal_image image = journal_image_take(&site);

	ck_assert_uint_eq(journal_site_recover(
			      &site, buf_slice(&image.data), slice_of(NULL, 0)),
	    JOURNAL_REFUSED);
	ck_assert_ptr_nonnull(strstr(site.why, "is missing"));
	journal_image_release(&image);
}
END_TEST

START_TEST(journal_wrong_size_is_seen)
{
	static const size_t sizes[] = { 0, 1, JOURNAL_UNIT,
		JOURNAL_CAPACITY - 1, JOURNAL_CAPACITY + 1 };
	struct journal_image image = journal_image_take(&site);

	buf_append(&image.journal, "", 1);
	for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
		ck_assert_uint_eq(
		    journal_site_recover(&site, buf_slice(&image.data),
			slice_of(image.journal.data, sizes[i])),
		    JOURNAL_REFUSED);
		ck_assert_ptr_nonnull(strstr(site.why, "bytes and not 65536"));
	}
	journal_image_release(&image);
}
END_TEST

/* A new directory's file has no blocks yet, but says whose it is. */
START_TEST(journal_foreign_file_is_seen)
{
	char *other = temp_dir_make();
	struct store *store = NULL;
	struct journal_image image = journal_image_take(&site);
	struct buf journal = { 0 };

	ck_assert_int_eq(
	    journal_site_open_at(&site, other, JOURNAL_CAPACITY, &store), 0);
	journal_file_read(other, "journal", &journal);
	ck_assert_uint_eq(journal_site_recover(&site, buf_slice(&image.data),
			      buf_slice(&journal)),
	    JOURNAL_REFUSED);
	ck_assert_ptr_nonnull(strstr(site.why, "another directory"));
	memset(journal.data, 0, journal.size);
	ck_assert_uint_eq(journal_site_recover(&site, buf_slice(&image.data),
			      buf_slice(&journal)),
	    JOURNAL_REFUSED);
	buf_release(&journal);
	journal_image_release(&image);
	store_close(store);
	temp_dir_remove(other);
}
END_TEST

START_TEST(journal_without_its_inner_store_is_seen)
{
	char *directory = temp_dir_make();
	struct store *store = NULL;
	struct journal_image image;

	journal_site_commit(&site, 1, 100);
	image = journal_image_take(&site);
	journal_file_write(directory, "journal", buf_slice(&image.journal));
	ck_assert_int_eq(
	    journal_site_open_at(&site, directory, JOURNAL_CAPACITY, &store),
	    ERR_CORRUPT);
	journal_image_release(&image);
	temp_dir_remove(directory);
}
END_TEST

/* The first start ended between making the file and saying so. */
START_TEST(journal_made_but_not_known)
{
	char *directory = temp_dir_make();
	struct store *store = NULL;
	struct journal_image image = journal_image_take(&site);

	journal_file_write(directory, "journal", buf_slice(&image.journal));
	ck_assert_int_eq(
	    journal_site_open_at(&site, directory, JOURNAL_CAPACITY, &store),
	    0);
	ck_assert_uint_eq(journal_read_number(store), 0);
	store_close(store);
	journal_file_write(
	    directory, "journal", slice_of(image.journal.data, 100));
	ck_assert_int_eq(
	    journal_site_open_at(&site, directory, JOURNAL_CAPACITY, &store),
	    0);
	store_close(store);
	journal_image_release(&image);
	temp_dir_remove(directory);
}
END_TEST

START_TEST(journal_is_not_needed_after_a_close)
{
	struct journal_image image;

	journal_site_commit(&site, 1, 100);
	journal_site_commit(&site, 2, 100);
	store_close(site.live);
	image = journal_image_take(&site);
	ck_assert_uint_eq(journal_site_recover(
			      &site, buf_slice(&image.data), slice_of(NULL, 0)),
	    2);
	ck_assert_uint_eq(journal_site_recover(
			      &site, buf_slice(&image.data), slice_of("", 0)),
	    2);
	ck_assert_uint_eq(journal_image_recover(&site, &image), 2);
	journal_image_release(&image);
	journal_site_open(&site, JOURNAL_CAPACITY);
}
END_TEST

START_TEST(journal_takes_another_capacity_after_a_close)
{
	struct journal_image image;

	journal_site_commit(&site, 1, 100);
	journal_site_crash(&site, 2 * JOURNAL_CAPACITY);
	journal_site_commit(&site, 2, 100);
	store_close(site.live);
	journal_site_open(&site, 2 * JOURNAL_CAPACITY);
	journal_site_commit(&site, 3, 100);
	image = journal_image_take(&site);
	ck_assert_uint_eq(image.journal.size, 2 * JOURNAL_CAPACITY);
	ck_assert_uint_eq(journal_image_recover(&site, &image), 3);
	journal_image_release(&image);
	store_close(site.live);
	journal_site_open(&site, JOURNAL_CAPACITY);
	image = journal_image_take(&site);
	ck_assert_uint_eq(image.journal.size, JOURNAL_CAPACITY);
	journal_image_release(&image);
}
END_TEST

START_TEST(journal_around_a_store_that_had_none)
{
	char *directory = temp_dir_make();
	struct store *store = NULL;

	ck_assert_int_eq(
	    journal_open_inner(directory, JOURNAL_TABLE_OWN, &store), 0);
	ck_assert_int_eq(journal_commit_number(store, 1, 100), 0);
	store_close(store);
	ck_assert_int_eq(
	    journal_site_open_at(&site, directory, JOURNAL_CAPACITY, &store),
	    0);
	ck_assert_uint_eq(journal_read_number(store), 1);
	store_close(store);
	temp_dir_remove(directory);
}
END_TEST

static struct store *
open_inner(struct store_txn **ret_txn, uint8_t value[64], size_t *ret_size)
{
	struct store *inner = NULL;
	struct slice found;

	ck_assert_int_eq(
	    journal_open_inner(site.path, JOURNAL_TABLES_COUNT, &inner), 0);
	*ret_txn = journal_begin_txn(inner, true);
	ck_assert_int_eq(
	    store_get(*ret_txn, JOURNAL_TABLE_OWN, TEXT("journal"), &found), 0);
	ck_assert_uint_le(found.size, 64);
	memcpy(value, found.data, found.size);
	*ret_size = found.size;
	return inner;
}

static void
put_state(struct store *inner, struct store_txn *txn, struct slice value)
{
	ck_assert_int_eq(
	    store_put(txn, JOURNAL_TABLE_OWN, TEXT("journal"), value), 0);
	ck_assert_int_eq(store_commit(txn), 0);
	store_close(inner);
}

static void
change_state(unsigned at, uint8_t byte)
{
	struct store_txn *txn;
	uint8_t value[64];
	size_t size;
	struct store *inner = open_inner(&txn, value, &size);

	ck_assert_uint_lt(at, size);
	value[at] ^= byte;
	put_state(inner, txn, slice_of(value, size));
}

/* With a checksum that is right. */
static void
set_state_version(uint8_t version)
{
	struct store_txn *txn;
	uint8_t value[64];
	size_t size;
	struct store *inner = open_inner(&txn, value, &size);

	value[0] = version;
	codec_store_u32(value + size - 4, crc32c(0, slice_of(value, size - 4)));
	put_state(inner, txn, slice_of(value, size));
}

START_TEST(journal_damage_to_the_inner_record_is_seen)
{
	store_close(site.live);
	for (unsigned at = 0; at < 30; at++) {
		change_state(at, 1);
		ck_assert_int_eq(journal_site_open_at(&site, site.path,
				     JOURNAL_CAPACITY, &site.live),
		    ERR_CORRUPT);
		ck_assert_ptr_nonnull(strstr(site.why, "data.mdb"));
		change_state(at, 1);
	}
	journal_site_open(&site, JOURNAL_CAPACITY);
}
END_TEST

/* Its blocks may have changes that are not known: that is no damage. */
START_TEST(journal_of_another_version_is_refused)
{
	static const uint8_t versions[] = { 1, 3 };

	store_close(site.live);
	for (size_t i = 0; i < ARRAY_COUNT(versions); i++) {
		set_state_version(versions[i]);
		ck_assert_int_eq(journal_site_open_at(&site, site.path,
				     JOURNAL_CAPACITY, &site.live),
		    ERR_VERSION);
	}
	set_state_version(2);
	journal_site_open(&site, JOURNAL_CAPACITY);
}
END_TEST

/*
 * Values come from clients: a header in one, even of a newer generation, is
 * none of the journal's.
 */
START_TEST(journal_is_not_fooled_by_values)
{
	uint8_t value[3 * JOURNAL_UNIT] = { 0 };
	struct buf header = { 0 };
	char *other = temp_dir_make();
	struct store *store = NULL;
	struct store_txn *txn;
	struct journal_image image;

	ck_assert_int_eq(
	    journal_site_open_at(&site, other, JOURNAL_CAPACITY, &store), 0);
	for (uint64_t i = 1; i <= 40; i++)
		ck_assert_int_eq(journal_commit_number(store, i, 100), 0);
	journal_file_read(other, "journal", &header);
	journal_site_commit(&site, 1, 100);
	/* Where the value lies in the file, at any offset into a unit. */
	for (size_t at = 0; at + JOURNAL_UNIT <= sizeof(value);
	     at += JOURNAL_UNIT)
		memcpy(value + at + JOURNAL_UNIT - JOURNAL_HEADER_SIZE - 10 - 1,
		    header.data + JOURNAL_UNIT, JOURNAL_HEADER_SIZE);
	txn = journal_begin_txn(site.live, true);
	ck_assert_int_eq(store_put(txn, JOURNAL_TABLE_A, slice_from_text("k"),
			     slice_of(value, sizeof(value))),
	    0);
	ck_assert_int_eq(store_commit(txn), 0);
	image = journal_image_take(&site);
	ck_assert_mem_eq(image.journal.data + 3 * JOURNAL_UNIT,
	    header.data + JOURNAL_UNIT, JOURNAL_HEADER_SIZE);
	ck_assert_uint_eq(journal_image_recover(&site, &image), 1);
	image.journal.data[2 * JOURNAL_UNIT + 1000] ^= 1;
	ck_assert_uint_eq(
	    journal_image_recover(&site, &image), JOURNAL_REFUSED);
	/* As a torn one it is cut, and nothing in the value speaks for it. */
	memset(image.journal.data + 6 * JOURNAL_UNIT, 0, JOURNAL_UNIT);
	ck_assert_uint_eq(journal_image_recover(&site, &image), 1);
	journal_image_release(&image);
	buf_release(&header);
	store_close(store);
	temp_dir_remove(other);
}
END_TEST

Suite *
store_journal_damage_suite(void)
{
	Suite *suite = suite_create("store_journal_damage");
	TCase *damage = tcase_create("damage");

	tcase_add_checked_fixture(damage, set_up, tear_down);
	tcase_add_test(damage, journal_damage_before_the_last_block_is_seen);
	tcase_add_test(damage, journal_damage_to_any_block_is_seen);
	tcase_add_test(damage, journal_damage_to_a_large_last_block_is_seen);
	tcase_add_test(damage, journal_damage_to_the_seal_alone_is_harmless);
	tcase_add_test(damage, journal_seal_of_another_block_is_seen);
	tcase_add_test(
	    damage, journal_seals_of_earlier_generations_say_nothing);
	tcase_add_test(damage, journal_full_file_has_its_last_seal);
	tcase_add_test(damage, journal_missing_block_is_seen);
	tcase_add_test(damage, journal_block_in_the_wrong_place_is_seen);
	tcase_add_test(damage, journal_of_an_older_inner_store_is_seen);
	tcase_add_test(damage, journal_of_an_older_closed_inner_store_is_seen);
	tcase_add_test(damage, journal_missing_file_is_seen);
	tcase_add_test(damage, journal_wrong_size_is_seen);
	tcase_add_test(damage, journal_foreign_file_is_seen);
	tcase_add_test(damage, journal_without_its_inner_store_is_seen);
	tcase_add_test(damage, journal_made_but_not_known);
	tcase_add_test(damage, journal_is_not_needed_after_a_close);
	tcase_add_test(damage, journal_takes_another_capacity_after_a_close);
	tcase_add_test(damage, journal_around_a_store_that_had_none);
	tcase_add_test(damage, journal_damage_to_the_inner_record_is_seen);
	tcase_add_test(damage, journal_of_another_version_is_refused);
	tcase_add_test(damage, journal_is_not_fooled_by_values);
	suite_add_tcase(suite, damage);
	return suite;
}
