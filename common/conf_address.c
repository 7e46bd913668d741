#include "common/conf_address.h"
#include "common/err.h"
#include "common/panic.h"
#include "common/text.h"
#include <arpa/inet.h>
#include <netinet/in.h>

#define PORT_MAX 65535

/* The two parts of a text, borrowed from it. */
struct parts {
	struct slice host; /* without brackets */
	struct slice port; /* data NULL if there is no ':' */
	bool bracketed;
};

static struct slice
between(const char *first, const char *end)
{
	return slice_of(first, (size_t)(end - first));
}

static struct parts
split(const char *text)
{
	const char *end = text + strlen(text);
	const char *closing = text[0] == '[' ? strchr(text, ']') : NULL;
	const char *colon = strrchr(text, ':');
	struct parts parts = { .bracketed = closing != NULL };

	if (closing != NULL) {
		parts.host = between(text + 1, closing);
		if (closing[1] == ':')
			parts.port = between(closing + 2, end);
		return parts;
	}
	if (colon == NULL) {
		parts.host = between(text, end);
		return parts;
	}
	parts.host = between(text, colon);
	parts.port = between(colon + 1, end);
	return parts;
}

/* True if inet_pton takes it; it wants a terminated string. */
static bool
parse_host(int family, struct slice host, uint8_t *to)
{
	char text[INET6_ADDRSTRLEN];

	if (host.size >= sizeof(text))
		return false;
	memcpy(text, host.data, host.size);
	text[host.size] = '\0';
	return inet_pton(family, text, to) == 1;
}

static void
complain_of_host(
    struct buf *complaint, const char *text, const struct parts *parts)
{
	bool colon = memchr(parts->host.data, ':', parts->host.size) != NULL;
	bool name = false;

	for (size_t i = 0; i < parts->host.size; i++) {
		uint8_t byte = parts->host.data[i];

		if ((byte < '0' || byte > '9') && byte != '.')
			name = true;
	}
	if (parts->bracketed)
		buf_printf(complaint, "\"%s\": not an IPv6 address", text);
	else if (colon)
		buf_printf(complaint,
		    "\"%s\": put an IPv6 address into brackets, e.g. "
		    "[::1]:5864",
		    text);
	else if (name)
		buf_printf(complaint,
		    "\"%s\": host names are not looked up; use a numeric "
		    "address, e.g. 10.0.0.1:5864",
		    text);
	else
		buf_printf(complaint,
		    "\"%s\": not an IPv4 address, e.g. 10.0.0.1:5864", text);
}

int
conf_address_parse(
    const char *text, struct conf_address *ret_address, struct buf *complaint)
{
	struct parts parts = split(text);
	struct conf_address address = { .family = parts.bracketed ? AF_INET6
								  : AF_INET };
	uint64_t port;

	if (!parse_host(address.family, parts.host, address.bytes)) {
		complain_of_host(complaint, text, &parts);
		return ERR_INVALID;
	}
	if (parts.port.data == NULL) {
		buf_printf(
		    complaint, "\"%s\" needs a port, e.g. %s:5864", text, text);
		return ERR_INVALID;
	}
	if (text_parse_u64(parts.port, &port) != 0 || port == 0 ||
	    port > PORT_MAX) {
		buf_printf(complaint, "\"%s\": the port is outside 1..%d", text,
		    PORT_MAX);
		return ERR_INVALID;
	}
	address.port = (uint16_t)port;
	*ret_address = address;
	return 0;
}

void
conf_address_append_host(struct buf *to, const struct conf_address *address)
{
	char host[INET6_ADDRSTRLEN];
	const char *text =
	    inet_ntop(address->family, address->bytes, host, sizeof(host));

	/* The family is one of two, and the text has room. */
	ASSERT(text != NULL);
	buf_append_text(to, text);
}

void
conf_address_append(struct buf *to, const struct conf_address *address)
{
	bool brackets = address->family == AF_INET6;

	buf_append_text(to, brackets ? "[" : "");
	conf_address_append_host(to, address);
	buf_printf(to, "%s:%u", brackets ? "]" : "", address->port);
}

bool
conf_address_is_loopback(const struct conf_address *address)
{
	static const uint8_t loopback6[16] = { [15] = 1 };

	if (address->family == AF_INET)
		return address->bytes[0] == 127;
	return memcmp(address->bytes, loopback6, sizeof(loopback6)) == 0;
}

bool
conf_address_is_wildcard(const struct conf_address *address)
{
	static const uint8_t zero[16];

	return memcmp(address->bytes, zero, sizeof(zero)) == 0;
}

bool
conf_address_same_host(
    const struct conf_address *a, const struct conf_address *b)
{
	return a->family == b->family &&
	       memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}
