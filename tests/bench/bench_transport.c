/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker's round trip to breakerd (a PING): by the library's own ZMTP, by libzmq in
 * the library, and, as the floor of the latter, frames of the same size echoed by
 * a bare ROUTER to a bare DEALER. In alternating blocks; what is told are ratios.
 *
 *   bench_transport BREAKERD [ROUNDS [CALLS]] */
#define _GNU_SOURCE
#include "breaker/breaker.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define ROUNDS_MAX 99
#define CALLS_MAX 100000
#define WAIT_MS 10000
#define NS_PER_MS 1000000

enum peer { OWN, LIBZMQ, ECHO, PEERS };

static struct {
    const char *daemon;
    size_t rounds;
    size_t calls;
    char dir[64];
    struct breaker *handles[2];
    void *dealer;
} run;

static _Noreturn void
give_up(const char *what)
{
    fprintf(stderr, "bench_transport: %s\n", what);
    exit(1);
}

static int64_t
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* ---- those who answer, in processes of their own ---- */

static void
name(char *path, size_t size, const char *scheme, const char *file)
{
    snprintf(path, size, "%s%s/%s", scheme, run.dir, file);
}

static pid_t
start_daemon(void)
{
    char db[128];
    char log[128];
    pid_t daemon;

    name(db, sizeof db, "", "b.db");
    name(log, sizeof log, "", "log");
    daemon = fork();
    if (daemon == 0) {
        int fd = open(log, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

        prctl(PR_SET_PDEATHSIG, SIGTERM);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        execl(run.daemon, "breakerd", "--dir", run.dir, "--db", db,
              (char *)NULL);
        _exit(127);
    }
    if (daemon < 0)
        give_up("cannot start breakerd");
    return daemon;
}

static void
start_echo(void)
{
    char endpoint[128];

    name(endpoint, sizeof endpoint, "ipc://", "echo");
    if (fork() == 0) {
        void *context = zmq_ctx_new();
        void *router = zmq_socket(context, ZMQ_ROUTER);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (zmq_bind(router, endpoint) != 0)
            _exit(1);
        for (;;) {
            char frame[64];
            int len = zmq_recv(router, frame, sizeof frame, 0);
            int more = 0;
            size_t size = sizeof more;

            zmq_getsockopt(router, ZMQ_RCVMORE, &more, &size);
            zmq_send(router, frame, len > 0 ? (size_t)len : 0,
                     more != 0 ? ZMQ_SNDMORE : 0);
        }
    }
}

/* ---- one round trip ---- */

static bool
ping_echo(void)
{
    uint64_t id = 7;
    char frame[64];

    if (zmq_send(run.dealer, &id, sizeof id, ZMQ_SNDMORE) < 0 ||
        zmq_send(run.dealer, "", 0, ZMQ_SNDMORE) < 0 ||
        zmq_send(run.dealer, "PING", 4, 0) < 0)
        return false;
    for (int i = 0; i < 3; i++) {
        if (zmq_recv(run.dealer, frame, sizeof frame, 0) < 0)
            return false;
    }
    return true;
}

static void
ping(enum peer peer)
{
    if (peer == ECHO ? !ping_echo()
                     : breaker_ping(run.handles[peer], NULL) != 0)
        give_up(peer == ECHO ? "no echo" : breaker_error_text());
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double
median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_value);
    return values[count / 2];
}

/* The median of a block of round trips, in microseconds. */
static double
measure(enum peer peer, int64_t pause_ns)
{
    static double took_us[CALLS_MAX];

    ping(peer);
    for (size_t i = 0; i < run.calls; i++) {
        struct timespec pause = {.tv_nsec = pause_ns};
        int64_t began;

        if (pause_ns > 0)
            nanosleep(&pause, NULL);
        began = now_ns();
        ping(peer);
        took_us[i] = (double)(now_ns() - began) / 1000;
    }
    return median(took_us, run.calls);
}

/* ---- what is told ---- */

static void
tell(const char *how, double us[PEERS][ROUNDS_MAX])
{
    static const char *const names[PEERS] = {"zmtp", "libzmq", "bare echo"};
    double ratios[ROUNDS_MAX];

    printf("%s, median of %zu blocks of %zu:", how, run.rounds, run.calls);
    for (int peer = 0; peer < PEERS; peer++) {
        double copy[ROUNDS_MAX];

        memcpy(copy, us[peer], sizeof copy);
        printf("%s %s %.1f us", peer > 0 ? "," : "", names[peer],
               median(copy, run.rounds));
    }
    putchar('\n');
    for (int peer = LIBZMQ; peer < PEERS; peer++) {
        for (size_t i = 0; i < run.rounds; i++)
            ratios[i] = us[OWN][i] / us[peer][i];
        printf("  zmtp / %-9s %.2f", names[peer], median(ratios, run.rounds));
        printf(" (%.2f to %.2f)\n", ratios[0], ratios[run.rounds - 1]);
    }
}

static void
bench(const char *how, int64_t pause_ns)
{
    static double us[PEERS][ROUNDS_MAX];

    for (size_t i = 0; i < run.rounds; i++) {
        for (int peer = 0; peer < PEERS; peer++)
            us[peer][i] = measure((enum peer)peer, pause_ns);
    }
    tell(how, us);
}

static void
open_handles(void)
{
    static const char *const transports[] = {"zmtp", "libzmq"};
    struct breaker_options options = BREAKER_OPTIONS_INIT;
    char endpoint[128];
    int wait_ms = WAIT_MS;

    options.dir = run.dir;
    options.mode = BREAKER_MODE_ZMQ;
    options.deadline_ms = WAIT_MS;
    for (int i = 0; i < 2; i++) {
        setenv("BREAKERD_TRANSPORT", transports[i], 1);
        run.handles[i] = breaker_open(&options);
        for (int tries = 0; breaker_ping(run.handles[i], NULL) != 0; tries++) {
            if (tries == WAIT_MS / 10)
                give_up(breaker_error_text());
            usleep(10 * 1000);
        }
    }
    name(endpoint, sizeof endpoint, "ipc://", "echo");
    run.dealer = zmq_socket(zmq_ctx_new(), ZMQ_DEALER);
    zmq_setsockopt(run.dealer, ZMQ_RCVTIMEO, &wait_ms, sizeof wait_ms);
    if (zmq_connect(run.dealer, endpoint) != 0)
        give_up("cannot connect to the echo");
}

/* In a process of its own, whose end is that of all it started. */
static void
play(const char *how, bool is_pinned, int64_t pause_ns)
{
    cpu_set_t one;
    pid_t child = fork();
    int status = 1;

    if (child == 0) {
        CPU_ZERO(&one);
        CPU_SET((size_t)sched_getcpu(), &one);
        if (is_pinned && sched_setaffinity(0, sizeof one, &one) != 0)
            give_up("cannot be pinned to a core");
        pid_t daemon = start_daemon();

        start_echo();
        open_handles();
        bench(how, pause_ns);
        fflush(stdout);
        /* Else it might clear its directory away while that is removed. */
        kill(daemon, SIGTERM);
        waitpid(daemon, NULL, 0);
        _exit(0);
    }
    if (waitpid(child, &status, 0) != child || status != 0)
        exit(1);
}

static void
remove_dir(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -r '%s'", run.dir);
    if (system(command) != 0) /* NOLINT(cert-env33-c): a name of our own */
        give_up("cannot remove its directory");
}

int
main(int argc, char **argv)
{
    if (argc < 2 || argc > 4)
        give_up("usage: bench_transport BREAKERD [ROUNDS [CALLS]]");
    run.daemon = argv[1];
    run.rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 9;
    run.calls = argc > 3 ? strtoul(argv[3], NULL, 10) : 1000;
    if (run.rounds < 1 || run.rounds > ROUNDS_MAX || run.calls < 1 ||
        run.calls > CALLS_MAX)
        give_up("1 to 99 rounds of 1 to 100000 calls");
    for (int mode = 0; mode < 2; mode++) {
        snprintf(run.dir, sizeof run.dir, "/tmp/breaker-bench-XXXXXX");
        if (mkdtemp(run.dir) == NULL)
            give_up("no directory under /tmp");
        play(mode == 0 ? "on one core, without pause" : "one a millisecond",
             mode == 0, mode == 0 ? 0 : NS_PER_MS);
        remove_dir();
    }
    return 0;
}
