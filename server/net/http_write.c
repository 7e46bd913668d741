#include "net/http_write.h"
#include "common/panic.h"
#include <time.h>

#define US_PER_S UINT64_C(1000000)

static const char *const day_names[] = { "Sun", "Mon", "Tue", "Wed", "Thu",
	"Fri", "Sat" };
static const char *const month_names[] = { "Jan", "Feb", "Mar", "Apr", "May",
	"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

void
http_write_request_head(struct buf *to, enum http_method method,
    struct slice target, struct slice host, struct slice fields,
    uint64_t body_size)
{
	buf_append_text(to, http_method_name(method));
	buf_append(to, " ", 1);
	buf_append_slice(to, target);
	buf_append_text(to, " HTTP/1.1\r\nHost: ");
	buf_append_slice(to, host);
	buf_append(to, "\r\n", 2);
	buf_append_slice(to, fields);
	if (method == HTTP_PUT || method == HTTP_POST || body_size > 0)
		http_write_field_u64(to, "Content-Length", body_size);
	buf_append(to, "\r\n", 2);
}

void
http_write_status(struct buf *to, unsigned status)
{
	buf_append(to, "HTTP/1.1 ", 9);
	buf_append_u64(to, status);
	buf_append(to, " ", 1);
	buf_append_text(to, http_status_phrase(status));
	buf_append(to, "\r\n", 2);
}

void
http_write_field(struct buf *to, const char *name, struct slice value)
{
	buf_append_text(to, name);
	buf_append(to, ": ", 2);
	buf_append_slice(to, value);
	buf_append(to, "\r\n", 2);
}

void
http_write_field_u64(struct buf *to, const char *name, uint64_t value)
{
	buf_append_text(to, name);
	buf_append(to, ": ", 2);
	buf_append_u64(to, value);
	buf_append(to, "\r\n", 2);
}

void
http_write_date(struct buf *to, uint64_t wall_us)
{
	time_t seconds = (time_t)(wall_us / US_PER_S);
	struct tm tm;

	if (gmtime_r(&seconds, &tm) == NULL)
		fatal("the wall clock is out of all bounds");
	buf_printf(to, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n",
	    day_names[tm.tm_wday], tm.tm_mday, month_names[tm.tm_mon],
	    tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}
