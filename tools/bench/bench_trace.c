/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/bench/bench_trace.h"
#include "tools/bench/bench_player.h"
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* A stop of a call, told from a signal's. */
#define CALL_STOP (SIGTRAP | 0x80)
/* Looks without a pause before one is made: a stop mostly comes at once. */
#define SPINS 2000
#define PAUSE_NS 50000

/* waitpid that ends; 0 when nothing came. */
static pid_t
wait_for(pid_t pid, int *status, int64_t end_ns)
{
    for (unsigned looks = 0;; looks++) {
        pid_t got = waitpid(pid, status, WNOHANG | __WALL);

        if (got != 0)
            return got;
        if (player_clock_ns() > end_ns)
            return 0;
        if (looks > SPINS)
            player_pause_ns(PAUSE_NS);
    }
}

bool
trace_begin(pid_t pid)
{
    int64_t end_ns = player_clock_ns() + INT64_C(5000000000);
    int status;

    if (ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACESYSGOOD) != 0)
        return false;
    return ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0 &&
           wait_for(pid, &status, end_ns) == pid && WIFSTOPPED(status) &&
           ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0;
}

/* What this stop is: a mark, another call's beginning (1), or nothing (0). */
static int
look(pid_t pid, int status)
{
    struct __ptrace_syscall_info info = {0};

    if (!WIFSTOPPED(status) || WSTOPSIG(status) != CALL_STOP ||
        ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) < 0 ||
        info.op != PTRACE_SYSCALL_INFO_ENTRY)
        return 0;
    if (info.entry.nr == SYS_getpriority && info.entry.args[0] >= TRACE_COUNT &&
        info.entry.args[0] <= TRACE_END)
        return (int)info.entry.args[0];
    return 1;
}

bool
trace_until_end(pid_t pid, int64_t deadline_ms, uint64_t *calls)
{
    int64_t end_ns = player_clock_ns() + deadline_ms * 1000000;
    bool is_counting = false;
    int status;

    *calls = 0;
    while (wait_for(pid, &status, end_ns) == pid && WIFSTOPPED(status)) {
        int seen = look(pid, status);
        int pass = WSTOPSIG(status);

        if (seen == TRACE_END)
            return ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0;
        if (seen == 1)
            *calls += is_counting;
        else if (seen != 0)
            is_counting = seen == TRACE_COUNT;
        if (pass == CALL_STOP || pass == SIGTRAP || status >> 16 != 0)
            pass = 0;
        if (ptrace(PTRACE_SYSCALL, pid, NULL, pass) != 0)
            break;
    }
    return false;
}
