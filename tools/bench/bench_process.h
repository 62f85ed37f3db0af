#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Processes that a bench starts, and what the kernel says of them. All that are
 * started are known here, die with their starter, and can be ended at once. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_MAX 128
/* Of what runs wherever the kernel puts it. */
#define PROCESS_ANY_CORE (-1)

struct process_plan {
    const char *const *argv;
    const char *const *env; /* NAME=VALUE, or NAME alone to take it away */
    int in;                 /* -1: nothing */
    int out;                /* -1: into the log */
    const char *log;
    int core; /* its only one, or PROCESS_ANY_CORE */
};

/* Signals ask to stop from here on; a peer that is gone is no signal. */
void process_catch_signals(void);
/* The signal that asked, or 0. */
int process_interrupted(void);

/* 0 and errno: it could not be started. */
pid_t process_start(const struct process_plan *plan);
/* Asks it to end, makes it after a while, and takes leave of it. */
void process_stop(pid_t pid);
void process_kill(pid_t pid);
void process_stop_all(void);
/* True while it runs; a dead one is taken leave of. */
bool process_is_alive(pid_t pid);

/* Cores this process may run on; fills in at most `max` of them. */
size_t process_cores(int *cores, size_t max);
/* Moves all its threads to a core, or lets them go anywhere. */
bool process_pin(pid_t pid, int core);

int64_t process_cpu_ns(pid_t pid);
/* Of its first thread alone. */
int64_t process_first_cpu_ns(pid_t pid);
/* 0: not known. */
uint64_t process_rss_kib(pid_t pid);
/* How much processor time all of the machine's, and those started here and ended,
 * have used; their difference is others'. */
int64_t process_machine_ns(void);
int64_t process_own_ns(void);
/* Times its threads went to sleep by themselves. */
uint64_t process_sleeps(pid_t pid);

#endif
