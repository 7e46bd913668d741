#include "tests/unit/journal_site.h"

#include "common/codec.h"
#include "common/mem.h"
#include "store/store_lmdb.h"
#include "tests/lib/temp_dir.h"
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define MAP_BYTES (16u << 20)
/* Entries that stay in table B. */
#define KEPT_COUNT 5

static const char *const table_names[JOURNAL_TABLES_COUNT] = { "a", "b",
	"journal" };

static int
open_file(const char *directory, const char *name, int flags)
{
	struct buf file = { 0 };
	int fd;

	buf_printf(&file, "%s/%s", directory, name);
	buf_append(&file, "", 1);
	fd = open((const char *)file.data, flags, 0600);
	buf_release(&file);
	return fd;
}

void
journal_file_read(
    const char *directory, const char *name, struct buf *ret_bytes)
{
	int fd = open_file(directory, name, O_RDONLY);
	ssize_t size;

	ck_assert_int_ge(fd, 0);
	buf_reset(ret_bytes);
	while (
	    (size = read(fd, buf_reserve(ret_bytes, 1u << 16), 1u << 16)) > 0)
		ret_bytes->size += (size_t)size;
	ck_assert_int_eq(size, 0);
	(void)close(fd);
}

void
journal_file_write(const char *directory, const char *name, struct slice bytes)
{
	int fd = open_file(directory, name, O_WRONLY | O_CREAT | O_TRUNC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(
	    write(fd, bytes.data, bytes.size), (ssize_t)bytes.size);
	(void)close(fd);
}

struct journal_image
journal_image_take(const struct journal_site *site)
{
	struct journal_image image = { .data = { 0 } };

	journal_file_read(site->path, "data.mdb", &image.data);
	journal_file_read(site->path, "journal", &image.journal);
	return image;
}

void
journal_image_release(struct journal_image *image)
{
	buf_release(&image->data);
	buf_release(&image->journal);
}

int
journal_open_inner(
    const char *directory, unsigned tables_count, struct store **ret_store)
{
	struct store_lmdb_params params = { .path = directory,
		.tables = table_names,
		.tables_count = tables_count,
		.map_bytes = MAP_BYTES };

	return store_lmdb_open(&params, ret_store);
}

int
journal_site_open_around(struct journal_site *site, const char *directory,
    uint64_t capacity, struct store *inner, struct store **ret_store)
{
	struct store_journal_params params = { .directory = directory,
		.capacity = capacity,
		.table = JOURNAL_TABLE_OWN,
		.random_id = ++site->last_id };

	site->why[0] = '\0';
	return store_journal_open(
	    &params, inner, ret_store, site->why, sizeof(site->why));
}

int
journal_site_open_at(struct journal_site *site, const char *directory,
    uint64_t capacity, struct store **ret_store)
{
	struct store *inner = NULL;

	ck_assert_int_eq(
	    journal_open_inner(directory, JOURNAL_TABLES_COUNT, &inner), 0);
	return journal_site_open_around(
	    site, directory, capacity, inner, ret_store);
}

void
journal_site_open(struct journal_site *site, uint64_t capacity)
{
	ck_assert_int_eq(
	    journal_site_open_at(site, site->path, capacity, &site->live), 0);
}

void
journal_site_init(struct journal_site *site, uint64_t capacity)
{
	*site = (struct journal_site){ .path = temp_dir_make() };
	journal_site_open(site, capacity);
}

void
journal_site_release(struct journal_site *site)
{
	store_close(site->live);
	temp_dir_remove(site->path);
}

struct store_txn *
journal_begin_txn(struct store *store, bool write)
{
	struct store_txn *txn = NULL;

	ck_assert_int_eq(store_begin(store, write, &txn), 0);
	return txn;
}

int
journal_change_entries(struct store_txn *txn, uint64_t number, size_t size)
{
	uint8_t key[8];
	uint8_t *value = mem_alloc(size);
	struct store_cut cut;
	int error;

	memset(value, (int)number, size);
	codec_store_u64(key, number);
	error = store_append(
	    txn, JOURNAL_TABLE_B, slice_of(key, 8), slice_of(value, size));
	free(value);
	if (error != 0 || number <= KEPT_COUNT)
		return error;
	codec_store_u64(key, number - KEPT_COUNT);
	if (number % 2 == 0)
		return store_delete_until(
		    txn, JOURNAL_TABLE_B, slice_of(key, 8), &cut);
	return store_delete(txn, JOURNAL_TABLE_B, slice_of(key, 8));
}

int
journal_commit_number(struct store *store, uint64_t number, size_t size)
{
	struct store_txn *txn = NULL;
	uint8_t bytes[8];
	int error = store_begin(store, true, &txn);

	if (error != 0)
		return error;
	codec_store_u64(bytes, number);
	error = store_put(txn, JOURNAL_TABLE_A, slice_from_text("number"),
	    slice_of(bytes, 8));
	if (error == 0)
		error = journal_change_entries(txn, number, size);
	if (error == 0)
		return store_commit(txn);
	store_abort(txn);
	return error;
}

void
journal_site_commit(struct journal_site *site, uint64_t number, size_t size)
{
	ck_assert_int_eq(journal_commit_number(site->live, number, size), 0);
}

static void
check_entry(struct slice key, struct slice value, uint64_t number)
{
	bool same = true;

	ck_assert_uint_eq(key.size, 8);
	ck_assert_uint_eq(codec_load_u64(key.data), number);
	for (size_t i = 0; i < value.size; i++)
		same = same && value.data[i] == (uint8_t)number;
	ck_assert(same);
}

uint64_t
journal_read_number(struct store *store)
{
	struct store_txn *txn = journal_begin_txn(store, false);
	struct store_cursor *cursor = NULL;
	struct slice key = slice_of(NULL, 0);
	struct slice value;
	uint64_t number = 0;
	uint64_t first;
	int error =
	    store_get(txn, JOURNAL_TABLE_A, slice_from_text("number"), &value);

	if (error == 0)
		number = codec_load_u64(value.data);
	else
		ck_assert_int_eq(error, ERR_NOT_FOUND);
	first = number > KEPT_COUNT ? number - KEPT_COUNT + 1 : 1;
	ck_assert_int_eq(store_cursor_open(txn, JOURNAL_TABLE_B, &cursor), 0);
	for (uint64_t i = first; i <= number; i++) {
		ck_assert_int_eq(
		    store_cursor_move(cursor, STORE_NEXT, key, &key, &value),
		    0);
		check_entry(key, value, i);
	}
	ck_assert_int_eq(
	    store_cursor_move(cursor, STORE_NEXT, key, &key, &value),
	    ERR_NOT_FOUND);
	store_cursor_close(cursor);
	store_abort(txn);
	return number;
}

uint64_t
journal_site_recover(
    struct journal_site *site, struct slice data, struct slice journal)
{
	char *directory = temp_dir_make();
	struct store *store = NULL;
	uint64_t number = JOURNAL_REFUSED;
	int error;

	journal_file_write(directory, "data.mdb", data);
	if (journal.data != NULL)
		journal_file_write(directory, "journal", journal);
	error = journal_site_open_at(site, directory, JOURNAL_CAPACITY, &store);
	if (error == 0)
		number = journal_read_number(store);
	else
		ck_assert_int_eq(error, ERR_CORRUPT);
	if (error == 0)
		ck_assert_int_eq(
		    journal_commit_number(store, number + 1, 100), 0);
	store_close(store);
	temp_dir_remove(directory);
	return number;
}

uint64_t
journal_image_recover(
    struct journal_site *site, const struct journal_image *image)
{
	return journal_site_recover(
	    site, buf_slice(&image->data), buf_slice(&image->journal));
}

uint64_t
journal_site_number_after_crash(struct journal_site *site)
{
	struct journal_image image = journal_image_take(site);
	uint64_t number = journal_image_recover(site, &image);

	journal_image_release(&image);
	return number;
}

void
journal_site_crash(struct journal_site *site, uint64_t capacity)
{
	struct journal_image image = journal_image_take(site);

	store_close(site->live);
	journal_file_write(site->path, "data.mdb", buf_slice(&image.data));
	journal_file_write(site->path, "journal", buf_slice(&image.journal));
	journal_image_release(&image);
	journal_site_open(site, capacity);
}
