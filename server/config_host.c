#include "config.h"
#include <ctype.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <unistd.h>

/* The name stays empty, which no member's is, if the kernel gives none. */
static void
read_name(struct config_host *host)
{
	char *dot;

	if (gethostname(host->name, sizeof(host->name) - 1) != 0)
		host->name[0] = '\0';
	dot = strchr(host->name, '.');
	if (dot != NULL)
		*dot = '\0';
	for (char *at = host->name; *at != '\0'; at++)
		*at = (char)tolower((unsigned char)*at);
}

static void
add_address(struct config_host *host, const struct sockaddr *from)
{
	struct address address = { .size = 0 };

	if (from->sa_family == AF_INET)
		address.size = sizeof(struct sockaddr_in);
	else if (from->sa_family == AF_INET6)
		address.size = sizeof(struct sockaddr_in6);
	else
		return;
	memcpy(&address.storage, from, address.size);
	host->addresses[host->addresses_count++] = address;
}

void
config_read_host(struct config_host *ret_host)
{
	struct ifaddrs *interfaces;

	*ret_host = (struct config_host){ 0 };
	read_name(ret_host);
	if (getifaddrs(&interfaces) != 0)
		return;
	for (const struct ifaddrs *at = interfaces; at != NULL;
	     at = at->ifa_next) {
		if (at->ifa_addr != NULL &&
		    ret_host->addresses_count < CONFIG_HOST_ADDRESSES_MAX)
			add_address(ret_host, at->ifa_addr);
	}
	freeifaddrs(interfaces);
}
