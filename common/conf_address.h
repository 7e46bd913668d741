#ifndef COMMON_CONF_ADDRESS_H
#define COMMON_CONF_ADDRESS_H

/*
 * A numeric host and a port, "10.0.0.1:5864" or "[::1]:5864". Host names are
 * refused: to look one up would block.
 */

#include "common/buf.h"
#include "common/macros.h"

struct conf_address {
	int family;        /* AF_INET or AF_INET6 */
	uint8_t bytes[16]; /* 4 or 16 of them, in network order */
	uint16_t port;     /* never 0 */
};

/* ERR_INVALID, and what to write instead is appended to `complaint`. */
int conf_address_parse(const char *text, struct conf_address *ret_address,
    struct buf *complaint) ATTR_MUST_CHECK;

/* The host alone, without brackets. */
void
conf_address_append_host(struct buf *to, const struct conf_address *address);
/* The canonical form: one text for one address. */
void conf_address_append(struct buf *to, const struct conf_address *address);

bool conf_address_is_loopback(const struct conf_address *address);
/* 0.0.0.0 or [::]. */
bool conf_address_is_wildcard(const struct conf_address *address);
/* Whether the hosts are the same, whatever the ports. */
bool conf_address_same_host(
    const struct conf_address *a, const struct conf_address *b);

#endif
