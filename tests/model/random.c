/* SPDX-License-Identifier: Apache-2.0
 *
 * The model test: random histories played against the core and the model, which
 * must agree after every step. The first history on which they do not is shrunk
 * and told. */
#include "core/backoff.h"
#include "tests/model/draw.h"
#include "tests/model/shrink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* With at least this many events, what was never seen is a fault of the test. */
#define EVENTS_ENOUGH 100000

struct options {
    uint64_t seed;
    uint64_t events;
    bool is_one_stream; /* --stream: the seed is that of one stream */
};

static bool
read_number(const char *text, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    *out = strtoull(text, &end, 0);
    return errno == 0 && end != text && *end == '\0' && text[0] != '-';
}

static bool
read_options(int argc, char **argv, struct options *o)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    *o = (struct options){.events = 200000,
                          .seed = (uint64_t)now.tv_sec * UINT64_C(1000000007) ^
                                  (uint64_t)now.tv_nsec};
    for (int i = 1; i < argc; i += 2) {
        bool has_value = i + 1 < argc;
        if (has_value && strcmp(argv[i], "--seed") == 0 &&
            read_number(argv[i + 1], &o->seed))
            continue;
        if (has_value && strcmp(argv[i], "--events") == 0 &&
            read_number(argv[i + 1], &o->events))
            continue;
        if (has_value && strcmp(argv[i], "--stream") == 0 &&
            read_number(argv[i + 1], &o->seed)) {
            o->is_one_stream = true;
            continue;
        }
        fputs("usage: model_test [--seed N] [--events N] [--stream N]\n",
              stderr);
        return false;
    }
    return true;
}

/* Draws and plays one stream; false when core and model disagree. */
static bool
play_stream(struct play *p, struct stream *stream, uint64_t seed)
{
    struct draw d;
    draw_start(&d, stream, seed);
    size_t length = 1 + bk_random(&d.random) % STREAM_STEPS;
    play_start(p, stream);
    while (stream->count < length && !p->has_fault) {
        struct step *step = &stream->steps[stream->count];
        draw_step(&d, p, (uint32_t)stream->count, step);
        stream->count++;
        play_step(p, step);
    }
    return !p->has_fault;
}

static uint64_t
report_missing(const char *what, const char *word, uint64_t count)
{
    if (count > 0)
        return 0;
    printf("never seen: %s %s\n", what, word);
    return 1;
}

/* Reasons that only RETRY has, and those that only ACQUIRE has. */
static bool
is_of_retry(enum bk_deny reason)
{
    return reason == BK_DENY_MAX_ATTEMPTS || reason == BK_DENY_NOT_RETRYABLE ||
           reason == BK_DENY_MAX_ELAPSED || reason == BK_DENY_OFF;
}

static uint64_t
count_missing(const struct play_seen *seen)
{
    uint64_t missing = 0;
    for (size_t i = 1; i < BK_DENY_COUNT; i++) {
        enum bk_deny reason = (enum bk_deny)i;
        missing += report_missing("denial", bk_deny_name(reason),
                                  is_of_retry(reason) ? seen->retry_denies[i]
                                                      : seen->denies[i]);
    }
    static const enum bk_deny shared[] = {BK_DENY_OPEN, BK_DENY_RATE_LIMITED,
                                          BK_DENY_BUDGET};
    for (size_t i = 0; i < 3; i++)
        missing += report_missing("denied retry", bk_deny_name(shared[i]),
                                  seen->retry_denies[shared[i]]);
    /* NONE is no change, and RESTORED is told by nobody. */
    for (size_t i = 1; i < BK_CAUSE_RESTORED; i++)
        missing += report_missing("reason", bk_cause_name((enum bk_cause)i),
                                  seen->causes[i]);
    for (size_t i = 0; i < BK_MODE_COUNT; i++)
        missing += report_missing("mode", bk_mode_name((enum bk_mode)i),
                                  seen->modes[i]);
    for (size_t i = 0; i < 3; i++)
        missing += report_missing("report", bk_applied_name((enum bk_applied)i),
                                  seen->applied[i]);
    missing += report_missing("a service", "that made room", seen->rooms);
    missing += report_missing("a denial", "for a full table",
                              seen->errors[BK_ERR_TABLE_FULL]);
    for (size_t i = 1; i <= BK_RAMP_STEPS; i++)
        missing += report_missing("a step", "of the ramp", seen->ramp_steps[i]);
    return missing;
}

static int
tell_fault(struct play *p, struct stream *stream)
{
    printf("disagreement in the stream of seed %" PRIu64 ": %s\n", stream->seed,
           p->fault);
    shrink(p, stream);
    printf("shrunk to %zu steps:\n\n", stream->count);
    shrink_tell(p, stream, stdout);
    printf("\nagain: model_test --stream %" PRIu64 "\n", stream->seed);
    return 1;
}

static int
run(struct play *p, struct stream *stream, const struct options *o)
{
    uint64_t random = o->seed;
    uint64_t events = 0;
    uint64_t streams = 0;
    while (events < o->events && (!o->is_one_stream || streams == 0)) {
        uint64_t seed = o->is_one_stream ? o->seed : bk_random(&random);
        if (!play_stream(p, stream, seed))
            return tell_fault(p, stream);
        events += stream->count;
        streams++;
    }
    printf("%" PRIu64 " events in %" PRIu64 " streams agree\n", events,
           streams);
    if (events < EVENTS_ENOUGH || o->is_one_stream)
        return 0;
    return count_missing(&p->seen) == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
    struct options o;
    if (!read_options(argc, argv, &o))
        return 2;
    printf("%s %" PRIu64 "\n", o.is_one_stream ? "stream" : "seed", o.seed);
    fflush(stdout);
    struct play play;
    struct stream *stream = malloc(sizeof *stream);
    if (stream == NULL || !play_open(&play)) {
        fputs("model_test: no memory\n", stderr);
        free(stream);
        return 1;
    }
    int status = run(&play, stream, &o);
    play_close(&play);
    free(stream);
    return status;
}
