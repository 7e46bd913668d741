#ifndef TESTS_TORTURE_FNET_PACKET_H
#define TESTS_TORTURE_FNET_PACKET_H

/* An IPv4 packet under way, and how to damage one. */

#include "common/rng.h"

#include <stdbool.h>
#include <stddef.h>

struct fnet_packet {
	size_t target; /* number of the host that gets it */
	size_t size;
	uint8_t data[];
};

/* Copies `size` bytes. Released with free(). */
struct fnet_packet *
fnet_packet_new(size_t target, const uint8_t *data, size_t size);

/* False if it is no IPv4 packet. Addresses are in the host's byte order. */
bool fnet_packet_addresses(const uint8_t *data, size_t size,
    uint32_t *ret_source, uint32_t *ret_target);

/* Another byte somewhere behind the IP header: TCP's checksum finds it. */
bool fnet_packet_corrupt(struct fnet_packet *packet, struct rng *rng);

/*
 * Other bytes in what TCP carries, one to four in a row, under a checksum that
 * is right for them: only who reads it can find it. False if it carries nothing
 * or is not TCP.
 */
bool fnet_packet_mangle(struct fnet_packet *packet, struct rng *rng);

#endif
