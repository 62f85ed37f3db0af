/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening sockets of flaky-upstream. Two sockets are bound to one number: with
 * SO_REUSEADDR that is allowed as long as only one of them listens, and the one
 * that stays bound makes the kernel refuse connections in between. */
#define _GNU_SOURCE
#include "tools/upstream_port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 512

static bool
fail(struct bk_text *error, const char *what, uint16_t number)
{
    const char *why = strerror(errno);

    bk_text_put(error, what);
    bk_text_put(error, " 127.0.0.1:");
    bk_text_put_u64(error, number);
    bk_text_put(error, ": ");
    bk_text_put(error, why);
    return false;
}

static int
bound_socket(uint16_t number)
{
    const int yes = 1;
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(number),
        .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    const int fd =
        socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 &&
        (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
         bind(fd, (const struct sockaddr *)&address, sizeof address) != 0)) {
        const int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

bool
upstream_port_open(struct upstream_port *port, uint16_t number,
                   struct bk_text *error)
{
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;

    *port = UPSTREAM_PORT_NONE;
    port->claim_fd = bound_socket(number);
    if (port->claim_fd < 0 ||
        getsockname(port->claim_fd, (struct sockaddr *)&address, &size) != 0) {
        return fail(error, "cannot bind", number);
    }
    port->number = ntohs(address.sin_port);
    return upstream_port_listen(port, error);
}

void
upstream_port_refuse(struct upstream_port *port)
{
    if (port->listen_fd >= 0) {
        close(port->listen_fd);
        port->listen_fd = -1;
    }
}

bool
upstream_port_listen(struct upstream_port *port, struct bk_text *error)
{
    if (port->listen_fd >= 0) {
        return true;
    }
    port->listen_fd = bound_socket(port->number);
    if (port->listen_fd < 0 || listen(port->listen_fd, BACKLOG) != 0) {
        return fail(error, "cannot listen on", port->number);
    }
    return true;
}

void
upstream_port_close(struct upstream_port *port)
{
    upstream_port_refuse(port);
    if (port->claim_fd >= 0) {
        close(port->claim_fd);
        port->claim_fd = -1;
    }
}
