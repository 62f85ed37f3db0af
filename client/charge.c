/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is in charge: the daemon while it lives, this process's own machine while
 * it does not. One warning when the charge changes, one line when it comes back. */
#define _GNU_SOURCE
#include "client/client.h"
#include "client/clock.h"
#include <string.h>

static void
put_seconds(struct bk_text *text, int64_t ns)
{
    bk_text_put_ppm(text, ns / BK_NS_PER_MS * 1000, 1);
    bk_text_put(text, " s");
}

/* ---- why ---- */

static void
blame_heart(const struct view *view, struct cause *out)
{
    const struct bk_segment_header *h = view->segment.header;
    struct bk_text text;
    int64_t age_ns;

    if (atomic_load_explicit(&h->phase, memory_order_acquire) ==
        BK_SEGMENT_STOPPED) {
        text = cause_set(out, CAUSE_STOPPED);
        bk_text_put(&text, "breakerd was stopped");
        return;
    }
    age_ns = clock_mono_ns() -
             atomic_load_explicit(&h->heartbeat_mono_ns, memory_order_relaxed);
    text = cause_set(out, CAUSE_HEARTBEAT);
    bk_text_put(&text, "breakerd's last heartbeat is ");
    put_seconds(&text, age_ns > 0 ? age_ns : 0);
    bk_text_put(&text, " old");
}

void
client_why(struct breaker *b, struct cause *out)
{
    struct view *view = client_view(b);
    struct cause link;
    bool has_link = session_cause(b, &link);

    if (b->mode == BREAKER_MODE_LOCAL) {
        struct bk_text text = cause_set(out, CAUSE_CHOSEN);

        bk_text_put(&text, "mode local was chosen");
    } else if (view != NULL && view_is_alive(view, clock_coarse_ns())) {
        *out = link;
    } else if (view != NULL) {
        blame_heart(view, out);
    } else {
        attach_cause(b, out);
        if (has_link && strcmp(link.text, out->text) != 0) {
            size_t used = strlen(out->text);
            struct bk_text text;

            bk_text_init(&text, out->text + used, sizeof out->text - used);
            bk_text_put(&text, "; ");
            bk_text_put(&text, link.text);
        }
    }
}

/* ---- changes of charge ---- */

static const char *
what_now(const struct breaker *b)
{
    switch (b->fail) {
    case BREAKER_FAIL_OPEN:
        return "every call is let through";
    case BREAKER_FAIL_CLOSED:
        return "every call is denied";
    case BREAKER_FAIL_DEFAULT:
    case BREAKER_FAIL_LOCAL:
        break;
    }
    return "this process decides by itself";
}

static void
warn(struct breaker *b, struct world *w)
{
    char sentence[LOG_SIZE];
    struct cause cause;
    struct bk_text text;

    client_why(b, &cause);
    if (!log_is_due(&w->log, cause.code, clock_mono_ns()))
        return;
    bk_text_init(&text, sentence, sizeof sentence);
    bk_text_put(&text, "breakerd is away, ");
    bk_text_put(&text, what_now(b));
    bk_text_put(&text, ": ");
    bk_text_put(&text, cause.text);
    log_say(b, BREAKER_LOG_WARNING, sentence);
}

/* Outcomes that were queued for the daemon are the local machine's to know now. What
 * concerns a lease waits: a daemon that comes back finds the lease again. */
static void
hand_over(struct breaker *b)
{
    uint32_t count = session_queued(b);
    struct told item;
    enum bk_applied ignored;

    while (count-- > 0 && session_take(b, &item)) {
        if (item.id != 0)
            session_keep(b, &item);
        else
            (void)local_report(b, &item, &ignored);
    }
}

/* Without a living segment in sight silence says that nobody is there. */
static enum outage
kind_of_outage(struct breaker *b)
{
    struct view *view = client_view(b);

    return view != NULL && view_is_alive(view, clock_coarse_ns())
               ? OUTAGE_SILENT
               : OUTAGE_GONE;
}

void
client_lost(struct breaker *b)
{
    struct world *w = client_world(b);
    enum outage kind = kind_of_outage(b);
    enum outage before;

    if (b->mode == BREAKER_MODE_LOCAL || client_outage(w) == kind)
        return;
    /* It starts from what was published last, not from an earlier outage. */
    if (client_outage(w) == OUTAGE_NONE)
        local_end(b);
    before = (enum outage)atomic_exchange_explicit(&w->outage, (int)kind,
                                                   memory_order_relaxed);
    if (before == OUTAGE_NONE) {
        atomic_store_explicit(&w->outage_since_ns, clock_mono_ns(),
                              memory_order_relaxed);
        atomic_fetch_add_explicit(&w->numbers.outages, 1, memory_order_relaxed);
        warn(b, w);
    }
    if (before != kind && kind == OUTAGE_GONE && b->fail == BREAKER_FAIL_LOCAL)
        hand_over(b);
}

void
client_found(struct breaker *b)
{
    struct world *w = client_world(b);
    char sentence[LOG_SIZE];
    struct bk_text text;
    int64_t since_ns;

    if (client_outage(w) == OUTAGE_NONE ||
        atomic_exchange_explicit(&w->outage, OUTAGE_NONE,
                                 memory_order_relaxed) == OUTAGE_NONE)
        return;
    since_ns = atomic_load_explicit(&w->outage_since_ns, memory_order_relaxed);
    local_end(b);
    session_hope(b);
    bk_text_init(&text, sentence, sizeof sentence);
    bk_text_put(&text, "breakerd is back after ");
    put_seconds(&text, clock_mono_ns() - since_ns);
    log_say(b, BREAKER_LOG_INFO, sentence);
}

void
client_note_detour(struct breaker *b)
{
    struct world *w = client_world(b);
    char sentence[LOG_SIZE];
    struct cause cause;
    struct bk_text text;

    if (b->mode != BREAKER_MODE_AUTO || client_view(b) != NULL)
        return;
    attach_cause(b, &cause);
    if (atomic_exchange_explicit(&w->detour, (int)cause.code,
                                 memory_order_relaxed) == (int)cause.code)
        return;
    bk_text_init(&text, sentence, sizeof sentence);
    bk_text_put(&text, "asking breakerd before every call: ");
    bk_text_put(&text, cause.text);
    log_say(b, BREAKER_LOG_WARNING, sentence);
}

/* With a mapping its heartbeat tells. Without one only an answer can, so the
 * daemon is taken to be in charge and asked, which costs nothing while it is
 * known to be silent. */
bool
client_daemon_in_charge(struct breaker *b, int64_t now_ns)
{
    struct world *w = client_world(b);
    struct view *view = client_view(b);

    if (b->mode == BREAKER_MODE_LOCAL)
        return false;
    if (view == NULL || !view_is_alive(view, clock_coarse_ns())) {
        attach_probe(b, now_ns, false);
        view = client_view(b);
    }
    if (view == NULL)
        return true;
    if (!view_is_alive(view, clock_coarse_ns())) {
        client_lost(b);
        return false;
    }
    if (client_outage(w) == OUTAGE_GONE)
        client_found(b);
    return true;
}
