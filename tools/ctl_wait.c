/* SPDX-License-Identifier: Apache-2.0
 *
 * wait: until a service is in a state. Looks at the shared memory again and
 * again, which costs nobody anything, and works while the daemon is away. */
#define _GNU_SOURCE
#include "tools/ctl_commands.h"
#include "tools/ctl_fetch.h"
#include "tools/ctl_out.h"
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Between two looks at a mapping, and between two tries to map anew. */
#define LOOK_MS 20
#define REOPEN_MS 100
/* When --timeout does not say. */
#define PATIENCE_NS (60 * BK_NS_PER_S)
#define STATES_SIZE 48

struct waiting {
    const struct ctl *c;
    const char *name;
    unsigned states; /* bit (1 << state) */
    int64_t began_ns;
    int64_t patience_ns;
    struct view view;
    struct view_service service;
    bool is_away; /* it was said that the daemon is */
};

static int64_t
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * BK_NS_PER_S + t.tv_nsec;
}

/* "closed or half_open". */
static const char *
states_name(const struct waiting *w, char out[STATES_SIZE])
{
    struct bk_text text;

    bk_text_init(&text, out, STATES_SIZE);
    for (int i = 0; i < BK_STATE_COUNT; i++) {
        if ((w->states >> i & 1) == 0)
            continue;
        if (text.len > 0)
            bk_text_put(&text, " or ");
        bk_text_put(&text, bk_state_name((enum bk_state)i));
    }
    return out;
}

static enum bk_state
state_of(const struct waiting *w)
{
    return (enum bk_state)w->service.record.breaker.state;
}

/* Maps anew what no daemon serves; what cannot be mapped just now may be in a
 * moment, and until then the old one is all there is. */
static void
open_anew(struct waiting *w)
{
    char words[160];
    struct bk_text why;
    struct place place;
    struct view fresh;

    bk_text_init(&why, words, sizeof words);
    place_find(&place, w->c->dir);
    if (place.dir == NULL || view_open(&fresh, &place, &why) != VIEW_OPEN)
        return;
    view_close(&w->view);
    w->view = fresh;
}

/* One look. CTL_UNMET: not yet; else as it ended. */
static enum ctl_exit
look(struct waiting *w)
{
    struct view_service service;

    view_beat(&w->view);
    if (!w->view.is_running) {
        open_anew(w);
        if (!w->view.is_running && !w->is_away)
            ctl_say("breakerd is not running; waiting all the same");
        if (w->view.is_running && w->is_away)
            ctl_say("breakerd is back");
        w->is_away = !w->view.is_running;
    }
    if (view_find(&w->view, w->name, &service))
        w->service = service;
    else if (w->view.is_running &&
             bk_segment_find(&w->view.segment, w->name, strlen(w->name)) ==
                 BK_NO_SLOT)
        return CTL_NO_SERVICE;
    return (w->states >> (unsigned)state_of(w) & 1) != 0 ? CTL_DONE : CTL_UNMET;
}

static void
say_late(const struct waiting *w)
{
    char states[STATES_SIZE];
    char patience[CTL_DURATION_SIZE];
    char left[CTL_DURATION_SIZE];
    const struct bk_breaker *b = &w->service.record.breaker;
    int64_t wait_ns = bk_breaker_wait(b, w->view.now_ns);

    ctl_duration(patience, bk_ms_up(w->patience_ns));
    if (b->state == BK_OPEN && b->mode != BK_FORCED_OPEN && wait_ns > 0) {
        ctl_duration(left, bk_ms_up(wait_ns));
        ctl_say("%s is open, with probes in %s at the earliest; it was not %s "
                "within %s",
                w->name, left, states_name(w, states), patience);
        return;
    }
    ctl_say("%s is %s (mode %s); it was not %s within %s", w->name,
            bk_state_name(state_of(w)), bk_mode_name((enum bk_mode)b->mode),
            states_name(w, states), patience);
}

static void
tell(const struct waiting *w, bool is_reached)
{
    const struct bk_breaker *b = &w->service.record.breaker;
    int64_t waited_ns = now_ns() - w->began_ns;

    if (w->c->is_json) {
        json_t *json = json_pack("{s:s, s:b, s:s, s:s, s:I, s:I}", "service",
                                 w->name, "reached", (int)is_reached, "state",
                                 bk_state_name(state_of(w)), "mode",
                                 bk_mode_name((enum bk_mode)b->mode),
                                 "generation", (json_int_t)b->generation,
                                 "waited_ms", (json_int_t)bk_ms_up(waited_ns));

        ctl_json_print(json);
        json_decref(json);
    } else if (is_reached) {
        printf("%s is ", w->name);
        ctl_print(ctl_state_paint(bk_state_name(state_of(w))),
                  bk_state_name(state_of(w)));
        putchar('\n');
    }
}

static enum ctl_exit
wait_for_it(struct waiting *w)
{
    enum ctl_exit exit = CTL_UNMET;

    while (exit == CTL_UNMET) {
        int64_t left_ns = w->began_ns + w->patience_ns - now_ns();
        int pause_ms = w->view.is_running ? LOOK_MS : REOPEN_MS;

        if (left_ns <= 0)
            break;
        if (left_ns < pause_ms * BK_NS_PER_MS)
            pause_ms = (int)bk_ms_up(left_ns);
        (void)poll(NULL, 0, pause_ms);
        exit = look(w);
    }
    if (exit == CTL_NO_SERVICE)
        ctl_say("%s has been forgotten", w->name);
    if (exit == CTL_UNMET)
        say_late(w);
    return exit;
}

enum ctl_exit
ctl_wait(const struct ctl *c, const char *const *words, size_t count)
{
    struct waiting w = {.c = c,
                        .name = words[0],
                        .states = c->states != 0 ? c->states : 1U << BK_CLOSED,
                        .began_ns = now_ns(),
                        .patience_ns =
                            c->timeout_ns > 0 ? c->timeout_ns : PATIENCE_NS};
    char states[STATES_SIZE];
    char patience[CTL_DURATION_SIZE];
    enum ctl_exit exit;

    (void)count;
    if (ask_check_name(words[0]) != CTL_DONE)
        return CTL_USAGE;
    exit = fetch_view(c, &w.view);
    if (exit != CTL_DONE)
        return exit;
    w.is_away = !w.view.is_running;
    exit = fetch_service(&w.view, w.name, &w.service);
    if (exit == CTL_DONE)
        exit = look(&w);
    if (exit == CTL_UNMET) {
        ctl_duration(patience, bk_ms_up(w.patience_ns));
        ctl_say("%s is %s; waiting until it is %s, at most %s", w.name,
                bk_state_name(state_of(&w)), states_name(&w, states), patience);
        exit = wait_for_it(&w);
    }
    if (exit == CTL_DONE || exit == CTL_UNMET)
        tell(&w, exit == CTL_DONE);
    view_close(&w.view);
    return exit;
}
