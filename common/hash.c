#include "common/hash.h"
#include "common/macros.h"
#include <xxhash.h>
#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

uint32_t
crc32c_portable(uint32_t crc, struct slice bytes)
{
	/*
	 * The polynomial 0x82f63b78 (reflected) times each four-bit value: two
	 * look-ups a byte, in a table that stays in one cache line.
	 */
	static const uint32_t table[16] = { 0x00000000, 0x105ec76f, 0x20bd8ede,
		0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4,
		0xd3d3e1ab, 0xe330a81a, 0xf36e6f75 };

	crc = ~crc;
	for (size_t i = 0; i < bytes.size; i++) {
		crc ^= bytes.data[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

#if defined(__x86_64__)
ATTR_TARGET("sse4.2")
static uint32_t
crc32c_sse42(uint32_t crc, struct slice bytes)
{
	uint64_t wide = ~crc;

	while (bytes.size >= sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, bytes.data, sizeof(word));
		wide = _mm_crc32_u64(wide, word);
		bytes.data += sizeof(word);
		bytes.size -= sizeof(word);
	}
	crc = (uint32_t)wide;
	for (size_t i = 0; i < bytes.size; i++)
		crc = _mm_crc32_u8(crc, bytes.data[i]);
	return ~crc;
}

uint32_t
crc32c(uint32_t crc, struct slice bytes)
{
	if (__builtin_cpu_supports("sse4.2"))
		return crc32c_sse42(crc, bytes);
	return crc32c_portable(crc, bytes);
}
#else
uint32_t
crc32c(uint32_t crc, struct slice bytes)
{
	return crc32c_portable(crc, bytes);
}
#endif

uint64_t
hash64(uint64_t seed, struct slice bytes)
{
	return XXH3_64bits_withSeed(bytes.data, bytes.size, seed);
}
