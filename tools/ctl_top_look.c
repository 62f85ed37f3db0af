/* SPDX-License-Identifier: Apache-2.0
 *
 * One look at the shared memory, and what the difference to the one before tells. */
#define _GNU_SOURCE
#include "tools/ctl_story.h"
#include "tools/ctl_top.h"
#include "tools/ctl_view.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t
boottime_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * BK_NS_PER_S + t.tv_nsec;
}

/* What of a service ends by itself first: the override, the hold, the open time. */
static int64_t
time_left(const struct bk_breaker *b, int64_t now_ns)
{
    int64_t ends[] = {
        b->override.is_set ? b->override.expires_ns : BK_NEVER,
        bk_hold_left(&b->hold, now_ns) > 0 ? b->hold.until_ns : BK_NEVER,
        b->state == BK_OPEN && b->mode != BK_FORCED_OPEN ? b->open_until_ns
                                                         : BK_NEVER};
    int64_t first_ns = BK_NEVER;

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (ends[i] < first_ns)
            first_ns = ends[i];
    }
    return first_ns == BK_NEVER || first_ns <= now_ns ? 0 : first_ns - now_ns;
}

/* Denied without being open itself. */
static bool
is_denied(const struct view *v, const struct view_service *s)
{
    const struct bk_breaker *b = &s->record.breaker;
    const char *name = s->policy.requires_name;
    struct view_service other;

    if (b->mode != BK_AUTO)
        return false;
    return bk_hold_left(&b->hold, v->now_ns) > 0 ||
           (name[0] != '\0' && view_find(v, name, &other) &&
            other.record.breaker.state == BK_OPEN);
}

/* Thousandths a second. A counter never shrinks; one that did is another's. */
static uint64_t
rate(uint64_t now, uint64_t before, int64_t passed_ns)
{
    if (now < before || passed_ns <= 0)
        return 0;
    return (uint64_t)((double)(now - before) * 1e12 / (double)passed_ns);
}

static void
count(struct top *t, const struct view_service *s, struct top_row *row,
      int64_t passed_ns)
{
    const struct bk_counters *c = &s->record.breaker.counters;
    struct top_count *before = &t->counts[s->slot];
    uint64_t calls = c->allowed + c->denied;

    row->calls_mps = TOP_UNKNOWN;
    row->denied_mps = TOP_UNKNOWN;
    if (passed_ns > 0) {
        bool is_same =
            before->is_known && before->incarnation == s->record.incarnation;
        uint64_t old_calls = is_same ? before->allowed + before->denied : 0;

        row->calls_mps = rate(calls, old_calls, passed_ns);
        row->denied_mps =
            rate(c->denied, is_same ? before->denied : 0, passed_ns);
    }
    *before = (struct top_count){.incarnation = s->record.incarnation,
                                 .is_known = true,
                                 .allowed = c->allowed,
                                 .denied = c->denied};
}

static void
take_row(struct top *t, const struct view *v, const struct view_service *s,
         int64_t passed_ns)
{
    const struct bk_breaker *b = &s->record.breaker;
    const struct bk_policy *p = &s->policy;
    struct bk_window_totals w = bk_window_totals(&b->window, p, v->now_ns);
    struct top_row *row;

    if (t->count == t->room) {
        t->room = t->room == 0 ? 64 : 2 * t->room;
        t->rows = ctl_memory(t->rows, t->room * sizeof *t->rows);
    }
    row = &t->rows[t->count++];
    *row = (struct top_row){
        .state = (enum bk_state)b->state,
        .mode = (enum bk_mode)b->mode,
        .cause = (enum bk_cause)b->cause,
        .is_denied = is_denied(v, s),
        .left_ns = time_left(b, v->now_ns),
        .since_ns = v->now_ns - b->changed_ns,
        .failure_ppm =
            w.calls > 0 ? (uint64_t)w.failures * BK_PPM / w.calls : 0,
        .failure_limit_ppm = p->failure_rate_ppm,
        .failures_in_row = b->consecutive_failures,
        .failures_in_row_limit = p->failure_threshold,
        .budget_ppm = bk_budget_balance_ppm(&b->budget, p, v->now_ns),
        .permits = b->permits_out,
        .permit_limit = bk_breaker_permit_limit(b, p)};
    memcpy(row->name, s->record.name, BK_NAME_SIZE);
    count(t, s, row, passed_ns);
}

/* Counters of another daemon's run, or of another layout, cannot be compared. */
static int64_t
time_passed(struct top *t, const struct view *v)
{
    uint32_t slots = v->segment.limits.services;
    int64_t passed_ns = 0;

    if (t->counts_ns > 0 && t->count_room == slots &&
        t->counts_epoch == t->epoch)
        passed_ns = v->now_ns - t->counts_ns;
    else {
        t->counts = ctl_memory(t->counts, slots * sizeof *t->counts);
        memset(t->counts, 0, slots * sizeof *t->counts);
        t->count_room = slots;
        t->counts_epoch = t->epoch;
    }
    t->counts_ns = v->now_ns;
    return passed_ns;
}

static void
take_daemon(struct top *t, const struct view *v)
{
    struct bk_status_daemon daemon;

    view_daemon(v, &daemon);
    t->is_running = v->is_running;
    t->is_stopped = v->is_stopped;
    t->pid = v->pid;
    t->epoch = daemon.epoch;
    t->workers = daemon.workers;
    t->uptime_ns = daemon.uptime_ns;
    t->heartbeat_age_ns = v->heartbeat_age_ns;
    memcpy(t->path, v->path, sizeof t->path);
    memcpy(t->version, v->version, sizeof t->version);
}

/* Every service in use, in the order of their places. */
static void
take_services(struct top *t, const struct view *v)
{
    int64_t passed_ns = time_passed(t, v);
    struct view_service s;

    t->count = 0;
    for (uint32_t slot = 0; slot < v->segment.limits.services; slot++) {
        if (view_read(v, slot, &s))
            take_row(t, v, &s, passed_ns);
    }
}

static void
add_line(struct top_story *s, const char *title, const char *text)
{
    s->lines = ctl_memory(s->lines, (s->count + 1) * sizeof *s->lines);
    snprintf(s->lines[s->count++], TOP_LINE_SIZE, "%-5s %s", title, text);
}

static void
add_part(struct top_story *to, const char *title, const json_t *sentences)
{
    const json_t *sentence;
    size_t i;

    json_array_foreach(sentences, i, sentence)
        add_line(to, i == 0 ? title : "", json_string_value(sentence));
}

static void
explain(struct top *t, const struct view *v)
{
    struct view_service s;
    struct story story;

    t->story.count = 0;
    if (!view_find(v, t->selected, &s))
        return;
    story_tell(&story, v, &s, NULL);
    add_part(&t->story, "why", story.why);
    add_part(&t->story, "now", story.now);
    add_part(&t->story, "next", story.next);
    add_part(&t->story, "seen", story.seen);
    add_part(&t->story, "do", story.advice);
    story_fini(&story);
}

void
top_forget(struct top *t)
{
    if (t->view != NULL)
        view_close(t->view);
    free(t->view);
    t->view = NULL;
}

/* What was mapped for the look before will do as long as a daemon beats in it. */
static bool
is_mapped(struct top *t, const char *dir)
{
    enum view_result result;
    struct bk_text why;
    struct place place;

    bk_text_init(&why, t->why, sizeof t->why);
    t->is_forbidden = false;
    if (t->view != NULL)
        view_beat(t->view);
    if (t->view != NULL && t->view->is_running)
        return true;
    top_forget(t);
    place_find(&place, dir);
    if (place.dir == NULL) {
        bk_text_put(&why, "no breakerd has run here");
        return false;
    }
    t->view = ctl_memory(NULL, sizeof *t->view);
    result = view_open(t->view, &place, &why);
    if (result == VIEW_OPEN) {
        t->why[0] = '\0';
        return true;
    }
    t->is_forbidden = result == VIEW_FORBIDDEN;
    memcpy(t->path, t->view->path, sizeof t->path);
    top_forget(t);
    return false;
}

void
top_look(struct top *t, const char *dir)
{
    t->looked_ns = boottime_ns();
    t->has_looked = true;
    if (!is_mapped(t, dir)) {
        t->is_running = false;
        return;
    }
    take_daemon(t, t->view);
    take_services(t, t->view);
    if (t->mode == TOP_EXPLAIN)
        explain(t, t->view);
}
