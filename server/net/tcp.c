#include "net/tcp.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

void
tcp_set_option(int fd, int level, int name, int value)
{
	(void)setsockopt(fd, level, name, &value, sizeof(value));
}

void
tcp_keep_alive(int fd, int idle_s, int interval_s, int count)
{
	tcp_set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s);
	tcp_set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval_s);
	tcp_set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, count);
	tcp_set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}
