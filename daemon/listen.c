/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/listen.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 1024

/* A socket left over by a killed daemon goes; anything else is not ours. */
static bool
clear_path(const char *path, struct bk_text *error)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        return errno == ENOENT || rundir_fail(error, "look at", path, errno);
    }
    if (!S_ISSOCK(st.st_mode)) {
        return rundir_fail(error, "listen at", path, EEXIST);
    }
    return unlink(path) == 0 ||
           rundir_fail(error, "remove the old", path, errno);
}

int
listen_at(const struct rundir *r, const char *name, int type, mode_t mode,
          struct bk_text *error)
{
    char path[PATH_MAX];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!rundir_file(r, name, path) ||
        strlen(path) >= sizeof(address.sun_path)) {
        bk_text_put(error, r->path);
        bk_text_put(error, " is too long a name for sockets (107 octets with "
                           "the file's); choose a shorter one with --dir");
        return -1;
    }
    if (!clear_path(path, error)) {
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* Nobody may connect before the mode is right: bind under a closed umask. */
    mode_t before = umask(0177);
    bool ok = fd >= 0 &&
              bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
    int number = errno;
    umask(before);
    if (!ok) {
        rundir_fail(error, "listen at", path, number);
    } else if (!rundir_protect(r, path, mode, error)) {
        ok = false;
    } else if (listen(fd, BACKLOG) != 0) {
        ok = rundir_fail(error, "listen at", path, errno);
    }
    if (!ok) {
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}
