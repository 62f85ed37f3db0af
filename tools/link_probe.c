/* SPDX-License-Identifier: Apache-2.0
 *
 * Apart from link.c: whoever only looks needs no libzmq. */
#define _GNU_SOURCE
#include "tools/link.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static enum link_state
probe(const struct sockaddr_un *address, int type)
{
    enum link_state state = LINK_LISTENS;
    int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return LINK_ODD;
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) < 0) {
        if (errno == ENOENT)
            state = LINK_ABSENT;
        else if (errno == ECONNREFUSED)
            state = LINK_DEAF;
        else if (errno == EACCES || errno == EPERM)
            state = LINK_FORBIDDEN;
        else if (errno != EAGAIN) /* a full queue: alive, but very busy */
            state = LINK_ODD;
    }
    close(fd);
    return state;
}

enum link_state
link_probe(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    enum link_state state;

    if (strlen(path) >= sizeof address.sun_path)
        return LINK_ODD;
    bk_copy_text(address.sun_path, sizeof address.sun_path, path, strlen(path));
    state = probe(&address, SOCK_STREAM);
    /* ring.sock is one of packets. */
    return state == LINK_ODD ? probe(&address, SOCK_SEQPACKET) : state;
}
