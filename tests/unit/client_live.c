/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client_live.h"
#include "unit.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t daemon_pid;

static const char config[] = "[service slow]\n"
                             "max_concurrent = 1\n"
                             "[service quick]\n"
                             "failure_threshold = 2\n"
                             "recovery_timeout = 300ms\n"
                             "success_threshold = 1\n";

void
live_start(struct stage *s)
{
    char db[128];
    char conf[128];
    struct breaker_options options = BREAKER_OPTIONS_INIT;
    struct breaker *probe;
    FILE *f;
    bool is_up = false;

    stage_path(s, "b.db", db);
    stage_path(s, "b.conf", conf);
    f = fopen(conf, "w");
    assert_non_null(f);
    assert_true(fputs(config, f) >= 0);
    assert_int_equal(fclose(f), 0);
    daemon_pid = stage_fork();
    if (daemon_pid == 0) {
        execl(BREAKERD, "breakerd", "-c", conf, "--dir", s->dir, "--db", db,
              (char *)NULL);
        _exit(127);
    }
    options.dir = s->dir;
    options.mode = BREAKER_MODE_ZMQ;
    options.deadline_ms = 200;
    probe = breaker_open(&options);
    for (int i = 0; i < 100 && !is_up; i++) {
        is_up = breaker_ping(probe, NULL) == 0;
        sleep_ms(is_up ? 0 : 50);
    }
    breaker_close(&probe);
    assert_true(is_up);
}

void
live_end(int signal_number)
{
    int status;

    if (daemon_pid <= 0)
        return;
    kill(daemon_pid, SIGCONT);
    kill(daemon_pid, signal_number);
    (void)waitpid(daemon_pid, &status, 0);
    daemon_pid = 0;
}

int
live_up(void **state)
{
    daemon_pid = 0;
    if (stage_up(state) != 0)
        return -1;
    live_start(*state);
    return 0;
}

int
live_down(void **state)
{
    struct stage *s = *state;

    breaker_close(&s->b);
    live_end(SIGTERM);
    return stage_down(state);
}

pid_t
live_pid(void)
{
    return daemon_pid;
}

long
live_number(struct stage *s, const char *name, const char *key)
{
    char json[8192];
    char *at;

    if (breaker_status(breaker_service(s->b, name), json, sizeof json) <= 0)
        return -1;
    at = strstr(json, key);
    return at == NULL ? -1 : strtol(at + strlen(key), NULL, 10);
}
