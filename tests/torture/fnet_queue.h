#ifndef TESTS_TORTURE_FNET_QUEUE_H
#define TESTS_TORTURE_FNET_QUEUE_H

/* Packets by the time of their arrival; those of one moment in the order in
 * which they were put in. */

#include "tests/torture/fnet_packet.h"

struct fnet_arrival {
	uint64_t at_us;
	uint64_t sequence;
	struct fnet_packet *packet;
};

/* A zeroed one is empty and valid. */
struct fnet_queue {
	struct fnet_arrival *arrivals; /* a heap */
	size_t count;
	size_t capacity;
	uint64_t sequence;
};

/* Releases the packets as well. */
void fnet_queue_release(struct fnet_queue *queue);
/* Takes the packet. */
void fnet_queue_push(
    struct fnet_queue *queue, uint64_t at_us, struct fnet_packet *packet);
/* The earliest that is not later than `now_us`, for the caller; or NULL. */
struct fnet_packet *fnet_queue_pop(struct fnet_queue *queue, uint64_t now_us);
/* When the earliest arrives; UINT64_MAX if there is none. */
uint64_t fnet_queue_next_us(const struct fnet_queue *queue);

#endif
