/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/ring_link.h"
#include "client/clock.h"
#include "client/dial.h"
#include "client/transport.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_NAME "ring.sock"

bool
ring_link_init(struct ring_link *link)
{
    link->fd = -1;
    link->epoch = 0;
    link->serial = 0;
    link->cut_serial = 0;
    link->again_ns = 0;
    return pthread_mutex_init(&link->lock, NULL) == 0;
}

/* A child forked in the middle of it leaks a descriptor, but closes none twice. */
static void
hang_up(struct ring_link *link)
{
    int fd = link->fd;

    link->fd = -1;
    dial_close(fd, link->inode);
}

void
ring_link_fini(struct ring_link *link)
{
    hang_up(link);
    (void)pthread_mutex_destroy(&link->lock);
}

void
ring_link_abandon(struct ring_link *link)
{
    dial_close(link->fd, link->inode);
}

void
ring_unmap(struct bk_ring **ring)
{
    if (*ring != NULL)
        (void)munmap(*ring, BK_RING_BYTES);
    *ring = NULL;
}

/* ---- handing one over ---- */

/* Beside worker.sock. */
static bool
connect_beside(struct ring_link *link, const char *path)
{
    char place[ENDPOINT_SIZE];
    struct bk_text text;
    struct cause ignored;
    const char *slash = strrchr(path, '/');

    bk_text_init(&text, place, sizeof place);
    bk_text_put_n(&text, path, slash == NULL ? 0 : (size_t)(slash + 1 - path));
    bk_text_put(&text, SOCKET_NAME);
    if (text.is_cut)
        return false;
    link->fd = dial_socket(SOCK_SEQPACKET, &link->inode, &ignored);
    if (link->fd >= 0 && dial_connect(link->fd, place, &ignored)) {
        link->serial++;
        return true;
    }
    hang_up(link);
    return false;
}

/* Sealed, so that the daemon need not fear that it shrinks. A child has no copy: it
 * cannot write where its parent does. */
static int
make_memory(struct bk_ring **ring)
{
    int fd = transport_raise(
        memfd_create("breaker-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    void *at;

    if (fd < 0)
        return -1;
    if (ftruncate(fd, (off_t)BK_RING_BYTES) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) ==
            0) {
        at = mmap(NULL, BK_RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                  0);
        if (at != MAP_FAILED) {
            (void)madvise(at, BK_RING_BYTES, MADV_DONTFORK);
            *ring = at;
            return fd;
        }
    }
    (void)close(fd);
    return -1;
}

static bool
say_here_is(const struct ring_link *link, uint64_t epoch, int memory,
            const char worker[BK_WORKER_SIZE])
{
    struct bk_ring_hello hello = {.magic = BK_RING_MAGIC,
                                  .fingerprint = bk_segment_fingerprint(),
                                  .epoch = epoch};
    union {
        struct cmsghdr head;
        char octets[CMSG_SPACE(sizeof memory)];
    } control = {.octets = {0}};
    struct iovec part = {.iov_base = &hello, .iov_len = sizeof hello};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);

    memcpy(hello.worker, worker, sizeof hello.worker);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof memory);
    memcpy(CMSG_DATA(c), &memory, sizeof memory);
    return sendmsg(link->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) ==
           (ssize_t)sizeof hello;
}

/* The descriptor is still the one that was connected: else a bell would be a stranger's
 * octet. */
static bool
is_whole(struct ring_link *link)
{
    if (dial_is_ours(link->fd, link->inode))
        return true;
    link->fd = -1;
    link->cut_serial = link->serial;
    link->again_ns = clock_mono_ns() + RING_AGAIN_NS;
    return false;
}

/* With the lock. */
static bool
is_connected(struct ring_link *link, uint64_t epoch, const char *path)
{
    if (link->fd >= 0 && link->epoch == epoch && is_whole(link))
        return true;
    if (link->epoch == epoch && clock_mono_ns() < link->again_ns)
        return false;
    hang_up(link);
    link->epoch = epoch;
    link->again_ns = clock_mono_ns() + RING_AGAIN_NS;
    return connect_beside(link, path);
}

struct bk_ring *
ring_link_offer(struct ring_link *link, uint64_t epoch, const char *path,
                const char worker[BK_WORKER_SIZE], uint64_t *serial)
{
    struct bk_ring *ring = NULL;
    int memory;

    (void)pthread_mutex_lock(&link->lock);
    if (is_connected(link, epoch, path)) {
        memory = make_memory(&ring);
        if (memory >= 0 && !say_here_is(link, epoch, memory, worker))
            ring_unmap(&ring);
        if (memory >= 0)
            (void)close(memory);
        *serial = link->serial;
    }
    (void)pthread_mutex_unlock(&link->lock);
    return ring;
}

static bool
is_of_the_moment(int error)
{
    return error == EINTR || error == ENOBUFS || error == ENOMEM;
}

/* A full socket has bells enough in it. */
static enum ring_bell
ring_it(struct ring_link *link)
{
    if (send(link->fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 ||
        errno == EAGAIN)
        return RING_HEARD;
    if (is_of_the_moment(errno))
        return RING_UNHEARD;
    hang_up(link);
    link->again_ns = clock_mono_ns() + RING_AGAIN_NS;
    return RING_GONE;
}

enum ring_bell
ring_link_bell(struct ring_link *link, uint64_t serial)
{
    enum ring_bell bell = RING_GONE;

    (void)pthread_mutex_lock(&link->lock);
    if (link->fd >= 0 && link->serial == serial && is_whole(link))
        bell = ring_it(link);
    else if (link->cut_serial == serial)
        bell = RING_CUT;
    (void)pthread_mutex_unlock(&link->lock);
    return bell;
}
