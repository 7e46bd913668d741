#ifndef API_API_IMPORT_H
#define API_API_IMPORT_H

/*
 * What an import has in hand: the bytes of which no line was read yet, and the
 * batch that grows from the lines before. Both are bounded, however long the
 * input is: while a batch is under way, the client waits.
 */

#include "api/api_impl.h"

/* With a condition on each, they are as many as a transaction may have. */
#define API_BATCH_KEYS_MAX   1000
#define API_BATCH_ABSENT_MAX (KV_TRANSACTION_OPS_MAX / 2)
/* Of keys and values; a single one may have more. */
#define API_BATCH_BYTES_MAX (1024u * 1024)

/* Keys that are written at once. */
struct api_batch {
	struct buf entries; /* read with api_batch_next */
	size_t count;
	uint64_t bytes; /* of their keys and values */
	/* Those that are there already, when only others are wanted. */
	bool skipped[API_BATCH_KEYS_MAX];
	size_t skipped_count;
};

struct api_entry {
	struct slice key;
	struct slice value;
	enum kv_content_type content_type;
	uint64_t ttl_us; /* 0: none */
};

struct api_import {
	struct api_call *call;
	struct buf input;
	size_t taken;     /* of the input: lines that were read */
	size_t searched;  /* of the input: no line that is not read ends here */
	bool is_complete; /* the input has ended */
	uint64_t line;    /* number of the one being read */
	uint64_t keys;    /* lines with keys so far */
	/* A line was made by an export, and so there is an end line. */
	bool is_export;
	bool is_ended; /* which has come */
	bool is_full;  /* the line that follows is for the next batch */
	bool
	    is_sending; /* the batch waits for its outcome, or for another try */
	struct api_batch batch;
	uint64_t imported;
	uint64_t skipped;
	uint64_t batches;
	uint64_t revision;
};

/* ---- Batches: api_import_batch.c ---- */

bool api_batch_has_room(
    const struct api_import *import, const struct api_entry *entry);
void api_batch_add(struct api_batch *batch, const struct api_entry *entry);
/* Takes the next one that is not skipped, from *place on, which begins as that
 * of a zeroed one; false: there is none. */
struct api_batch_place {
	size_t offset;
	size_t index;
};
bool api_batch_next(const struct api_batch *batch,
    struct api_batch_place *place, struct api_entry *ret_entry);
bool api_batch_has(const struct api_batch *batch, struct slice key);
/* Of those that are not skipped, in their order. */
void api_batch_skip(
    struct api_batch *batch, const bool *is_left_skipped, size_t left_count);
void api_batch_reset(struct api_batch *batch);
/* As a command, and as the body of POST /txn. */
void api_batch_encode(
    const struct api_batch *batch, bool if_absent, struct buf *command);
void api_batch_append_json(
    const struct api_batch *batch, bool if_absent, struct buf *to);
/* At most so much it adds to the live data. */
uint64_t api_batch_growth(const struct api_batch *batch, struct api *api);

/* ---- Lines: api_import_line.c ---- */

/* Reads on until the batch is full, as import->is_full says then, or there is no
 * whole line left. False: a line is not sound, which is answered. */
bool api_import_read_lines(struct api_import *import);
/* The input is complete: is it whole? False: answered. */
bool api_import_check_end(struct api_import *import);

#endif
