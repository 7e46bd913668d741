#ifndef COMMON_CONF_ADDRESS_H
#define COMMON_CONF_ADDRESS_H

/* Addresses as a person writes them, who is told what is wrong with them. */

#include "common/address.h"
#include "common/buf.h"

/*
 * As address_parse, with a port that is not 0. ERR_INVALID, and what to write
 * instead is appended to `complaint`.
 */
int conf_address_parse(const char *text, struct address *ret_address,
    struct buf *complaint) ATTR_MUST_CHECK;

#endif
