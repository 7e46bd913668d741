#ifndef API_API_TRANSACTION_IMPL_H
#define API_API_TRANSACTION_IMPL_H

/* What the files that read a transaction share. */

#include "api/api_json.h"

struct api_encoder {
	struct api_json reader;
	struct api_call *call;
	struct buf *command;
	uint64_t added_bytes;
	bool keeps; /* something may be written that stays */
	/* Decoded bytes of the condition or operation being read. */
	struct buf key;
	struct buf other;
	struct buf value;
	/* Too large, which is another answer than bad JSON; 0: it is not. */
	uint64_t limit;
	const char *option; /* what sets it; NULL: nothing */
	/* Keys with conditions, of those that need one, each behind its size. */
	struct buf conditioned;
	bool is_unconditioned; /* one that needs one has none */
};

/* Reads a condition, or an operation, and appends it to the command. False: the
 * reader has the problem. */
bool api_encode_condition(struct api_encoder *encoder, json_t *object);
bool api_encode_op(
    struct api_encoder *encoder, enum kv_branch branch, json_t *object);

/* Does the transaction have a condition on this key, which needs one? */
bool api_is_conditioned(const struct api_encoder *encoder, struct slice key);
/* Notes that something is larger than `limit`; gives false. */
bool api_note_too_large(struct api_encoder *encoder, uint64_t limit,
    const char *option, const char *name, const char *what);

#endif
