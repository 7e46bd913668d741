#include "tests/unit/log_site.h"

#include "common/codec.h"
#include "node/node.h"

#include <check.h>

int
log_site_visit(void *context, const struct node_record *record, uint32_t size)
{
	struct log_site *f = context;

	ck_assert_uint_gt(size, record->payload.size);
	f->visited++;
	return 0;
}

int
log_site_open(struct log_site *f)
{
	int error;

	f->visited = 0;
	f->bad = 0;
	f->why[0] = '\0';
	f->store = store_mem_open(f->disk);
	error =
	    node_log_open(f->store, 1 << 20, &f->log, f->why, sizeof(f->why));
	if (error != 0)
		return error;
	error = node_log_load(
	    f->log, NULL, log_site_visit, f, &f->bad, f->why, sizeof(f->why));
	if (error != 0)
		node_log_free(f->log);
	return error;
}

void
log_site_close(struct log_site *f)
{
	node_log_free(f->log);
	f->log = NULL;
	store_close(f->store);
}

void
log_site_set_up(struct log_site *f)
{
	*f = (struct log_site){
		.disk = store_mem_disk_new(NODE_LOG_TABLES_COUNT),
	};
	ck_assert_int_eq(log_site_open(f), 0);
}

void
log_site_tear_down(struct log_site *f)
{
	log_site_close(f);
	store_mem_disk_free(f->disk);
}

void
log_site_append(struct log_site *f, raft_term term, unsigned count)
{
	struct node_log_state state;

	for (unsigned i = 0; i < count; i++) {
		node_log_get_state(f->log, &state);
		node_log_append(f->log, RAFT_ENTRY_COMMAND, term,
		    state.last_time_us + 1, slice_from_text("command"));
	}
}

int
log_site_commit(struct log_site *f, raft_term term, raft_index truncate_from)
{
	struct node_log_state state;
	struct raft_op_persist persist = {
		.ticket = 1,
		.term = term,
		.vote = 2,
		.truncate_from = truncate_from,
	};
	raft_index first;

	node_log_get_state(f->log, &state);
	first = truncate_from != 0 ? truncate_from : state.durable_index + 1;
	if (state.last_index >= first) {
		persist.first = first;
		persist.last = state.last_index;
	}
	return node_log_commit(f->log, &persist);
}

struct slice
log_site_key(uint8_t *key, raft_index index)
{
	codec_store_u64(key, index);
	return slice_of(key, 8);
}

void
log_site_expect_bad(struct log_site *f, raft_index bad)
{
	struct node_log_state state;

	ck_assert_int_eq(log_site_open(f), 0);
	ck_assert_uint_eq(f->bad, bad);
	node_log_get_state(f->log, &state);
	ck_assert_uint_eq(state.last_index, bad - 1);
}

void
log_site_get_base(
    struct log_site *f, raft_index index, struct node_log_base *ret_base)
{
	ck_assert_int_eq(node_log_get_base(f->log, index, ret_base), 0);
}
