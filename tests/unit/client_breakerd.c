/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client_breakerd.h"
#include "unit.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t breakerd_pid;

void
breakerd_start(struct stage *s, const char *config)
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
    breakerd_pid = stage_fork();
    if (breakerd_pid == 0) {
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
breakerd_end(int signal_number)
{
    int status;

    if (breakerd_pid <= 0)
        return;
    kill(breakerd_pid, SIGCONT);
    kill(breakerd_pid, signal_number);
    (void)waitpid(breakerd_pid, &status, 0);
    breakerd_pid = 0;
}

double
breakerd_number(struct stage *s, const char *name, const char *key)
{
    char json[8192];
    char *at;

    assert_true(breaker_status(breaker_service(s->b, name), json, sizeof json) >
                0);
    at = strstr(json, key);
    assert_non_null(at);
    return strtod(at + strlen(key), NULL);
}
