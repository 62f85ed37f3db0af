#ifndef WAKES_H
#define WAKES_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What the loop sleeps on: one epoll over a descriptor for each who may have
 * something for it. */
#include <stdbool.h>
#include <stdint.h>

enum wake {
    WAKE_CALLERS,
    WAKE_STORE,
    WAKE_WATCH,
    WAKE_RINGS,
    WAKE_SIGNAL,
    WAKE_PROBER,
    WAKES
};

struct wakes {
    int epoll_fd;
    uint32_t ready; /* since the last sleep: a bit each */
    int prober_fd;  /* as the epoll knows it; -1: none */
    uint64_t prober_edition;
    bool prober_writes;
};

/* False, with errno, when there are no descriptors left. */
bool wakes_open(struct wakes *w);
void wakes_close(struct wakes *w);
/* Looks after `fd` from now on; false, with errno, when that cannot be. */
bool wakes_add(struct wakes *w, enum wake which, int fd);
/* The prober comes and goes: -1 for none. `edition` is another for each prober,
 * whose descriptor may have the number of the last one's. */
bool wakes_prober(struct wakes *w, int fd, uint64_t edition, bool writes);
/* Sleeps until somebody has something, `wait_ms` at most. False, with errno, when
 * it cannot sleep. */
bool wakes_wait(struct wakes *w, int wait_ms);
bool wakes_has(const struct wakes *w, enum wake which);

#endif
