/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/watch.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

struct entry {
    uint32_t pid; /* 0: free */
    int fd;
};

/* Open addressing by pid, twice as many places as entries. */
struct watch {
    int epoll_fd;
    uint32_t capacity;
    uint32_t used;
    uint32_t places; /* a power of two */
    struct entry *entries;
};

struct watch *
watch_open(uint32_t capacity)
{
    struct watch *w = calloc(1, sizeof(*w));
    if (w == NULL) {
        return NULL;
    }
    w->capacity = capacity;
    w->places = 16;
    while (w->places < 2 * capacity) {
        w->places *= 2;
    }
    w->entries = calloc(w->places, sizeof(*w->entries));
    w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (w->entries == NULL || w->epoll_fd < 0) {
        watch_close(&w);
    }
    return w;
}

void
watch_close(struct watch **w)
{
    if (*w == NULL) {
        return;
    }
    for (uint32_t i = 0; (*w)->entries != NULL && i < (*w)->places; i++) {
        if ((*w)->entries[i].pid != 0) {
            close((*w)->entries[i].fd);
        }
    }
    if ((*w)->epoll_fd >= 0) {
        close((*w)->epoll_fd);
    }
    free((*w)->entries);
    free(*w);
    *w = NULL;
}

static uint32_t
home(const struct watch *w, uint32_t pid)
{
    return (pid * UINT32_C(2654435761)) & (w->places - 1);
}

static uint32_t
place_of(const struct watch *w, uint32_t pid)
{
    uint32_t at = home(w, pid);
    while (w->entries[at].pid != 0 && w->entries[at].pid != pid) {
        at = (at + 1) & (w->places - 1);
    }
    return at;
}

bool
watch_add(struct watch *w, uint32_t pid)
{
    uint32_t at = place_of(w, pid);
    if (pid == 0 || w->entries[at].pid == pid || w->used == w->capacity) {
        return true;
    }
    int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    if (fd < 0) {
        return errno != ESRCH;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = pid};
    if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        close(fd);
        return true;
    }
    w->entries[at] = (struct entry){.pid = pid, .fd = fd};
    w->used++;
    return true;
}

/* Takes one out; what follows in the same run moves up. */
static void
forget(struct watch *w, uint32_t hole)
{
    uint32_t mask = w->places - 1;
    close(w->entries[hole].fd); /* leaves the epoll set with its last copy */
    w->used--;
    for (uint32_t at = (hole + 1) & mask; w->entries[at].pid != 0;
         at = (at + 1) & mask) {
        uint32_t first = home(w, w->entries[at].pid);
        if (((at - first) & mask) >= ((at - hole) & mask)) {
            w->entries[hole] = w->entries[at];
            hole = at;
        }
    }
    w->entries[hole] = (struct entry){0};
}

int
watch_fd(const struct watch *w)
{
    return w->epoll_fd;
}

uint32_t
watch_next_dead(struct watch *w)
{
    struct epoll_event event;
    if (epoll_wait(w->epoll_fd, &event, 1, 0) != 1) {
        return 0;
    }
    uint32_t pid = event.data.u32;
    uint32_t at = place_of(w, pid);
    if (w->entries[at].pid == pid) {
        forget(w, at);
    }
    return pid;
}
