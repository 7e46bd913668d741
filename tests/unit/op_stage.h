#ifndef TESTS_UNIT_OP_STAGE_H
#define TESTS_UNIT_OP_STAGE_H

/* The state machine that tests of operations and transactions play on; a test
 * case begins and ends it by its fixture. */

#include "tests/unit/txn_site.h"

extern struct kv_bench bench;

void op_stage_begin(void);
/* All records are sound. */
void op_stage_end(void);

/* A transaction of this operation. */
void op_stage_run(struct kv_op op);
/* See txn_site_expect_refused. */
void op_stage_refuse(struct kv_op op, enum kv_status status);
/* Output n of the last command, which has one. */
struct kv_output op_stage_output(unsigned n);
void op_stage_expect_text(struct slice bytes, const char *text);

#endif
