/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/bench/bench_process.h"
#include "tools/bench/bench_player.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STOP_NS INT64_C(5000000000)
#define LOOK_NS 1000000

static pid_t started[PROCESS_MAX];
static cpu_set_t everywhere;
static volatile sig_atomic_t came;

/* ---- being asked to stop ---- */

static void
remember(int signal)
{
    came = signal;
}

void
process_catch_signals(void)
{
    static const int caught[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = remember};

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++)
        sigaction(caught[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    sched_getaffinity(0, sizeof everywhere, &everywhere);
}

int
process_interrupted(void)
{
    return came;
}

/* ---- starting and ending ---- */

static void
set_core(int core)
{
    cpu_set_t one;

    if (core == PROCESS_ANY_CORE)
        return;
    CPU_ZERO(&one);
    CPU_SET((size_t)core, &one);
    sched_setaffinity(0, sizeof one, &one);
}

static void
set_environment(const char *const *env)
{
    for (; env != NULL && *env != NULL; env++) {
        char name[256];
        const char *value = strchr(*env, '=');

        if (value == NULL) {
            unsetenv(*env);
            continue;
        }
        snprintf(name, sizeof name, "%.*s", (int)(value - *env), *env);
        setenv(name, value + 1, 1);
    }
}

static _Noreturn void
become(const struct process_plan *plan, pid_t starter)
{
    char *argv[16];
    size_t count = 0;
    int none = open("/dev/null", O_RDWR | O_CLOEXEC);
    int log =
        plan->log != NULL
            ? open(plan->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)
            : none;

    for (; plan->argv[count] != NULL && count < 15; count++)
        memcpy(&argv[count], &plan->argv[count], sizeof argv[count]);
    assert(count > 0);
    argv[count] = NULL;
    /* A group of its own: Ctrl-C is for the starter, who ends it in order. */
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != starter ||
        dup2(plan->in >= 0 ? plan->in : none, STDIN_FILENO) < 0 ||
        dup2(plan->out >= 0 ? plan->out : log, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0)
        _exit(127);
    signal(SIGPIPE, SIG_DFL);
    set_core(plan->core);
    set_environment(plan->env);
    execv(argv[0], argv);
    fprintf(stderr, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

pid_t
process_start(const struct process_plan *plan)
{
    pid_t starter = getpid();
    size_t at = 0;
    pid_t pid;

    while (at < PROCESS_MAX && started[at] != 0)
        at++;
    if (at == PROCESS_MAX) {
        errno = EAGAIN;
        return 0;
    }
    fflush(NULL);
    pid = fork();
    if (pid == 0)
        become(plan, starter);
    if (pid < 0)
        return 0;
    started[at] = pid;
    return pid;
}

static void
forget(pid_t pid)
{
    for (size_t i = 0; i < PROCESS_MAX; i++) {
        if (started[i] == pid)
            started[i] = 0;
    }
}

bool
process_is_alive(pid_t pid)
{
    if (pid <= 0)
        return false;
    if (waitpid(pid, NULL, WNOHANG) == 0)
        return true;
    forget(pid);
    return false;
}

void
process_kill(pid_t pid)
{
    if (!process_is_alive(pid))
        return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    forget(pid);
}

void
process_stop(pid_t pid)
{
    int64_t end_ns = player_clock_ns() + STOP_NS;

    if (!process_is_alive(pid))
        return;
    kill(pid, SIGTERM);
    while (process_is_alive(pid)) {
        if (player_clock_ns() > end_ns) {
            process_kill(pid);
            return;
        }
        player_pause_ns(LOOK_NS);
    }
}

void
process_stop_all(void)
{
    for (size_t i = 0; i < PROCESS_MAX; i++) {
        if (started[i] != 0)
            kill(started[i], SIGTERM);
    }
    for (size_t i = 0; i < PROCESS_MAX; i++) {
        if (started[i] != 0)
            process_stop(started[i]);
    }
}

/* ---- where it runs ---- */

size_t
process_cores(int *cores, size_t max)
{
    size_t count = 0;

    for (int core = 0; core < CPU_SETSIZE && count < max; core++) {
        if (CPU_ISSET((size_t)core, &everywhere))
            cores[count++] = core;
    }
    return count;
}

/* Calls `act` for each thread; false when one said so, or there are none. */
static bool
each_thread(pid_t pid, bool (*act)(pid_t thread, void *), void *context)
{
    char path[64];
    struct dirent *entry;
    bool is_fine = true;
    DIR *tasks;

    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    tasks = opendir(path);
    if (tasks == NULL)
        return false;
    while ((entry = readdir(tasks)) != NULL) {
        pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);

        if (thread > 0)
            is_fine = act(thread, context) && is_fine;
    }
    closedir(tasks);
    return is_fine;
}

static bool
pin_one(pid_t thread, void *context)
{
    const cpu_set_t *cores = context;

    return sched_setaffinity(thread, sizeof *cores, cores) == 0;
}

bool
process_pin(pid_t pid, int core)
{
    cpu_set_t cores = everywhere;

    if (core != PROCESS_ANY_CORE) {
        CPU_ZERO(&cores);
        CPU_SET((size_t)core, &cores);
    }
    return each_thread(pid, pin_one, &cores);
}

/* ---- what the kernel says of it ---- */

int64_t
process_cpu_ns(pid_t pid)
{
    struct timespec t = {0};
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return 0;
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

int64_t
process_first_cpu_ns(pid_t pid)
{
    char path[64];
    char line[128] = "";
    FILE *stat;

    snprintf(path, sizeof path, "/proc/%d/task/%d/schedstat", (int)pid,
             (int)pid);
    stat = fopen(path, "re");
    if (stat != NULL) {
        if (fgets(line, sizeof line, stat) == NULL)
            line[0] = '\0';
        fclose(stat);
    }
    return strtoll(line, NULL, 10);
}

/* The number behind `key` in a status file of /proc. */
static uint64_t
read_status(const char *path, const char *key)
{
    FILE *status = fopen(path, "re");
    char line[128];
    uint64_t value = 0;

    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0)
            value = strtoull(line + strlen(key), NULL, 10);
    }
    if (status != NULL)
        fclose(status);
    return value;
}

uint64_t
process_rss_kib(pid_t pid)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    return read_status(path, "VmRSS:");
}

static bool
add_sleeps(pid_t thread, void *context)
{
    uint64_t *sum = context;
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/status", (int)thread);
    *sum += read_status(path, "voluntary_ctxt_switches:");
    return true;
}

uint64_t
process_sleeps(pid_t pid)
{
    uint64_t sum = 0;

    each_thread(pid, add_sleeps, &sum);
    return sum;
}

int64_t
process_machine_ns(void)
{
    FILE *stat = fopen("/proc/stat", "re");
    char line[256] = "";
    char *at = line + strlen("cpu");
    uint64_t ticks = 0;

    if (stat == NULL)
        return 0;
    if (fgets(line, sizeof line, stat) == NULL)
        line[0] = '\0';
    fclose(stat);
    /* user, nice, system, idle, iowait, irq, softirq, steal */
    for (int i = 0; i < 8 && line[0] != '\0'; i++) {
        uint64_t value = strtoull(at, &at, 10);

        if (i != 3 && i != 4)
            ticks += value;
    }
    return (int64_t)(ticks * (1000000000U / (uint64_t)sysconf(_SC_CLK_TCK)));
}

static int64_t
used_ns(int whose)
{
    struct rusage u;

    getrusage(whose, &u);
    return ((int64_t)u.ru_utime.tv_sec + u.ru_stime.tv_sec) *
               INT64_C(1000000000) +
           ((int64_t)u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

int64_t
process_own_ns(void)
{
    return used_ns(RUSAGE_SELF) + used_ns(RUSAGE_CHILDREN);
}
