#ifndef TESTS_TORTURE_FNET_HOST_H
#define TESTS_TORTURE_FNET_HOST_H

/*
 * A network namespace without a name, whose only way out is a TUN device. It
 * lives as long as its descriptor, or a process in it: nothing is left behind
 * whatever ends how. Needs root and /dev/net/tun.
 */

#include <stdint.h>

struct fnet_host {
	char name[16];
	uint32_t address; /* in the host's byte order; all hosts share a /16 */
	int namespace_fd; /* to be entered with setns(2) */
	int tun_fd;       /* does not block */
};

/*
 * Fills in the descriptors for host->address. NULL, or which step failed, with
 * errno.
 */
const char *fnet_host_open(struct fnet_host *host);

#endif
