/* SPDX-License-Identifier: Apache-2.0
 *
 * Making the connection, and looking after one that does not come about. */
#define _GNU_SOURCE
#include "client/client.h"
#include "client/clock.h"
#include "client/session_private.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Descriptors 0 to 2 are the host's, even while it has them closed. */
static int
make_wake_fd(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int high;

    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    (void)close(fd);
    return high;
}

static bool
open_unlocked(struct session *s, const char *path)
{
    struct transport fresh;
    struct cause cause;
    bool is_open;

    s->is_opening = true;
    (void)pthread_mutex_unlock(&s->lock);
    is_open = transport_open(&fresh, path, &cause);
    (void)pthread_mutex_lock(&s->lock);
    s->is_opening = false;
    (void)pthread_cond_broadcast(&s->opened);
    if (is_open)
        s->transport = fresh;
    else
        s->cause = cause;
    return is_open;
}

/* Another thread opens it: it is done when this returns, or takes too long. */
static bool
await_opening(const struct breaker *b, struct session *s, int64_t now_ns)
{
    struct timespec deadline = clock_spec(now_ns + b->deadline_ns);
    int rc = 0;

    while (s->is_opening && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&s->opened, &s->lock, &deadline);
    return !s->is_opening;
}

static bool
open_at(struct session *s, const char *path, int64_t now_ns)
{
    if (now_ns < s->again_ns)
        return false;
    s->again_ns = now_ns + SESSION_OPEN_AGAIN_NS;
    if (s->wake_fd < 0)
        s->wake_fd = make_wake_fd();
    if (s->wake_fd < 0) {
        struct bk_text text = cause_set(&s->cause, CAUSE_DESCRIPTORS);

        bk_text_put(&text, "too few free descriptors to talk to breakerd");
        return false;
    }
    if (!open_unlocked(s, path))
        return false;
    s->is_open = true;
    s->is_new = true;
    s->kick_ns = now_ns + SESSION_KICK_NS;
    s->kick_again_ns = SESSION_KICK_NS;
    s->is_greeted = false;
    s->epoch = 0;
    s->quiet = SESSION_SPEAKING;
    (void)bk_copy_text(s->path, sizeof s->path, path, strlen(path));
    return true;
}

/* A connection that is there is left alone; one that a stopped daemon does not take
 * up is not opened again and again. */
static void
kick(struct session *s, int64_t now_ns)
{
    if ((transport_look(&s->transport) & TRANSPORT_MAY_SEND) != 0) {
        s->kick_again_ns = SESSION_KICK_NS;
    } else if (now_ns >= s->kick_ns) {
        transport_reconnect(&s->transport, s->path);
        s->kick_ns = now_ns + s->kick_again_ns;
        s->kick_again_ns = 2 * s->kick_again_ns < SESSION_KICK_MAX_NS
                               ? 2 * s->kick_again_ns
                               : SESSION_KICK_MAX_NS;
    }
}

/* Where it is to be; false and the cause: nowhere. */
static bool
find_socket(struct breaker *b, struct session *s, char path[ENDPOINT_SIZE],
            int64_t now_ns)
{
    struct cause cause;

    if (attach_socket(b, path, &cause))
        return true;
    attach_probe(b, now_ns, false);
    if (attach_socket(b, path, &cause))
        return true;
    s->cause = cause;
    return false;
}

enum session_reach
session_reach(struct breaker *b, struct session *s, int64_t now_ns,
              bool may_open)
{
    char path[ENDPOINT_SIZE];
    bool is_elsewhere;

    if (s->is_opening && !may_open)
        return REACH_CLOSED;
    if (!await_opening(b, s, now_ns) || !find_socket(b, s, path, now_ns))
        return REACH_NOWHERE;
    is_elsewhere =
        s->is_open && s->waiters == NULL && strcmp(path, s->path) != 0;
    if (s->is_open && !is_elsewhere) {
        kick(s, now_ns);
        return REACH_OPEN;
    }
    if (is_elsewhere && may_open) {
        transport_close(&s->transport);
        s->is_open = false;
        s->again_ns = 0;
    }
    if (!may_open)
        return is_elsewhere || now_ns >= s->again_ns ? REACH_CLOSED
                                                     : REACH_NOWHERE;
    return open_at(s, path, now_ns) ? REACH_OPEN : REACH_NOWHERE;
}
