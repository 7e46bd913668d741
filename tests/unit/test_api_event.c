#include "api/api_event.h"
#include "common/mem.h"
#include "tests/unit/suites.h"

#include <stdlib.h>

/* Events as text: what one revision may come to. The forms themselves are
 * tested where they are sent. */

#define VALUE_SIZE (API_EVENT_VALUES_MAX / 2 + 1)

static struct buf text;
static uint8_t *value;

static void
setup(void)
{
	value = mem_alloc(VALUE_SIZE);
	memset(value, 'v', VALUE_SIZE);
}

static void
teardown(void)
{
	buf_release(&text);
	free(value);
}

static struct kv_event
make_event(uint64_t revision)
{
	return (struct kv_event){
		.type = KV_EVENT_PUT,
		.revision = revision,
		.key = slice_from_text("a"),
		.item = {
			.value = slice_of(value, VALUE_SIZE),
			.created = 1,
			.modified = revision,
			.version = revision,
		},
		.existed = true,
		.previous = {
			.value = slice_from_text("before"),
			.created = 1,
			.modified = revision - 1,
			.version = revision - 1,
		},
	};
}

static const char *
members_of(const struct kv_event *event, struct api_event_room *room)
{
	buf_reset(&text);
	api_event_append_members(NULL, &text, event, room);
	buf_append(&text, "", 1);
	return (const char *)text.data;
}

/* A delete of many keys, with the values of before, could be of gigabytes. */
START_TEST(values_of_one_revision_are_bounded)
{
	struct api_event_room room = { 0 };
	struct kv_event event = make_event(7);

	ck_assert_ptr_nonnull(strstr(members_of(&event, &room), "\"value\":"));
	ck_assert_str_eq(members_of(&event, &room),
	    "\"key\":\"a\",\"revision\":7,\"created\":1,\"version\":7,"
	    "\"omitted\":true");
	/* What fits is shown all the same. */
	buf_reset(&text);
	api_event_append_previous(NULL, &text, &event, &room);
	buf_append(&text, "", 1);
	ck_assert_str_eq((const char *)text.data,
	    ",\"prev\":{\"key\":\"a\",\"value\":\"before\",\"revision\":6,"
	    "\"created\":1,\"version\":6}");
	event = make_event(8);
	ck_assert_ptr_nonnull(strstr(members_of(&event, &room), "\"value\":"));
}
END_TEST

/* One value is shown, however large. */
START_TEST(the_first_value_is_shown)
{
	struct api_event_room room = { 0 };
	struct kv_event event = make_event(7);
	size_t size = 3 * (size_t)API_EVENT_VALUES_MAX;
	uint8_t *large = mem_alloc(size);

	memset(large, 'v', size);
	event.item.value = slice_of(large, size);
	ck_assert_ptr_nonnull(strstr(members_of(&event, &room), "\"value\":"));
	ck_assert_ptr_nonnull(strstr(members_of(&event, &room), "omitted"));
	free(large);
}
END_TEST

Suite *
api_event_suite(void)
{
	Suite *suite = suite_create("api_event");
	TCase *tcase = tcase_create("room");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, values_of_one_revision_are_bounded);
	tcase_add_test(tcase, the_first_value_is_shown);
	suite_add_tcase(suite, tcase);
	return suite;
}
