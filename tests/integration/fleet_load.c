/* SPDX-License-Identifier: Apache-2.0
 *
 * Steady traffic of several processes, whatever becomes of the daemon, until
 * standard input ends. Checks that no worker ever sees a generation go back, and
 * that libbreaker (--mode auto, --mode zmq) never blocks past its deadline.
 *
 *   fleet_load --dir DIR [--mode wire|auto|zmq] [--processes N] [--services N] */
#include "breaker/breaker.h"
#include "herd.h"
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVICES_MAX 64
#define PROCESSES_MAX 64
#define SILENCE_MS 100
#define RUN_NS INT64_C(600000000000)
/* What a sanitizer and the way back may add to a deadline. How late a busy
 * machine lets a process run again is measured beside, by its sleeps. */
#define SLACK_US 50000
#define PAUSE_NS 200000

struct tally {
    uint64_t answered;
    uint64_t silent;
    uint64_t denied;
    uint64_t worst_us;      /* of a call to the library */
    uint64_t worst_late_us; /* back from a sleep */
};

struct board {
    atomic_bool is_over;
    struct tally tallies[PROCESSES_MAX];
};

static struct {
    const char *dir;
    const char *mode;
    unsigned processes;
    unsigned services;
    struct board *board;
} run;

static bool
is_over(void)
{
    return atomic_load_explicit(&run.board->is_over, memory_order_relaxed);
}

/* One call over the wire. `newest` holds the highest generation seen. */
static void
call_by_wire(struct line *line, struct tally *tally, unsigned service,
             bool fails, uint64_t *newest)
{
    char request[160];
    uint64_t permit = 0;
    uint64_t generation = 0;
    snprintf(request, sizeof(request), "ACQUIRE load-%u", service);
    const char *answer = line_ask_for(line, request, SILENCE_MS);
    if (answer == NULL) {
        tally->silent++;
        return;
    }
    tally->answered++;
    if (line_says(answer, "DENY ")) {
        tally->denied++;
        herd_sleep_until(herd_now_ns() + 1000000);
        return;
    }
    if (!line_allows(answer, &permit, &generation))
        herd_fail("asked, got %s", answer);
    if (generation < *newest)
        herd_fail("load-%u: generation %llu after %llu", service,
                  (unsigned long long)generation, (unsigned long long)*newest);
    *newest = generation;
    snprintf(request, sizeof(request), "REPORT load-%u %llu %llu %s 1000",
             service, (unsigned long long)permit,
             (unsigned long long)generation, fails ? "failure" : "success");
    answer = line_ask_for(line, request, SILENCE_MS);
    if (answer == NULL)
        tally->silent++;
    else if (!line_says(answer, "OK "))
        herd_fail("reported, got %s", answer);
}

static void
work_by_wire(unsigned index)
{
    uint64_t newest[SERVICES_MAX] = {0};
    uint64_t random = index + 1;
    struct line *line = line_open(run.dir, "worker.sock");
    while (!is_over()) {
        unsigned service = (unsigned)(herd_draw(&random) % run.services);
        call_by_wire(line, &run.board->tallies[index], service,
                     herd_draw(&random) % 100 < 60, &newest[service]);
    }
    line_close(&line);
}

static void
no_log(void *context, enum breaker_log_level level, const char *sentence)
{
    (void)context;
    (void)level;
    (void)sentence;
}

static void
note_time(uint64_t *worst_us, int64_t began_ns)
{
    uint64_t took_us = (uint64_t)(herd_now_ns() - began_ns) / 1000;
    if (took_us > *worst_us)
        *worst_us = took_us;
}

static void
work_by_library(unsigned index)
{
    struct tally *tally = &run.board->tallies[index];
    uint64_t random = index + 1;
    struct breaker_options options = BREAKER_OPTIONS_INIT;
    options.dir = run.dir;
    options.mode =
        strcmp(run.mode, "zmq") == 0 ? BREAKER_MODE_ZMQ : BREAKER_MODE_AUTO;
    options.log = no_log;
    struct breaker *b = breaker_open(&options);
    if (b == NULL)
        herd_fail("libbreaker: %s", breaker_error_text());
    while (!is_over()) {
        struct breaker_permit permit;
        char name[32];
        snprintf(name, sizeof(name), "load-%u",
                 (unsigned)(herd_draw(&random) % run.services));
        int64_t began_ns = herd_now_ns();
        enum breaker_verdict verdict = breaker_acquire_name(b, name, &permit);
        note_time(&tally->worst_us, began_ns);
        tally->answered++;
        tally->denied += verdict == BREAKER_ALLOWED ? 0 : 1;
        if (verdict == BREAKER_ALLOWED) {
            began_ns = herd_now_ns();
            breaker_report(&permit,
                           herd_draw(&random) % 100 < 60 ? BREAKER_FAILURE
                                                         : BREAKER_SUCCESS,
                           1000);
            note_time(&tally->worst_us, began_ns);
        }
        began_ns = herd_now_ns();
        herd_sleep_until(began_ns + PAUSE_NS);
        note_time(&tally->worst_late_us, began_ns + PAUSE_NS);
    }
    breaker_close(&b);
}

static void
work(unsigned index, void *context)
{
    (void)context;
    if (strcmp(run.mode, "wire") == 0)
        work_by_wire(index);
    else
        work_by_library(index);
}

static void
wait_for_end_of_input(void)
{
    char octets[64];
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
    int64_t end_ns = herd_now_ns() + RUN_NS;
    while (herd_now_ns() < end_ns) {
        if (poll(&fd, 1, 100) <= 0)
            continue;
        ssize_t n = read(STDIN_FILENO, octets, sizeof(octets));
        if (n == 0 || (n < 0 && errno != EINTR))
            return;
    }
}

static uint64_t
most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

int
main(int argc, char **argv)
{
    run.dir = herd_option(argc, argv, "--dir", NULL);
    run.mode = herd_option(argc, argv, "--mode", "wire");
    run.processes = (unsigned)herd_option_number(argc, argv, "--processes", 4);
    run.services = (unsigned)herd_option_number(argc, argv, "--services", 8);
    if (run.processes < 1 || run.processes > PROCESSES_MAX ||
        run.services < 1 || run.services > SERVICES_MAX)
        herd_fail("--processes and --services are 1 to 64");
    run.board = herd_share(sizeof(*run.board));
    struct herd *h = herd_start(run.processes, work, NULL);
    wait_for_end_of_input();
    atomic_store(&run.board->is_over, true);
    herd_finish(&h);
    struct tally sum = {0};
    for (unsigned i = 0; i < run.processes; i++) {
        const struct tally *t = &run.board->tallies[i];
        sum.answered += t->answered;
        sum.silent += t->silent;
        sum.denied += t->denied;
        sum.worst_us = most(sum.worst_us, t->worst_us);
        sum.worst_late_us = most(sum.worst_late_us, t->worst_late_us);
    }
    printf("mode=%s answered=%llu denied=%llu silent=%llu worst_us=%llu "
           "machine_late_us=%llu\n",
           run.mode, (unsigned long long)sum.answered,
           (unsigned long long)sum.denied, (unsigned long long)sum.silent,
           (unsigned long long)sum.worst_us,
           (unsigned long long)sum.worst_late_us);
    if (sum.worst_us >
        BREAKER_DEADLINE_MS * 1000 + SLACK_US + 2 * sum.worst_late_us)
        herd_fail("a worker was blocked for %llu us",
                  (unsigned long long)sum.worst_us);
    return sum.answered > 0 ? 0 : 1;
}
