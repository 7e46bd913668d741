#include "common/base64.h"
#include "common/err.h"

static const uint8_t alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "abcdefghijklmnopqrstuvwxyz"
				  "0123456789+/";

#define VALUE_MASK 0x3fu
/* Marks the characters of the alphabet; their value is in the bits below. */
#define VALID 0x40u

/* By character: VALID | its value, or 0. */
static const uint8_t values[256] = {
	/* clang-format off */
	  0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,
	  0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,
	  0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0, 126,   0,   0,   0, 127,
	116, 117, 118, 119, 120, 121, 122, 123, 124, 125,   0,   0,   0,   0,   0,   0,
	  0,  64,  65,  66,  67,  68,  69,  70,  71,  72,  73,  74,  75,  76,  77,  78,
	 79,  80,  81,  82,  83,  84,  85,  86,  87,  88,  89,   0,   0,   0,   0,   0,
	  0,  90,  91,  92,  93,  94,  95,  96,  97,  98,  99, 100, 101, 102, 103, 104,
	105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115,   0,   0,   0,   0,   0,
	/* clang-format on */
};

static void
encode_group(uint8_t out[4], uint32_t group)
{
	out[0] = alphabet[group >> 18];
	out[1] = alphabet[group >> 12 & VALUE_MASK];
	out[2] = alphabet[group >> 6 & VALUE_MASK];
	out[3] = alphabet[group & VALUE_MASK];
}

void
base64_encode(struct buf *to, struct slice bytes)
{
	uint8_t *out = buf_reserve(to, BASE64_SIZE(bytes.size));
	const uint8_t *in = bytes.data;
	size_t left = bytes.size;

	to->size += BASE64_SIZE(bytes.size);
	for (; left >= 3; left -= 3, in += 3, out += 4) {
		encode_group(
		    out, (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2]);
	}
	if (left == 0)
		return;
	encode_group(out,
	    (uint32_t)in[0] << 16 | (left == 2 ? (uint32_t)in[1] << 8 : 0));
	out[3] = '=';
	if (left == 1)
		out[2] = '=';
}

/* The 24 bits of four characters. False if one is outside the alphabet. */
static bool
decode_group(const uint8_t in[4], uint32_t *ret_group)
{
	uint32_t a = values[in[0]];
	uint32_t b = values[in[1]];
	uint32_t c = values[in[2]];
	uint32_t d = values[in[3]];

	if ((a & b & c & d & VALID) == 0)
		return false;
	*ret_group = (a & VALUE_MASK) << 18 | (b & VALUE_MASK) << 12 |
		     (c & VALUE_MASK) << 6 | (d & VALUE_MASK);
	return true;
}

/*
 * The last four characters, of which `padding` are '='. Bits that the padding
 * leaves over must be zero, so that each input has one encoding only.
 */
static bool
decode_last(const uint8_t in[4], size_t padding, uint8_t *out)
{
	uint8_t filled[4] = { in[0], in[1], in[2], in[3] };
	uint32_t group;

	for (size_t i = 4 - padding; i < 4; i++)
		filled[i] = alphabet[0];
	if (!decode_group(filled, &group))
		return false;
	if ((group & ((1u << 8 * padding) - 1)) != 0)
		return false;
	out[0] = (uint8_t)(group >> 16);
	if (padding < 2)
		out[1] = (uint8_t)(group >> 8);
	if (padding < 1)
		out[2] = (uint8_t)group;
	return true;
}

int
base64_decode(struct buf *to, struct slice text)
{
	const uint8_t *in = text.data;
	size_t padding;
	uint8_t *out;
	uint32_t group;

	if (text.size % 4 != 0)
		return ERR_INVALID;
	if (text.size == 0)
		return 0;
	padding = in[text.size - 1] == '=' ? 1 : 0;
	if (padding == 1 && in[text.size - 2] == '=')
		padding = 2;
	out = buf_reserve(to, text.size / 4 * 3);
	for (size_t i = 0; i < text.size / 4 - 1; i++, in += 4, out += 3) {
		if (!decode_group(in, &group))
			return ERR_INVALID;
		out[0] = (uint8_t)(group >> 16);
		out[1] = (uint8_t)(group >> 8);
		out[2] = (uint8_t)group;
	}
	if (!decode_last(in, padding, out))
		return ERR_INVALID;
	to->size += text.size / 4 * 3 - padding;
	return 0;
}
