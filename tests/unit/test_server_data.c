#include "kv/kv.h"
#include "server_data.h"
#include "store/store_dir.h"
#include "tests/lib/temp_dir.h"
#include "tests/unit/suites.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define MAP_BYTES      (16u << 20)
#define MEMTABLE_BYTES (1u << 20)

static char *base;

static void
set_up(void)
{
	base = temp_dir_make();
}

static void
tear_down(void)
{
	temp_dir_remove(base);
}

static struct store *
open_data(uint64_t generation, bool empty)
{
	struct store *store = NULL;

	ck_assert_int_eq(server_data_open(base, generation, empty, MAP_BYTES,
			     MEMTABLE_BYTES, &store),
	    0);
	return store;
}

/* Makes a generation with one record in it. */
static void
make_data(uint64_t generation)
{
	struct store *store = open_data(generation, false);
	struct store_txn *txn = NULL;

	ck_assert_int_eq(store_begin(store, true, &txn), 0);
	ck_assert_int_eq(
	    store_put(txn, 0, slice_from_text("key"), slice_from_text("value")),
	    0);
	ck_assert_int_eq(store_commit(txn), 0);
	store_close(store);
}

static int
remove_but(uint64_t generation)
{
	struct store_trash trash = { .count = 0 };
	int error = server_data_remove_but(base, generation, &trash);

	store_trash_release(&trash);
	return error;
}

static bool
has_record(struct store *store)
{
	struct store_txn *txn = NULL;
	struct slice value;
	int error;

	ck_assert_int_eq(store_begin(store, false, &txn), 0);
	error = store_get(txn, 0, slice_from_text("key"), &value);
	store_abort(txn);
	ck_assert(error == 0 || error == ERR_NOT_FOUND);
	return error == 0;
}

/* The path of a name below the data directory; to be freed. */
static char *
path_of(const char *name)
{
	struct buf path = { 0 };
	size_t size;

	buf_printf(&path, "%s/%s", base, name);
	buf_append(&path, "", 1);
	return (char *)buf_detach(&path, &size);
}

static bool
exists(const char *name)
{
	char *path = path_of(name);
	bool found = access(path, F_OK) == 0;

	free(path);
	return found;
}

static void
make_file(const char *name)
{
	char *path = path_of(name);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	free(path);
}

static void
remove_file(const char *name)
{
	char *path = path_of(name);

	ck_assert_int_eq(unlink(path), 0);
	free(path);
}

START_TEST(data_of_generation_0_is_the_first_name)
{
	make_data(0);
	make_data(12);
	ck_assert(exists("data/data.mdb"));
	ck_assert(exists("data.12/data.mdb"));
}
END_TEST

START_TEST(data_is_kept_unless_it_has_to_be_empty)
{
	struct store *store;

	make_data(2);
	store = open_data(2, false);
	ck_assert(has_record(store));
	store_close(store);
	store = open_data(2, true);
	ck_assert(!has_record(store));
	store_close(store);
	store = open_data(3, true);
	ck_assert(!has_record(store));
	store_close(store);
}
END_TEST

START_TEST(data_of_other_generations_is_removed)
{
	make_data(0);
	make_data(1);
	make_data(2);
	make_data(10);
	ck_assert_int_eq(remove_but(1), 0);
	ck_assert(!exists("data"));
	ck_assert(exists("data.1/data.mdb"));
	ck_assert(!exists("data.2"));
	ck_assert(!exists("data.10"));
	ck_assert_int_eq(remove_but(1), 0);
	ck_assert(exists("data.1/data.mdb"));
}
END_TEST

START_TEST(data_removal_touches_nothing_else)
{
	struct store_dir *dir = NULL;

	ck_assert_int_eq(store_dir_open(base, &dir), 0);
	make_file("data.7");
	make_file("data.md");
	make_data(0);
	ck_assert_int_eq(remove_but(0), 0);
	ck_assert(exists("lock"));
	ck_assert(exists("data.7"));
	ck_assert(exists("data.md"));
	ck_assert(exists("data/data.mdb"));
	store_dir_close(dir);
}
END_TEST

/*
 * A stray file in it: nothing is lost, and it is in nobody's way, unless a
 * store is to be made in its place.
 */
START_TEST(data_with_a_stray_file_is_left)
{
	struct store *store = NULL;

	make_data(1);
	make_file("data.1/notes");
	make_data(0);
	make_data(2);
	make_data(UINT64_MAX);
	ck_assert_int_eq(remove_but(2), 0);
	ck_assert(!exists("data"));
	ck_assert(exists("data.1/data.mdb"));
	ck_assert(exists("data.1/notes"));
	ck_assert(exists("data.2/data.mdb"));
	ck_assert(!exists("data.18446744073709551615"));
	ck_assert_int_eq(
	    server_data_open(base, 1, true, MAP_BYTES, MEMTABLE_BYTES, &store),
	    ERR_EXISTS);
	store = open_data(1, false);
	ck_assert(has_record(store));
	store_close(store);
}
END_TEST

/* G18: what a crash leaves of a removal or of a creation. */
START_TEST(G18_half_made_data_is_made_anew)
{
	struct store *store;

	make_data(4);
	remove_file("data.4/data.mdb");
	store = open_data(4, true);
	ck_assert(!has_record(store));
	store_close(store);
	make_data(5);
	remove_file("data.5/data.mdb");
	make_file("data.5/data.mdb");
	store = open_data(5, true);
	store_close(store);
	ck_assert_int_eq(remove_but(0), 0);
	ck_assert(!exists("data.4"));
	ck_assert(!exists("data.5"));
}
END_TEST

Suite *
server_data_suite(void)
{
	Suite *suite = suite_create("server_data");
	TCase *core = tcase_create("core");

	tcase_add_checked_fixture(core, set_up, tear_down);
	tcase_add_test(core, data_of_generation_0_is_the_first_name);
	tcase_add_test(core, data_is_kept_unless_it_has_to_be_empty);
	tcase_add_test(core, data_of_other_generations_is_removed);
	tcase_add_test(core, data_removal_touches_nothing_else);
	tcase_add_test(core, data_with_a_stray_file_is_left);
	tcase_add_test(core, G18_half_made_data_is_made_anew);
	suite_add_tcase(suite, core);
	return suite;
}
