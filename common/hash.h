#ifndef COMMON_HASH_H
#define COMMON_HASH_H

/*
 * Checksums and hashes of stored bytes. CRC-32C (RFC 3720, Castagnoli) guards
 * single records against damage; hash64 (XXH3, of libxxhash) chains and sums
 * them. Neither withstands an attacker: the cluster secret's HMAC does that.
 */

#include "common/slice.h"

/* CRC-32C of `bytes`, continuing from `crc` (0 to begin). */
uint32_t crc32c(uint32_t crc, struct slice bytes);

/* The same for a processor without an instruction for it; much slower. */
uint32_t crc32c_portable(uint32_t crc, struct slice bytes);

/* 64-bit hash of `bytes` under `seed`. */
uint64_t hash64(uint64_t seed, struct slice bytes);

#endif
