#include "common/address.h"
#include "common/err.h"
#include "common/text.h"
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>

#define PORT_MAX 65535

static_assert(ADDRESS_HOST_SIZE == INET6_ADDRSTRLEN, "any host has room");
static_assert(ADDRESS_TEXT_SIZE >= ADDRESS_HOST_SIZE + sizeof("[]:65535") - 1,
    "any address has room");

static int
parse_host(
    struct slice host, bool bracketed, uint16_t port, struct address *address)
{
	char text[INET6_ADDRSTRLEN];
	struct sockaddr_in *v4 = (void *)&address->storage;
	struct sockaddr_in6 *v6 = (void *)&address->storage;

	if (host.size == 0 || host.size >= sizeof(text) ||
	    memchr(host.data, '\0', host.size) != NULL)
		return ERR_INVALID;
	memcpy(text, host.data, host.size);
	text[host.size] = '\0';
	if (bracketed) {
		address->size = sizeof(*v6);
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		return inet_pton(AF_INET6, text, &v6->sin6_addr) == 1
			   ? 0
			   : ERR_INVALID;
	}
	address->size = sizeof(*v4);
	v4->sin_family = AF_INET;
	v4->sin_port = htons(port);
	return inet_pton(AF_INET, text, &v4->sin_addr) == 1 ? 0 : ERR_INVALID;
}

int
address_parse(struct slice text, struct address *ret_address)
{
	struct address address = { .size = 0 };
	bool bracketed = text.size > 0 && text.data[0] == '[';
	size_t colon = text.size;
	struct slice host;
	uint64_t port;

	while (colon > 0 && text.data[colon - 1] != ':')
		colon--;
	if (colon == 0)
		return ERR_INVALID;
	if (text_parse_u64(
		slice_of(text.data + colon, text.size - colon), &port) != 0 ||
	    port > PORT_MAX)
		return ERR_INVALID;
	host = slice_of(text.data, colon - 1);
	if (bracketed) {
		if (host.size < 2 || host.data[host.size - 1] != ']')
			return ERR_INVALID;
		host = slice_of(host.data + 1, host.size - 2);
	}
	if (parse_host(host, bracketed, (uint16_t)port, &address) != 0)
		return ERR_INVALID;
	*ret_address = address;
	return 0;
}

/* In network order; empty for another family. */
static struct slice
host_bytes(const struct address *address)
{
	const struct sockaddr_in *v4 = (const void *)&address->storage;
	const struct sockaddr_in6 *v6 = (const void *)&address->storage;

	if (address->storage.ss_family == AF_INET)
		return slice_of(&v4->sin_addr, sizeof(v4->sin_addr));
	if (address->storage.ss_family == AF_INET6)
		return slice_of(&v6->sin6_addr, sizeof(v6->sin6_addr));
	return slice_of(NULL, 0);
}

uint16_t
address_port(const struct address *address)
{
	const struct sockaddr_in *v4 = (const void *)&address->storage;
	const struct sockaddr_in6 *v6 = (const void *)&address->storage;

	if (address->storage.ss_family == AF_INET)
		return ntohs(v4->sin_port);
	if (address->storage.ss_family == AF_INET6)
		return ntohs(v6->sin6_port);
	return 0;
}

void
address_format_host(const struct address *address, char text[ADDRESS_HOST_SIZE])
{
	struct slice host = host_bytes(address);

	/* It cannot fail: the family is known and the text fits. */
	if (host.size == 0)
		(void)snprintf(text, ADDRESS_HOST_SIZE, "?");
	else
		(void)inet_ntop(address->storage.ss_family, host.data, text,
		    ADDRESS_HOST_SIZE);
}

void
address_format(const struct address *address, char text[ADDRESS_TEXT_SIZE])
{
	char host[ADDRESS_HOST_SIZE];
	unsigned port = address_port(address);

	address_format_host(address, host);
	if (address->storage.ss_family == AF_INET)
		(void)snprintf(text, ADDRESS_TEXT_SIZE, "%s:%u", host, port);
	else if (address->storage.ss_family == AF_INET6)
		(void)snprintf(text, ADDRESS_TEXT_SIZE, "[%s]:%u", host, port);
	else
		(void)snprintf(text, ADDRESS_TEXT_SIZE, "?");
}

bool
address_is_loopback(const struct address *address)
{
	static const uint8_t loopback6[16] = { [15] = 1 };
	struct slice host = host_bytes(address);

	if (address->storage.ss_family == AF_INET)
		return host.data[0] == 127;
	return slice_equal(host, slice_of(loopback6, sizeof(loopback6)));
}

bool
address_is_wildcard(const struct address *address)
{
	static const uint8_t zero[16];
	struct slice host = host_bytes(address);

	return slice_equal(host, slice_of(zero, host.size));
}

bool
address_same_host(const struct address *a, const struct address *b)
{
	/* The size tells the families apart. */
	return slice_equal(host_bytes(a), host_bytes(b));
}
