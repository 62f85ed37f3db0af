/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/curl_loop.h"
#include "client/clock.h"
#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Sockets served in one round; the rest is there in the next. */
#define ROUND 64

/* What an event is about, above its descriptor. */
#define ABOUT_SOCKET (UINT64_C(0) << 32)
#define ABOUT_TIMER (UINT64_C(1) << 32)
#define ABOUT_CANCEL (UINT64_C(2) << 32)
#define ABOUT_MASK (UINT64_C(3) << 32)

static bool
watch(struct curl_loop *l, int fd, uint64_t about, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.u64 = about | (uint32_t)fd};

    if (epoll_ctl(l->epoll, EPOLL_CTL_MOD, fd, &e) == 0)
        return true;
    return errno == ENOENT && epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) == 0;
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *own)
{
    struct curl_loop *l = context;
    uint32_t events = 0;

    (void)easy;
    (void)own;
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    if ((what & CURL_POLL_IN) != 0)
        events |= EPOLLIN;
    if ((what & CURL_POLL_OUT) != 0)
        events |= EPOLLOUT;
    return watch(l, fd, ABOUT_SOCKET, events) ? 0 : -1;
}

static int
on_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct curl_loop *l = context;

    (void)multi;
    l->curl_due_ns = timeout_ms < 0
                         ? BK_NEVER
                         : clock_mono_ns() + (int64_t)timeout_ms * BK_NS_PER_MS;
    return 0;
}

bool
curl_loop_open(struct curl_loop *l)
{
    l->curl_due_ns = BK_NEVER;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    l->multi = curl_multi_init();
    if (l->epoll >= 0 && l->timer >= 0 && l->multi != NULL &&
        watch(l, l->timer, ABOUT_TIMER, EPOLLIN)) {
        (void)curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        (void)curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
        (void)curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_timer);
        (void)curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
        return true;
    }
    curl_loop_close(l);
    return false;
}

void
curl_loop_close(struct curl_loop *l)
{
    /* Closes connections, which still tells on_socket. */
    if (l->multi != NULL)
        (void)curl_multi_cleanup(l->multi);
    if (l->timer >= 0)
        (void)close(l->timer);
    if (l->epoll >= 0)
        (void)close(l->epoll);
    l->multi = NULL;
    l->timer = -1;
    l->epoll = -1;
}

void
curl_loop_arm(struct curl_loop *l, int64_t due_ns)
{
    struct itimerspec when = {{0, 0}, {0, 0}};

    if (l->curl_due_ns < due_ns)
        due_ns = l->curl_due_ns;
    if (due_ns != BK_NEVER) /* 0 would disarm it */
        when.it_value = clock_spec(due_ns > 0 ? due_ns : 1);
    (void)timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void
serve(struct curl_loop *l, const struct epoll_event *e)
{
    int fd = (int)(uint32_t)e->data.u64;
    int what = 0;
    int running;

    if ((e->data.u64 & ABOUT_MASK) != ABOUT_SOCKET)
        return; /* the timer is set anew, a cancel handle stays as it is */
    if ((e->events & EPOLLIN) != 0)
        what |= CURL_CSELECT_IN;
    if ((e->events & EPOLLOUT) != 0)
        what |= CURL_CSELECT_OUT;
    if ((e->events & (EPOLLERR | EPOLLHUP)) != 0)
        what |= CURL_CSELECT_ERR;
    (void)curl_multi_socket_action(l->multi, fd, what, &running);
}

void
curl_loop_run(struct curl_loop *l, uint32_t timeout_ms)
{
    struct epoll_event events[ROUND];
    int timeout = timeout_ms < INT_MAX ? (int)timeout_ms : INT_MAX;
    int count = epoll_wait(l->epoll, events, ROUND, timeout);
    int running;

    for (int i = 0; i < count; i++)
        serve(l, &events[i]);
    if (clock_mono_ns() < l->curl_due_ns)
        return;
    l->curl_due_ns = BK_NEVER;
    (void)curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

void
curl_loop_watch(struct curl_loop *l, int fd)
{
    (void)watch(l, fd, ABOUT_CANCEL, EPOLLIN);
}

void
curl_loop_unwatch(struct curl_loop *l, int fd)
{
    (void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, NULL);
}
