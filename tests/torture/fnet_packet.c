#include "tests/torture/fnet_packet.h"

#include "common/macros.h"
#include "common/mem.h"

#include <netinet/in.h>
#include <string.h>

#define IP_SIZE_MIN      20
#define TCP_SIZE_MIN     20
#define TCP_CHECKSUM_AT  16
#define MANGLED_SIZE_MAX 4

struct fnet_packet *
fnet_packet_new(size_t target, const uint8_t *data, size_t size)
{
	struct fnet_packet *packet = mem_alloc(sizeof(*packet) + size);

	packet->target = target;
	packet->size = size;
	memcpy(packet->data, data, size);
	return packet;
}

static uint32_t
read_u32(const uint8_t *data)
{
	return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 |
	       (uint32_t)data[2] << 8 | data[3];
}

bool
fnet_packet_addresses(const uint8_t *data, size_t size, uint32_t *ret_source,
    uint32_t *ret_target)
{
	if (size < IP_SIZE_MIN || data[0] >> 4 != 4)
		return false;
	*ret_source = read_u32(data + 12);
	*ret_target = read_u32(data + 16);
	return true;
}

static size_t
ip_header_size(const struct fnet_packet *packet)
{
	return (size_t)(packet->data[0] & 15) * 4;
}

static void
damage_byte(uint8_t *byte, struct rng *rng)
{
	*byte ^= (uint8_t)rng_between(rng, 1, 255);
}

bool
fnet_packet_corrupt(struct fnet_packet *packet, struct rng *rng)
{
	size_t begin = ip_header_size(packet);

	if (begin >= packet->size)
		return false;
	damage_byte(
	    packet->data + rng_between(rng, begin, packet->size - 1), rng);
	return true;
}

static uint32_t
add_words(uint32_t sum, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i + 1 < size; i += 2)
		sum += (uint32_t)data[i] << 8 | data[i + 1];
	if (size % 2 != 0)
		sum += (uint32_t)data[size - 1] << 8;
	return sum;
}

/* RFC 9293, 3.1: over addresses, protocol, size, header and data. */
static void
write_tcp_checksum(struct fnet_packet *packet, size_t begin)
{
	uint8_t *tcp = packet->data + begin;
	size_t size = packet->size - begin;
	uint32_t sum = IPPROTO_TCP + (uint32_t)size;

	memset(tcp + TCP_CHECKSUM_AT, 0, 2);
	sum = add_words(sum, packet->data + 12, 8);
	sum = add_words(sum, tcp, size);
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = ~sum;
	tcp[TCP_CHECKSUM_AT] = (uint8_t)(sum >> 8);
	tcp[TCP_CHECKSUM_AT + 1] = (uint8_t)sum;
}

bool
fnet_packet_mangle(struct fnet_packet *packet, struct rng *rng)
{
	size_t begin = ip_header_size(packet);
	size_t data_begin;
	size_t from;
	size_t count = rng_between(rng, 1, MANGLED_SIZE_MAX);

	if (packet->data[9] != IPPROTO_TCP ||
	    packet->size < begin + TCP_SIZE_MIN)
		return false;
	data_begin = begin + (size_t)(packet->data[begin + 12] >> 4) * 4;
	if (data_begin >= packet->size)
		return false;
	from = rng_between(rng, data_begin, packet->size - 1);
	for (size_t i = from; i < MIN(from + count, packet->size); i++)
		damage_byte(packet->data + i, rng);
	write_tcp_checksum(packet, begin);
	return true;
}
