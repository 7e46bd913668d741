#ifndef NET_HTTP_URI_H
#define NET_HTTP_URI_H

/* Percent-encoding and query strings (RFC 3986). Bytes are opaque: nothing is
 * normalised, and everything is decoded exactly once. */

#include "common/buf.h"

/*
 * Appends `text` with every %XX replaced by its byte. '+' stays '+'.
 * ERR_INVALID, with `to` as it was, for a '%' without two hex digits.
 */
int http_percent_decode(struct slice text, struct buf *to) ATTR_MUST_CHECK;

/* As http_percent_decode, and '+' is a blank: for names and values of a
 * query. */
int http_query_decode(struct slice text, struct buf *to) ATTR_MUST_CHECK;

/*
 * Appends `bytes` so that they mean the same in a path and in a value of a
 * query: all but letters, digits and -._~/ as %XX.
 */
void http_percent_encode(struct slice bytes, struct buf *to);

/*
 * The same for a path that curl, browsers and proxies are to leave as it is
 * (RFC 3986, 5.2.4): where a segment is ".", ".." or empty, slashes and dots are
 * encoded as well.
 */
void http_path_encode(struct slice bytes, struct buf *to);
/* Appends a part of a target that was sent; but what is not ASCII, which clients
 * send though they may not (RFC 3986, 2), is encoded. */
void http_target_encode(struct slice sent, struct buf *to);

/* Both as sent. */
struct http_query_parameter {
	struct slice name;
	struct slice value; /* empty without '=' */
};

/*
 * Takes the next parameter off the front of `rest`; false at the end. Empty
 * ones, as in "a=1&&b=2", are skipped.
 */
bool
http_query_next(struct slice *rest, struct http_query_parameter *ret_parameter);

#endif
