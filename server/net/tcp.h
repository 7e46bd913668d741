#ifndef NET_TCP_H
#define NET_TCP_H

/* Options of TCP sockets (tcp(7)). A socket that refuses one still works: what
 * it is for is then noticed later, so nothing is returned. */

/* setsockopt(2) of a number. */
void tcp_set_option(int fd, int level, int name, int value);

/* A host that has vanished breaks the connection `idle_s` + `count` *
 * `interval_s` seconds after it was last heard, though nothing is sent to it. */
void tcp_keep_alive(int fd, int idle_s, int interval_s, int count);

#endif
