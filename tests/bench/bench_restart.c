/* SPDX-License-Identifier: Apache-2.0
 *
 * How long a daemon with many services is away when it is killed: with its shared
 * memory left (adopted by the next one) and with that lost (rebuilt from the
 * database). Beside it a worker that asks over the socket all the time, and one
 * that reads shared memory all the time.
 *
 *   bench_restart BREAKERD [SERVICES [ROUNDS]] */
#define _GNU_SOURCE
#include "breaker/breaker.h"
#include "core/segment.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define SERVICES_MAX 100000
#define ROUNDS_MAX 99
#define WAIT_MS 20000
#define LINES_A_MESSAGE 512
/* Saving goes on for a second or two after the last change. */
#define QUIET_US (2500 * 1000)

/* What is measured of one restart, in milliseconds. */
enum figure { BOUND, RUNNING, ANSWERED, GAP, FIGURES };

static struct {
    const char *daemon;
    size_t services;
    size_t rounds;
    char dir[64]; /* of the instance, on a tmpfs where there is one */
    char home[64];
    pid_t pid;
    struct bk_segment segment;
    void *map;
    size_t bytes;
} run;

/* What the threads beside the restart have seen; nanoseconds of BOOTTIME. */
static struct {
    atomic_bool is_over;
    _Atomic int64_t bound_ns;    /* worker.sock came to be */
    _Atomic int64_t answered_ns; /* the first answer over the socket; 0: none */
    _Atomic int64_t gap_ns;      /* the longest between two answers of memory */
    _Atomic uint64_t others;     /* answers that were not memory's */
} seen;

static _Noreturn void
give_up(const char *what)
{
    fprintf(stderr, "bench_restart: %s\n", what);
    exit(1);
}

static int64_t
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void
path_of(char path[128], const char *scheme, const char *name)
{
    snprintf(path, 128, "%s%s/%s", scheme, run.dir, name);
}

/* ---- the daemon ---- */

static void
make_place(void)
{
    const char *ram = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    char path[128];
    FILE *conf;

    snprintf(run.dir, sizeof run.dir, "%s/breaker-bench-XXXXXX", ram);
    snprintf(run.home, sizeof run.home, "/tmp/breaker-bench-XXXXXX");
    if (mkdtemp(run.dir) == NULL || mkdtemp(run.home) == NULL)
        give_up("no directory");
    snprintf(path, sizeof path, "%s/conf", run.home);
    conf = fopen(path, "w");
    if (conf == NULL)
        give_up("cannot write its configuration");
    fprintf(conf, "[daemon]\nmax_services = %zu\n", run.services);
    fclose(conf);
}

static void
start(void)
{
    char db[128];
    char conf[128];
    char log[128];

    snprintf(db, sizeof db, "%s/b.db", run.home);
    snprintf(conf, sizeof conf, "%s/conf", run.home);
    snprintf(log, sizeof log, "%s/log", run.home);
    run.pid = fork();
    if (run.pid == 0) {
        int fd = open(log, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);

        prctl(PR_SET_PDEATHSIG, SIGTERM);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        execl(run.daemon, "breakerd", "--dir", run.dir, "--db", db, "-c", conf,
              (char *)NULL);
        _exit(127);
    }
    if (run.pid < 0)
        give_up("cannot start breakerd");
}

static void
end(int signal)
{
    kill(run.pid, signal);
    waitpid(run.pid, NULL, 0);
}

/* Until the segment is one of a daemon that began after `since_ns`; when it did. */
static int64_t
await_running(int64_t since_ns)
{
    char path[128];

    path_of(path, "", "breakerd.shm");
    for (int tries = 0; tries < WAIT_MS * 5; tries++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat st;

        if (run.map != NULL)
            munmap(run.map, run.bytes);
        run.map = NULL;
        if (fd >= 0 && fstat(fd, &st) == 0) {
            run.bytes = (size_t)st.st_size;
            run.map = mmap(NULL, run.bytes, PROT_READ, MAP_SHARED, fd, 0);
            run.map = run.map == MAP_FAILED ? NULL : run.map;
        }
        if (fd >= 0)
            close(fd);
        if (run.map != NULL &&
            bk_segment_attach(&run.segment, run.map, run.bytes) == NULL) {
            struct bk_segment_header *h = run.segment.header;
            int64_t at_ns = atomic_load(&h->started_boot_ns);

            if (atomic_load(&h->phase) == BK_SEGMENT_RUNNING &&
                at_ns > since_ns)
                return at_ns;
        }
        usleep(200);
    }
    give_up("breakerd does not start; its log is in the directory under /tmp");
}

/* How long a process of the same program takes that does nothing. */
static double
bare_start_ms(void)
{
    int64_t began = now_ns();
    pid_t child = fork();

    if (child == 0) {
        int fd = open("/dev/null", O_WRONLY);

        dup2(fd, STDOUT_FILENO);
        execl(run.daemon, "breakerd", "--version", (char *)NULL);
        _exit(127);
    }
    waitpid(child, NULL, 0);
    return (double)(now_ns() - began) / 1e6;
}

/* ---- services in all sorts of states ---- */

/* One in ten trips, one has failed, one is tripped by hand; the rest are well. */
static void
put_line(char *out, size_t size, size_t i, size_t which)
{
    const char *verb = "ACQUIRE";
    const char *rest = "";

    if (i % 10 == 0 || (i % 10 == 1 && which < 2)) {
        verb = "REPORT";
        rest = " 0 - failure 1234 1 - upstream said 503";
    } else if (i % 10 == 2 && which == 0) {
        verb = "TRIP";
        rest = " - the bench says so";
    } else if (i % 10 > 2 && which > 0) {
        verb = "REPORT";
        rest = " 0 - success 55000";
    }
    snprintf(out, size, "%s service-number-%zu%s", verb, i, rest);
}

static void
tell(void *dealer, size_t first, size_t count, size_t which)
{
    size_t answers = 0;

    zmq_send(dealer, "", 0, ZMQ_SNDMORE);
    for (size_t i = 0; i < count; i++) {
        char line[160];

        put_line(line, sizeof line, first + i, which);
        zmq_send(dealer, line, strlen(line), i + 1 < count ? ZMQ_SNDMORE : 0);
    }
    for (int more = 1; more != 0; answers++) {
        char answer[1024];
        size_t size = sizeof more;
        int len = zmq_recv(dealer, answer, sizeof answer, 0);

        if (len < 0)
            give_up("no answer");
        if (strncmp(answer, "ERR", 3) == 0)
            give_up("an error for an answer");
        zmq_getsockopt(dealer, ZMQ_RCVMORE, &more, &size);
    }
    if (answers != count + 1)
        give_up("too few answers");
}

static void
make_services(void)
{
    void *context = zmq_ctx_new();
    void *dealer = zmq_socket(context, ZMQ_DEALER);
    char endpoint[128];
    int wait_ms = WAIT_MS;
    int none = 0;

    path_of(endpoint, "ipc://", "operator.sock");
    zmq_setsockopt(dealer, ZMQ_RCVTIMEO, &wait_ms, sizeof wait_ms);
    zmq_setsockopt(dealer, ZMQ_LINGER, &none, sizeof none);
    if (zmq_connect(dealer, endpoint) != 0)
        give_up("cannot connect");
    for (size_t which = 0; which < 5; which++) {
        for (size_t at = 0; at < run.services; at += LINES_A_MESSAGE) {
            size_t left = run.services - at;

            tell(dealer, at, left < LINES_A_MESSAGE ? left : LINES_A_MESSAGE,
                 which);
        }
    }
    zmq_close(dealer);
    zmq_ctx_term(context);
}

/* ---- those who work meanwhile ---- */

static void
be_quiet(void *context, enum breaker_log_level level, const char *sentence)
{
    (void)context;
    (void)level;
    (void)sentence;
}

static struct breaker *
open_handle(uint32_t mode)
{
    struct breaker_options options = BREAKER_OPTIONS_INIT;

    options.dir = run.dir;
    options.mode = mode;
    options.log = be_quiet;
    return breaker_open(&options);
}

static void *
ask(void *unused)
{
    struct breaker *b = open_handle(BREAKER_MODE_ZMQ);

    (void)unused;
    while (!atomic_load(&seen.is_over)) {
        if (breaker_ping(b, NULL) == 0 && atomic_load(&seen.answered_ns) == 0)
            atomic_store(&seen.answered_ns, now_ns());
        usleep(500);
    }
    breaker_close(&b);
    return NULL;
}

/* Services that are closed, one after the other; each answer is to be memory's. */
static void *
look(void *unused)
{
    struct breaker *b = open_handle(BREAKER_MODE_AUTO);
    int64_t last_ns = 0;
    size_t i = 3;

    (void)unused;
    while (!atomic_load(&seen.is_over)) {
        char name[64];
        struct breaker_permit permit;
        int64_t at_ns;

        snprintf(name, sizeof name, "service-number-%zu", i);
        i = i + 10 < run.services ? i + 10 : 3;
        (void)breaker_acquire(breaker_service(b, name), &permit);
        at_ns = now_ns();
        if (permit.source != BREAKER_BY_MEMORY) {
            atomic_fetch_add(&seen.others, 1);
            continue;
        }
        if (last_ns != 0 && at_ns - last_ns > atomic_load(&seen.gap_ns))
            atomic_store(&seen.gap_ns, at_ns - last_ns);
        last_ns = at_ns;
        usleep(50);
    }
    breaker_close(&b);
    return NULL;
}

/* Sees the socket come to be. */
static void *
watch(void *unused)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

    (void)unused;
    if (fd < 0 || inotify_add_watch(fd, run.dir, IN_CREATE | IN_MOVED_TO) < 0)
        give_up("cannot watch its directory");
    while (!atomic_load(&seen.is_over)) {
        _Alignas(struct inotify_event) char events[4096];
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t len = poll(&p, 1, 10) > 0 ? read(fd, events, sizeof events) : 0;

        for (ssize_t at = 0; at < len;) {
            const struct inotify_event *e = (const void *)(events + at);

            if (e->len > 0 && strcmp(e->name, "worker.sock") == 0)
                atomic_store(&seen.bound_ns, now_ns());
            at += (ssize_t)(sizeof *e + e->len);
        }
    }
    close(fd);
    return NULL;
}

/* ---- one restart ---- */

static double
ms_since(int64_t at_ns, int64_t since_ns)
{
    return (double)(at_ns - since_ns) / 1e6;
}

static void
await_answer(void)
{
    for (int tries = 0; atomic_load(&seen.answered_ns) == 0; tries++) {
        if (tries == WAIT_MS)
            give_up("nobody answers any more");
        usleep(1000);
    }
}

static void
restart(bool is_lost, double out[FIGURES])
{
    char path[128];
    int64_t killed_ns;
    int64_t began_ns;
    int64_t running_ns;

    path_of(path, "", "breakerd.shm");
    await_answer();
    usleep(20 * 1000);
    killed_ns = now_ns();
    end(SIGKILL);
    if (is_lost)
        unlink(path);
    atomic_store(&seen.gap_ns, 0);
    atomic_store(&seen.others, 0);
    usleep(30 * 1000); /* whoever supervises needs a moment, too */
    atomic_store(&seen.answered_ns, 0);
    began_ns = now_ns();
    start();
    running_ns = await_running(killed_ns);
    await_answer();
    out[BOUND] = ms_since(atomic_load(&seen.bound_ns), began_ns);
    out[RUNNING] = ms_since(running_ns, began_ns);
    out[ANSWERED] =
        ms_since(atomic_load(&seen.answered_ns), began_ns) - out[BOUND];
    usleep(20 * 1000);
    out[GAP] = (double)atomic_load(&seen.gap_ns) / 1e6;
    if (atomic_load(&run.segment.header->service_count) != run.services)
        give_up("services are missing");
    usleep(QUIET_US);
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static void
tell_row(const char *what, double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_value);
    printf("  %-44s %8.2f ms (%.2f to %.2f)\n", what, values[count / 2],
           values[0], values[count - 1]);
}

static void
bench(bool is_lost)
{
    static const char *const rows[FIGURES] = {
        "from exec to the worker's socket", "from exec to running",
        "from the socket to a worker's first answer",
        "longest gap between answers of memory"};
    static double figures[FIGURES][ROUNDS_MAX];
    static double bare[ROUNDS_MAX];
    uint64_t others = 0;

    for (size_t i = 0; i < run.rounds; i++) {
        double one[FIGURES];

        bare[i] = bare_start_ms();
        restart(is_lost, one);
        others += atomic_load(&seen.others);
        for (int k = 0; k < FIGURES; k++)
            figures[k][i] = one[k];
    }
    printf("%zu services, shared memory %s, median of %zu restarts:\n",
           run.services, is_lost ? "lost" : "kept", run.rounds);
    tell_row("a start that does nothing (--version)", bare, run.rounds);
    for (int k = 0; k < FIGURES; k++)
        tell_row(rows[k], figures[k], run.rounds);
    printf("  answers that were not memory's: %llu\n",
           (unsigned long long)others);
}

static void
remove_places(void)
{
    char command[256];

    snprintf(command, sizeof command, "rm -r '%s' '%s'", run.dir, run.home);
    if (system(command) != 0) /* NOLINT(cert-env33-c): names of our own */
        give_up("cannot remove its directories");
}

int
main(int argc, char **argv)
{
    static void *(*const roles[])(void *) = {watch, ask, look};
    pthread_t threads[3];

    if (argc < 2 || argc > 4)
        give_up("usage: bench_restart BREAKERD [SERVICES [ROUNDS]]");
    run.daemon = argv[1];
    run.services = argc > 2 ? strtoul(argv[2], NULL, 10) : 10000;
    run.rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : 5;
    if (run.services < 10 || run.services > SERVICES_MAX || run.rounds < 1 ||
        run.rounds > ROUNDS_MAX)
        give_up("10 to 100000 services, 1 to 99 rounds");
    make_place();
    start();
    await_running(0);
    printf("segment: %zu octets, %zu a service\n", run.bytes,
           run.bytes / run.services);
    make_services();
    usleep(QUIET_US);
    for (int i = 0; i < 3; i++) {
        if (pthread_create(&threads[i], NULL, roles[i], NULL) != 0)
            give_up("cannot start a thread");
    }
    bench(false);
    bench(true);
    atomic_store(&seen.is_over, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    end(SIGTERM);
    remove_places();
    return 0;
}
