#include "tests/unit/api_stage.h"
#include "api/api_watches.h"

#include <check.h>

struct world *world;
struct site *one;

static void
begin(struct world *new_world)
{
	world = new_world;
	one = &world->site[0];
}

void
api_stage_one(void)
{
	begin(world_new_one(10000));
}

void
api_stage_unlimited(void)
{
	begin(world_new_one(0));
}

void
api_stage_roomy(void)
{
	begin(world_new_roomy(1));
}

void
api_stage_three(void)
{
	begin(world_new_three());
	one = world_follower(world);
}

void
api_stage_roomy_three(void)
{
	begin(world_new_roomy(3));
	one = world_follower(world);
}

void
api_stage_end(void)
{
	world_free(world);
}

void
api_stage_put(const char *target, const char *value)
{
	struct reply reply = site_put(one, target, value);

	ck_assert_msg(
	    reply.status == 200 || reply.status == 201, "%s", reply.text);
	reply_release(&reply);
}

void
api_stage_delete(const char *target)
{
	struct reply reply =
	    site_ask(one, "DELETE", target, "", slice_of(NULL, 0));

	assert_status(&reply, 200);
	reply_release(&reply);
}

void
api_stage_transact(const char *body, unsigned status, const char *says)
{
	site_expect(one, "POST /txn", "Content-Type: application/json\r\n",
	    body, status, says);
}

void
api_stage_fill(unsigned count, unsigned value_size)
{
	struct buf lines = { 0 };
	struct reply reply;

	for (unsigned i = 0; i < count; i++) {
		buf_printf(&lines, "{\"key\":\"k%06u\",\"value\":\"%0*u\"}\n",
		    i, (int)value_size, i);
		if ((i + 1) % 1000 != 0 && i + 1 < count)
			continue;
		reply = site_ask(one, "PUT", "/import", "", buf_slice(&lines));
		assert_status(&reply, 200);
		reply_release(&reply);
		buf_reset(&lines);
	}
	buf_release(&lines);
}

void
api_stage_make_gets(struct buf *body, unsigned count)
{
	buf_append_text(body, "{\"then\":[");
	for (unsigned i = 0; i < count; i++)
		buf_append_text(
		    body, i == 0 ? "{\"get\":\"a\"}" : ",{\"get\":\"a\"}");
	buf_append_text(body, "]}");
}

uint64_t
api_stage_revision(void)
{
	return kv_revision(node_kv(world_leader(world)->node));
}

void
api_stage_await_watchers(size_t count)
{
	for (int i = 0; i < WORLD_PASSES_MAX; i++) {
		if (api_watches_count(one->api) == count)
			return;
		world_pass(world);
	}
	ck_abort_msg("not %zu watchers", count);
}
