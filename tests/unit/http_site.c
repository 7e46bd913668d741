#include "tests/unit/http_site.h"
#include <check.h>
#include <unistd.h>

void
http_site_begin_with(
    struct http_site *site, const struct http_server_params *params)
{
	*site = (struct http_site){ .fd = -1 };
	probe_start(&site->probe, params);
	site->fd = probe_connect(&site->probe);
}

void
http_site_begin(struct http_site *site)
{
	http_site_begin_with(site, &probe_params);
}

void
http_site_begin_held(struct http_site *site,
    const struct http_server_params *params, const char *text)
{
	http_site_begin_with(site, params);
	site->probe.hold = true;
	http_site_tell(site, text);
}

struct http_request *
http_site_begin_stream(struct http_site *site,
    const struct http_server_params *params, const char *text)
{
	http_site_begin_held(site, params, text);
	buf_reset(&site->probe.events);
	return probe_stream(&site->probe, 0);
}

static void
hang_up(struct http_site *site)
{
	if (site->fd >= 0)
		close(site->fd);
	site->fd = -1;
}

void
http_site_leave(struct http_site *site)
{
	hang_up(site);
	probe_settle(&site->probe);
}

void
http_site_stop(struct http_site *site)
{
	hang_up(site);
	probe_stop(&site->probe);
	buf_release(&site->received);
}

void
http_site_end(struct http_site *site)
{
	http_site_leave(site);
	ck_assert_uint_eq(http_server_connections(site->probe.server), 0);
	http_site_stop(site);
}

void
http_site_say(struct http_site *site, const char *text)
{
	probe_send_text(&site->probe, site->fd, text);
}

void
http_site_tell(struct http_site *site, const char *text)
{
	http_site_say(site, text);
	probe_settle(&site->probe);
}

void
http_site_hear(struct http_site *site, const char *text)
{
	probe_await_text(&site->probe, site->fd, &site->received, text);
}

void
http_site_hear_end(struct http_site *site)
{
	probe_await_end(&site->probe, site->fd, &site->received);
	site->fd = -1;
}

void
http_site_hear_nothing(struct http_site *site)
{
	size_t size = site->received.size;

	probe_settle(&site->probe);
	ck_assert(probe_receive(site->fd, &site->received));
	ck_assert_uint_eq(site->received.size, size);
}

void
http_site_check_last_answer(struct http_site *site, unsigned status)
{
	probe_check_last_answer(&site->probe, site->fd, status);
	site->fd = -1;
}
