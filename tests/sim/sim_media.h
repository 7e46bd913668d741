#ifndef TESTS_SIM_MEDIA_H
#define TESTS_SIM_MEDIA_H

/*
 * What messages are while they travel. build/sim has structs and links no
 * library, and that proves the replica pure. build/sim-real is made of the
 * same sources but for sim_media.c, with tests/sim/real in its place, and can
 * also do as the daemon does:
 *
 *	--messages bytes   all that nodes say as HTTP and JSON, in streams
 *	--disks lmdb       their disks as files, see sim_files.h
 *
 * The seed decides as much as ever.
 */

#include "tests/sim/sim.h"
#include "tests/sim/sim_files.h"
#include "tests/sim/sim_packet.h"

/* Messages as bytes: each packet with content is a part of the stream of its
 * connection. */
struct sim_streams_ops {
	const char *const *defects; /* see struct sim_options; NULL ends them */
	void (*init)(struct sim *sim); /* before the nodes start */
	void (*release)(struct sim *sim);
	/* Writes the packet, which is borrowed, so that it arrives at `at` or
	 * a little later: schedules SIM_PACKET_SEGMENTs. */
	void (*write)(struct sim *sim, struct sim_packet *packet, raft_usec at);
	/* Within the turn of `node`: reads what has arrived on the stream of
	 * this segment, and hands it on by sim_net_take(). */
	void (*read)(struct sim *sim, struct sim_node *node,
	    const struct sim_packet *segment);
	/* The process is gone, and its ends of all streams with it. */
	void (*node_died)(struct sim *sim, struct sim_node *node);
};

struct sim_media {
	const char *program; /* what repeats a seed */
	/* NULL: this program has structs only. */
	const struct sim_streams_ops *streams;
	/* NULL: its disks are in memory only. */
	const struct sim_files_ops *files;
};

/* Defined once in each program. */
extern const struct sim_media sim_media;

/* Those of this run; NULL: its messages are structs. */
const struct sim_streams_ops *sim_streams(const struct sim *sim);

#endif
