/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/bench/bench_peer.h"
#include "tools/bench/bench_process.h"
#include "tools/link.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Longer than any block. */
#define BLOCK_MS 60000
#define SLICE_MS 100
#define SERVER_NS INT64_C(10000000000)
#define LOOK_NS 200000
/* In which one ends by itself whose input is over. */
#define END_NS 500000000

/* What a peer is built from, and needs when it runs. */
static const struct need {
    const char *program;
    const char *words;
} needs[] = {
    {"redis",
     "libhiredis-dev when it is built, and redis-server or redis-tools"},
    {"gobreaker", "go and the module github.com/sony/gobreaker/v2"},
    {"opossum", "node and the npm packages of tests/node"},
    {"cockatiel", "node and the npm packages of tests/node"},
};

static bool
find(struct bench *b, const char *program, char path[BENCH_PROGRAM_SIZE])
{
    snprintf(path, BENCH_PROGRAM_SIZE, "%s/breaker-bench-%s", b->here, program);
    if (access(path, X_OK) == 0)
        return true;
    snprintf(path, BENCH_PROGRAM_SIZE, "%s/%s", b->options.peers, program);
    return access(path, X_OK) == 0;
}

bool
peer_is_there(struct bench *b, const char *program)
{
    char path[BENCH_PROGRAM_SIZE];

    if (find(b, program, path) &&
        (strcmp(program, "redis") != 0 || b->options.redis_server[0] != '\0'))
        return true;
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++) {
        if (strcmp(needs[i].program, program) == 0)
            return bench_fail(b, "needs ", needs[i].words);
    }
    return bench_fail(b, "was not built: ", program);
}

/* ---- starting and ending ---- */

bool
peer_start(struct bench *b, struct peer *p, const struct peer_plan *plan)
{
    char path[BENCH_PROGRAM_SIZE];
    char log[BENCH_PATH_SIZE + 8];
    char library[OPTIONS_PATH_SIZE + 32];
    const char *argv[6] = {path};
    const char *env[4] = {"BREAKERD_MODE", NULL};
    struct process_plan process = {
        .argv = argv, .env = env, .log = log, .core = plan->core};
    int to[2];
    int from[2];

    if (!peer_is_there(b, plan->program) || !find(b, plan->program, path))
        return false;
    for (size_t i = 0; i < 4 && plan->args[i] != NULL; i++)
        argv[1 + i] = plan->args[i];
    if (b->options.libraries[0] != '\0') {
        snprintf(library, sizeof library, "LD_LIBRARY_PATH=%s",
                 b->options.libraries);
        env[1] = library;
        env[2] = plan->env;
    } else {
        env[1] = plan->env;
    }
    snprintf(log, sizeof log, "%s/log", b->dir);
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
        return bench_fail(b, "no pipe: ", strerror(errno));
    process.in = to[0];
    process.out = from[1];
    p->pid = process_start(&process);
    p->to = to[1];
    p->from = from[0];
    snprintf(p->name, sizeof p->name, "%s", plan->program);
    close(to[0]);
    close(from[1]);
    return p->pid != 0 ||
           bench_fail(b, "cannot start a process: ", strerror(errno));
}

void
peer_stop(struct peer *p)
{
    int64_t end_ns = player_clock_ns() + END_NS;

    if (p->pid == 0)
        return;
    close(p->to);
    close(p->from);
    while (process_is_alive(p->pid) && player_clock_ns() < end_ns)
        player_pause_ns(LOOK_NS);
    process_stop(p->pid);
    p->pid = 0;
}

bool
peer_start_worker(struct bench *b, struct peer *p, const struct bench_daemon *d,
                  const char *mode, const char *env, int core)
{
    struct peer_plan plan = {
        .program = "worker", .args = {d->dir, mode}, .env = env, .core = core};

    return peer_start(b, p, &plan);
}

/* ---- orders and answers ---- */

bool
peer_tell(struct bench *b, struct peer *p, const char *block, uint64_t count,
          const char *words)
{
    char line[PLAYER_LINE_MAX];
    int len = snprintf(line, sizeof line, "%s %" PRIu64 " %s\n", block, count,
                       words != NULL ? words : "");

    return write(p->to, line, (size_t)len) == len ||
           bench_fail(b, "has ended: ", p->name);
}

/* A line; false when it does not come. */
static bool
read_line(struct bench *b, struct peer *p, char line[PLAYER_LINE_MAX])
{
    int64_t end_ns = player_clock_ns() + BLOCK_MS * INT64_C(1000000);
    size_t len = 0;

    while (len < PLAYER_LINE_MAX - 1) {
        struct pollfd one = {.fd = p->from, .events = POLLIN};
        int ready = poll(&one, 1, SLICE_MS);

        if (process_interrupted() != 0)
            return bench_fail(b, "interrupted", "");
        if (player_clock_ns() > end_ns)
            return bench_fail(b, "does not answer: ", p->name);
        if (ready <= 0)
            continue;
        if (read(p->from, line + len, 1) != 1)
            return bench_fail(b, "ended by itself: ", p->name);
        if (line[len] == '\n')
            break;
        len++;
    }
    line[len] = '\0';
    return true;
}

bool
peer_hear(struct bench *b, struct peer *p, struct player_told *told)
{
    char line[PLAYER_LINE_MAX];
    char *at = line + 3;

    memset(told, 0, sizeof *told);
    if (!read_line(b, p, line))
        return false;
    if (strncmp(line, "ok ", 3) != 0) {
        char why[PLAYER_LINE_MAX + 40];

        snprintf(why, sizeof why, "%s: %s", p->name, line + 3);
        return bench_fail(b, why, "");
    }
    told->ops = strtoull(at, &at, 10);
    told->began_ns = strtoll(at, &at, 10);
    told->ended_ns = strtoll(at, &at, 10);
    told->ns = strtoll(at, &at, 10);
    told->cpu_ns = strtoll(at, &at, 10);
    while (*at == ' ' && told->more_count < PLAYER_MORE_MAX)
        told->more[told->more_count++] = strtod(at, &at);
    return true;
}

bool
peer_ask(struct bench *b, struct peer *p, const char *block, uint64_t count,
         const char *words, struct player_told *told)
{
    return peer_tell(b, p, block, count, words) && peer_hear(b, p, told);
}

/* ---- servers ---- */

static pid_t
serve(struct bench *b, const char *const *argv, const char *socket, int core)
{
    char log[BENCH_PATH_SIZE + 8];
    struct process_plan plan = {
        .argv = argv, .in = -1, .out = -1, .log = log, .core = core};
    int64_t end_ns = player_clock_ns() + SERVER_NS;
    pid_t pid;

    snprintf(log, sizeof log, "%s/log", b->dir);
    pid = process_start(&plan);
    while (pid != 0 && link_probe(socket) != LINK_LISTENS) {
        if (!process_is_alive(pid) || player_clock_ns() > end_ns) {
            process_stop(pid);
            pid = 0;
        } else {
            player_pause_ns(LOOK_NS);
        }
    }
    if (pid == 0)
        bench_fail(b, "cannot be started: ", argv[0]);
    return pid;
}

pid_t
peer_serve_echo(struct bench *b, const char *name, int core,
                char endpoint[BENCH_PATH_SIZE])
{
    char path[BENCH_PROGRAM_SIZE];
    const char *argv[] = {path, endpoint, NULL};
    int len =
        snprintf(endpoint, BENCH_PATH_SIZE, "ipc://%s/%s.echo", b->dir, name);

    if (len >= BENCH_PATH_SIZE || !peer_is_there(b, "echo") ||
        !find(b, "echo", path))
        return 0;
    return serve(b, argv, endpoint + strlen("ipc://"), core);
}

pid_t
peer_serve_redis(struct bench *b, const char *name, int core,
                 char socket[BENCH_PATH_SIZE])
{
    char server[BENCH_PATH_SIZE + 16];
    const char *argv[] = {server, "--port", "0",    "--unixsocket",
                          socket, "--save", "",     "--appendonly",
                          "no",   "--dir",  b->dir, "--daemonize",
                          "no",   NULL};
    int len = snprintf(socket, BENCH_PATH_SIZE, "%s/%s.redis", b->dir, name);

    if (len >= BENCH_PATH_SIZE || !peer_is_there(b, "redis"))
        return 0;
    snprintf(server, sizeof server, "%s/redis-server", b->dir);
    if (symlink(b->options.redis_server, server) != 0 && errno != EEXIST)
        return bench_fail(b, "cannot make ", server);
    return serve(b, argv, socket, core);
}
