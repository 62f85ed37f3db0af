/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/ring_door.h"
#include "core/segment.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Sealed like this it keeps its length for ever. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Room for one descriptor, and where a long has eight octets for a second: the kernel
 * closes those there is no room for. */
union control {
    struct cmsghdr head;
    char octets[CMSG_SPACE(sizeof(int))];
};

/* The first that came along, -1: none did. Further ones are closed, and counted. */
static int
descriptor_of(struct msghdr *message, unsigned *further)
{
    int first = -1;
    *further = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL;
         c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len;
             at += sizeof(int)) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + (at - CMSG_LEN(0)), sizeof(fd));
            if (first < 0) {
                first = fd;
            } else {
                close(fd);
                ++*further;
            }
        }
    }
    return first;
}

/* Memory of tmpfs alone: a page of it that is missing is made, while huge pages or
 * a file system of the worker's own might refuse one, and that is a SIGBUS. */
static const char *
check_memory(int fd)
{
    struct stat st;
    struct statfs fs;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS) {
        return "its memory is not sealed against change of length";
    }
    if (fstat(fd, &st) != 0 || st.st_size != (off_t)BK_RING_BYTES) {
        return "its memory has another length";
    }
    if (fstatfs(fd, &fs) != 0 || fs.f_type != TMPFS_MAGIC) {
        return "its memory is not of the common kind";
    }
    return NULL;
}

static enum ring_packet
map(int fd, struct ring_said *said)
{
    said->fault = check_memory(fd);
    if (said->fault != NULL) {
        return RING_FAULT;
    }
    void *at =
        mmap(NULL, BK_RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        said->fault = "its memory cannot be mapped";
        return RING_FAULT;
    }
    said->ring = at;
    return RING_NEW;
}

static enum ring_packet
take_hello(const struct bk_ring_hello *hello, int fd, struct ring_said *said)
{
    size_t len = strnlen(hello->worker, BK_WORKER_SIZE);
    bool is_name = len < BK_WORKER_SIZE;
    for (size_t i = 0; is_name && i < len; i++) {
        is_name = hello->worker[i] > ' ' && hello->worker[i] < 0x7f;
    }
    if (hello->magic != BK_RING_MAGIC ||
        hello->fingerprint != bk_segment_fingerprint()) {
        said->fault = "it is of another version of the library";
        return RING_FAULT;
    }
    if (!is_name) {
        said->fault = "its name is none";
        return RING_FAULT;
    }
    memcpy(said->worker, hello->worker, len + 1);
    said->epoch = hello->epoch;
    return map(fd, said);
}

enum ring_packet
ring_door_take(int fd, struct ring_said *said)
{
    struct bk_ring_hello hello;
    union control control;
    struct iovec part = {.iov_base = &hello, .iov_len = sizeof(hello)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    memset(said, 0, sizeof(*said));
    ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return RING_NOTHING;
    }
    if (n <= 0) {
        return RING_END;
    }
    unsigned further;
    int given = descriptor_of(&message, &further);
    enum ring_packet packet = RING_FAULT;
    if (n == 1 && given < 0) {
        packet = RING_BELL;
    } else if (n != (ssize_t)sizeof(hello) || given < 0 || further > 0 ||
               (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        said->fault = "it says what no worker of ours says";
    } else {
        packet = take_hello(&hello, given, said);
    }
    if (given >= 0) {
        close(given); /* the mapping stays */
    }
    return packet;
}

void
ring_door_unmap(struct bk_ring **ring)
{
    if (*ring != NULL) {
        munmap(*ring, BK_RING_BYTES);
        *ring = NULL;
    }
}
