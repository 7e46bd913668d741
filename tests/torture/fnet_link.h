#ifndef TESTS_TORTURE_FNET_LINK_H
#define TESTS_TORTURE_FNET_LINK_H

/* One direction between two hosts: what it does to packets. */

#include "tests/torture/fnet_queue.h"

/* What becomes of packets, as `stats` tells. */
enum fnet_count {
	FNET_COUNT_SENT,       /* on their way, copies included */
	FNET_COUNT_BLOCKED,    /* the link is cut */
	FNET_COUNT_LOST,       /* by chance */
	FNET_COUNT_OVERFLOWED, /* the queue of a slow link was full */
	FNET_COUNT_DUPLICATED,
	FNET_COUNT_REORDERED,
	FNET_COUNT_CORRUPTED, /* TCP's checksum finds it */
	FNET_COUNT_MANGLED,   /* it does not */
	FNET_COUNTS_COUNT
};

struct fnet_link {
	/* Settings; all zero: a perfect link. Chances are in thousandths. */
	uint64_t delay_us;
	uint64_t jitter_us; /* up to so much more; the order is kept */
	uint64_t loss;
	uint64_t duplicate;
	uint64_t reorder; /* up to FNET_REORDER_US later than its successors */
	uint64_t corrupt;
	uint64_t mangle;
	uint64_t rate;  /* bytes a second; 0: no limit */
	uint64_t queue; /* bytes that wait for a slow link; 0: FNET_QUEUE */
	uint64_t block; /* 1: nothing passes */
	/* State. */
	uint64_t free_at_us; /* a slow link has sent all that waits */
	uint64_t last_at_us; /* the latest arrival so far */
	uint64_t counts[FNET_COUNTS_COUNT];
};

#define FNET_REORDER_US UINT64_C(10000)
#define FNET_QUEUE      (64 * 1024)
#define FNET_CHANCE_MAX 1000

/*
 * Sets one by the name above ("delay" and "jitter" without "_us"): "50ms",
 * "64KiB", or a number. ERR_NOT_FOUND: no such setting. ERR_INVALID,
 * ERR_TOO_LARGE.
 */
int fnet_link_set(struct fnet_link *link, const char *name, const char *value);

/* Takes the packet, and puts into the queue what arrives, and when. */
void fnet_link_send(struct fnet_link *link, struct fnet_queue *queue,
    struct rng *rng, uint64_t now_us, struct fnet_packet *packet);

const char *fnet_count_name(enum fnet_count count);

#endif
