/* What is LMDB's alone; the common rules are in test_store.c. */

#include "common/buf.h"
#include "common/codec.h"
#include "common/macros.h"
#include "common/text.h"
#include "store/store_lmdb.h"
#include "tests/lib/temp_dir.h"
#include "tests/unit/suites.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAP_BYTES (64u << 20)
/* Where LMDB 0.9 keeps these in each meta page, as mdb.c has it. */
#define META_PAGE_SIZE      4096
#define META_OFFSET_FLAGS   10
#define META_OFFSET_MAGIC   16
#define META_OFFSET_VERSION 20
#define META_OFFSET_TXN     144

enum { TABLE_A, TABLE_B, TABLES_COUNT };

static const char *const table_names[TABLES_COUNT] = { "a", "b" };

static char *path;
static char *data_file;

static void
set_up(void)
{
	struct buf name = { 0 };
	size_t size;

	path = temp_dir_make();
	buf_printf(&name, "%s/data.mdb", path);
	buf_append(&name, "", 1);
	data_file = (char *)buf_detach(&name, &size);
}

static void
tear_down(void)
{
	free(data_file);
	temp_dir_remove(path);
}

static int
open_store(uint64_t map_bytes, struct store **ret_store)
{
	struct store_lmdb_params params = { .path = path,
		.tables = table_names,
		.tables_count = TABLES_COUNT,
		.map_bytes = map_bytes };

	return store_lmdb_open(&params, ret_store);
}

static struct store *
must_open(void)
{
	struct store *store = NULL;

	ck_assert_int_eq(open_store(MAP_BYTES, &store), 0);
	return store;
}

/* Writes `number` to both tables in one commit. */
static int
commit_number(struct store *store, uint64_t number)
{
	struct slice key = slice_from_text("number");
	struct store_txn *txn;
	uint8_t bytes[8];
	int code = store_begin(store, true, &txn);

	if (code != 0)
		return code;
	codec_store_u64(bytes, number);
	code = store_put(txn, TABLE_A, key, slice_of(bytes, sizeof(bytes)));
	if (code == 0)
		code = store_put(
		    txn, TABLE_B, key, slice_of(bytes, sizeof(bytes)));
	if (code == 0)
		return store_commit(txn);
	store_abort(txn);
	return code;
}

static uint64_t
read_number(struct store *store, store_table table)
{
	struct store_txn *txn = NULL;
	struct slice value = { 0 };
	uint64_t number = 0;
	int code;

	ck_assert_int_eq(store_begin(store, false, &txn), 0);
	code = store_get(txn, table, slice_from_text("number"), &value);
	if (code == 0)
		number = codec_load_u64(value.data);
	else
		ck_assert_int_eq(code, ERR_NOT_FOUND);
	store_abort(txn);
	return number;
}

static void
flip(off_t offset, unsigned bits)
{
	int fd = open(data_file, O_RDWR);
	uint8_t byte;

	ck_assert_int_eq(pread(fd, &byte, 1, offset), 1);
	byte ^= (uint8_t)bits;
	ck_assert_int_eq(pwrite(fd, &byte, 1, offset), 1);
	(void)close(fd);
}

static void
expect_open(int expected)
{
	struct store *store = NULL;
	int code = open_store(MAP_BYTES, &store);

	ck_assert_int_eq(code, expected);
	store_close(store);
}

/* Leaves a file whose newest transaction has the number 4, the other 3. */
static void
make_file(void)
{
	struct store *store = must_open();

	for (uint64_t i = 1; i <= 3; i++)
		ck_assert_int_eq(commit_number(store, i), 0);
	store_close(store);
}

START_TEST(store_lmdb_files_are_for_their_owner_alone)
{
	struct stat info;

	umask(0);
	make_file();
	ck_assert_int_eq(stat(data_file, &info), 0);
	ck_assert_uint_eq(info.st_mode & 07777, 0600);
}
END_TEST

START_TEST(store_lmdb_empty_file_is_fresh)
{
	int fd = open(data_file, O_CREAT | O_WRONLY, 0600);

	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	expect_open(0);
}
END_TEST

START_TEST(store_lmdb_meta_numbers_must_be_neighbours)
{
	make_file();
	expect_open(0);
	for (unsigned page = 0; page < 2; page++) {
		for (unsigned bit = 0; bit < 64; bit++) {
			off_t offset =
			    page * META_PAGE_SIZE + META_OFFSET_TXN + bit / 8;

			flip(offset, 1u << bit % 8);
			expect_open(ERR_CORRUPT);
			flip(offset, 1u << bit % 8);
		}
	}
	expect_open(0);
}
END_TEST

/* The lowest bit of a transaction's number says which page it is on. */
START_TEST(store_lmdb_meta_numbers_on_each_others_page)
{
	make_file();
	flip(META_OFFSET_TXN, 4 ^ 3);
	flip(META_PAGE_SIZE + META_OFFSET_TXN, 4 ^ 3);
	expect_open(ERR_CORRUPT);
}
END_TEST

START_TEST(store_lmdb_damaged_meta_page)
{
	static const int offsets[] = { META_OFFSET_FLAGS, META_OFFSET_MAGIC,
		META_OFFSET_MAGIC + 3, META_OFFSET_VERSION };

	make_file();
	for (size_t i = 0; i < ARRAY_COUNT(offsets); i++) {
		flip(offsets[i], 0xff);
		expect_open(ERR_CORRUPT);
		flip(offsets[i], 0xff);
		flip(META_PAGE_SIZE + offsets[i], 0xff);
		expect_open(ERR_CORRUPT);
		flip(META_PAGE_SIZE + offsets[i], 0xff);
	}
	expect_open(0);
}
END_TEST

START_TEST(store_lmdb_newer_format)
{
	make_file();
	flip(META_OFFSET_VERSION, 3);
	flip(META_PAGE_SIZE + META_OFFSET_VERSION, 3);
	expect_open(ERR_VERSION);
}
END_TEST

START_TEST(store_lmdb_file_cut_short)
{
	static const off_t sizes[] = { 1, 100, META_PAGE_SIZE,
		META_PAGE_SIZE + 100 };

	for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
		(void)unlink(data_file);
		make_file();
		ck_assert_int_eq(truncate(data_file, sizes[i]), 0);
		expect_open(ERR_CORRUPT);
	}
}
END_TEST

START_TEST(store_lmdb_full_map_is_no_space)
{
	static const uint8_t value[1000];
	struct store_txn *txn = NULL;
	struct store *store = NULL;
	uint8_t key[8];
	int code = 0;

	make_file();
	ck_assert_int_eq(open_store(128u << 10, &store), 0);
	ck_assert_int_eq(store_begin(store, true, &txn), 0);
	for (uint64_t i = 1; code == 0 && i < 1000; i++) {
		codec_store_u64(key, i);
		code = store_put(txn, TABLE_A, slice_of(key, sizeof(key)),
		    slice_of(value, sizeof(value)));
	}
	ck_assert_int_eq(code, ERR_NO_SPACE);
	ck_assert_int_ne(store_commit(txn), 0);
	ck_assert_int_eq(store_begin(store, false, &txn), ERR_STOPPED);
	store_close(store);
	store = must_open();
	ck_assert_uint_eq(read_number(store, TABLE_A), 3);
	store_close(store);
}
END_TEST

/* The descriptor that LMDB writes meta pages by: the one with O_DSYNC. */
static int
find_meta_fd(void)
{
	for (int fd = 3; fd < 1024; fd++) {
		char link[32];
		char name[512];
		ssize_t size;

		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		size = readlink(link, name, sizeof(name));
		if (size >= 0 &&
		    slice_equal(slice_of(name, (size_t)size),
			slice_from_text(data_file)) &&
		    (fcntl(fd, F_GETFL) & O_DSYNC) != 0)
			return fd;
	}
	return -1;
}

/*
 * Scenario D4: the meta page cannot be written, but what LMDB writes over it
 * then can. The file is as before that commit, on either meta page.
 */
START_TEST(D4_store_lmdb_failed_meta_write_leaves_the_file_whole)
{
	struct store *store;
	uint64_t last = 5 + (uint64_t)_i;
	int meta_fd;
	int fd;

	make_file();
	store = must_open();
	for (uint64_t i = 4; i <= last; i++)
		ck_assert_int_eq(commit_number(store, i), 0);
	meta_fd = find_meta_fd();
	ck_assert_int_ge(meta_fd, 0);
	fd = open(data_file, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(dup2(fd, meta_fd), meta_fd);
	(void)close(fd);
	ck_assert_int_eq(commit_number(store, last + 1), ERR_IO);
	store_close(store);
	store = must_open();
	ck_assert_uint_eq(read_number(store, TABLE_A), last);
	ck_assert_uint_eq(read_number(store, TABLE_B), last);
	for (uint64_t i = last + 1; i < last + 4; i++)
		ck_assert_int_eq(commit_number(store, i), 0);
	store_close(store);
	store = must_open();
	ck_assert_uint_eq(read_number(store, TABLE_A), last + 3);
	store_close(store);
}
END_TEST

static uint64_t
bytes_after_commits(struct store *store, unsigned count)
{
	static const uint8_t value[1000];
	const struct slice key = slice_of("k", 1);
	struct store_txn *txn;
	struct store_stat stat;

	while (count-- > 0) {
		ck_assert_int_eq(store_begin(store, true, &txn), 0);
		ck_assert_int_eq(store_put(txn, TABLE_A, key,
				     slice_of(value, sizeof(value))),
		    0);
		ck_assert_int_eq(store_commit(txn), 0);
	}
	store_get_stat(store, &stat);
	return stat.file_bytes;
}

/*
 * Scenario G33: file_bytes tells what a reader costs, and when it is let go
 * for another, its pages are used again.
 */
START_TEST(G33_store_lmdb_grows_under_one_reader_alone)
{
	struct store_txn *reader;
	struct store *store;
	uint64_t before;
	uint64_t grown;

	make_file();
	store = must_open();
	before = bytes_after_commits(store, 10);
	ck_assert_uint_eq(bytes_after_commits(store, 50), before);
	ck_assert_int_eq(store_begin(store, false, &reader), 0);
	grown = bytes_after_commits(store, 100);
	ck_assert_uint_ge(grown, before + 100 * 4096);
	store_abort(reader);
	ck_assert_int_eq(store_begin(store, false, &reader), 0);
	ck_assert_uint_eq(bytes_after_commits(store, 50), grown);
	store_abort(reader);
	store_close(store);
}
END_TEST

START_TEST(store_lmdb_too_many_readers_are_busy)
{
	struct store_txn *readers[64];
	struct store *store = must_open();
	unsigned count = 0;
	int code = 0;

	while (code == 0 && count < ARRAY_COUNT(readers)) {
		code = store_begin(store, false, &readers[count]);
		if (code == 0)
			count++;
	}
	ck_assert_int_eq(code, ERR_BUSY);
	ck_assert_int_eq(commit_number(store, 1), 0);
	while (count > 0)
		store_abort(readers[--count]);
	store_close(store);
}
END_TEST

/* Commits 1, 2, 3, ... and tells each once it is durable, until killed. */
static pid_t
write_in_child(int *ret_fd)
{
	int fds[2];
	pid_t child;

	ck_assert_int_eq(pipe(fds), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct store *store = NULL;
		uint64_t number = 1;

		if (open_store(MAP_BYTES, &store) != 0)
			_exit(1);
		while (commit_number(store, number++) == 0 &&
		       write(fds[1], "", 1) == 1)
			continue;
		_exit(1);
	}
	(void)close(fds[1]);
	*ret_fd = fds[0];
	return child;
}

/* Each round kills the writer at some other place of its commits. */
START_TEST(store_lmdb_killed_writer_loses_no_commit)
{
	struct store *store;
	uint64_t told = 0;
	uint64_t number;
	uint8_t byte;
	int fd;
	pid_t child = write_in_child(&fd);

	while (told < (uint64_t)_i * 3 + 1 && read(fd, &byte, 1) == 1)
		told++;
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	while (read(fd, &byte, 1) == 1)
		told++;
	(void)close(fd);
	store = must_open();
	number = read_number(store, TABLE_A);
	ck_assert_uint_ge(number, told);
	ck_assert_uint_le(number, told + 1);
	ck_assert_uint_eq(number, read_number(store, TABLE_B));
	store_close(store);
}
END_TEST

/* Writes the same value of some pages again and again. */
static uint64_t
file_bytes_of_rewriting(struct store *store, unsigned count)
{
	static const uint8_t value[64 * 1024];
	struct store_stat info;

	for (unsigned i = 0; i < count; i++) {
		struct store_txn *txn = NULL;

		ck_assert_int_eq(store_begin(store, true, &txn), 0);
		ck_assert_int_eq(
		    store_put(txn, TABLE_A, slice_from_text("number"),
			slice_of(value, sizeof(value))),
		    0);
		ck_assert_int_eq(store_commit(txn), 0);
	}
	store_get_stat(store, &info);
	return info.file_bytes;
}

/* D20: the reader of a killed process keeps no page from being used again. */
START_TEST(D20_store_lmdb_forgets_readers_of_a_killed_process)
{
	struct store *store;
	uint8_t byte;
	int fds[2];
	pid_t child;

	make_file();
	ck_assert_int_eq(pipe(fds), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct store_txn *txn;

		if (open_store(MAP_BYTES, &store) == 0 &&
		    store_begin(store, false, &txn) == 0 &&
		    write(fds[1], "", 1) == 1)
			(void)pause();
		_exit(1);
	}
	(void)close(fds[1]);
	ck_assert_int_eq(read(fds[0], &byte, 1), 1);
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	(void)close(fds[0]);
	store = must_open();
	ck_assert_uint_lt(file_bytes_of_rewriting(store, 50), 1u << 20);
	store_close(store);
}
END_TEST

/* Bytes of mapped files that count as this process's memory: proc(5). */
static uint64_t
mapped_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	char line[128];
	char *rest = line;
	const char *field;
	uint64_t pages = 0;

	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), file));
	(void)fclose(file);
	(void)strsep(&rest, " "); /* size */
	(void)strsep(&rest, " "); /* resident */
	field = strsep(&rest, " ");
	ck_assert_ptr_nonnull(field);
	ck_assert_int_eq(text_parse_u64(slice_from_text(field), &pages), 0);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int
change(struct store_txn *txn, uint64_t number, bool deletes)
{
	static const uint8_t value[1024];
	uint8_t memory[8];
	struct slice key = slice_of(memory, sizeof(memory));

	codec_store_u64(memory, number);
	return deletes ? store_delete(txn, TABLE_A, key)
		       : store_append(
			     txn, TABLE_A, key, slice_of(value, sizeof(value)));
}

static struct store_txn *
change_in_txn(struct store *store, uint64_t first, unsigned count, bool deletes)
{
	struct store_txn *txn = NULL;

	ck_assert_int_eq(store_begin(store, true, &txn), 0);
	for (unsigned i = 0; i < count; i++)
		ck_assert_int_eq(change(txn, first + i, deletes), 0);
	return txn;
}

static void
touch_all(struct store *store)
{
	struct store_cursor *cursor = NULL;
	struct store_txn *txn = NULL;
	struct slice key;
	struct slice value;

	ck_assert_int_eq(store_begin(store, false, &txn), 0);
	ck_assert_int_eq(store_cursor_open(txn, TABLE_A, &cursor), 0);
	while (store_cursor_move(
		   cursor, STORE_NEXT, slice_of(NULL, 0), &key, &value) == 0)
		continue;
	store_cursor_close(cursor);
	store_abort(txn);
}

START_TEST(store_lmdb_gives_mapped_pages_back)
{
	struct store *store = must_open();
	uint64_t before = mapped_bytes();
	struct store_txn *txn;

	for (uint64_t i = 0; i < 16; i++)
		ck_assert_int_eq(
		    store_commit(change_in_txn(store, i * 1000, 1000, false)),
		    0);
	touch_all(store);
	ck_assert_uint_gt(mapped_bytes(), before + (10u << 20));
	/* A transaction may be long: they do not wait for its end. */
	txn = change_in_txn(store, 16000, 1200, false);
	ck_assert_uint_lt(mapped_bytes(), before + (2u << 20));
	store_abort(txn);
	/* Each delete looks its record up, and looking touches pages. */
	touch_all(store);
	txn = change_in_txn(store, 0, 2500, true);
	ck_assert_uint_lt(mapped_bytes(), before + (5u << 20));
	store_abort(txn);
	store_close(store);
}
END_TEST

static char *
note_file(void)
{
	struct buf name = { 0 };
	size_t size;

	buf_printf(&name, "%s.new", data_file);
	buf_append(&name, "", 1);
	return (char *)buf_detach(&name, &size);
}

static void
make_note(const char *name)
{
	int fd = open(name, O_CREAT | O_WRONLY, 0600);

	ck_assert_int_ge(fd, 0);
	(void)close(fd);
}

/* Scenario D18: a power cut while the file was made. */
START_TEST(store_lmdb_file_half_made_is_made_anew)
{
	struct store *store = NULL;
	char *note = note_file();
	int fd;

	fd = open(data_file, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_eq(ftruncate(fd, 2 * (off_t)META_PAGE_SIZE), 0);
	(void)close(fd);
	ck_assert_int_eq(open_store(MAP_BYTES, &store), ERR_CORRUPT);
	make_note(note);
	store = must_open();
	ck_assert_int_ne(access(note, F_OK), 0);
	ck_assert_int_eq(commit_number(store, 7), 0);
	store_close(store);
	store = must_open();
	ck_assert_uint_eq(read_number(store, TABLE_A), 7);
	store_close(store);
	free(note);
}
END_TEST

/* A file that was copied into the directory of a start that failed. */
START_TEST(store_lmdb_used_file_beside_a_note_is_kept)
{
	struct store *store = must_open();
	char *note = note_file();

	ck_assert_int_eq(commit_number(store, 7), 0);
	store_close(store);
	make_note(note);
	store = must_open();
	ck_assert_uint_eq(read_number(store, TABLE_A), 7);
	ck_assert_int_ne(access(note, F_OK), 0);
	store_close(store);
	free(note);
}
END_TEST

Suite *
store_lmdb_suite(void)
{
	Suite *suite = suite_create("store_lmdb");
	TCase *core = tcase_create("core");

	tcase_add_checked_fixture(core, set_up, tear_down);
	tcase_add_test(core, store_lmdb_files_are_for_their_owner_alone);
	tcase_add_test(core, store_lmdb_empty_file_is_fresh);
	tcase_add_test(core, store_lmdb_meta_numbers_must_be_neighbours);
	tcase_add_test(core, store_lmdb_meta_numbers_on_each_others_page);
	tcase_add_test(core, store_lmdb_damaged_meta_page);
	tcase_add_test(core, store_lmdb_newer_format);
	tcase_add_test(core, store_lmdb_file_cut_short);
	tcase_add_test(core, store_lmdb_full_map_is_no_space);
	tcase_add_loop_test(
	    core, D4_store_lmdb_failed_meta_write_leaves_the_file_whole, 0, 2);
	tcase_add_test(core, G33_store_lmdb_grows_under_one_reader_alone);
	tcase_add_test(core, store_lmdb_too_many_readers_are_busy);
	tcase_add_loop_test(
	    core, store_lmdb_killed_writer_loses_no_commit, 0, 12);
	tcase_add_test(
	    core, D20_store_lmdb_forgets_readers_of_a_killed_process);
	tcase_add_test(core, store_lmdb_gives_mapped_pages_back);
	tcase_add_test(core, store_lmdb_file_half_made_is_made_anew);
	tcase_add_test(core, store_lmdb_used_file_beside_a_note_is_kept);
	suite_add_tcase(suite, core);
	return suite;
}
