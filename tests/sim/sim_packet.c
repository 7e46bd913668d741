#include "tests/sim/sim_packet.h"

#include "common/mem.h"
#include "common/panic.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct sim_packet *
sim_packet_new(enum sim_packet_kind kind, raft_id from, raft_id to)
{
	struct sim_packet *packet = mem_zalloc(1, sizeof(*packet));

	packet->references = 1;
	packet->kind = kind;
	packet->from = from;
	packet->to = to;
	if (kind == SIM_PACKET_HELLO || kind == SIM_PACKET_WELCOME ||
	    kind == SIM_PACKET_PROOF || kind == SIM_PACKET_PROBE ||
	    kind == SIM_PACKET_PROBED)
		packet->hello = mem_zalloc(1, sizeof(*packet->hello));
	return packet;
}

static void
copy_records(struct sim_packet *packet, const struct slice *records)
{
	uint32_t count = packet->message.entries_count;
	uint8_t *place;

	for (uint32_t i = 0; i < count; i++)
		packet->bytes_size += records[i].size;
	packet->records = mem_zalloc(count, sizeof(*packet->records));
	packet->bytes = mem_alloc(packet->bytes_size);
	place = packet->bytes;
	for (uint32_t i = 0; i < count; i++) {
		memcpy(place, records[i].data, records[i].size);
		packet->records[i] = slice_of(place, records[i].size);
		place += records[i].size;
	}
}

void
sim_packet_fill(struct sim_packet *packet, const struct raft_message *message,
    const struct slice *records)
{
	packet->message = *message;
	packet->message.entries = NULL;
	if (message->entries_count != 0)
		copy_records(packet, records);
}

struct sim_packet *
sim_packet_message(raft_id from, const struct raft_message *message,
    struct node_entry *const *entries)
{
	struct sim_packet *packet =
	    sim_packet_new(SIM_PACKET_MESSAGE, from, message->to);
	uint32_t count = message->entries_count;
	struct slice *records = mem_zalloc(count + 1, sizeof(*records));

	for (uint32_t i = 0; i < count; i++)
		records[i] = entries[i]->record;
	sim_packet_fill(packet, message, records);
	free(records);
	return packet;
}

struct sim_packet *
sim_packet_piece(
    enum sim_packet_kind kind, raft_id from, raft_id to, struct slice piece)
{
	struct sim_packet *packet = sim_packet_new(kind, from, to);

	packet->bytes_size = piece.size;
	if (piece.size != 0)
		packet->bytes = mem_copy(piece.data, piece.size);
	return packet;
}

struct sim_packet *
sim_packet_copy(const struct sim_packet *packet)
{
	struct sim_packet *copy = mem_copy(packet, sizeof(*packet));

	copy->references = 1;
	if (packet->kind == SIM_PACKET_PIECE)
		copy->bytes = mem_copy(packet->bytes, packet->bytes_size);
	if (packet->kind == SIM_PACKET_PIECE)
		return copy;
	ASSERT(packet->kind == SIM_PACKET_MESSAGE);
	copy->bytes_size = 0;
	if (packet->message.entries_count != 0)
		copy_records(copy, packet->records);
	return copy;
}

struct sim_packet *
sim_packet_damaged(const struct sim_packet *packet, uint64_t random)
{
	struct sim_packet *copy = sim_packet_copy(packet);
	uint64_t bit = random % (copy->bytes_size * 8);

	ASSERT(copy->bytes_size > 0);
	copy->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	copy->damaged = true;
	return copy;
}

struct sim_packet *
sim_packet_ref(struct sim_packet *packet)
{
	packet->references++;
	return packet;
}

void
sim_packet_unref(struct sim_packet *packet)
{
	if (packet == NULL || --packet->references > 0)
		return;
	free(packet->hello);
	free(packet->records);
	free(packet->bytes);
	free(packet);
}

enum sim_packet_class
sim_packet_class(const struct sim_packet *packet)
{
	static const enum sim_packet_class classes[] = {
		[RAFT_PREVOTE_REQUEST] = SIM_CLASS_PREVOTES,
		[RAFT_PREVOTE_RESPONSE] = SIM_CLASS_PREVOTES,
		[RAFT_VOTE_REQUEST] = SIM_CLASS_VOTES,
		[RAFT_VOTE_RESPONSE] = SIM_CLASS_VOTES,
		[RAFT_APPEND_REQUEST] = SIM_CLASS_HEARTBEATS,
		[RAFT_APPEND_RESPONSE] = SIM_CLASS_APPEND_ANSWERS,
		[RAFT_TIMEOUT_NOW] = SIM_CLASS_TIMEOUT_NOW,
		[RAFT_READ_REQUEST] = SIM_CLASS_READS,
		[RAFT_READ_RESPONSE] = SIM_CLASS_READS,
	};

	if (packet->kind == SIM_PACKET_PIECE ||
	    packet->kind == SIM_PACKET_PIECE_ANSWER)
		return SIM_CLASS_SNAPSHOTS;
	if (packet->kind != SIM_PACKET_MESSAGE)
		return SIM_CLASS_OTHER;
	if (packet->message.entries_count > 0)
		return SIM_CLASS_ENTRIES;
	return classes[packet->message.kind];
}

static const char *const kind_names[] = {
	[RAFT_PREVOTE_REQUEST] = "prevote?",
	[RAFT_PREVOTE_RESPONSE] = "prevote!",
	[RAFT_VOTE_REQUEST] = "vote?",
	[RAFT_VOTE_RESPONSE] = "vote!",
	[RAFT_APPEND_REQUEST] = "append?",
	[RAFT_APPEND_RESPONSE] = "append!",
	[RAFT_TIMEOUT_NOW] = "timeout-now",
	[RAFT_READ_REQUEST] = "read?",
	[RAFT_READ_RESPONSE] = "read!",
};

static void
describe_append(const struct raft_message *message, char *to, size_t size)
{
	if (message->kind == RAFT_APPEND_REQUEST)
		snprintf(to, size,
		    "prev=%" PRIu64 "/%" PRIu64 " count=%" PRIu32
		    " commit=%" PRIu64 " all=%" PRIu64 " round=%" PRIu64,
		    message->prev_index, message->prev_term,
		    message->entries_count, message->commit_index,
		    message->everywhere_index, message->round);
	else if (message->success)
		snprintf(to, size, "match=%" PRIu64 " round=%" PRIu64,
		    message->match_index, message->round);
	else
		snprintf(to, size,
		    "no at=%" PRIu64 " hint=%" PRIu64 "/%" PRIu64
		    " round=%" PRIu64,
		    message->rejected_index, message->hint_index,
		    message->hint_term, message->round);
}

void
sim_packet_describe(const struct raft_message *message, char *to, size_t size)
{
	int used = snprintf(to, size,
	    "%s %" PRIu64 ">%" PRIu64 " term=%" PRIu64 " seq=%" PRIu64 " ",
	    kind_names[message->kind], message->from, message->to,
	    message->term, message->sequence);

	if (used < 0 || (size_t)used >= size)
		return;
	to += used;
	size -= (size_t)used;
	switch (message->kind) {
	case RAFT_APPEND_REQUEST:
	case RAFT_APPEND_RESPONSE: describe_append(message, to, size); break;
	case RAFT_PREVOTE_REQUEST:
	case RAFT_VOTE_REQUEST:
	case RAFT_TIMEOUT_NOW:
		snprintf(to, size, "last=%" PRIu64 "/%" PRIu64 "%s",
		    message->last_index, message->last_term,
		    message->transfer ? " transfer" : "");
		break;
	case RAFT_READ_REQUEST: break;
	case RAFT_READ_RESPONSE:
		snprintf(to, size, "%s read=%" PRIu64,
		    message->success ? "yes" : "no", message->read_index);
		break;
	case RAFT_PREVOTE_RESPONSE:
	case RAFT_VOTE_RESPONSE:
		snprintf(to, size, "%s", message->granted ? "yes" : "no");
		break;
	}
}
