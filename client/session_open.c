/* SPDX-License-Identifier: Apache-2.0
 *
 * Making the connection. */
#define _GNU_SOURCE
#include "client/client.h"
#include "client/clock.h"
#include "client/session_private.h"
#include <errno.h>
#include <string.h>

static bool
open_unlocked(struct breaker *b, struct session *s)
{
    struct transport_place place = {.path = s->path, .seed = s->next_id};
    struct transport fresh;
    struct cause cause;
    bool is_open;

    s->is_opening = true;
    (void)pthread_mutex_unlock(&s->lock);
    is_open = transport_open(&fresh, b->transport, &place, &cause);
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
open_at(struct breaker *b, struct session *s, const char *path, int64_t now_ns)
{
    if (now_ns < s->again_ns)
        return false;
    s->again_ns = now_ns + SESSION_OPEN_AGAIN_NS;
    (void)bk_copy_text(s->path, sizeof s->path, path, strlen(path));
    if (!open_unlocked(b, s))
        return false;
    s->is_open = true;
    s->is_new = true;
    s->is_greeted = false;
    s->epoch = 0;
    s->quiet = SESSION_SPEAKING;
    return true;
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
    is_elsewhere = s->is_open && s->waiters == NULL && s->leader == NULL &&
                   strcmp(path, s->path) != 0;
    if (s->is_open && !is_elsewhere) {
        transport_reach(&s->transport, now_ns);
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
    return open_at(b, s, path, now_ns) ? REACH_OPEN : REACH_NOWHERE;
}
