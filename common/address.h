#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

/*
 * Addresses as configuration and messages write them: "10.0.0.7:5864",
 * "[fd00::7]:5864". Numeric only: a name would need a resolver, which blocks.
 */

#include "common/macros.h"
#include "common/slice.h"
#include <sys/socket.h>

struct address {
	struct sockaddr_storage storage;
	socklen_t size;
};

/* The longest text of an address with its port, with its terminator. */
#define ADDRESS_TEXT_SIZE 56
/* The same without brackets and port. */
#define ADDRESS_HOST_SIZE 46

/* ERR_INVALID for anything else than a numeric host and a port 0..65535. */
int
address_parse(struct slice text, struct address *ret_address) ATTR_MUST_CHECK;

/*
 * The canonical form: one text for one address. "?" for a family that is
 * neither IPv4 nor IPv6.
 */
void
address_format(const struct address *address, char text[ADDRESS_TEXT_SIZE]);
/* The host alone, without brackets. */
void address_format_host(
    const struct address *address, char text[ADDRESS_HOST_SIZE]);

/* 0 for a family that has no port. */
uint16_t address_port(const struct address *address);

/* ---- Of IPv4 and IPv6 addresses ---- */

bool address_is_loopback(const struct address *address);
/* 0.0.0.0 or [::]. */
bool address_is_wildcard(const struct address *address);
/* Whether the hosts are the same, whatever the ports. */
bool address_same_host(const struct address *a, const struct address *b);

#endif
