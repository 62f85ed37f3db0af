/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/web_manager.h"
#include "core/text.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The first one handed over comes behind the standard three. */
#define FIRST_FD 3

static uint64_t
number_in(const char *name)
{
    const char *text = getenv(name);
    uint64_t number = 0;

    if (text != NULL)
        (void)bk_read_number(text, strlen(text), &number);
    return number;
}

int
manager_sockets(int fds[MANAGER_SOCKETS_MAX])
{
    uint64_t count = number_in("LISTEN_FDS");
    bool is_ours = number_in("LISTEN_PID") == (uint64_t)getpid();

    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
    if (!is_ours)
        return 0;
    if (count > MANAGER_SOCKETS_MAX)
        count = MANAGER_SOCKETS_MAX;
    for (int i = 0; i < (int)count; i++) {
        fds[i] = FIRST_FD + i;
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    }
    return (int)count;
}

void
manager_tell(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = path != NULL ? strlen(path) : 0;
    int fd;

    if (len < 2 || len >= sizeof to.sun_path)
        return;
    memcpy(to.sun_path, path, len);
    if (path[0] == '@')
        to.sun_path[0] = '\0'; /* the abstract namespace */
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL,
                 (const struct sockaddr *)&to,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    close(fd);
}
