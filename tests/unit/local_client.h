#ifndef TESTS_LOCAL_CLIENT_H
#define TESTS_LOCAL_CLIENT_H

/* A client of a server in the same process, and where such a server listens. */

#include "net/http_server.h"

/*
 * A connected socket, which does not block; the kernel completes the
 * connection without the server. Each comes from a loopback address of its own:
 * fuzzers connect more often than an address has ports, and those of closed
 * connections stay taken for a minute.
 */
int local_client_connect(uint16_t port);

/*
 * Listens on a port of 127.0.0.1 that the kernel gives to no outgoing connection:
 * a server that was stopped can listen there again, whatever other tests do. The
 * port.
 */
uint16_t local_listen(struct http_server *server);

#endif
