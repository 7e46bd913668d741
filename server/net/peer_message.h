#ifndef NET_PEER_MESSAGE_H
#define NET_PEER_MESSAGE_H

/*
 * What members say to each other, as HTTP: paths, fields and the CRC. Without
 * state, and without sockets.
 */

#include "common/slice.h"
#include "raft/raft.h"

#define PEER_CRC_HEADER   "Luminous-Crc32c"
#define PEER_PROOF_HEADER "Luminous-Proof"

#define PEER_HELLO_PATH    "/raft/hello"
#define PEER_PROOF_PATH    "/raft/proof"
#define PEER_SNAPSHOT_PATH "/raft/snapshot"

/* Fields of requests, as http_client_request() takes them. */
#define PEER_HELLO_FIELDS "Content-Type: application/json\r\n"
#define PEER_PIECE_FIELDS                                                      \
	"Content-Type: application/octet-stream\r\n"                           \
	"Accept: application/octet-stream\r\n"
/* Room for those of a message. */
#define PEER_MESSAGE_FIELDS_SIZE 128

/* The Content-Type of answers. */
#define PEER_MESSAGE_TYPE "application/json"
#define PEER_PIECE_TYPE   "application/octet-stream"

/* "0123abcd", with its terminator. */
#define PEER_CRC_TEXT_SIZE 9
void peer_crc_text(uint32_t crc, char ret_text[PEER_CRC_TEXT_SIZE]);
/* True if `header` is the text of `crc`. */
bool peer_crc_is_right(struct slice header, uint32_t crc);

/* Where a message goes, which must be one that is sent as a request. */
const char *peer_message_path(enum raft_message_kind kind);
/* The fields of the request that carries the message `text`, made in `to`. */
struct slice
peer_message_fields(struct slice text, char to[PEER_MESSAGE_FIELDS_SIZE]);

#endif
