#ifndef NET_HTTP_WRITE_H
#define NET_HTTP_WRITE_H

/*
 * What HTTP/1.1 heads look like when this program writes them; the grammar
 * that reads them is in http_parse.h. Everything is appended to `to`. Names and
 * values must be clean (see http_text_is_clean), which the callers check.
 */

#include "common/buf.h"
#include "net/http.h"

/*
 * A whole head, with its blank line. `fields` are complete lines, each with its
 * CRLF. PUT and POST say how long their body is even if there is none.
 */
void http_write_request_head(struct buf *to, enum http_method method,
    struct slice target, struct slice host, struct slice fields,
    uint64_t body_size);

/* The first line of a response; fields and a blank line follow. */
void http_write_status(struct buf *to, unsigned status);
void http_write_field(struct buf *to, const char *name, struct slice value);
void http_write_field_u64(struct buf *to, const char *name, uint64_t value);
/* The field Date (RFC 9110 section 5.6.7). */
void http_write_date(struct buf *to, uint64_t wall_us);

#endif
