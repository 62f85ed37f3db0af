/* SPDX-License-Identifier: Apache-2.0
 *
 * Workers that tell what came of calls and then die, in whatever way; each counts
 * beside what it has told, and the daemon's counters must say the same. Nothing may
 * trip in the daemon that is asked, but in the story "order".
 *
 *   fleet_rings --dir DIR --story NAME [--processes N] [--lives N] [--reports N]
 *
 * killed    raise(SIGKILL) right behind the last report, some with threads
 * threads   threads end all the time, and others take over
 * forks     parent and child go on with the same handle, both are killed
 * closed    reports without a pause, and breaker_close() behind the last
 * burst     the same, and killed
 * struck    the parent kills them at any moment
 * order     four failures, a success and so on: a row of five never comes */
#include "breaker/breaker.h"
#include "herd.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVICES 4
#define PROCESSES_MAX 64
#define THREADS 4
#define KINDS 5
#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)

static const enum breaker_outcome outcomes[KINDS] = {
    BREAKER_SUCCESS, BREAKER_FAILURE, BREAKER_TIMEOUT, BREAKER_REJECTED,
    BREAKER_CANCELLED};

/* What workers say they have told; both are equal but in the middle of a report. */
struct board {
    _Atomic uint64_t begun[SERVICES][KINDS];
    _Atomic uint64_t done[SERVICES][KINDS];
    _Atomic uint64_t
        alone; /* decisions without the daemon: the machine stood still
                               for a second, and workers kept something to themselves */
};

static struct {
    const char *dir;
    const char *story;
    unsigned processes;
    unsigned lives;
    unsigned reports;
    bool is_burst;
    struct board *board;
} run;

/* One thread of a worker. */
struct worker {
    struct breaker *b;
    uint64_t random;
    unsigned reports;
};

static bool
is_story(const char *name)
{
    return strcmp(run.story, name) == 0;
}

static struct breaker *
open_handle(void)
{
    struct breaker_options options = BREAKER_OPTIONS_INIT;
    options.dir = run.dir;
    options.deadline_ms = HERD_WAIT_MS;
    struct breaker *b = breaker_open(&options);
    if (b == NULL)
        herd_fail("libbreaker: %s", breaker_error_text());
    return b;
}

static void
name_of(unsigned service, char name[32])
{
    snprintf(name, 32, "told-%u", service);
}

/* ---- telling, and counting what was told ---- */

static void
tell(struct worker *w)
{
    unsigned service = (unsigned)(herd_draw(&w->random) % SERVICES);
    unsigned kind = (unsigned)(herd_draw(&w->random) % (UINT64_C(2) * KINDS));
    kind = kind < KINDS ? kind : 0; /* most go well */
    struct breaker_permit permit;
    struct breaker_details details = BREAKER_DETAILS_INIT;
    char name[32];
    name_of(service, name);
    uint64_t way = herd_draw(&w->random) % 16;
    struct breaker_service *s = breaker_service(w->b, name);
    enum breaker_verdict verdict =
        way < 4 ? breaker_begin(s, &permit) : breaker_acquire(s, &permit);
    if (permit.source == BREAKER_BY_LOCAL) {
        atomic_fetch_add(&run.board->alone, 1);
        return;
    }
    if (verdict != BREAKER_ALLOWED)
        herd_fail("%s: %s by %s", name, breaker_reason_name(permit.reason),
                  breaker_source_name(permit.source));
    atomic_fetch_add(&run.board->begun[service][kind], 1);
    if (way < 4) {
        breaker_end(&permit, outcomes[kind]);
    } else if (way == 4) {
        details.text = "told in words";
        breaker_report_with(&permit, outcomes[kind], &details);
    } else if (way == 5 && !run.is_burst) {
        details.flags = BREAKER_CONFIRM;
        breaker_report_with(&permit, outcomes[kind], &details);
    } else if (way == 6) {
        breaker_report_service(permit.service, outcomes[kind], &details);
    } else {
        breaker_report(&permit, outcomes[kind], 1000);
    }
    atomic_fetch_add(&run.board->done[service][kind], 1);
}

static void
tell_all(struct worker *w)
{
    for (unsigned i = 0; i < w->reports; i++) {
        tell(w);
        if (!run.is_burst)
            herd_sleep_until(herd_now_ns() +
                             (int64_t)(herd_draw(&w->random) % 100) *
                                 NS_PER_US);
    }
}

static void *
run_thread(void *context)
{
    tell_all(context);
    return NULL;
}

static void
tell_by_threads(struct worker *w, unsigned count)
{
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    for (unsigned i = 0; i < count; i++) {
        workers[i] = *w;
        workers[i].random = herd_draw(&w->random);
        if (pthread_create(&threads[i], NULL, run_thread, &workers[i]) != 0)
            herd_fail("no thread");
    }
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

/* ---- the lives of workers ---- */

static void
be_killed(struct worker *w)
{
    if (herd_draw(&w->random) % 2 == 0)
        tell_by_threads(w, THREADS);
    tell_all(w);
    raise(SIGKILL);
}

static void
live_in_threads(struct worker *w)
{
    w->reports = w->reports / 10 + 1;
    for (unsigned i = 0; i < 10; i++)
        tell_by_threads(w, 1 + (unsigned)(herd_draw(&w->random) % THREADS));
    raise(SIGKILL);
}

static void
live_and_fork(struct worker *w)
{
    tell_all(w);
    pid_t pid = fork();
    w->random ^= (uint64_t)pid;
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        tell_all(w);
        raise(SIGKILL);
    }
    tell_all(w);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    raise(SIGKILL);
}

static void
close_handle(struct worker *w)
{
    tell_all(w);
    breaker_close(&w->b);
    _exit(0);
}

static void
live(uint64_t seed)
{
    struct worker w = {.b = open_handle(), .random = seed};
    w.reports = 1 + (unsigned)(herd_draw(&w.random) % run.reports);
    if (is_story("killed"))
        be_killed(&w);
    else if (is_story("threads"))
        live_in_threads(&w);
    else if (is_story("forks"))
        live_and_fork(&w);
    else if (is_story("closed"))
        close_handle(&w);
    tell_all(&w);
    raise(SIGKILL);
}

static void
strike(pid_t pid, uint64_t *random)
{
    herd_sleep_until(herd_now_ns() +
                     (int64_t)(5 + herd_draw(random) % 30) * NS_PER_MS);
    kill(pid, SIGKILL);
}

static void
lead_lives(unsigned index, void *context)
{
    (void)context;
    uint64_t random = index + 1;
    for (unsigned i = 0; i < run.lives; i++) {
        uint64_t seed = herd_draw(&random);
        int status = 0;
        pid_t pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            live(seed);
        }
        if (is_story("struck"))
            strike(pid, &random);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            continue;
        bool is_well = is_story("closed")
                           ? WIFEXITED(status) && WEXITSTATUS(status) == 0
                           : WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        if (!is_well)
            herd_fail("a worker ended with status %#x", (unsigned)status);
    }
}

/* ---- what the daemon has counted ---- */

struct sums {
    uint64_t told;
    uint64_t counted;
    uint64_t missing; /* of those whose report had returned */
    uint64_t extra;   /* that nobody had begun to tell */
};

static void
compare(struct line *op, struct sums *sums)
{
    *sums = (struct sums){0};
    for (unsigned s = 0; s < SERVICES; s++) {
        char name[32];
        name_of(s, name);
        const char *answer = line_ask(op, "STATUS %s", name);
        for (unsigned k = 0; k < KINDS; k++) {
            uint64_t done = atomic_load(&run.board->done[s][k]);
            uint64_t begun = atomic_load(&run.board->begun[s][k]);
            uint64_t counted =
                line_says(answer, "OK {")
                    ? herd_number(answer,
                                  breaker_outcome_name((int)outcomes[k]))
                    : 0;
            sums->told += done;
            sums->counted += counted;
            sums->missing += counted < done ? done - counted : 0;
            sums->extra += counted > begun ? counted - begun : 0;
        }
    }
}

static int
settle(uint64_t may_miss)
{
    struct line *op = line_open(run.dir, "operator.sock");
    int64_t end_ns = herd_now_ns() + 3000 * NS_PER_MS;
    struct sums sums;
    do {
        herd_sleep_until(herd_now_ns() + 20 * NS_PER_MS);
        compare(op, &sums);
    } while (sums.missing > 0 && herd_now_ns() < end_ns);
    herd_sleep_until(herd_now_ns() + 200 * NS_PER_MS);
    compare(op, &sums);
    line_close(&op);
    uint64_t alone = atomic_load(&run.board->alone);
    printf(
        "story=%s told=%llu counted=%llu missing=%llu extra=%llu alone=%llu\n",
        run.story, (unsigned long long)sums.told,
        (unsigned long long)sums.counted, (unsigned long long)sums.missing,
        (unsigned long long)sums.extra, (unsigned long long)alone);
    bool is_whole = sums.missing <= may_miss || alone > 0;
    return is_whole && sums.extra == 0 && sums.told > 0 ? 0 : 1;
}

/* ---- order ---- */

static void
report(struct breaker *b, struct breaker_service *s, uint64_t *random,
       enum breaker_outcome outcome)
{
    struct breaker_details details = BREAKER_DETAILS_INIT;
    struct breaker_permit permit;
    uint64_t way = herd_draw(random) % 8;
    (void)b;
    if (way == 0) {
        breaker_report_service(s, outcome, &details);
        return;
    }
    if (breaker_acquire(s, &permit) != BREAKER_ALLOWED)
        herd_fail("a row of five that was none: %s",
                  breaker_reason_name(permit.reason));
    if (way == 1) {
        details.flags = BREAKER_CONFIRM;
        breaker_report_with(&permit, outcome, &details);
    } else {
        breaker_report(&permit, outcome, 1000);
    }
}

/* Each its own service, so that only its own order matters. Half of them pause. */
static void
keep_order(unsigned index, void *context)
{
    (void)context;
    uint64_t random = index + 1;
    char name[32];
    struct breaker *b = open_handle();
    snprintf(name, sizeof(name), "row-%u", index);
    struct breaker_service *s = breaker_service(b, name);
    for (unsigned i = 0; i < run.reports; i++) {
        for (uint64_t k = herd_draw(&random) % 5; k > 0; k--)
            report(b, s, &random, BREAKER_FAILURE);
        report(b, s, &random, BREAKER_SUCCESS);
        if (index % 2 == 0)
            herd_sleep_until(herd_now_ns() +
                             (int64_t)(herd_draw(&random) % 300) * NS_PER_US);
    }
    breaker_close(&b);
}

static int
see_no_row(void)
{
    struct line *op = line_open(run.dir, "operator.sock");
    uint64_t opened = 0;
    for (unsigned i = 0; i < run.processes; i++)
        opened +=
            herd_number(line_expect(op, "OK {", "STATUS row-%u", i), "opened");
    line_close(&op);
    printf("story=order opened=%llu\n", (unsigned long long)opened);
    return opened == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
    run.dir = herd_option(argc, argv, "--dir", NULL);
    run.story = herd_option(argc, argv, "--story", NULL);
    run.processes = (unsigned)herd_option_number(argc, argv, "--processes", 8);
    run.lives = (unsigned)herd_option_number(argc, argv, "--lives", 5);
    run.reports = (unsigned)herd_option_number(argc, argv, "--reports", 300);
    uint64_t may_miss = herd_option_number(argc, argv, "--may-miss", 0);
    if (run.processes < 1 || run.processes > PROCESSES_MAX || run.reports < 1)
        herd_fail("--processes is 1 to %d, --reports at least 1",
                  PROCESSES_MAX);
    run.is_burst = is_story("burst") || is_story("closed");
    run.board = herd_share(sizeof(*run.board));
    struct herd *h = herd_start(
        run.processes, is_story("order") ? keep_order : lead_lives, NULL);
    herd_finish(&h);
    return is_story("order") ? see_no_row() : settle(may_miss);
}
