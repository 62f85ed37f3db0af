/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/room.h"

#include <string.h>

static bool
is_configured(const struct play *p, const char *name)
{
    for (size_t i = 0; i < NAME_SERVICES; i++)
        if (strcmp(step_name(i), name) == 0)
            return (p->configured >> i & 1) != 0;
    return false;
}

static void
leave(struct play *p, const struct bk_note *note)
{
    const struct model_service *m = model_find(p->model, note->name);
    if (m == NULL) {
        play_fault(p, note->name, "made room, is known", 1, 0);
        return;
    }
    if (is_configured(p, note->name) || m->state != BK_CLOSED ||
        m->has_override || p->now_ns - m->used_ns < BK_IDLE_NS)
        play_fault(p, note->name, "made room", 1, 0);
    if (note->change.generation != m->generation)
        play_fault(p, note->name, "last generation", note->change.generation,
                   m->generation);
    model_forget(p->model, p->now_ns, note->name);
    p->seen.rooms++;
}

void
room_follow(struct play *p)
{
    struct bk_note note;
    while (p->note_count < BK_OUTBOX && bk_fleet_next_note(p->fleet, &note)) {
        if (note.is_forgotten)
            leave(p, &note);
        else
            p->notes[p->note_count++] = note;
    }
}

/* A table found full need not be searched again at once. */
#define SEARCH_NS (60 * BK_NS_PER_S)

/* Idle by any reading: nothing was said of it, nothing of it is out, and nothing
 * has changed lately. */
static bool
must_leave(const struct play *p, const struct model_service *m)
{
    bool is_idle = p->now_ns - m->touched_ns >= BK_IDLE_NS + SEARCH_NS &&
                   p->now_ns - m->changed_ns >= SEARCH_NS;
    for (size_t i = 0; i < p->model->lease_count; i++)
        if (p->model->leases[i].service == model_index(p->model, m))
            is_idle = false;
    return is_idle && !is_configured(p, m->name) && m->state == BK_CLOSED &&
           !m->has_override && m->hold_end_ns == 0 && m->ramp.step == 0;
}

void
room_check_full(struct play *p)
{
    bool is_search = p->now_ns - p->full_ns >= SEARCH_NS;
    p->full_ns = p->now_ns;
    /* A late core may still think that a permit is out. */
    if (!is_search || !p->is_settled)
        return;
    for (size_t i = 0; i < MODEL_SERVICES; i++) {
        const struct model_service *m = &p->model->services[i];
        if (m->is_here && must_leave(p, m))
            play_fault(p, m->name, "idle, yet the table is full", 1, 0);
    }
}
