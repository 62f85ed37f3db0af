/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/ctl_run_child.h"
#include "core/vocab.h"
#include "tools/ctl_out.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RELAY_SIZE 65536
#define STATUS_NOT_FOUND 127
#define STATUS_NOT_STARTED 126
#define STATUS_TIMEOUT 124
#define STATUS_SIGNAL 128

/* A command under way. */
struct child {
    const struct run_frame *frame;
    struct run_end *end;
    pid_t pid;
    bool has_ended;
    bool has_group;      /* a process group of its own */
    int output;          /* the read end of its stdout; -1: none */
    size_t held;         /* octets in `buffer` not yet passed on */
    size_t sent;         /* of them, passed on */
    int64_t deadline_ns; /* the next of TERM and KILL; BK_NEVER: none */
    int64_t tick_ns;
    char buffer[RELAY_SIZE];
};

static const int passed_on[] = {SIGTERM, SIGINT,  SIGHUP,
                                SIGQUIT, SIGUSR1, SIGUSR2};

static int64_t
now_ns(void)
{
    struct timespec t = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * BK_NS_PER_S + (int64_t)t.tv_nsec;
}

static void
fill_signals(sigset_t *set)
{
    (void)sigemptyset(set);
    for (size_t i = 0; i < sizeof passed_on / sizeof passed_on[0]; i++)
        (void)sigaddset(set, passed_on[i]);
    (void)sigaddset(set, SIGCHLD);
}

int
run_signals(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t set;

    fill_signals(&set);
    /* A reader that went away is an error of write, not our end; and somebody
     * may have started us with SIGCHLD ignored, which would lose statuses. */
    if (sigaction(SIGPIPE, &ignore, NULL) != 0 ||
        sigaction(SIGCHLD, &usual, NULL) != 0 ||
        sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return -1;
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* In a terminal the command stays in our group, in the foreground, where the
 * terminal's own signals reach it; elsewhere it gets a group of its own, so that
 * what it started ends with it. */
static bool
is_on_terminal(void)
{
    return isatty(STDIN_FILENO) || isatty(STDOUT_FILENO) ||
           isatty(STDERR_FILENO);
}

static int
set_attributes(posix_spawnattr_t *attributes, bool has_group)
{
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    sigset_t set;
    int error;

    if (has_group)
        flags = (short)(flags | POSIX_SPAWN_SETPGROUP);
    (void)sigemptyset(&set);
    error = posix_spawnattr_setsigmask(attributes, &set);
    (void)sigaddset(&set, SIGPIPE);
    if (error == 0)
        error = posix_spawnattr_setsigdefault(attributes, &set);
    if (error == 0)
        error = posix_spawnattr_setpgroup(attributes, 0);
    return error != 0 ? error : posix_spawnattr_setflags(attributes, flags);
}

/* Starts the command with `output` as its stdout (-1: ours). An errno. */
static int
spawn(struct child *c, int output)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    size_t count = c->frame->argc;
    char **argv = ctl_memory(NULL, (count + 1) * sizeof *argv);
    int error;

    /* posix_spawn takes the words without const and leaves them alone. */
    memcpy(argv, c->frame->argv, count * sizeof *argv);
    argv[count] = NULL;
    error = posix_spawn_file_actions_init(&actions);
    if (error != 0)
        goto out;
    error = posix_spawnattr_init(&attributes);
    if (error != 0)
        goto out_actions;
    if (output >= 0)
        error =
            posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (error == 0)
        error = set_attributes(&attributes, c->has_group);
    if (error == 0)
        error = posix_spawnp(&c->pid, argv[0], &actions, &attributes, argv,
                             environ);
    (void)posix_spawnattr_destroy(&attributes);
out_actions:
    (void)posix_spawn_file_actions_destroy(&actions);
out:
    free(argv);
    return error;
}

static int
start(struct child *c)
{
    int ends[2] = {-1, -1};
    int error;

    c->has_group = !is_on_terminal();
    if (c->frame->counts_output && pipe2(ends, O_CLOEXEC) != 0)
        return errno;
    error = spawn(c, ends[1]);
    if (ends[1] >= 0)
        (void)close(ends[1]);
    c->output = ends[0];
    if (error != 0 && c->output >= 0) {
        (void)close(c->output);
        c->output = -1;
    } else if (c->output >= 0) {
        (void)fcntl(c->output, F_SETFL, O_NONBLOCK);
    }
    return error;
}

static void
send_signal(const struct child *c, int signal)
{
    if (!c->has_ended)
        (void)kill(c->has_group ? -c->pid : c->pid, signal);
}

/* What the terminal sends has reached the command already when it is in our
 * group; everything else is handed on. */
static void
take_signals(struct child *c)
{
    struct signalfd_siginfo info;

    while (read(c->frame->signals, &info, sizeof info) ==
           (ssize_t)sizeof info) {
        bool was_shared = !c->has_group && info.ssi_code == SI_KERNEL;

        if (info.ssi_signo == SIGCHLD)
            continue;
        if (info.ssi_signo != SIGUSR1 && info.ssi_signo != SIGUSR2)
            c->end->told = (int)info.ssi_signo;
        if (!was_shared)
            send_signal(c, (int)info.ssi_signo);
    }
}

static void
reap(struct child *c)
{
    int status = 0;

    if (c->has_ended || waitpid(c->pid, &status, WNOHANG) != c->pid)
        return;
    /* What it left behind in its group goes with it. */
    if (c->has_group && c->end->is_timeout)
        (void)kill(-c->pid, SIGKILL);
    c->has_ended = true;
    if (WIFSIGNALED(status)) {
        c->end->signal = WTERMSIG(status);
        c->end->status = STATUS_SIGNAL + c->end->signal;
    } else {
        c->end->status = WEXITSTATUS(status);
    }
    if (c->end->is_timeout)
        c->end->status = STATUS_TIMEOUT;
}

static void
end_output(struct child *c)
{
    (void)close(c->output);
    c->output = -1;
    c->held = 0;
    c->sent = 0;
}

/* Takes what the command wrote; false when there is nothing more for now. */
static bool
take_output(struct child *c)
{
    ssize_t got = read(c->output, c->buffer, sizeof c->buffer);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got <= 0) {
        end_output(c);
        return false;
    }
    c->held = (size_t)got;
    c->sent = 0;
    c->end->has_written = true;
    return true;
}

/* Passes on as much as surely does not block: what POLLOUT promises of a pipe.
 * When nobody reads us any more, the command is told in the usual way, by its
 * own pipe. */
static void
pass_output(struct child *c)
{
    size_t left = c->held - c->sent;
    ssize_t put = write(STDOUT_FILENO, c->buffer + c->sent,
                        left < PIPE_BUF ? left : PIPE_BUF);

    if (put < 0 && errno != EAGAIN && errno != EINTR) {
        end_output(c);
        return;
    }
    if (put > 0)
        c->sent += (size_t)put;
    if (c->sent == c->held) {
        c->held = 0;
        c->sent = 0;
    }
}

/* What the command wrote, if there is anything; the end of it when the command
 * has ended, though somebody it left behind may hold it open. */
static void
drain(struct child *c, bool is_ready)
{
    if ((is_ready || c->has_ended) && !take_output(c) && c->has_ended &&
        c->output >= 0)
        end_output(c);
}

static void
take_time(struct child *c, int64_t now)
{
    const struct run_frame *frame = c->frame;

    if (now >= c->deadline_ns && !c->has_ended) {
        send_signal(c, c->end->is_timeout ? SIGKILL : SIGTERM);
        /* A stopped command gets TERM only when it goes on. */
        send_signal(c, SIGCONT);
        c->deadline_ns = c->end->is_timeout ? BK_NEVER : now + RUN_GRACE_NS;
        c->end->is_timeout = true;
    }
    if (now >= c->tick_ns) {
        frame->tick(frame->context);
        c->tick_ns = now_ns() + frame->every_ns;
    }
}

/* One turn: waits for a signal, output, room for output, or the time. */
static void
turn(struct child *c)
{
    int64_t now = now_ns();
    int64_t until = c->deadline_ns < c->tick_ns ? c->deadline_ns : c->tick_ns;
    int64_t wait_ms = until > now ? (until - now) / BK_NS_PER_MS + 1 : 0;
    bool is_full = c->held > 0;
    struct pollfd fds[2] = {
        {.fd = c->frame->signals, .events = POLLIN},
        {.fd = is_full ? STDOUT_FILENO : c->output,
         .events = is_full ? POLLOUT : POLLIN},
    };

    if (wait_ms > INT_MAX)
        wait_ms = INT_MAX;
    if (c->has_ended && !is_full)
        wait_ms = 0; /* what is there by now is all of it */
    (void)poll(fds, 2, (int)wait_ms);
    if (fds[0].revents != 0)
        take_signals(c);
    reap(c);
    if (is_full && fds[1].revents != 0)
        pass_output(c);
    else if (is_full && c->has_ended && c->end->told != 0)
        end_output(c); /* told to end, and nobody reads */
    else if (!is_full && c->output >= 0)
        drain(c, fds[1].revents != 0);
    take_time(c, now_ns());
}

static void
tell_unstarted(const char *word, int error, struct run_end *end)
{
    end->status = error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_STARTED;
    ctl_say("cannot run %s: %s", word, strerror(error));
}

void
run_child(const struct run_frame *frame, struct run_end *end)
{
    struct child *c = ctl_memory(NULL, sizeof *c);
    int error;

    *end = (struct run_end){0};
    memset(c, 0, sizeof *c);
    c->frame = frame;
    c->end = end;
    c->output = -1;
    error = start(c);
    if (error != 0) {
        tell_unstarted(frame->argv[0], error, end);
        free(c);
        return;
    }
    end->was_started = true;
    c->deadline_ns =
        frame->timeout_ns > 0 ? now_ns() + frame->timeout_ns : BK_NEVER;
    c->tick_ns = now_ns() + frame->every_ns;
    while (!c->has_ended || c->output >= 0)
        turn(c);
    free(c);
}

int
run_sleep(int signals, int64_t ns)
{
    int64_t end = now_ns() + ns;
    struct pollfd fd = {.fd = signals, .events = POLLIN};
    struct signalfd_siginfo info;

    for (int64_t left = ns; left > 0; left = end - now_ns()) {
        int64_t ms = left / BK_NS_PER_MS + 1;

        (void)poll(&fd, 1, ms > INT_MAX ? INT_MAX : (int)ms);
        while (read(signals, &info, sizeof info) == (ssize_t)sizeof info) {
            if (info.ssi_signo != SIGCHLD)
                return (int)info.ssi_signo;
        }
    }
    return 0;
}
