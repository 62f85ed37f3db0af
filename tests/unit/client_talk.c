/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client_talk.h"
#include <stdio.h>
#include <string.h>

static _Atomic uint64_t ids;

static void
play(void *context, const char *line, char *answer, size_t size)
{
    char name[80];

    (void)context;

    if (sscanf(line, "ACQUIRE %79s", name) == 1)
        snprintf(answer, size, "ALLOW %s %llu 3 half_open", name,
                 (unsigned long long)++ids);
    else if (sscanf(line, "RETRY %79s", name) == 1)
        snprintf(answer, size, "GRANT %s %llu 250", name,
                 (unsigned long long)++ids);
    else if (strncmp(line, "REPORT ", 7) == 0 ||
             strncmp(line, "RELEASE ", 8) == 0 ||
             strncmp(line, "RENEW ", 6) == 0)
        snprintf(answer, size, "OK applied");
    else if (strcmp(line, "PING") == 0)
        snprintf(answer, size, "PONG 7");
    else if (strncmp(line, "HELLO ", 6) == 0)
        snprintf(answer, size, "OK {\"protocol\":1}");
    else if (strncmp(line, "STATUS ", 7) == 0)
        snprintf(answer, size, "OK {\"schema\":1,\"name\":\"%s\"}", line + 7);
    else if (strncmp(line, "CONFIG", 6) == 0)
        snprintf(answer, size, "ERR unknown_service nobody has seen it");
}

void
talk_begin(struct stage *s)
{
    ids = 0;
    talk_go_on(s);
}

void
talk_go_on(struct stage *s)
{
    s->fake = fake_new(s->dir, play, NULL);
}

struct stage *
with_daemon(void **state, uint32_t deadline_ms)
{
    struct stage *s = *state;

    talk_begin(s);
    stage_open(s, BREAKER_MODE_ZMQ, 0, deadline_ms);
    return s;
}
