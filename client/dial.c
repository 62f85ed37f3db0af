/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/dial.h"
#include "client/transport.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The kernel's room for what goes out: it gives as much of it as it may. */
#define SEND_BUFFER 425984

static void
blame_host(struct cause *cause, int error)
{
    struct bk_text text;

    if (error == EMFILE || error == ENFILE) {
        text = cause_set(cause, CAUSE_DESCRIPTORS);
        bk_text_put(&text, "too few free descriptors to talk to breakerd");
        return;
    }
    text = cause_set(cause, CAUSE_TRANSPORT);
    bk_text_put(&text, "no socket to talk to breakerd: ");
    bk_text_put(&text, strerrordesc_np(error));
}

int
dial_socket(int type, ino_t *inode, struct cause *cause)
{
    int fd = transport_raise(
        socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    int room = SEND_BUFFER;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0) {
        blame_host(cause, errno);
        return -1;
    }
    *inode = st.st_ino;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    return fd;
}

static void
blame_connection(struct cause *cause, const char *path, int error)
{
    bool is_denied = error == EACCES || error == EPERM;
    struct bk_text text;

    cause->code = CAUSE_NONE;
    if (error == ECONNREFUSED || error == ENOENT)
        return;
    if (error == EAGAIN) {
        text = cause_set(cause, CAUSE_CONNECTING);
        bk_text_put(&text, "as many as may wait for a connection do, at ");
        bk_text_put(&text, path);
        return;
    }
    text = cause_set(cause, is_denied ? CAUSE_SOCKET_DENIED : CAUSE_TRANSPORT);
    bk_text_put(&text, "cannot connect to ");
    bk_text_put(&text, path);
    bk_text_put(&text, ": ");
    bk_text_put(&text,
                is_denied ? "permission denied" : strerrordesc_np(error));
}

bool
dial_connect(int fd, const char *path, struct cause *cause)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int rc;

    (void)bk_copy_text(address.sun_path, sizeof address.sun_path, path,
                       strlen(path));
    do
        rc = connect(fd, (const struct sockaddr *)&address, sizeof address);
    while (rc != 0 && errno == EINTR);
    if (rc != 0)
        blame_connection(cause, path, errno);
    return rc == 0;
}

bool
dial_is_ours(int fd, ino_t inode)
{
    struct stat st;

    return fd >= 0 && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) &&
           st.st_ino == inode;
}

void
dial_close(int fd, ino_t inode)
{
    if (dial_is_ours(fd, inode))
        (void)close(fd);
}
