#include "tests/unit/local_client.h"
#include "common/err.h"
#include "common/macros.h"
#include "common/text.h"
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESS_FIRST 0x7f010001 /* 127.1.0.1 */
#define ADDRESSES     0xfffd

static struct sockaddr_in
address_of(uint32_t host, uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = { htonl(host) },
	};
}

static void
bind_anywhere(int fd)
{
	static uint32_t count;
	const struct sockaddr_in from =
	    address_of(ADDRESS_FIRST + count++ % ADDRESSES, 0);
	int one = 1;

	/* The port is found when it is known where to: more of them serve. */
	ck_assert_int_eq(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT,
			     &one, sizeof(one)),
	    0);
	ck_assert_int_eq(
	    bind(fd, (const struct sockaddr *)&from, sizeof(from)), 0);
}

/* Again when a signal comes between, as a fuzzer's alarm does. */
static void
connect_to(int fd, uint16_t port)
{
	const struct sockaddr_in to = address_of(INADDR_LOOPBACK, port);

	while (connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
		if (errno == EISCONN)
			return;
		ck_assert(errno == EINTR || errno == EALREADY);
	}
}

int
local_client_connect(uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	bind_anywhere(fd);
	connect_to(fd, port);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

/* All below those of outgoing connections: ip_local_port_range in ip(7). */
#define PORT_FIRST 10000
#define PORT_LAST  30000

static uint64_t
first_outgoing_port(void)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	char line[64];
	uint64_t first;

	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), file));
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(
	    text_parse_u64(slice_of(line, strcspn(line, "\t ")), &first), 0);
	return first;
}

uint16_t
local_listen(struct http_server *server)
{
	/* Other processes begin elsewhere. */
	static unsigned count;
	uint64_t last = first_outgoing_port() - 1;
	char address[32];
	int rc;

	last = MIN(last, PORT_LAST);
	ck_assert_uint_gt(last, PORT_FIRST);
	do {
		unsigned place = (unsigned)getpid() * 31 + count++;

		snprintf(address, sizeof(address), "127.0.0.1:%u",
		    PORT_FIRST + place % (unsigned)(last - PORT_FIRST));
		rc = http_server_listen(server, address);
	} while (rc == ERR_LOCKED);
	ck_assert_int_eq(rc, 0);
	return http_server_port(server);
}
