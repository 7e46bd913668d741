#include "net/peer_proof.h"

#include "common/codec.h"
#include "common/panic.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

static const char *const labels[] = {
	[PEER_SIDE_SERVER] = "luminous server",
	[PEER_SIDE_CLIENT] = "luminous client",
};

void
peer_proof_make(struct slice secret, enum peer_side side,
    struct slice client_hello, struct slice server_hello,
    uint8_t ret_proof[PEER_PROOF_SIZE])
{
	struct buf transcript = { 0 };
	unsigned size = 0;

	ASSERT(secret.size <= INT_MAX);
	buf_append_text(&transcript, labels[side]);
	codec_append_bytes(&transcript, client_hello);
	codec_append_bytes(&transcript, server_hello);
	if (HMAC(EVP_sha256(), secret.data, (int)secret.size, transcript.data,
		transcript.size, ret_proof, &size) == NULL)
		fatal("OpenSSL has no HMAC-SHA256");
	ASSERT(size == PEER_PROOF_SIZE);
	buf_release(&transcript);
}

bool
peer_proof_equal(
    const uint8_t a[PEER_PROOF_SIZE], const uint8_t b[PEER_PROOF_SIZE])
{
	return CRYPTO_memcmp(a, b, PEER_PROOF_SIZE) == 0;
}

void
peer_proof_nonce(uint8_t *to, size_t size)
{
	ASSERT(size <= INT_MAX);
	if (RAND_bytes(to, (int)size) != 1)
		fatal("OpenSSL has no random bytes");
}
