#ifndef TESTS_LOCAL_CLIENT_H
#define TESTS_LOCAL_CLIENT_H

/* A client of a server in the same process. */

#include <stdint.h>

/*
 * A connected socket, which does not block; the kernel completes the
 * connection without the server. Each comes from a loopback address of its own:
 * fuzzers connect more often than an address has ports, and those of closed
 * connections stay taken for a minute.
 */
int local_client_connect(uint16_t port);

#endif
