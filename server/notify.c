#include "notify.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/log.h"
#include "common/text.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A longer status is cut. */
#define STATE_SIZE_MAX 512

/* The address in NOTIFY_SOCKET: a path, or an abstract name behind '@'. */
static int
parse_socket(const char *text, struct notify *notify)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t size = strlen(text);
	bool abstract = text[0] == '@';

	if ((text[0] != '/' && !abstract) || size < 2 ||
	    size >= sizeof(address.sun_path))
		return ERR_INVALID;
	memcpy(address.sun_path, text, size);
	if (abstract)
		address.sun_path[0] = '\0';
	notify->address = address;
	/* An abstract name has no terminator: its size is part of it. */
	notify->address_size =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size +
			(abstract ? 0 : 1));
	return 0;
}

static uint64_t
watchdog_interval_us(void)
{
	const char *interval = getenv("WATCHDOG_USEC");
	const char *process = getenv("WATCHDOG_PID");
	uint64_t us;
	uint64_t pid;

	if (interval == NULL ||
	    text_parse_u64(slice_from_text(interval), &us) != 0)
		return 0;
	if (process != NULL &&
	    (text_parse_u64(slice_from_text(process), &pid) != 0 ||
		pid != (uint64_t)getpid()))
		return 0;
	return us / 2;
}

void
notify_init(struct notify *notify)
{
	const char *text = getenv("NOTIFY_SOCKET");

	*notify = (struct notify){ 0 };
	if (text == NULL)
		return;
	if (parse_socket(text, notify) != 0)
		log_warning("NOTIFY_SOCKET is no address: \"%s\"", text);
	notify->watchdog_interval_us = watchdog_interval_us();
}

static void
send_state(const struct notify *notify, const char *state)
{
	int fd;

	if (notify->address_size == 0)
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
	    sendto(fd, state, strlen(state), MSG_DONTWAIT | MSG_NOSIGNAL,
		(const struct sockaddr *)&notify->address,
		notify->address_size) < 0)
		log_warning(
		    "systemd was not told \"%s\": %s", state, strerror(errno));
	if (fd >= 0)
		(void)close(fd); /* the datagram is sent or not by now */
}

void
notify_ready(const struct notify *notify)
{
	send_state(notify, "READY=1");
}

void
notify_status(const struct notify *notify, const char *format, ...)
{
	char state[STATE_SIZE_MAX] = "STATUS=";
	size_t prefix = strlen(state);
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(
	    state + prefix, sizeof(state) - prefix, format, arguments);
	va_end(arguments);
	send_state(notify, state);
}

void
notify_stopping(const struct notify *notify)
{
	send_state(notify, "STOPPING=1");
}

void
notify_watchdog(const struct notify *notify)
{
	send_state(notify, "WATCHDOG=1");
}
