/* SPDX-License-Identifier: Apache-2.0
 *
 * The stage with a real breakerd: a process for each actor, real time. Workers speak
 * the protocol themselves, or through the library. */
#define _GNU_SOURCE
#include "tools/scenario_actor.h"
#include "tools/scenario_breakerd.h"
#include "tools/scenario_segment.h"
#include "tools/scenario_signal.h"
#include "tools/scenario_stage.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

/* Actors of one file, with those that take a dead one's place. */
#define ACTORS_MAX 256

struct real {
    struct scenario_stage stage;
    struct scenario_breakerd breakerd;
    struct scenario_actor actors[ACTORS_MAX];
    size_t actor_count;
    bool is_by_library; /* what workers say */
    int64_t zero_ns;    /* the clock at time 0; 0 before it was waited for */
};

static struct real *
of(struct scenario_stage *stage)
{
    return (struct real *)(void *)stage;
}

static struct bk_text
words_of(struct real *r)
{
    struct bk_text words;
    bk_text_init(&words, r->stage.words, sizeof(r->stage.words));
    return words;
}

static int64_t
clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * BK_NS_PER_S + t.tv_nsec;
}

static bool
check_signal(struct real *r)
{
    struct bk_text words = words_of(r);
    if (scenario_signal_came() != 0) {
        bk_text_put(&words, "interrupted");
        return false;
    }
    return true;
}

static bool
wait_until(struct scenario_stage *stage, int64_t at_ns)
{
    struct real *r = of(stage);
    if (r->zero_ns == 0) {
        r->zero_ns = clock_ns();
    }
    int64_t due_ns = r->zero_ns + at_ns;
    struct timespec due = {.tv_sec = due_ns / BK_NS_PER_S,
                           .tv_nsec = due_ns % BK_NS_PER_S};
    while (check_signal(r)) {
        if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == 0) {
            return true;
        }
    }
    return false;
}

static int64_t
late_ns(const struct scenario_stage *stage, int64_t at_ns)
{
    const struct real *r = (const struct real *)(const void *)stage;
    return clock_ns() - (r->zero_ns + at_ns);
}

/* The living process of an actor; those of the same name behind it wait for
 * its death. */
static struct scenario_actor *
find(struct real *r, const char *name)
{
    for (size_t i = 0; i < r->actor_count; i++) {
        if (r->actors[i].pid > 0 && strcmp(r->actors[i].name, name) == 0) {
            return &r->actors[i];
        }
    }
    return NULL;
}

static bool
ask(struct scenario_stage *stage, const char *actor, const char *lines,
    struct bk_text *answers)
{
    struct real *r = of(stage);
    struct bk_text words = words_of(r);
    struct scenario_actor *who = find(r, actor);
    if (who == NULL) {
        bk_text_put(&words, "nobody plays ");
        bk_text_put(&words, actor);
        return false;
    }
    if (scenario_actor_ask(who, lines, answers, &words)) {
        return true;
    }
    /* That it has ended tells more than that it does not answer. */
    char silence[SCENARIO_WORDS_SIZE];
    memcpy(silence, r->stage.words, sizeof(silence));
    words = words_of(r);
    if (scenario_breakerd_lives(&r->breakerd, &words)) {
        bk_text_put(&words, silence);
    }
    return false;
}

static bool
die(struct scenario_stage *stage, const char *actor)
{
    struct scenario_actor *who = find(of(stage), actor);
    if (who != NULL) {
        scenario_actor_kill(who);
    }
    return true;
}

/* Asked by the operator, whose process is the first and never dies. */
static bool
ping(struct real *r, struct bk_text *error)
{
    char answer[80];
    struct bk_text out;
    bk_text_init(&out, answer, sizeof(answer));
    return scenario_actor_ask(&r->actors[0], "PING", &out, error);
}

/* Whoever was connected to the daemon before is connected to this one. It may
 * listen before it is ready: its line has passed when it has answered, so that
 * it is known how late the next one is asked. */
static bool
start(struct real *r, struct bk_text *words)
{
    if (!scenario_breakerd_start(&r->breakerd, words)) {
        return false;
    }
    for (size_t i = 0; i < r->actor_count; i++) {
        if (r->actors[i].pid > 0 &&
            !scenario_actor_reconnect(&r->actors[i], words)) {
            return false;
        }
    }
    return ping(r, words);
}

static bool
order_daemon(struct scenario_stage *stage, enum scenario_verb verb)
{
    struct real *r = of(stage);
    struct bk_text words = words_of(r);
    if (!scenario_breakerd_lives(&r->breakerd, &words)) {
        return false;
    }
    bool was_running = r->breakerd.pid > 0;
    switch ((int)verb) {
    case SCENARIO_START:
        return was_running || start(r, &words);
    case SCENARIO_STOP:
        return !was_running || scenario_breakerd_stop(&r->breakerd, &words);
    case SCENARIO_KILL:
        scenario_breakerd_kill(&r->breakerd);
        return true;
    default:
        scenario_breakerd_kill(&r->breakerd);
        return scenario_breakerd_remove_segment(&r->breakerd, &words) &&
               (!was_running || start(r, &words));
    }
}

static bool
tell_all(struct scenario_stage *stage)
{
    struct real *r = of(stage);
    struct bk_text words = words_of(r);
    for (size_t i = 1; r->is_by_library && i < r->actor_count; i++) {
        if (r->actors[i].pid > 0 &&
            !scenario_actor_tell_all(&r->actors[i], &words)) {
            return false;
        }
    }
    return true;
}

static bool
probe(struct scenario_stage *stage, const char *service,
      enum bk_outcome outcome)
{
    struct bk_text words = words_of(of(stage));
    (void)service;
    (void)outcome;
    bk_text_put(&words, "a real daemon probes by itself: a file with probe "
                        "says `on core`");
    return false;
}

static int64_t
next_change_ns(struct scenario_stage *stage)
{
    (void)stage;
    return BK_NEVER;
}

/* What came by ring is the daemon's to say, with its next heartbeat: of the last
 * daemon, if it runs. */
static void
count_rings(struct real *r)
{
    struct scenario_segment segment;
    struct bk_totals totals;
    int64_t end_ns = clock_ns() + 2 * BK_HEARTBEAT_NS;
    if (atomic_load(&r->stage.ways->told) == 0 ||
        !scenario_segment_open(&segment, r->breakerd.dir)) {
        return;
    }
    _Atomic int64_t *beat = &segment.map.header->heartbeat_mono_ns;
    int64_t last_ns = atomic_load(beat);
    while (atomic_load(beat) == last_ns && clock_ns() < end_ns) {
        struct timespec pause = {.tv_nsec = BK_NS_PER_MS};
        nanosleep(&pause, NULL);
    }
    bk_segment_read_totals(&segment.map, &totals);
    atomic_store(&r->stage.ways->by_ring, totals.ring_items);
    scenario_segment_close(&segment);
}

/* A file may end with the daemon down; one that runs must end in order. */
static bool
finish(struct scenario_stage *stage)
{
    struct real *r = of(stage);
    struct bk_text words = words_of(r);
    if (r->is_by_library && r->breakerd.pid > 0) {
        count_rings(r);
    }
    return r->breakerd.pid == 0 || scenario_breakerd_stop(&r->breakerd, &words);
}

static void
close_real(struct scenario_stage *stage)
{
    struct real *r = of(stage);
    for (size_t i = 0; i < r->actor_count; i++) {
        scenario_actor_kill(&r->actors[i]);
    }
    scenario_breakerd_clean(&r->breakerd);
    if (r->stage.ways != NULL) {
        munmap(r->stage.ways, sizeof(*r->stage.ways));
    }
    free(r);
}

static bool
add_actor(struct real *r, const char *name, struct bk_text *error)
{
    bool is_operator = strcmp(name, "op") == 0;
    bool is_worker = !is_operator && strcmp(name, "-") != 0;
    if (r->actor_count == ACTORS_MAX) {
        bk_text_put(error, "too many actors and deaths");
        return false;
    }
    struct scenario_part part = {.name = name,
                                 .socket_path =
                                     is_operator ? r->breakerd.operator_socket
                                                 : r->breakerd.worker_socket,
                                 .is_worker = is_worker};
    if (r->is_by_library && !is_operator) {
        part.library_dir = r->breakerd.dir;
        part.ways = r->stage.ways;
    }
    return scenario_actor_start(&r->actors[r->actor_count++], &part, error);
}

/* Every process there will be is started before time 0: starting one in the
 * middle would make its line late. */
static bool
add_actors(struct real *r, const struct scenario *s, struct bk_text *error)
{
    for (size_t i = 0; i < s->step_count; i++) {
        const struct scenario_step *step = &s->steps[i];
        bool is_new = find(r, step->actor) == NULL;
        bool is_heir = step->verb == SCENARIO_DIE;
        if (strcmp(step->actor, "daemon") == 0) {
            continue;
        }
        if ((is_new && !add_actor(r, step->actor, error)) ||
            (is_heir && !add_actor(r, step->actor, error))) {
            return false;
        }
    }
    return true;
}

/* Time 0 is when all processes run and the daemon, which may listen before it is
 * ready, has answered. */
static bool
await_ready(struct real *r, struct bk_text *error)
{
    for (size_t i = 1; i < r->actor_count; i++) {
        if (!scenario_actor_reconnect(&r->actors[i], error)) {
            return false;
        }
    }
    return ping(r, error);
}

static bool
share_ways(struct real *r, struct bk_text *error)
{
    void *ways = mmap(NULL, sizeof(*r->stage.ways), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ways == MAP_FAILED) {
        bk_text_put(error, "out of memory");
        return false;
    }
    r->stage.ways = ways;
    return true;
}

static struct scenario_stage *
open_real(const struct scenario *s, bool is_by_library, struct bk_text *error)
{
    struct real *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        bk_text_put(error, "out of memory");
        return NULL;
    }
    r->stage = (struct scenario_stage){.is_real = true,
                                       .wait = wait_until,
                                       .late_ns = late_ns,
                                       .ask = ask,
                                       .die = die,
                                       .daemon = order_daemon,
                                       .next_change_ns = next_change_ns,
                                       .finish = finish,
                                       .probe = probe,
                                       .tell_all = tell_all,
                                       .close = close_real};
    r->is_by_library = is_by_library;
    if ((is_by_library && !share_ways(r, error)) ||
        !scenario_breakerd_prepare(&r->breakerd, s, error) ||
        !scenario_breakerd_start(&r->breakerd, error) ||
        !add_actor(r, "op", error) || !add_actors(r, s, error) ||
        !await_ready(r, error)) {
        close_real(&r->stage);
        return NULL;
    }
    return &r->stage;
}

struct scenario_stage *
scenario_daemon_open(const struct scenario *s, struct bk_text *error)
{
    return open_real(s, false, error);
}

struct scenario_stage *
scenario_client_open(const struct scenario *s, struct bk_text *error)
{
    return open_real(s, true, error);
}
