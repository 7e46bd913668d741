#include "tests/unit/op_stage.h"

#include <check.h>

struct kv_bench bench;

void
op_stage_begin(void)
{
	kv_bench_init(&bench);
}

void
op_stage_end(void)
{
	ck_assert_int_eq(kv_verify(bench.kv), 0);
	kv_bench_release(&bench);
}

void
op_stage_run(struct kv_op op)
{
	txn_site_run_one(&bench, &op);
}

void
op_stage_refuse(struct kv_op op, enum kv_status status)
{
	txn_site_expect_refused(&bench, &op, 1, status, 0);
}

struct kv_output
op_stage_output(unsigned n)
{
	return kv_bench_output(&bench, n);
}

void
op_stage_expect_text(struct slice bytes, const char *text)
{
	ck_assert_msg(slice_equal(bytes, TEXT(text)), "\"%.*s\"",
	    (int)bytes.size, (const char *)bytes.data);
}
