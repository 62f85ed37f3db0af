/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/prober/link.h"
#include <errno.h>
#include <sys/socket.h>

enum link_got
link_receive(struct message *out)
{
    char packet[MESSAGE_MAX];
    ssize_t n = recv(LINK_FD, packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return LINK_NOTHING;
    }
    if (n <= 0 || (size_t)n > sizeof(packet) ||
        !message_read(packet, (size_t)n, out)) {
        return LINK_ENDED;
    }
    return LINK_MESSAGE;
}

bool
link_send(const struct message *m)
{
    char packet[MESSAGE_MAX];
    int len = message_write(m, packet);
    return len > 0 && send(LINK_FD, packet, (size_t)len,
                           MSG_DONTWAIT | MSG_NOSIGNAL) == len;
}
