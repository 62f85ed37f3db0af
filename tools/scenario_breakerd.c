/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting, stopping and killing breakerd. */
#define _GNU_SOURCE
#include "tools/scenario_breakerd.h"
#include "tools/link.h"
#include "tools/scenario_signal.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_MS 10000
#define STOP_MS 10000
#define LOOK_MS 1

static bool
fail(struct bk_text *error, const char *words, const char *more)
{
    bk_text_put(error, words);
    bk_text_put(error, more);
    return false;
}

static int64_t
clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
rest(void)
{
    struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    nanosleep(&pause, NULL);
}

/* The last thing it said, for whoever asks why. */
static void
put_last_words(const struct scenario_breakerd *b, struct bk_text *error)
{
    char line[300];
    char last[300] = "it said nothing";
    FILE *log = fopen(b->log, "r");
    while (log != NULL && fgets(line, sizeof(line), log) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '\0') {
            memcpy(last, line, sizeof(last));
        }
    }
    if (log != NULL) {
        fclose(log);
    }
    bk_text_put(error, last);
}

static void
put_status(int status, struct bk_text *error)
{
    bool is_signal = WIFSIGNALED(status);
    bk_text_put(error, is_signal ? " by signal " : " with status ");
    bk_text_put_i64(error, is_signal ? WTERMSIG(status) : WEXITSTATUS(status));
    bk_text_put(error, ": ");
}

/* What would configure it from outside is taken away, what the scenario says of
 * the environment put in. */
static void
set_environment(const struct scenario *s)
{
    static const char *const foreign[] = {
        "BREAKERD_DIR",  "RUNTIME_DIRECTORY", "STATE_DIRECTORY",
        "NOTIFY_SOCKET", "LISTEN_FDS",        "LISTEN_PID"};
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        unsetenv(foreign[i]);
    }
    for (size_t i = 0; i < bk_env_count(); i++) {
        unsetenv(bk_env_name(i));
    }
    for (size_t i = 0; i < s->setting_count; i++) {
        if (s->settings[i].scope == SCENARIO_ENVIRONMENT) {
            setenv(s->settings[i].key, s->settings[i].value, 1);
        }
    }
}

static _Noreturn void
become(const struct scenario_breakerd *b, pid_t player)
{
    const char *const argv[] = {"breakerd", "-c",   b->config, "--dir",
                                b->dir,     "--db", b->db,     NULL};
    char *writable[sizeof(argv) / sizeof(argv[0])];
    memcpy(writable, argv, sizeof(argv));
    int log = open(b->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int none = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (log < 0 || none < 0 || dup2(none, STDIN_FILENO) < 0 ||
        dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0) {
        _exit(127);
    }
    /* A group of its own: Ctrl-C is for the player, who ends it in order. */
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != player) {
        _exit(127);
    }
    signal(SIGPIPE, SIG_DFL);
    set_environment(b->scenario);
    execv(b->program, writable);
    fprintf(stderr, "cannot run %s: %s\n", b->program, strerror(errno));
    _exit(127);
}

bool
scenario_breakerd_lives(struct scenario_breakerd *b, struct bk_text *error)
{
    int status = 0;
    if (b->pid == 0 || waitpid(b->pid, &status, WNOHANG) == 0) {
        return true;
    }
    b->pid = 0;
    bk_text_put(error, "breakerd ended by itself");
    put_status(status, error);
    put_last_words(b, error);
    return false;
}

bool
scenario_breakerd_start(struct scenario_breakerd *b, struct bk_text *error)
{
    pid_t player = getpid();
    fflush(NULL);
    b->pid = fork();
    if (b->pid == 0) {
        become(b, player);
    }
    if (b->pid < 0) {
        b->pid = 0;
        return fail(error, "cannot start a process: ", strerror(errno));
    }
    int64_t end_ms = clock_ms() + START_MS;
    while (link_probe(b->operator_socket) != LINK_LISTENS ||
           link_probe(b->worker_socket) != LINK_LISTENS) {
        if (!scenario_breakerd_lives(b, error)) {
            return false;
        }
        if (scenario_signal_came() != 0) {
            return fail(error, "interrupted", "");
        }
        if (clock_ms() > end_ms) {
            return fail(error, "breakerd does not listen within 10 s", "");
        }
        rest();
    }
    return true;
}

bool
scenario_breakerd_stop(struct scenario_breakerd *b, struct bk_text *error)
{
    int status = 0;
    int64_t end_ms = clock_ms() + STOP_MS;
    if (!scenario_breakerd_lives(b, error)) {
        return false;
    }
    kill(b->pid, SIGTERM);
    while (waitpid(b->pid, &status, WNOHANG) == 0) {
        if (clock_ms() > end_ms) {
            return fail(error, "breakerd does not stop within 10 s", "");
        }
        rest();
    }
    b->pid = 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        bk_text_put(error, "breakerd stopped");
        put_status(status, error);
        put_last_words(b, error);
        return false;
    }
    return true;
}

void
scenario_breakerd_kill(struct scenario_breakerd *b)
{
    if (b->pid > 0) {
        kill(b->pid, SIGKILL);
        while (waitpid(b->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        b->pid = 0;
    }
}

bool
scenario_breakerd_remove_segment(struct scenario_breakerd *b,
                                 struct bk_text *error)
{
    return unlink(b->segment) == 0 || errno == ENOENT ||
           fail(error, "cannot remove the segment: ", strerror(errno));
}
