#include "common/buf.h"
#include "common/macros.h"
#include "tests/lib/disk_model.h"
#include "tests/lib/temp_dir.h"
#include "tests/unit/suites.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEEDS 200u

static struct disk_model *model;

static void
set_up(void)
{
	model = disk_model_new();
}

static void
tear_down(void)
{
	disk_model_free(model);
}

static void
write_text(const char *path, uint64_t offset, const char *text)
{
	disk_model_write(model, path, offset, slice_from_text(text));
}

static void
crash(enum disk_model_choice choice, uint64_t number)
{
	disk_model_crash(model, choice, number);
	ck_assert_uint_eq(disk_model_pending_count(model), 0);
}

static void
expect_bytes(const char *path, struct slice wanted)
{
	ck_assert(disk_model_exists(model, path));
	ck_assert(slice_equal(
	    disk_model_bytes(model, disk_model_find(model, path)), wanted));
}

static void
expect_text(const char *path, const char *wanted)
{
	expect_bytes(path, slice_from_text(wanted));
}

/* A durable file of that text. */
static void
make_durable(const char *path, const char *text)
{
	disk_model_create(model, path);
	write_text(path, 0, text);
	disk_model_sync(model, path);
	disk_model_sync(model, "");
}

/* ---- What is durable ---- */

START_TEST(disk_model_keeps_what_was_synced)
{
	disk_model_mkdir(model, "log");
	disk_model_sync(model, "");
	disk_model_create(model, "log/file");
	disk_model_sync(model, "log");
	write_text("log/file", 0, "one");
	disk_model_sync(model, "log/file");
	write_text("log/file", 0, "two");
	ck_assert_uint_eq(disk_model_pending_count(model), 1);
	crash(DISK_MODEL_NONE, 0);
	expect_text("log/file", "one");
}
END_TEST

START_TEST(disk_model_loses_a_synced_file_without_its_entry)
{
	disk_model_create(model, "file");
	write_text("file", 0, "bytes");
	disk_model_sync(model, "file");
	ck_assert_uint_eq(disk_model_pending_count(model), 1);
	crash(DISK_MODEL_NONE, 0);
	ck_assert(!disk_model_exists(model, "file"));
}
END_TEST

START_TEST(disk_model_loses_bytes_of_a_durable_entry)
{
	disk_model_create(model, "file");
	write_text("file", 0, "bytes");
	disk_model_sync(model, "");
	crash(DISK_MODEL_NONE, 0);
	expect_text("file", "");
}
END_TEST

START_TEST(disk_model_loses_what_is_in_a_lost_directory)
{
	disk_model_mkdir(model, "log");
	disk_model_create(model, "log/file");
	disk_model_sync(model, "log");
	ck_assert_uint_eq(disk_model_pending_count(model), 1);
	crash(DISK_MODEL_NONE, 0);
	ck_assert(!disk_model_exists(model, "log"));
}
END_TEST

/* A kill takes nothing: what the process saw is what is left. */
START_TEST(disk_model_keeps_all)
{
	disk_model_mkdir(model, "log");
	disk_model_create(model, "log/file");
	write_text("log/file", 2, "text");
	disk_model_truncate(model, "log/file", 5);
	disk_model_create(model, "other");
	disk_model_rename(model, "other", "name");
	disk_model_create(model, "gone");
	disk_model_remove(model, "gone");
	crash(DISK_MODEL_ALL, 0);
	expect_bytes("log/file", slice_of("\0\0tex", 5));
	expect_text("name", "");
	ck_assert(!disk_model_exists(model, "other"));
	ck_assert(!disk_model_exists(model, "gone"));
}
END_TEST

START_TEST(disk_model_brings_back_what_was_removed)
{
	make_durable("file", "bytes");
	disk_model_remove(model, "file");
	ck_assert(!disk_model_exists(model, "file"));
	crash(DISK_MODEL_NONE, 0);
	expect_text("file", "bytes");
	disk_model_remove(model, "file");
	disk_model_sync(model, "");
	crash(DISK_MODEL_NONE, 0);
	ck_assert(!disk_model_exists(model, "file"));
}
END_TEST

/* It is open, and cut shorter step by step: the name may come back. */
START_TEST(disk_model_writes_to_files_without_names)
{
	unsigned file;

	make_durable("file", "bytes");
	file = disk_model_find(model, "file");
	disk_model_remove(model, "file");
	disk_model_truncate_file(model, file, 2);
	disk_model_write_file(model, file, 1, slice_from_text("e"));
	disk_model_sync_file(model, file);
	crash(DISK_MODEL_NONE, 0);
	expect_text("file", "be");
	file = disk_model_find(model, "file");
	disk_model_remove(model, "file");
	disk_model_sync(model, "");
	disk_model_truncate_file(model, file, 0);
	disk_model_sync_file(model, file);
	crash(DISK_MODEL_NONE, 0);
	ck_assert(!disk_model_exists(model, "file"));
}
END_TEST

START_TEST(disk_model_syncs_a_range_alone)
{
	unsigned file;

	make_durable("file", "");
	file = disk_model_find(model, "file");
	write_text("file", 0, "lost");
	write_text("file", 2 * DISK_MODEL_SECTOR, "kept");
	disk_model_sync_range(model, file, 2 * DISK_MODEL_SECTOR, 4);
	ck_assert_uint_eq(disk_model_pending_count(model), 1);
	crash(DISK_MODEL_NONE, 0);
	file = disk_model_find(model, "file");
	ck_assert_uint_eq(disk_model_bytes(model, file).data[0], 0);
	ck_assert(slice_equal(slice_of(disk_model_bytes(model, file).data +
					   2 * (size_t)DISK_MODEL_SECTOR,
				  4),
	    slice_from_text("kept")));
}
END_TEST

START_TEST(disk_model_renames_as_one)
{
	for (uint64_t kept = 0; kept < 2; kept++) {
		make_durable("new", "new bytes");
		make_durable("old", "old bytes");
		disk_model_rename(model, "new", "old");
		ck_assert_uint_eq(disk_model_pending_count(model), 1);
		crash(kept ? DISK_MODEL_ALL : DISK_MODEL_NONE, 0);
		expect_text("old", kept ? "new bytes" : "old bytes");
		ck_assert_int_eq(disk_model_exists(model, "new"), !kept);
		disk_model_remove(model, "old");
		if (!kept)
			disk_model_remove(model, "new");
		disk_model_sync(model, "");
	}
}
END_TEST

/* Before any sync it is in one of the two; then it is never nowhere. */
START_TEST(disk_model_renames_between_directories)
{
	static const struct {
		const char *synced;
		bool in_old;
		bool in_new;
	} cases[] = { { NULL, true, false }, { "new", true, true },
		{ "old", false, true } };

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		disk_model_free(model);
		model = disk_model_new();
		disk_model_mkdir(model, "old");
		disk_model_mkdir(model, "new");
		make_durable("old/file", "bytes");
		disk_model_sync(model, "old");
		disk_model_rename(model, "old/file", "new/name");
		ck_assert_uint_eq(disk_model_pending_count(model), 1);
		if (cases[i].synced != NULL)
			disk_model_sync(model, cases[i].synced);
		crash(DISK_MODEL_NONE, 0);
		ck_assert_int_eq(
		    disk_model_exists(model, "old/file"), cases[i].in_old);
		ck_assert_int_eq(
		    disk_model_exists(model, "new/name"), cases[i].in_new);
	}
}
END_TEST

START_TEST(disk_model_forgets_a_removed_directory)
{
	disk_model_mkdir(model, "data");
	disk_model_sync(model, "");
	disk_model_create(model, "data/file");
	write_text("data/file", 0, "bytes");
	disk_model_sync(model, "data");
	disk_model_remove(model, "data/file");
	disk_model_remove(model, "data");
	/* The bytes, the file's name and the directory's. */
	ck_assert_uint_eq(disk_model_pending_count(model), 3);
	disk_model_sync(model, "");
	ck_assert_uint_eq(disk_model_pending_count(model), 0);
}
END_TEST

/* ---- What a cut takes ---- */

/* Four writes to a file, one a sector. */
static void
write_four(void)
{
	make_durable("file", "");
	for (unsigned i = 0; i < 4; i++)
		write_text("file", (uint64_t)i * DISK_MODEL_SECTOR, "x");
	ck_assert_uint_eq(disk_model_pending_count(model), 4);
}

/* Which of them are in the file, as bits. */
static unsigned
read_four(void)
{
	struct slice bytes =
	    disk_model_bytes(model, disk_model_find(model, "file"));
	unsigned seen = 0;

	for (unsigned i = 0; i < 4; i++) {
		size_t offset = (size_t)i * DISK_MODEL_SECTOR;

		if (offset < bytes.size && bytes.data[offset] == 'x')
			seen |= 1u << i;
	}
	return seen;
}

static unsigned
four_after(enum disk_model_choice choice, uint64_t number)
{
	unsigned seen;

	disk_model_free(model);
	model = disk_model_new();
	write_four();
	crash(choice, number);
	seen = read_four();
	return seen;
}

START_TEST(disk_model_loses_or_keeps_one)
{
	for (unsigned i = 0; i < 8; i++) {
		unsigned bit = 1u << i % 4;

		ck_assert_uint_eq(four_after(DISK_MODEL_BUT_ONE, i), 15 - bit);
		ck_assert_uint_eq(four_after(DISK_MODEL_ONLY_ONE, i), bit);
	}
}
END_TEST

START_TEST(disk_model_takes_any_subset)
{
	unsigned seen = 0;

	for (unsigned seed = 0; seed < SEEDS; seed++) {
		unsigned subset = four_after(DISK_MODEL_RANDOM, seed);

		ck_assert_uint_eq(four_after(DISK_MODEL_RANDOM, seed), subset);
		seen |= 1u << subset;
	}
	ck_assert_uint_eq(seen, 0xffff);
}
END_TEST

/* One write of four sectors: parts of each shape, but never of a sector. */
START_TEST(disk_model_tears_writes_between_sectors)
{
	uint8_t ones[4 * DISK_MODEL_SECTOR];
	unsigned seen = 0;

	memset(ones, 'x', sizeof(ones));
	for (unsigned seed = 0; seed < SEEDS; seed++) {
		struct slice bytes;

		disk_model_free(model);
		model = disk_model_new();
		make_durable("file", "");
		disk_model_write(
		    model, "file", 0, slice_of(ones, sizeof(ones)));
		crash(DISK_MODEL_TORN, seed);
		seen |= 1u << read_four();
		bytes = disk_model_bytes(model, disk_model_find(model, "file"));
		ck_assert_uint_eq(bytes.size % DISK_MODEL_SECTOR, 0);
		for (size_t i = 0; i < bytes.size; i++)
			ck_assert_uint_eq(bytes.data[i],
			    bytes.data[i - i % DISK_MODEL_SECTOR]);
	}
	ck_assert_uint_eq(seen, 0xffff);
}
END_TEST

/* The sector as it was in memory goes to the disk, not the bytes alone. */
START_TEST(disk_model_writes_whole_sectors)
{
	make_durable("file", "....");
	write_text("file", 0, "a");
	write_text("file", 2, "b");
	crash(DISK_MODEL_ONLY_ONE, 1);
	expect_text("file", "a.b.");
	write_text("file", 0, "c");
	write_text("file", 2, "d");
	crash(DISK_MODEL_ONLY_ONE, 0);
	expect_text("file", "c.b.");
}
END_TEST

START_TEST(disk_model_leaves_holes)
{
	make_durable("file", "");
	write_text("file", 0, "first");
	write_text("file", DISK_MODEL_SECTOR, "second");
	crash(DISK_MODEL_BUT_ONE, 0);
	ck_assert_uint_eq(
	    disk_model_bytes(model, disk_model_find(model, "file")).size,
	    DISK_MODEL_SECTOR + 6);
	ck_assert_uint_eq(read_four(), 0);
}
END_TEST

/* ---- Images ---- */

static int
open_in(const char *directory, const char *path)
{
	struct buf joined = { 0 };
	int fd;

	buf_printf(&joined, "%s/%s", directory, path);
	buf_append(&joined, "", 1);
	fd = open((const char *)joined.data, O_RDONLY);
	buf_release(&joined);
	return fd;
}

static void
expect_file(const char *directory, const char *path)
{
	struct slice wanted =
	    disk_model_bytes(model, disk_model_find(model, path));
	uint8_t *bytes = calloc(1, wanted.size + 1);
	int fd = open_in(directory, path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(
	    pread(fd, bytes, wanted.size + 1, 0), (ssize_t)wanted.size);
	ck_assert(slice_equal(slice_of(bytes, wanted.size), wanted));
	(void)close(fd);
	free(bytes);
}

/* A file that is mostly holes, one of odd size, and an empty directory. */
static void
make_tree(void)
{
	disk_model_mkdir(model, "log");
	disk_model_mkdir(model, "none");
	disk_model_create(model, "log/holes");
	write_text("log/holes", 20000, "in the middle");
	write_text("log/holes", 50000, "later");
	disk_model_truncate(model, "log/holes", 100001);
	disk_model_create(model, "odd");
	write_text("odd", 0, "some text");
}

START_TEST(disk_model_writes_images)
{
	char *directory = temp_dir_make();
	struct stat info;
	int fd;

	make_tree();
	ck_assert_int_eq(
	    disk_model_write_image(model, DISK_MODEL_ALL, 0, directory), 0);
	expect_file(directory, "log/holes");
	expect_file(directory, "odd");
	fd = open_in(directory, "none");
	ck_assert_int_eq(fstat(fd, &info), 0);
	ck_assert(S_ISDIR(info.st_mode));
	(void)close(fd);
	/* It is not empty now. */
	ck_assert_int_ne(
	    disk_model_write_image(model, DISK_MODEL_ALL, 0, directory), 0);
	temp_dir_remove(directory);
}
END_TEST

START_TEST(disk_model_image_is_what_a_crash_leaves)
{
	for (unsigned seed = 0; seed < SEEDS; seed++) {
		enum disk_model_choice choice = seed % DISK_MODEL_CHOICES_COUNT;
		uint64_t digest;

		disk_model_free(model);
		model = disk_model_new();
		make_tree();
		digest = disk_model_image_digest(model, choice, seed);
		crash(choice, seed);
		ck_assert_uint_eq(
		    disk_model_image_digest(model, DISK_MODEL_NONE, 0), digest);
	}
}
END_TEST

START_TEST(disk_model_digest_tells_images_apart)
{
	uint64_t before;

	make_tree();
	before = disk_model_image_digest(model, DISK_MODEL_ALL, 0);
	write_text("odd", 3, "!");
	ck_assert_uint_ne(
	    disk_model_image_digest(model, DISK_MODEL_ALL, 0), before);
	write_text("odd", 3, "e");
	ck_assert_uint_eq(
	    disk_model_image_digest(model, DISK_MODEL_ALL, 0), before);
	disk_model_rename(model, "odd", "even");
	ck_assert_uint_ne(
	    disk_model_image_digest(model, DISK_MODEL_ALL, 0), before);
}
END_TEST

Suite *
disk_model_suite(void)
{
	Suite *suite = suite_create("disk_model");
	TCase *core = tcase_create("core");

	tcase_add_checked_fixture(core, set_up, tear_down);
	tcase_add_test(core, disk_model_keeps_what_was_synced);
	tcase_add_test(core, disk_model_loses_a_synced_file_without_its_entry);
	tcase_add_test(core, disk_model_loses_bytes_of_a_durable_entry);
	tcase_add_test(core, disk_model_loses_what_is_in_a_lost_directory);
	tcase_add_test(core, disk_model_keeps_all);
	tcase_add_test(core, disk_model_brings_back_what_was_removed);
	tcase_add_test(core, disk_model_writes_to_files_without_names);
	tcase_add_test(core, disk_model_syncs_a_range_alone);
	tcase_add_test(core, disk_model_renames_as_one);
	tcase_add_test(core, disk_model_renames_between_directories);
	tcase_add_test(core, disk_model_forgets_a_removed_directory);
	tcase_add_test(core, disk_model_loses_or_keeps_one);
	tcase_add_test(core, disk_model_takes_any_subset);
	tcase_add_test(core, disk_model_tears_writes_between_sectors);
	tcase_add_test(core, disk_model_writes_whole_sectors);
	tcase_add_test(core, disk_model_leaves_holes);
	tcase_add_test(core, disk_model_writes_images);
	tcase_add_test(core, disk_model_image_is_what_a_crash_leaves);
	tcase_add_test(core, disk_model_digest_tells_images_apart);
	suite_add_tcase(suite, core);
	return suite;
}
