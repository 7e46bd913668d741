#ifndef NET_PEER_PROOF_H
#define NET_PEER_PROOF_H

/*
 * Proof that the other side of a connection knows the cluster secret: an
 * HMAC-SHA256 over both hellos, each with a fresh nonce. The two sides' proofs
 * differ, so that neither can be sent back as the other.
 */

#include "common/macros.h"
#include "common/slice.h"

#define PEER_PROOF_SIZE 32

enum peer_side { PEER_SIDE_SERVER, PEER_SIDE_CLIENT };

/* The hellos are the bodies as sent. */
void peer_proof_make(struct slice secret, enum peer_side side,
    struct slice client_hello, struct slice server_hello,
    uint8_t ret_proof[PEER_PROOF_SIZE]);

/* Takes the same time wherever they differ. */
bool peer_proof_equal(const uint8_t a[PEER_PROOF_SIZE],
    const uint8_t b[PEER_PROOF_SIZE]) ATTR_MUST_CHECK;

/* Unpredictable bytes; without a source of them the process ends. */
void peer_proof_nonce(uint8_t *to, size_t size);

#endif
