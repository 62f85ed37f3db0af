/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/transport.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void
transport_take_frame(struct transport_message *m, const void *data, size_t len,
                     bool has_more, transport_taker *taker, void *context)
{
    if (m->is_body)
        taker(context, m->id, data, len);
    else if (len == 0)
        m->is_body = true;
    else if (len == sizeof m->id)
        memcpy(&m->id, data, sizeof m->id);
    if (!has_more)
        *m = (struct transport_message){0};
}

int
transport_raise(int fd)
{
    int high;
    int error;

    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    error = errno;
    (void)close(fd);
    errno = error;
    return high;
}
