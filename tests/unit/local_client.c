#include "tests/unit/local_client.h"
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

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
