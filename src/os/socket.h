/* Sockets, always non-blocking and close-on-exec. */
#ifndef PORCH_OS_SOCKET_H
#define PORCH_OS_SOCKET_H

#include <sys/types.h>

#include "base/bytes.h"
#include "base/error.h"

/* Listens on `host` (an IP address, "*" for every address of both families, or a name) and `port` (0: any
 * free one). *bound is the port it got. */
porch_err porch_socket_listen_tcp(const char *host, uint16_t port, int backlog, int *fd, uint16_t *bound,
                                  porch_why *why);
/* One waiting connection, TCP_NODELAY set on TCP. AGAIN when none waits (also when a waiting one broke
 * off), BUSY when this process or machine is out of descriptors or memory: pause accepting, IO otherwise.
 */
porch_err porch_socket_accept(int listen_fd, int *fd);
/* Resolves, tries each address in turn, waits at most `timeout_ms` for all of it (name service excepted).
 * NOT_FOUND for a name that does not resolve, TIMEOUT, CLOSED when every address refused. Blocks. */
porch_err porch_socket_connect_tcp(const char *host, uint16_t port, int timeout_ms, int *fd,
                                   porch_why *why);

/* SOCK_STREAM at `path` with exactly `mode`; a dead socket file at that path is replaced, a live one is
 * BUSY. */
porch_err porch_socket_listen_unix(const char *path, mode_t mode, int backlog, int *fd, porch_why *why);
/* NOT_FOUND when there is no file, CLOSED when nobody listens. */
porch_err porch_socket_connect_unix(const char *path, int *fd, porch_why *why);
/* Who is at the other end of a unix socket, as the kernel knows it (SO_PEERCRED at connect time). */
porch_err porch_socket_peer_uid(int fd, uid_t *uid);

#define PORCH_ADDRESS_TEXT_BYTES 64
/* The peer's IP address without port ("192.0.2.7", "::1"; IPv4-mapped as IPv4), "unix" for a unix socket,
 * "unknown" when it is gone. Good as a throttling key. */
void porch_socket_address_text(int fd, char out[PORCH_ADDRESS_TEXT_BYTES]);

/* Waits until `fd` has one of poll(2)'s `events`, -1: forever. OK, TIMEOUT, IO. */
porch_err porch_socket_wait(int fd, short events, int timeout_ms);

#endif
