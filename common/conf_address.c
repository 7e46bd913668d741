#include "common/conf_address.h"
#include "common/err.h"

#define PORT_MAX 65535

/* True if the first `size` bytes of `text` lack nothing but a port. */
static bool
is_host(const char *text, size_t size)
{
	struct address address;
	struct buf whole = { 0 };
	bool right;

	buf_append(&whole, text, size);
	buf_append_text(&whole, ":1");
	right = address_parse(buf_slice(&whole), &address) == 0;
	buf_release(&whole);
	return right;
}

static void
complain_of_host(struct buf *complaint, const char *text)
{
	const char *colon = strchr(text, ':');
	size_t size = colon == NULL ? strlen(text) : (size_t)(colon - text);

	if (text[0] == '[')
		buf_printf(complaint, "\"%s\": not an IPv6 address", text);
	else if (colon != NULL && strchr(colon + 1, ':') != NULL)
		buf_printf(complaint,
		    "\"%s\": put an IPv6 address into brackets, e.g. "
		    "[::1]:5864",
		    text);
	else if (strspn(text, "0123456789.") < size)
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
    const char *text, struct address *ret_address, struct buf *complaint)
{
	const char *colon = strrchr(text, ':');
	struct address address;

	if (address_parse(slice_from_text(text), &address) == 0 &&
	    address_port(&address) != 0) {
		*ret_address = address;
		return 0;
	}
	if (is_host(text, strlen(text)))
		buf_printf(
		    complaint, "\"%s\" needs a port, e.g. %s:5864", text, text);
	else if (colon != NULL && is_host(text, (size_t)(colon - text)))
		buf_printf(complaint, "\"%s\": the port is outside 1..%d", text,
		    PORT_MAX);
	else
		complain_of_host(complaint, text);
	return ERR_INVALID;
}
