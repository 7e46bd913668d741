#ifndef API_API_TRANSACTION_H
#define API_API_TRANSACTION_H

/* POST /txn: JSON to a command, and its result to JSON. */

#include "api/api_impl.h"

/*
 * Appends the command that the body of the call stands for, and tells how much
 * it may add to the live data at most, and whether it keeps anything: one that
 * only reads, deletes and touches does not. False: it was refused and answered.
 * `identity` may be NULL.
 */
bool api_transaction_encode(struct api_call *call,
    const struct kv_identity *identity, struct buf *command,
    uint64_t *ret_added_bytes, bool *ret_keeps);

#endif
