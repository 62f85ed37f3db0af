/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/bench/bench_daemon.h"
#include "core/policy.h"
#include "tools/bench/bench.h"
#include "tools/bench/bench_player.h"
#include "tools/bench/bench_process.h"
#include "tools/link.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define START_NS INT64_C(20000000000)
#define LOOK_NS 50000
#define ENV_MAX 64

/* The one that trips at once is for seeing how fast that is seen. */
static const char common[] = "[service trip]\n"
                             "failure_threshold = 1\n"
                             "recovery_timeout = 1h\n";

bool
daemon_prepare(struct bench *b, struct bench_daemon *d, const char *name,
               unsigned services)
{
    FILE *conf;

    snprintf(d->dir, sizeof d->dir, "%s/%s", b->dir, name);
    snprintf(d->db, sizeof d->db, "%s/%s.db", b->disk, name);
    snprintf(d->conf, sizeof d->conf, "%s/%s.conf", b->dir, name);
    snprintf(d->worker_socket, sizeof d->worker_socket, "%s/%s/worker.sock",
             b->dir, name);
    snprintf(d->endpoint, sizeof d->endpoint, "ipc://%s/%s/worker.sock", b->dir,
             name);
    conf = fopen(d->conf, "we");
    if (conf == NULL)
        return bench_fail(b, "cannot write ", d->conf);
    fputs(common, conf);
    if (services != 0)
        fprintf(conf, "[daemon]\nmax_services = %u\n", services);
    return fclose(conf) == 0 || bench_fail(b, "cannot write ", d->conf);
}

/* ---- its segment ---- */

static void
detach(struct bench_daemon *d)
{
    if (d->base != NULL)
        munmap(d->base, d->bytes);
    d->base = NULL;
}

/* Maps the file that is there now. */
static bool
attach(struct bench_daemon *d)
{
    char path[DAEMON_PATH_SIZE + 16];
    struct stat found;
    int fd;

    snprintf(path, sizeof path, "%s/breakerd.shm", d->dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (fstat(fd, &found) == 0 && found.st_size > 0) {
        d->bytes = (size_t)found.st_size;
        d->base = mmap(NULL, d->bytes, PROT_READ, MAP_SHARED, fd, 0);
        if (d->base == MAP_FAILED)
            d->base = NULL;
    }
    close(fd);
    if (d->base != NULL &&
        bk_segment_attach(&d->segment, d->base, d->bytes) == NULL)
        return true;
    detach(d);
    return false;
}

/* Does the file say that a daemon runs, which is another than the last one? */
static bool
is_running(struct bench_daemon *d)
{
    uint64_t epoch;

    if (d->base == NULL && !attach(d))
        return false;
    if (atomic_load(&d->segment.header->phase) == BK_SEGMENT_RETIRED) {
        detach(d);
        return false;
    }
    epoch = atomic_load(&d->segment.header->epoch);
    return atomic_load(&d->segment.header->phase) == BK_SEGMENT_RUNNING &&
           epoch != d->epoch;
}

/* ---- starting and ending ---- */

static pid_t
spawn(struct bench *b, struct bench_daemon *d)
{
    static const char *const foreign[] = {
        "BREAKERD_DIR",  "RUNTIME_DIRECTORY", "STATE_DIRECTORY",
        "NOTIFY_SOCKET", "LISTEN_FDS",        "LISTEN_PID"};
    const char *argv[] = {b->options.breakerd,
                          "-c",
                          d->conf,
                          "--dir",
                          d->dir,
                          "--db",
                          d->db,
                          NULL};
    const char *env[ENV_MAX] = {NULL};
    char log[DAEMON_PATH_SIZE + 8];
    struct process_plan plan = {.argv = argv,
                                .env = env,
                                .in = -1,
                                .out = -1,
                                .log = log,
                                .core = PROCESS_ANY_CORE};
    size_t count = 0;

    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        env[count++] = foreign[i];
    for (size_t i = 0; i < bk_env_count() && count < ENV_MAX - 1; i++)
        env[count++] = bk_env_name(i);
    snprintf(log, sizeof log, "%s.log", d->dir);
    return process_start(&plan);
}

/* Until the segment and the socket say that it serves. */
static bool
await(struct bench *b, struct bench_daemon *d, int64_t began_ns)
{
    d->running_ns = 0;
    d->listening_ns = 0;
    while (d->running_ns == 0 || d->listening_ns == 0) {
        int64_t now_ns = player_clock_ns();

        if (d->running_ns == 0 && is_running(d))
            d->running_ns = now_ns - began_ns;
        if (d->listening_ns == 0 &&
            link_probe(d->worker_socket) == LINK_LISTENS)
            d->listening_ns = now_ns;
        if (!process_is_alive(d->pid)) {
            d->pid = 0;
            return bench_fail(b, "breakerd ended by itself: see its log in ",
                              b->dir);
        }
        if (process_interrupted() != 0 || now_ns > began_ns + START_NS)
            return bench_fail(b, "breakerd does not serve", "");
        player_pause_ns(LOOK_NS);
    }
    d->epoch = atomic_load(&d->segment.header->epoch);
    return true;
}

bool
daemon_start(struct bench *b, struct bench_daemon *d)
{
    int64_t began_ns = player_clock_ns();

    d->pid = spawn(b, d);
    if (d->pid == 0)
        return bench_fail(b, "cannot start breakerd: ", strerror(errno));
    return await(b, d, began_ns);
}

void
daemon_kill(struct bench_daemon *d)
{
    process_kill(d->pid);
    d->pid = 0;
}

bool
daemon_remove_segment(struct bench *b, struct bench_daemon *d)
{
    char path[DAEMON_PATH_SIZE + 16];

    detach(d);
    snprintf(path, sizeof path, "%s/breakerd.shm", d->dir);
    return unlink(path) == 0 || bench_fail(b, "cannot remove ", path);
}

/* ---- asking it ---- */

struct bk_totals
daemon_totals(const struct bench_daemon *d)
{
    struct bk_totals totals;

    bk_segment_read_totals(&d->segment, &totals);
    return totals;
}

bool
daemon_ask(struct bench *b, const struct bench_daemon *d, const char *line,
           char *answer, size_t size)
{
    char path[DAEMON_PATH_SIZE + 16];
    struct link_reply reply;
    struct link *link;
    bool is_answered;

    snprintf(path, sizeof path, "%s/operator.sock", d->dir);
    link = link_open(path);
    if (link == NULL)
        return bench_fail(b, "no connection to ", path);
    is_answered =
        link_ask(link, &line, 1, LINK_DEADLINE_MS, &reply) == LINK_ANSWERED;
    if (is_answered) {
        snprintf(answer, size, "%s", reply.count > 0 ? reply.frames[0] : "");
        link_reply_free(&reply);
    }
    link_close(&link);
    return (is_answered && strncmp(answer, "OK", 2) == 0) ||
           bench_fail(b, "breakerd does not answer ", line);
}

bool
daemon_successes(struct bench *b, const struct bench_daemon *d,
                 const char *service, uint64_t *count)
{
    static const char key[] = "\"success\":";
    char line[128];
    char answer[8192];
    const char *at;

    snprintf(line, sizeof line, "STATUS %s", service);
    if (!daemon_ask(b, d, line, answer, sizeof answer))
        return false;
    at = strstr(answer, key);
    if (at == NULL)
        return bench_fail(b, "no successes in the status of ", service);
    *count = strtoull(at + strlen(key), NULL, 10);
    return true;
}
