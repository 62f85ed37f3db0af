/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening, closing, and what a forked child makes anew. */
#define _GNU_SOURCE
#include "client/client.h"
#include "client/clock.h"
#include "client/options.h"
#include "client/ring_tell.h"
#include "client/tally.h"
#include "core/backoff.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* ---- what a call keeps as it was ---- */

/* A thread cancelled in the middle would leave a lock held. */
struct entry
client_enter(void)
{
    struct entry entry = {.error_number = errno};

    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &entry.cancel_state);
    return entry;
}

void
client_leave(struct entry entry)
{
    (void)pthread_setcancelstate(entry.cancel_state, NULL);
    errno = entry.error_number;
}

/* ---- the world of one process ---- */

static uint64_t
seed(void)
{
    uint64_t value = 0;

    if (getrandom(&value, sizeof value, GRND_NONBLOCK) != (ssize_t)sizeof value)
        value = (uint64_t)clock_mono_ns() ^ ((uint64_t)getpid() << 32);
    return value;
}

int64_t
client_jitter(struct world *w, int64_t span_ns)
{
    /* Each draw steps the shared state once; the mixing is its own. */
    uint64_t state = atomic_fetch_add_explicit(
        &w->random, UINT64_C(0x9e3779b97f4a7c15), memory_order_relaxed);

    return bk_random_share(&state, span_ns);
}

static void
world_free(struct world **world)
{
    struct world *w = *world;

    if (w == NULL)
        return;
    lanes_fini(&w->lanes);
    ring_link_fini(&w->ring_link);
    session_fini(&w->session);
    local_fini(&w->local);
    attach_fini(&w->attach);
    (void)pthread_mutex_destroy(&w->names_lock);
    free(w);
    *world = NULL;
}

static struct world *
world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    uint64_t random = seed();

    if (w == NULL)
        return NULL;
    w->life = (uint32_t)(random >> 32) | 1;
    atomic_init(&w->random, random);
    if (attach_init(&w->attach) && session_init(&w->session, random) &&
        ring_link_init(&w->ring_link) && local_init(&w->local) &&
        pthread_mutex_init(&w->names_lock, NULL) == 0)
        return w;
    world_free(&w);
    return NULL;
}

/* ---- fork ---- */

/* In the child: the parent's context, socket and locks are left as they are. */
static bool
renew(struct breaker *b)
{
    struct world *before =
        atomic_load_explicit(&b->world, memory_order_relaxed);
    struct world *w = world_new();

    if (w == NULL)
        return false;
    w->before = before;
    if (before != NULL) {
        transport_abandon(&before->session.transport);
        ring_link_abandon(&before->ring_link);
        tally_forget(b);
    }
    atomic_store_explicit(&w->tally_due_ns, clock_coarse_ns() + TALLY_NS,
                          memory_order_relaxed);
    atomic_store_explicit(&b->world, w, memory_order_release);
    return true;
}

bool
client_is_ready(struct breaker *b)
{
    uint64_t state = FORK_CHILD;
    int64_t deadline_ns;

    if (fork_page_is_ready(b->page))
        return true;
    deadline_ns = clock_mono_ns() + b->deadline_ns;
    while (!fork_page_is_ready(b->page)) {
        state = FORK_CHILD;
        if (atomic_compare_exchange_strong_explicit(
                &b->page->serial, &state, FORK_RENEWING, memory_order_acquire,
                memory_order_relaxed)) {
            bool is_done = renew(b);

            /* Pairs with the acquire in fork_page_serial. */
            atomic_store_explicit(&b->page->serial,
                                  is_done ? lane_serial() : FORK_CHILD,
                                  memory_order_release);
            return is_done;
        }
        if (clock_mono_ns() >= deadline_ns)
            return false;
        (void)sched_yield();
    }
    return true;
}

/* ---- open and close ---- */

static void
take_options(struct breaker *b, const struct breaker_options *o)
{
    b->mode = (enum breaker_mode)o->mode;
    b->fail = (enum breaker_fail)o->fail;
    b->deadline_ns = (int64_t)o->deadline_ms * BK_NS_PER_MS;
    b->tells_later = (o->flags & BREAKER_TELL_LATER) != 0;
    b->log = o->log;
    b->log_context = o->log_context;
    options_worker_name(o->worker, b->worker);
}

static void
free_handle(struct breaker *b)
{
    struct world *w = atomic_load_explicit(&b->world, memory_order_relaxed);
    struct view *view = client_view(b);

    /* Worlds of parents own memory, locks and threads that are not ours. */
    world_free(&w);
    view_free(&view);
    names_fini(&b->names);
    places_fini(&b->places);
    fork_page_free(&b->page);
    free(b);
}

static struct breaker *
open_handle(const struct breaker_options *options)
{
    struct breaker *b = calloc(1, sizeof *b);

    if (b == NULL) {
        (void)client_fail(BREAKER_ERROR_MEMORY, "out of memory", "", "");
        return NULL;
    }
    take_options(b, options);
    b->page = fork_page_new(true);
    if (b->page == NULL || !names_init(&b->names) ||
        !places_init(&b->places, options->dir) || !client_is_ready(b)) {
        (void)client_fail(BREAKER_ERROR_MEMORY,
                          "out of memory, or a runtime directory's path is "
                          "too long",
                          "", "");
        free_handle(b);
        return NULL;
    }
    options_environment(b);
    if (b->mode != BREAKER_MODE_LOCAL)
        attach_probe(b, clock_mono_ns(), true);
    return b;
}

struct breaker *
breaker_open(const struct breaker_options *options)
{
    struct entry entry = client_enter();
    struct breaker_options full;
    struct breaker *b = NULL;

    clock_find();
    if (options_complete(options, &full))
        b = open_handle(&full);
    client_leave(entry);
    return b;
}

static void
tell_the_rest(struct breaker *b)
{
    int64_t deadline_ns = clock_mono_ns() + b->deadline_ns;

    if (b->mode == BREAKER_MODE_LOCAL)
        return;
    b->tells_later = false; /* there is no later */
    ring_rescue(b);
    tally_send(b);
    session_flush(b, deadline_ns);
    /* The first tally of a short life finds no connection yet. */
    if (tally_pending(b) > 0) {
        tally_send(b);
        session_flush(b, deadline_ns);
    }
}

void
breaker_close(struct breaker **b)
{
    struct entry entry;

    if (b == NULL || *b == NULL)
        return;
    entry = client_enter();
    /* A child that never used the handle has nothing to tell. */
    if (fork_page_is_ready((*b)->page)) {
        if (client_outage(client_world(*b)) == OUTAGE_NONE)
            tell_the_rest(*b);
    } else {
        atomic_store_explicit(&(*b)->world, NULL, memory_order_relaxed);
    }
    free_handle(*b);
    *b = NULL;
    client_leave(entry);
}
