/* SPDX-License-Identifier: Apache-2.0
 *
 * Delta debugging by halves: drop runs of steps, then single ones, then settings
 * and words, as long as core and model still disagree about something. */
#include "tests/model/shrink.h"

#include <stdlib.h>
#include <string.h>

/* A disagreement may hide another; a few rounds find a fixed point. */
#define ROUNDS 6

static bool
fails(struct play *p, struct stream *stream)
{
    play_start(p, stream);
    for (size_t i = 0; i < stream->count; i++) {
        if (!p->has_fault && play_step(p, &stream->steps[i]))
            continue;
        /* Nothing after the disagreement is needed. */
        stream->count = i + 1;
        return true;
    }
    return p->has_fault;
}

static bool
fails_without(struct play *p, struct stream *stream, struct stream *trial,
              size_t at, size_t count)
{
    *trial = *stream;
    memmove(trial->steps + at, trial->steps + at + count,
            (trial->count - at - count) * sizeof trial->steps[0]);
    trial->count -= count;
    if (!fails(p, trial))
        return false;
    *stream = *trial;
    return true;
}

static bool
drop_steps(struct play *p, struct stream *stream, struct stream *trial)
{
    bool has_shrunk = false;
    for (size_t run = stream->count / 2 + 1; run > 0; run /= 2) {
        size_t at = 0;
        while (at + run <= stream->count) {
            if (fails_without(p, stream, trial, at, run))
                has_shrunk = true;
            else
                at += run;
        }
    }
    return has_shrunk;
}

static bool
drop_settings(struct play *p, struct stream *stream, struct stream *trial)
{
    bool has_shrunk = false;
    for (size_t i = 0; i < NAME_SERVICES; i++) {
        for (size_t k = 0; k < SPEC_KEYS; k++) {
            if (stream->specs[i].value[k] == 0)
                continue;
            *trial = *stream;
            trial->specs[i].value[k] = 0;
            if (!fails(p, trial))
                continue;
            *stream = *trial;
            has_shrunk = true;
        }
    }
    return has_shrunk;
}

/* One way of making a step plainer; false when it is plain already. */
typedef bool simplifier(struct step *step);

static bool
drop_late(struct step *step)
{
    bool is_plain = step->late_ns == 0 && !step->is_lazy && step->looks_around;
    step->late_ns = 0;
    step->is_lazy = false;
    step->looks_around = true;
    return !is_plain;
}

static bool
drop_id(struct step *step)
{
    bool is_plain = step->id == ID_NONE;
    step->id = ID_NONE;
    return !is_plain;
}

static bool
drop_words(struct step *step)
{
    bool is_plain =
        step->latency_ns < 0 && step->ttl_ns == 0 && step->retry_after_ns == 0;
    step->latency_ns = -1;
    step->retry_after_ns = 0;
    if (step->kind == STEP_ACQUIRE)
        step->ttl_ns = 0;
    return !is_plain;
}

static bool
drop_attempt(struct step *step)
{
    bool is_plain = step->attempt == 1 && !step->flag;
    step->attempt = 1;
    step->flag = false;
    return !is_plain;
}

static bool
simplify_steps(struct play *p, struct stream *stream, struct stream *trial)
{
    static simplifier *const all[] = {drop_late, drop_id, drop_words,
                                      drop_attempt};
    bool has_shrunk = false;
    for (size_t i = 0; i < stream->count; i++) {
        for (size_t j = 0; j < sizeof all / sizeof all[0]; j++) {
            *trial = *stream;
            if (i >= stream->count || !all[j](&trial->steps[i]) ||
                !fails(p, trial))
                continue;
            *stream = *trial;
            has_shrunk = true;
        }
    }
    return has_shrunk;
}

void
shrink(struct play *p, struct stream *stream)
{
    struct stream *trial = malloc(sizeof *trial);
    if (trial == NULL || !fails(p, stream)) {
        free(trial);
        return;
    }
    bool has_shrunk = true;
    for (size_t i = 0; i < ROUNDS && has_shrunk; i++) {
        has_shrunk = drop_steps(p, stream, trial);
        has_shrunk |= drop_settings(p, stream, trial);
        has_shrunk |= simplify_steps(p, stream, trial);
    }
    free(trial);
}

bool
shrink_tell(struct play *p, const struct stream *stream, FILE *out)
{
    p->log = out;
    play_start(p, stream);
    for (size_t i = 0; i < stream->count && !p->has_fault; i++)
        play_step(p, &stream->steps[i]);
    p->log = NULL;
    return p->has_fault;
}
