#include "tests/torture/fnet_host.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEVICE       "fnet"
#define NETMASK      0xffff0000
#define QUEUE_LENGTH 4000 /* packets that wait to be read from here */

static int
request(int sock, unsigned long what, struct ifreq *device)
{
	return ioctl(sock, what, device) == 0 ? 0 : -1;
}

static int
set_address(
    int sock, unsigned long what, struct ifreq *device, uint32_t address)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(address) };

	memcpy(&device->ifr_addr, &sin, sizeof(sin));
	return request(sock, what, device);
}

static int
bring_up(int sock, const char *name)
{
	struct ifreq device = { .ifr_flags = IFF_UP | IFF_RUNNING };

	memcpy(device.ifr_name, name, strlen(name));
	return request(sock, SIOCSIFFLAGS, &device);
}

static const char *
configure(int sock, uint32_t address)
{
	struct ifreq device = { .ifr_name = DEVICE };

	if (set_address(sock, SIOCSIFADDR, &device, address) != 0)
		return "address";
	if (set_address(sock, SIOCSIFNETMASK, &device, NETMASK) != 0)
		return "netmask";
	device.ifr_qlen = QUEUE_LENGTH;
	if (request(sock, SIOCSIFTXQLEN, &device) != 0)
		return "queue length";
	if (bring_up(sock, DEVICE) != 0 || bring_up(sock, "lo") != 0)
		return "up";
	return NULL;
}

/* In the namespace that it shall belong to. */
static const char *
open_tun(struct fnet_host *host)
{
	struct ifreq device = { .ifr_name = DEVICE,
		.ifr_flags = IFF_TUN | IFF_NO_PI };
	const char *failed;
	int sock;

	host->namespace_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (host->namespace_fd < 0)
		return "/proc/self/ns/net";
	host->tun_fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (host->tun_fd < 0)
		return "/dev/net/tun";
	if (request(host->tun_fd, TUNSETIFF, &device) != 0)
		return "TUNSETIFF";
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return "socket";
	failed = configure(sock, host->address);
	close(sock);
	return failed;
}

const char *
fnet_host_open(struct fnet_host *host)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	const char *failed;

	if (home < 0)
		return "/proc/self/ns/net";
	if (unshare(CLONE_NEWNET) != 0) {
		close(home);
		return "a network namespace (root is needed)";
	}
	failed = open_tun(host);
	if (setns(home, CLONE_NEWNET) != 0 && failed == NULL)
		failed = "the way back";
	close(home);
	return failed;
}
