/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/handed.h"
#include "core/text.h"
#include "daemon/log.h"
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The first descriptor of the manager's, by its protocol. */
#define FIRST_FD 3

static uint64_t
number_in(const char *variable)
{
    const char *text = getenv(variable);
    uint64_t number = 0;
    if (text == NULL || !bk_read_number(text, strlen(text), &number)) {
        return 0;
    }
    return number;
}

void
handed_open(struct handed *h)
{
    uint64_t count = number_in("LISTEN_FDS");
    *h = (struct handed){.count = 0};
    /* A parent's variables are meant for the parent. */
    if (number_in("LISTEN_PID") != (uint64_t)getpid()) {
        count = 0;
    }
    if (count > HANDED_MAX) {
        log_line(LOG_WARNING,
                 "LISTEN_FDS names %llu sockets, only the first %d are used",
                 (unsigned long long)count, HANDED_MAX);
        count = HANDED_MAX;
    }
    for (int fd = FIRST_FD; fd < FIRST_FD + (int)count; fd++) {
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) {
            h->fds[h->count++] = fd;
        }
    }
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
}

static int
option_of(int fd, int option)
{
    int value = 0;
    socklen_t size = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

/* The path at which it listens for streams; false when it does no such thing. */
static bool
path_of(int fd, char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNSPEC};
    socklen_t size = sizeof(address);
    path[0] = '\0';
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0 ||
        address.sun_family != AF_UNIX || size > sizeof(address) ||
        address.sun_path[0] != '/' || option_of(fd, SO_TYPE) != SOCK_STREAM ||
        option_of(fd, SO_ACCEPTCONN) != 1) {
        return false;
    }
    memcpy(path, address.sun_path, sizeof(address.sun_path));
    path[sizeof(address.sun_path)] = '\0';
    return true;
}

/* Whether `path` is `name` in `directory`, which may have several names, and is
 * still there: what was unlinked can be reached by nobody. */
static bool
is_at(char *path, const char *directory, const char *name)
{
    char *slash = strrchr(path, '/');
    struct stat file;
    struct stat here;
    struct stat there;
    if (strcmp(slash + 1, name) != 0 || lstat(path, &file) != 0 ||
        !S_ISSOCK(file.st_mode)) {
        return false;
    }
    *slash = '\0';
    return stat(directory, &here) == 0 && stat(path, &there) == 0 &&
           here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

int
handed_take(struct handed *h, const char *directory, const char *name)
{
    char path[sizeof(struct sockaddr_un) + 1];
    for (size_t i = 0; i < h->count; i++) {
        int fd = h->fds[i];
        int flags = fcntl(fd, F_GETFL);
        if (path_of(fd, path) && is_at(path, directory, name) &&
            fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0) {
            h->fds[i] = h->fds[--h->count];
            return fd;
        }
    }
    return -1;
}

void
handed_close(struct handed *h)
{
    char path[sizeof(struct sockaddr_un) + 1];
    for (size_t i = 0; i < h->count; i++) {
        bool listens = path_of(h->fds[i], path);
        log_line(LOG_WARNING,
                 "a socket handed over (%s) is none of this instance's "
                 "listening sockets and is closed; see ListenStream= of the "
                 "socket units",
                 listens ? path : "not a listening unix socket");
        close(h->fds[i]);
    }
    h->count = 0;
}
