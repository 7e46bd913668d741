#include "net/peer_message.h"

#include "common/hash.h"
#include "common/panic.h"

#include <stdio.h>

void
peer_crc_text(uint32_t crc, char ret_text[PEER_CRC_TEXT_SIZE])
{
	(void)snprintf(ret_text, PEER_CRC_TEXT_SIZE, "%08x", crc);
}

bool
peer_crc_is_right(struct slice header, uint32_t crc)
{
	char text[PEER_CRC_TEXT_SIZE];

	peer_crc_text(crc, text);
	return slice_equal(header, slice_from_text(text));
}

const char *
peer_message_path(enum raft_message_kind kind)
{
	switch (kind) {
	case RAFT_PREVOTE_REQUEST: return "/raft/prevote";
	case RAFT_VOTE_REQUEST: return "/raft/vote";
	case RAFT_APPEND_REQUEST: return "/raft/append";
	case RAFT_TIMEOUT_NOW: return "/raft/timeout-now";
	case RAFT_READ_REQUEST: return "/raft/read";
	case RAFT_PREVOTE_RESPONSE:
	case RAFT_VOTE_RESPONSE:
	case RAFT_APPEND_RESPONSE:
	case RAFT_READ_RESPONSE: break;
	}
	ASSERT(false); /* responses are answers, not requests */
	return "";
}

struct slice
peer_message_fields(struct slice text, char to[PEER_MESSAGE_FIELDS_SIZE])
{
	char crc[PEER_CRC_TEXT_SIZE];
	int size;

	peer_crc_text(crc32c(0, text), crc);
	size = snprintf(to, PEER_MESSAGE_FIELDS_SIZE,
	    "Content-Type: " PEER_MESSAGE_TYPE "\r\n"
	    "Accept: " PEER_MESSAGE_TYPE "\r\n" PEER_CRC_HEADER ": %s\r\n",
	    crc);
	ASSERT(size > 0);
	ASSERT(size < PEER_MESSAGE_FIELDS_SIZE);
	return slice_of(to, (size_t)size);
}
