#ifndef NOTIFY_H
#define NOTIFY_H

/*
 * What the daemon tells systemd, by sd_notify(3)'s protocol: one datagram to
 * the socket that NOTIFY_SOCKET names. Without that variable nobody wants to
 * know, and all of this does nothing. Sending never waits; what cannot be
 * sent is logged.
 */

#include "common/macros.h"
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
	struct sockaddr_un address;
	socklen_t address_size; /* 0: nobody listens */
	/*
	 * How often notify_watchdog() is wanted: half of the unit's
	 * WatchdogSec=. 0: there is none, or it watches another process.
	 */
	uint64_t watchdog_interval_us;
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. Holds nothing open. */
void notify_init(struct notify *notify);

/* The daemon listens; once. */
void notify_ready(const struct notify *notify);
/* One line for `systemctl status`, such as "follower of n1, term 7". */
ATTR_PRINTF(2, 3)
void notify_status(const struct notify *notify, const char *format, ...);
/* The daemon goes down on purpose; once. */
void notify_stopping(const struct notify *notify);
/* The loop turns. */
void notify_watchdog(const struct notify *notify);

#endif
