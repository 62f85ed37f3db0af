#ifndef CLIENT_CURL_QUIET_H
#define CLIENT_CURL_QUIET_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * No SIGPIPE from a TLS connection that is gone, no handler of ours, and errno
 * as it was. Files that use it define _GNU_SOURCE. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

struct curl_quiet {
    sigset_t before;
    bool was_pending;
    int error;
};

static inline void
curl_quiet_enter(struct curl_quiet *q)
{
    sigset_t pipe, pending;

    q->error = errno;
    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    (void)sigpending(&pending);
    q->was_pending = sigismember(&pending, SIGPIPE) == 1;
    (void)pthread_sigmask(SIG_BLOCK, &pipe, &q->before);
}

/* Takes the signal that came meanwhile, before it can be delivered. */
static inline void
curl_quiet_leave(const struct curl_quiet *q)
{
    const struct timespec at_once = {0, 0};
    sigset_t pipe, pending;

    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    (void)sigpending(&pending);
    if (!q->was_pending && sigismember(&pending, SIGPIPE) == 1)
        (void)sigtimedwait(&pipe, NULL, &at_once);
    (void)pthread_sigmask(SIG_SETMASK, &q->before, NULL);
    errno = q->error;
}

#endif
