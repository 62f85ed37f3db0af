/* SPDX-License-Identifier: Apache-2.0
 *
 * What a call costs that no clock shows: system calls, between marks that a tracer
 * sees (bench_trace.c), and cache lines of the shared mapping, found by taking the
 * pages away and looking where the processor stumbles. */
#define _GNU_SOURCE
#include "tools/bench/bench_trace.h"
#include "tools/bench/bench_worker.h"
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* An answer says no more than that it is wrong; the tracer sees it. */
static void
mark(int what)
{
    syscall(SYS_getpriority, what, 0);
}

/* count COUNT decide|report */
bool
worker_play_count(const struct player_order *order, struct player_told *told)
{
    static struct breaker_permit permits[WORKER_BURST];
    bool is_report =
        order->word_count > 0 && strcmp(order->words[0], "report") == 0;
    uint64_t done = 0;

    if (!worker_choose(0))
        return player_fail(told, breaker_error_text());
    /* The first of each kind may make a connection. */
    breaker_acquire(worker_next(), &permits[0]);
    breaker_report(&permits[0], BREAKER_SUCCESS, 7);
    player_begin(told);
    while (done < order->count && worker_rest()) {
        if (!is_report)
            mark(TRACE_COUNT);
        for (int i = 0; i < WORKER_BURST; i++)
            breaker_acquire(worker_next(), &permits[i]);
        if (is_report)
            mark(TRACE_COUNT);
        for (int i = 0; is_report && i < WORKER_BURST; i++)
            breaker_report(&permits[i], BREAKER_SUCCESS, 7);
        mark(TRACE_REST);
        done += WORKER_BURST;
    }
    mark(TRACE_END);
    player_end(told, done);
    return done >= order->count || player_fail(told, breaker_error_text());
}

/* ---- cache lines ---- */

#if defined(__x86_64__)

#define LINE_BYTES 64
#define LINES_MAX 64
#define TRAP_FLAG 0x100

static struct {
    char *base;
    size_t bytes;
    uintptr_t lines[LINES_MAX];
    size_t count;
} touched;

static void
note(uintptr_t at)
{
    uintptr_t line = at / LINE_BYTES;

    for (size_t i = 0; i < touched.count; i++) {
        if (touched.lines[i] == line)
            return;
    }
    if (touched.count < LINES_MAX)
        touched.lines[touched.count++] = line;
}

/* An access to the mapping: noted, let through for one instruction. */
static void
stumble(int signal, siginfo_t *info, void *context)
{
    ucontext_t *at = context;
    uintptr_t address = (uintptr_t)info->si_addr;

    if (signal == SIGSEGV) {
        if (address < (uintptr_t)touched.base ||
            address >= (uintptr_t)touched.base + touched.bytes)
            _exit(3);
        note(address);
        mprotect(touched.base, touched.bytes, PROT_READ);
        at->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
    } else {
        mprotect(touched.base, touched.bytes, PROT_NONE);
        at->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
    }
}

/* Where this process has the segment. */
static bool
find_mapping(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    bool is_found = false;

    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        char *rest = NULL;
        uintptr_t from = (uintptr_t)strtoull(line, &rest, 16);
        uintptr_t to = (uintptr_t)strtoull(rest + 1, NULL, 16);

        if (strstr(line, "/breakerd.shm") == NULL ||
            strstr(line, " r--s ") == NULL)
            continue;
        touched.base = (char *)from; /* NOLINT(performance-no-int-to-ptr) */
        touched.bytes = to - from;
        is_found = true;
    }
    if (maps != NULL)
        fclose(maps);
    return is_found;
}

/* lines COUNT: of the mapping, in the median decision, and in the worst. */
bool
worker_play_lines(const struct player_order *order, struct player_told *told)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO};
    int64_t counts[256];
    size_t count = order->count < 256 ? (size_t)order->count : 256;
    struct breaker_permit permit;

    if (!find_mapping() || !worker_choose(0))
        return player_fail(told, "the mapping cannot be found");
    action.sa_sigaction = stumble;
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGTRAP, &action, NULL);
    breaker_acquire(worker_next(), &permit);
    player_begin(told);
    for (size_t i = 0; i < count; i++) {
        touched.count = 0;
        mprotect(touched.base, touched.bytes, PROT_NONE);
        breaker_acquire(worker_next(), &permit);
        mprotect(touched.base, touched.bytes, PROT_READ);
        counts[i] = (int64_t)touched.count;
    }
    player_end(told, count);
    signal(SIGSEGV, SIG_DFL);
    signal(SIGTRAP, SIG_DFL);
    told->more[0] = (double)player_share(counts, count, 0.5);
    told->more[1] = (double)counts[count - 1];
    told->more_count = 2;
    return true;
}

#else

bool
worker_play_lines(const struct player_order *order, struct player_told *told)
{
    (void)order;
    return player_fail(told, "only known for x86-64");
}

#endif
