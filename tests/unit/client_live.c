/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client_live.h"
#include "client_breakerd.h"
#include "unit.h"
#include <signal.h>
#include <stdlib.h>

static const char config[] = "[service slow]\n"
                             "max_concurrent = 1\n"
                             "[service quick]\n"
                             "failure_threshold = 2\n"
                             "recovery_timeout = 300ms\n"
                             "success_threshold = 1\n";

void
live_start(struct stage *s)
{
    breakerd_start(s, config);
}

void
live_end(int signal_number)
{
    breakerd_end(signal_number);
}

int
live_up(void **state)
{
    breakerd_pid = 0;
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
    return breakerd_pid;
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
