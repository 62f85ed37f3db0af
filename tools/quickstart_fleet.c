/* SPDX-License-Identifier: Apache-2.0
 *
 * Forks the workers and is one of them in each child. */
#define _GNU_SOURCE
#include "tools/quickstart_fleet.h"

#include "tools/quickstart_calls.h"
#include "tools/quickstart_schedule.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A worker looks at its calls at least this often. */
#define TURN_NS (100 * BK_NS_PER_MS)
#define START_PATIENCE_S 30

int64_t
quickstart_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * BK_NS_PER_S + now.tv_nsec;
}

int64_t
quickstart_drain_ns(const struct quickstart_options *options)
{
    const int64_t attempts = options->attempts;

    return options->patience_ns + attempts * options->timeout_ns +
           (options->base_delay_ns << (attempts - 1)) + 2 * BK_NS_PER_S;
}

static int64_t
earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Calls by the schedule until it ends and nothing is under way. */
static void
play(struct quickstart_calls *calls, struct quickstart_schedule *schedule,
     int64_t start_ns)
{
    const struct quickstart_options *options = calls->options;
    const int64_t give_up_ns =
        start_ns + options->duration_ns + quickstart_drain_ns(options);
    int64_t now_ns = quickstart_clock();
    int64_t next_ns = 0;

    while (now_ns < give_up_ns) {
        next_ns = quickstart_schedule_peek(schedule);
        while (next_ns != BK_NEVER && start_ns + next_ns <= now_ns) {
            quickstart_schedule_take(schedule);
            quickstart_calls_begin(calls, now_ns);
            next_ns = quickstart_schedule_peek(schedule);
        }
        quickstart_calls_step(calls, now_ns);
        if (next_ns == BK_NEVER && calls->active == 0) {
            return;
        }
        const int64_t arrival_ns =
            next_ns == BK_NEVER ? BK_NEVER : start_ns + next_ns;
        const int64_t due_ns =
            earlier(earlier(arrival_ns, quickstart_calls_deadline(calls)),
                    now_ns + TURN_NS);
        (void)curl_multi_poll(calls->multi, NULL, 0,
                              (int)bk_ms_up(due_ns - quickstart_clock()), NULL);
        now_ns = quickstart_clock();
    }
}

/* Waits for the start; false when the parent is gone. */
static bool
await_start(int fd, int64_t *start_ns)
{
    bool is_told = false;

    alarm(
        START_PATIENCE_S); /* the parent's death is a signal, its hanging not */
    is_told = read(fd, start_ns, sizeof *start_ns) == sizeof *start_ns;
    alarm(0);
    close(fd);
    return is_told;
}

static int
work(const struct quickstart_options *options, struct quickstart_tally *tally,
     uint32_t worker, int start_fd)
{
    struct quickstart_guard guard;
    struct quickstart_schedule schedule;
    int64_t start_ns = 0;
    struct quickstart_calls *calls = calloc(1, sizeof *calls);
    bool is_good = calls != NULL && curl_global_init(CURL_GLOBAL_ALL) == 0;

    is_good = is_good && quickstart_guard_open(&guard, options, tally);
    if (is_good) {
        is_good = quickstart_calls_init(calls, options, &guard, tally,
                                        options->seed + worker) &&
                  await_start(start_fd, &start_ns);
        if (is_good) {
            quickstart_schedule_init(&schedule, options, worker);
            play(calls, &schedule, start_ns);
        }
        quickstart_calls_fini(calls);
        quickstart_guard_close(&guard);
    }
    free(calls);
    curl_global_cleanup();
    return is_good ? 0 : 1;
}

static bool
fail(const char *what)
{
    fprintf(stderr, "quickstart_worker: %s: %s\n", what, strerror(errno));
    return false;
}

static bool
add_worker(struct quickstart_fleet *fleet, uint32_t worker)
{
    int ends[2];

    if (pipe(ends) != 0) {
        return fail("cannot make a pipe");
    }
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
        close(ends[1]);
        for (uint32_t i = 0; i < worker; i++) {
            close(fleet->start_fds[i]);
        }
        /* A worker must not outlive the one who counts. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
            _exit(1);
        }
        _exit(work(fleet->options, &fleet->tallies[worker], worker, ends[0]));
    }
    close(ends[0]);
    if (pid < 0) {
        close(ends[1]);
        return fail("cannot fork");
    }
    fleet->start_fds[worker] = ends[1];
    fleet->pids[worker] = pid;
    fleet->alive++;
    return true;
}

bool
quickstart_fleet_open(struct quickstart_fleet *fleet,
                      const struct quickstart_options *options)
{
    const uint32_t count = options->workers;
    const size_t bytes = count * sizeof(struct quickstart_tally);

    *fleet = (struct quickstart_fleet){.options = options};
    fleet->start_fds = calloc(count, sizeof *fleet->start_fds);
    fleet->pids = calloc(count, sizeof *fleet->pids);
    void *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || fleet->start_fds == NULL ||
        fleet->pids == NULL) {
        return fail("not enough memory");
    }
    fleet->tallies = shared;
    for (uint32_t i = 0; i < count; i++) {
        if (!add_worker(fleet, i)) {
            return false;
        }
    }
    return true;
}

bool
quickstart_fleet_start(struct quickstart_fleet *fleet, int64_t start_ns)
{
    bool is_good = true;

    for (uint32_t i = 0; i < fleet->options->workers; i++) {
        is_good = write(fleet->start_fds[i], &start_ns, sizeof start_ns) ==
                      (ssize_t)sizeof start_ns &&
                  is_good;
        close(fleet->start_fds[i]);
        fleet->start_fds[i] = -1;
    }
    return is_good || fail("a worker is gone before the start");
}

bool
quickstart_fleet_lives(struct quickstart_fleet *fleet)
{
    for (uint32_t i = 0; i < fleet->options->workers; i++) {
        int status = 0;
        if (fleet->pids[i] != 0 &&
            waitpid((pid_t)fleet->pids[i], &status, WNOHANG) > 0) {
            fleet->pids[i] = 0;
            fleet->alive--;
            fleet->failed += status != 0;
        }
    }
    return fleet->alive > 0;
}

void
quickstart_fleet_close(struct quickstart_fleet *fleet)
{
    for (uint32_t i = 0; i < fleet->options->workers; i++) {
        if (fleet->pids != NULL && fleet->pids[i] != 0) {
            (void)kill((pid_t)fleet->pids[i], SIGKILL);
            (void)waitpid((pid_t)fleet->pids[i], NULL, 0);
            fleet->failed++;
        }
    }
    if (fleet->tallies != NULL) {
        munmap(fleet->tallies,
               fleet->options->workers * sizeof(struct quickstart_tally));
    }
    free(fleet->start_fds);
    free(fleet->pids);
    *fleet = (struct quickstart_fleet){0};
}
