/* SPDX-License-Identifier: Apache-2.0
 *
 * What a new daemon finds: the whole segment, or only what was saved. */
#include "tests/model/mirror.h"
#include "tests/model/verbs.h"

#include <string.h>

/* Forgotten names and routes come from elsewhere and are told anew. */
static void
tell_rest(struct play *p, struct bk_fleet *old, struct bk_fleet *new)
{
    for (size_t i = 0; i < NAME_SERVICES; i++) {
        uint64_t generation = 0;
        if (bk_fleet_forgotten(old, step_name(i), &generation))
            bk_fleet_remember(new, step_name(i), generation);
    }
    uint32_t count = 0;
    const struct bk_route *routes = bk_fleet_routes(old, &count);
    if (!bk_fleet_set_routes(new, routes, count))
        play_fault(p, "routes", "are refused", 1, 0);
}

static void
drop_notes(struct bk_fleet *f)
{
    struct bk_note note;
    for (size_t i = 0; i < BK_OUTBOX && bk_fleet_next_note(f, &note); i++)
        ;
}

void
survive_loss(struct play *p)
{
    play_advance(p);
    struct bk_fleet *old = p->fleet;
    struct bk_fleet *new = play_successor(p);
    uint64_t next_id = bk_fleet_next_id(old) + BK_ID_LEAP;
    bk_fleet_set_next_id(new, next_id);
    tell_rest(p, old, new);
    for (uint32_t slot = 0; slot < bk_fleet_limits(old)->services; slot++) {
        if (bk_fleet_service(old, slot) == NULL)
            continue;
        struct bk_saved saved;
        bk_fleet_save(old, slot, p->now_ns, &saved);
        enum bk_error error = bk_fleet_restore(new, p->now_ns, &saved);
        if (error != BK_OK)
            play_fault(p, saved.name, "is not restored", error, BK_OK);
    }
    p->fleet = new;
    mirror_format(p);
    drop_notes(new);
    model_lose_segment(p->model, p->now_ns, next_id);
    model_pass(p->model, p->now_ns);
    play_advance(p);
}

void
survive_crash(struct play *p)
{
    play_advance(p);
    struct bk_fleet *old = p->fleet;
    struct bk_fleet *new = play_successor(p);
    mirror_adopt(p, new);
    tell_rest(p, old, new);
    p->fleet = new;
    /* A daemon asks for everybody's configuration when it starts, and does not
     * know who was idle before. */
    for (uint32_t slot = 0; slot < p->limits.services; slot++)
        if (bk_fleet_service(new, slot) != NULL &&
            bk_fleet_reconfigure(new, p->now_ns, slot) != BK_OK)
            play_fault(p, "slot", "is not configured", slot, 0);
    for (size_t i = 0; i < MODEL_SERVICES; i++)
        p->model->services[i].touched_ns = p->now_ns;
    /* The new daemon publishes its policies at other places. */
    p->policy_edition = UINT64_MAX;
    play_advance(p);
}
