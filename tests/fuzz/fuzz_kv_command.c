/*
 * What the key-value store reads out of the log, out of snapshots and out of
 * its tables; the first byte chooses which. What is decoded lies within the
 * input, and is encoded to what it was decoded from wherever there is an
 * encoder. Each input is in memory of its own size, so that a read beyond it is
 * seen.
 */

#include "common/panic.h"
#include "kv/kv_impl.h"
#include "kv/kv_piece.h"
#include "tests/fuzz/fuzz.h"

static void
check_within(struct slice whole, struct slice part)
{
	if (part.size == 0)
		return;
	ASSERT(part.data >= whole.data);
	ASSERT(part.data + part.size <= whole.data + whole.size);
}

/* Releases what was encoded. */
static void
check_same(struct slice input, struct buf *again)
{
	ASSERT(slice_equal(input, buf_slice(again)));
	buf_release(again);
}

/* ---- Commands ---- */

static void
encode_part(struct buf *to, const struct kv_part *part)
{
	switch (part->kind) {
	case KV_PART_CONDITION:
		kv_encode_condition(to, &part->condition);
		break;
	case KV_PART_THEN: kv_encode_op(to, KV_THEN, &part->op); break;
	case KV_PART_ELSE: kv_encode_op(to, KV_ELSE, &part->op); break;
	}
}

static void
encode_transaction(struct buf *to, const struct kv_command *command,
    const struct kv_identity *identity)
{
	struct slice parts = command->parts;
	struct kv_part part;
	uint32_t count = 0;

	kv_encode_transaction(to, identity);
	while (kv_part_next(&parts, &part)) {
		encode_part(to, &part);
		count++;
	}
	ASSERT(count == command->conditions_count + command->then_count +
			    command->else_count);
	ASSERT(command->has_else || command->else_count == 0);
	if (command->has_else && command->else_count == 0)
		kv_encode_else(to);
}

static void
encode_command(struct buf *to, const struct kv_command *command)
{
	const struct kv_identity *identity =
	    command->identity.key.size != 0 ? &command->identity : NULL;

	switch (command->kind) {
	case KV_COMMAND_TRANSACTION:
		encode_transaction(to, command, identity);
		break;
	case KV_COMMAND_GRANT:
		kv_encode_grant(to, identity, command->lease, command->ttl_us);
		break;
	case KV_COMMAND_RENEW:
		kv_encode_renew(to, identity, command->lease);
		break;
	case KV_COMMAND_REVOKE:
		kv_encode_revoke(to, identity, command->lease);
		break;
	case KV_COMMAND_LOCK:
		kv_encode_lock(to, identity, &command->lock);
		break;
	case KV_COMMAND_UNLOCK:
		kv_encode_unlock(
		    to, identity, command->lock.name, command->lock.token);
		break;
	case KV_COMMAND_EXPIRE:
		kv_encode_expire(to, command->until_us, command->limit);
		break;
	case KV_COMMAND_MARK: kv_encode_mark(to); break;
	case KV_COMMAND_COMPACT:
		kv_encode_compact(to, command->revision, command->limit);
		break;
	}
}

static void
check_command(struct slice input)
{
	struct kv_command command;
	struct buf again = { 0 };

	if (kv_command_decode(input, &command) != 0)
		return;
	encode_command(&again, &command);
	check_same(input, &again);
}

/* ---- Results ---- */

static void
check_outputs(struct slice outputs)
{
	struct slice rest = outputs;
	struct kv_output output;
	struct kv kv = { 0 };

	while (kv_output_next(&rest, &output) == 0)
		kv_output_add(&kv, &output);
	check_within(outputs, rest);
	outputs.size -= rest.size;
	check_same(outputs, &kv.outputs);
}

static void
check_result(struct slice input)
{
	struct kv_result result;
	struct buf again = { 0 };

	if (kv_result_decode(input, &result) != 0)
		return;
	kv_result_encode(&again, &result);
	check_same(input, &again);
	check_outputs(result.outputs);
}

static void
check_replay(struct slice input)
{
	struct kv_replay replay;

	if (kv_replay_decode(input, &replay) != 0)
		return;
	check_within(input, replay.result);
	check_result(replay.result);
}

/* ---- Records ---- */

static void
check_version(struct slice input)
{
	struct kv_version version;
	struct buf again = { 0 };

	if (kv_version_decode(input, &version) != 0)
		return;
	kv_version_encode(&again, &version);
	check_same(input, &again);
}

static void
check_change(struct slice input)
{
	struct kv_change change;
	struct buf again = { 0 };

	if (kv_change_decode(input, &change) != 0)
		return;
	kv_change_encode(&again, &change);
	check_same(input, &again);
}

/* No fuzzer comes by a CRC. */
static void
seal(struct buf *record, struct slice key, struct slice body)
{
	kv_seal_begin(record);
	buf_append_slice(record, body);
	kv_seal_end(record, key);
}

static void
check_state(struct slice input)
{
	struct kv_state state;
	struct buf record = { 0 };
	struct buf again = { 0 };

	seal(&record, kv_state_key(), input);
	if (kv_state_decode(buf_slice(&record), &state) == 0) {
		kv_state_encode(&again, &state);
		check_same(buf_slice(&record), &again);
	}
	buf_release(&record);
}

static void
check_lease(struct slice input)
{
	struct kv_lease_record lease;

	if (kv_lease_decode(input, &lease) != 0)
		return;
	ASSERT(lease.lock.size <= KV_LOCK_NAME_SIZE_MAX);
	check_within(input, lease.lock);
}

static void
check_ticket(struct slice input)
{
	struct kv_ticket ticket;

	if (kv_ticket_decode(input, &ticket) != 0)
		return;
	ASSERT(ticket.holder.size <= KV_LOCK_HOLDER_SIZE_MAX);
	check_within(input, ticket.holder);
}

static void
check_deadline(struct slice input)
{
	struct kv_deadline deadline;

	if (kv_deadline_decode(input, &deadline) != 0)
		return;
	ASSERT(deadline.name.size >= 1);
	ASSERT(deadline.name.size <= KV_KEY_SIZE_MAX);
	check_within(input, deadline.name);
}

/* ---- Snapshots ---- */

/* A record that is sealed, as it comes to any table: u8 table, u8 size of the
 * key, key, body. */
static void
check_record(struct slice input)
{
	static const struct kv_state state = {
		.applied_index = UINT64_MAX,
		.revision = UINT64_MAX / 2,
		.cluster_time_us = UINT64_MAX / 2,
		.compacted = 100,
	};
	struct codec_reader reader;
	struct kv_count count;
	struct buf record = { 0 };
	struct slice key;
	unsigned table;

	codec_reader_init(&reader, input);
	table = codec_read_u8(&reader);
	key = codec_read_raw(&reader, codec_read_u8(&reader));
	if (reader.failed || table >= KV_TABLES_COUNT)
		return;
	kv_count_begin(&count, &state);
	seal(&record, key, reader.rest);
	if (kv_count_record(&count, table, key, buf_slice(&record)) == 0 &&
	    !slice_equal(key, kv_state_key()))
		ASSERT(count.sums[table].count == 1);
	buf_release(&record);
}

static void
check_piece(struct slice input)
{
	struct kv_piece_reader reader;
	struct kv_piece_record record;
	struct buf again = { 0 };
	uint32_t count = 0;
	int code;

	if (kv_piece_open(&reader, input) != 0)
		return;
	kv_piece_begin(&again);
	while ((code = kv_piece_next(&reader, &record)) == 0) {
		check_within(input, record.key);
		check_within(input, record.record);
		kv_piece_append(&again, &record);
		count++;
	}
	kv_piece_end(&again, 0, count);
	if (code == ERR_NOT_FOUND)
		check_same(input, &again);
	buf_release(&again);
}

/* The seeds begin with their numbers. */
static void (*const checks[])(struct slice input) = {
	check_command,
	check_result,
	check_outputs,
	check_replay,
	check_version,
	check_change,
	check_state,
	check_lease,
	check_ticket,
	check_deadline,
	check_record,
	check_piece,
};

void
fuzz_kv_command(struct slice input)
{
	if (input.size > 0 && input.data[0] < ARRAY_COUNT(checks))
		checks[input.data[0]](slice_of(input.data + 1, input.size - 1));
}
