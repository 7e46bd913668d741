#include "common/list.h"
#include "tests/unit/suites.h"

struct item {
	int number;
	struct list link;
};

static struct item items[6];
static struct list head;

static void
setup(void)
{
	list_init(&head);
	for (int i = 0; i < (int)ARRAY_COUNT(items); i++) {
		items[i].number = i;
		list_init(&items[i].link);
	}
}

/* The numbers in the list as decimal digits, read forwards and backwards. */
static void
check_list(const struct list *list, int forwards, int backwards)
{
	int seen = 0;

	for (struct list *node = list->next; node != list; node = node->next)
		seen =
		    seen * 10 + CONTAINER_OF(node, struct item, link)->number;
	ck_assert_int_eq(seen, forwards);
	seen = 0;
	for (struct list *node = list->previous; node != list;
	     node = node->previous)
		seen =
		    seen * 10 + CONTAINER_OF(node, struct item, link)->number;
	ck_assert_int_eq(seen, backwards);
}

static void
push(struct list *list, int from, int to)
{
	for (int i = from; i <= to; i++)
		list_push(list, &items[i].link);
}

START_TEST(list_keeps_the_order_of_pushes)
{
	ck_assert(list_empty(&head));
	push(&head, 1, 3);
	ck_assert(!list_empty(&head));
	check_list(&head, 123, 321);
}
END_TEST

START_TEST(list_inserts_before_a_node)
{
	push(&head, 1, 3);
	list_insert_before(&items[2].link, &items[5].link);
	check_list(&head, 1523, 3251);
}
END_TEST

START_TEST(list_remove_twice_is_harmless)
{
	push(&head, 1, 3);
	list_remove(&items[2].link);
	list_remove(&items[2].link);
	check_list(&head, 13, 31);
	ck_assert(list_empty(&items[2].link));
}
END_TEST

START_TEST(list_splice_moves_all_to_the_end)
{
	struct list other;

	list_init(&other);
	push(&head, 1, 2);
	push(&other, 3, 5);
	list_splice(&head, &other);
	check_list(&head, 12345, 54321);
	ck_assert(list_empty(&other));
	list_splice(&head, &other);
	check_list(&head, 12345, 54321);
}
END_TEST

START_TEST(list_splice_into_an_empty_list)
{
	struct list other;

	list_init(&other);
	push(&other, 1, 2);
	list_splice(&head, &other);
	check_list(&head, 12, 21);
	ck_assert(list_empty(&other));
}
END_TEST

START_TEST(list_each_safe_allows_removal)
{
	struct list *node;
	struct list *following;

	push(&head, 1, 5);
	LIST_EACH_SAFE(node, following, &head) {
		if (CONTAINER_OF(node, struct item, link)->number % 2 == 1)
			list_remove(node);
	}
	check_list(&head, 24, 42);
}
END_TEST

Suite *
list_suite(void)
{
	Suite *suite = suite_create("list");
	TCase *tcase = tcase_create("list");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, list_keeps_the_order_of_pushes);
	tcase_add_test(tcase, list_inserts_before_a_node);
	tcase_add_test(tcase, list_remove_twice_is_harmless);
	tcase_add_test(tcase, list_splice_moves_all_to_the_end);
	tcase_add_test(tcase, list_splice_into_an_empty_list);
	tcase_add_test(tcase, list_each_safe_allows_removal);
	suite_add_tcase(suite, tcase);
	return suite;
}
