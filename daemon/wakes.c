/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/wakes.h"
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

bool
wakes_open(struct wakes *w)
{
    *w = (struct wakes){.prober_fd = -1};
    w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return w->epoll_fd >= 0;
}

void
wakes_close(struct wakes *w)
{
    if (w->epoll_fd >= 0) {
        close(w->epoll_fd);
        w->epoll_fd = -1;
    }
}

static bool
control(struct wakes *w, int how, enum wake which, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u32 = which};
    return epoll_ctl(w->epoll_fd, how, fd, &event) == 0;
}

bool
wakes_add(struct wakes *w, enum wake which, int fd)
{
    return control(w, EPOLL_CTL_ADD, which, fd, EPOLLIN);
}

/* A descriptor that was closed has left the epoll by itself. */
bool
wakes_prober(struct wakes *w, int fd, uint64_t edition, bool writes)
{
    bool is_known = fd == w->prober_fd && edition == w->prober_edition;
    if (fd < 0 || (is_known && writes == w->prober_writes)) {
        w->prober_fd = fd;
        return true;
    }
    w->prober_fd = fd;
    w->prober_edition = edition;
    w->prober_writes = writes;
    return control(w, is_known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, WAKE_PROBER, fd,
                   writes ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

bool
wakes_wait(struct wakes *w, int wait_ms)
{
    struct epoll_event events[WAKES];
    int count = epoll_wait(w->epoll_fd, events, WAKES, wait_ms);
    w->ready = 0;
    for (int i = 0; i < count; i++) {
        w->ready |= UINT32_C(1) << events[i].data.u32;
    }
    return count >= 0 || errno == EINTR;
}

bool
wakes_has(const struct wakes *w, enum wake which)
{
    return (w->ready & UINT32_C(1) << which) != 0;
}
