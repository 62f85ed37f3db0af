/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/prober_child.h"
#include "core/vocab.h"
#include "daemon/log.h"
#include "daemon/prober/link.h"
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "breakerd-prober"
#define BACKOFF_MIN_NS (200 * BK_NS_PER_MS)
#define BACKOFF_MAX_NS (30 * BK_NS_PER_S)
/* Who lived this long starts again at once. */
#define LIFE_NS (60 * BK_NS_PER_S)

void
prober_child_init(struct prober_child *c)
{
    *c = (struct prober_child){.fd = -1};
}

/* Beside breakerd, as in a build tree; else where it is installed, seen from
 * breakerd, or by its whole path. */
static bool
find_program(char out[PATH_MAX])
{
    static const char *const places[] = {".", PROBER_NEAR};
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[n > 0 ? n : 0] = '\0';
    const char *slash = strrchr(self, '/');
    for (size_t i = 0; slash != NULL && i < 2; i++) {
        int len = snprintf(out, PATH_MAX, "%.*s/%s/" PROGRAM,
                           (int)(slash - self), self, places[i]);
        if (len < PATH_MAX && access(out, X_OK) == 0) {
            return true;
        }
    }
    snprintf(out, PATH_MAX, "%s", PROBER_FULL "/" PROGRAM);
    return access(out, X_OK) == 0;
}

/* 0, or an errno. */
static int
spawn(const char *program, int fd, pid_t *pid)
{
    char parent[24];
    char name[] = PROGRAM;
    char *const argv[] = {name, parent, NULL};
    sigset_t none;
    sigset_t usual;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    snprintf(parent, sizeof(parent), "%ld", (long)getpid());
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    sigaddset(&usual, SIGXFSZ);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, LINK_FD);
    int error = posix_spawn(pid, program, &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error;
}

static void
put_off(struct prober_child *c, int64_t now_ns)
{
    c->backoff_ns = c->backoff_ns > 0 ? 2 * c->backoff_ns : BACKOFF_MIN_NS;
    if (c->backoff_ns > BACKOFF_MAX_NS) {
        c->backoff_ns = BACKOFF_MAX_NS;
    }
    c->next_start_ns = now_ns + c->backoff_ns;
}

static bool
fail(struct prober_child *c, int64_t now_ns, const char *what, int number)
{
    put_off(c, now_ns);
    log_line(LOG_ERROR, "cannot start the prober: %s: %s", what,
             strerror(number));
    return false;
}

bool
prober_child_start(struct prober_child *c, int64_t now_ns)
{
    char program[PATH_MAX];
    int ends[2];
    if (now_ns < c->next_start_ns) {
        return false;
    }
    if (c->pid != 0) { /* the last one is not buried yet */
        put_off(c, now_ns);
        return false;
    }
    if (!find_program(program)) {
        put_off(c, now_ns);
        if (!c->is_missing) {
            log_line(LOG_ERROR,
                     "no health probes and no webhooks: " PROGRAM
                     " is neither beside breakerd nor at %s; install it",
                     program);
        }
        c->is_missing = true;
        return false;
    }
    c->is_missing = false;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return fail(c, now_ns, "socketpair", errno);
    }
    int error = spawn(program, ends[1], &c->pid);
    close(ends[1]);
    if (error != 0) {
        close(ends[0]);
        c->pid = 0;
        return fail(c, now_ns, program, error);
    }
    c->fd = ends[0];
    c->started_ns = now_ns;
    log_line(LOG_INFO, "prober started (pid %ld)", (long)c->pid);
    return true;
}

void
prober_child_end(struct prober_child *c, int64_t now_ns)
{
    if (c->fd < 0) {
        return;
    }
    close(c->fd);
    c->fd = -1;
    kill(c->pid, SIGKILL);
    if (now_ns - c->started_ns >= LIFE_NS) {
        c->backoff_ns = 0;
    }
    put_off(c, now_ns);
    prober_child_reap(c);
}

void
prober_child_reap(struct prober_child *c)
{
    int status = 0;
    if (c->pid != 0 && c->fd < 0 && waitpid(c->pid, &status, WNOHANG) != 0) {
        c->pid = 0;
    }
}
