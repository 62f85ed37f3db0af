/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/web_view.h"
#include "tools/ctl_out.h"
#include "tools/web_clock.h"

/* How long a mapping is kept; and how long none, when there was nothing to map. */
#define KEPT_NS (500 * BK_NS_PER_MS)
#define MISSED_NS (100 * BK_NS_PER_MS)
#define WHY_SIZE 160

static void
look(struct web_view *w)
{
    char clause[WHY_SIZE];
    struct place place;
    struct bk_text why;
    struct bk_text trouble;
    enum view_result result;

    web_view_close(w);
    bk_text_init(&why, clause, sizeof clause);
    bk_text_init(&trouble, w->trouble, sizeof w->trouble);
    place_find(&place, w->dir);
    if (place.dir == NULL) {
        bk_text_put(&trouble, "no breakerd has run here; looked at ");
        place_tell(&place, &trouble);
        return;
    }
    result = view_open(&w->view, &place, &why);
    w->is_open = result == VIEW_OPEN;
    if (w->is_open)
        return;
    bk_text_put(&trouble, w->view.path);
    if (result == VIEW_ABSENT) {
        bk_text_put(&trouble, " does not exist: no breakerd has run here");
    } else {
        bk_text_put(&trouble, " cannot be used: ");
        bk_text_put_n(&trouble, clause, why.len);
    }
}

const struct view *
web_view_now(struct web_view *w)
{
    int64_t now_ns = web_clock_ns();

    if (w->looked_ns == 0 ||
        now_ns - w->looked_ns >= (w->is_open ? KEPT_NS : MISSED_NS)) {
        look(w);
        w->looked_ns = now_ns;
    } else if (w->is_open) {
        view_beat(&w->view);
    }
    return w->is_open ? &w->view : NULL;
}

bool
web_view_is_ready(struct web_view *w, struct bk_text *out)
{
    const struct view *v = web_view_now(w);
    char age[CTL_DURATION_SIZE];

    if (v != NULL && v->is_running)
        return true;
    if (v == NULL) {
        bk_text_put(out, w->trouble);
    } else if (v->heartbeat_age_ns == BK_NEVER) {
        bk_text_put(out, "breakerd is starting: it has no heartbeat yet");
    } else {
        ctl_duration(age, bk_ms_up(v->heartbeat_age_ns));
        bk_text_put(out, v->is_stopped
                             ? "breakerd was stopped; its last heartbeat was "
                             : "breakerd is gone or hangs; its last heartbeat "
                               "was ");
        bk_text_put(out, age);
        bk_text_put(out, " ago");
    }
    return false;
}

void
web_view_close(struct web_view *w)
{
    if (w->is_open)
        view_close(&w->view);
    w->is_open = false;
}
