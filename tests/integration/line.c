/* SPDX-License-Identifier: Apache-2.0
 *
 * BRK/1 straight over libzmq: one question at a time, told apart by a number in
 * the envelope. */
#include "herd.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define NS_PER_MS INT64_C(1000000)
#define REQUEST_SIZE 1100

struct line {
    void *context;
    void *socket;
    uint64_t number;
    char answer[HERD_ANSWER_SIZE];
};

struct line *
line_open(const char *dir, const char *name)
{
    char endpoint[256];
    int no_linger = 0;
    int reconnect_ms = 5;
    struct line *l = calloc(1, sizeof(*l));
    if (l == NULL)
        herd_fail("no memory for a line");
    l->context = zmq_ctx_new();
    l->socket = zmq_socket(l->context, ZMQ_DEALER);
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/%s", dir, name);
    zmq_setsockopt(l->socket, ZMQ_LINGER, &no_linger, sizeof(no_linger));
    zmq_setsockopt(l->socket, ZMQ_RECONNECT_IVL, &reconnect_ms,
                   sizeof(reconnect_ms));
    if (zmq_connect(l->socket, endpoint) != 0)
        herd_fail("%s: %s", endpoint, zmq_strerror(errno));
    return l;
}

void
line_close(struct line **l)
{
    zmq_close((*l)->socket);
    zmq_ctx_term((*l)->context);
    free(*l);
    *l = NULL;
}

/* One message: true when its number is ours and it has one line. */
static bool
take(struct line *l)
{
    uint64_t number = 0;
    int more = 1;
    size_t more_size = sizeof(more);
    int len = -1;
    for (int i = 0; more; i++) {
        char frame[HERD_ANSWER_SIZE];
        int n = zmq_recv(l->socket, frame, sizeof(frame) - 1, 0);
        if (n < 0)
            return false;
        if (i == 0 && n == (int)sizeof(number))
            memcpy(&number, frame, sizeof(number));
        if (i == 2) {
            len = n < (int)sizeof(frame) ? n : (int)sizeof(frame) - 1;
            memcpy(l->answer, frame, (size_t)len);
            l->answer[len] = '\0';
        }
        zmq_getsockopt(l->socket, ZMQ_RCVMORE, &more, &more_size);
    }
    return number == l->number && len >= 0;
}

const char *
line_ask_for(struct line *l, const char *request, int wait_ms)
{
    int64_t end_ns = herd_now_ns() + wait_ms * NS_PER_MS;
    l->number++;
    zmq_send(l->socket, &l->number, sizeof(l->number), ZMQ_SNDMORE);
    zmq_send(l->socket, "", 0, ZMQ_SNDMORE);
    if (zmq_send(l->socket, request, strlen(request), 0) < 0)
        return NULL;
    for (;;) {
        int64_t left_ns = end_ns - herd_now_ns();
        zmq_pollitem_t item = {.socket = l->socket, .events = ZMQ_POLLIN};
        if (left_ns <= 0)
            return NULL;
        zmq_poll(&item, 1, (long)(left_ns / NS_PER_MS) + 1);
        if ((item.revents & ZMQ_POLLIN) != 0 && take(l))
            return l->answer;
    }
}

bool
line_says(const char *answer, const char *words)
{
    return strncmp(answer, words, strlen(words)) == 0;
}

bool
line_allows(const char *answer, uint64_t *permit, uint64_t *generation)
{
    const char *at =
        line_says(answer, "ALLOW ") ? strchr(answer + 6, ' ') : NULL;
    char *end = NULL;
    if (at == NULL)
        return false;
    *permit = strtoull(at + 1, &end, 10);
    if (end == at + 1 || *end != ' ')
        return false;
    at = end + 1;
    *generation = strtoull(at, &end, 10);
    return end != at && *end == ' ';
}

static const char *
ask(struct line *l, const char *request)
{
    const char *answer = line_ask_for(l, request, HERD_WAIT_MS);
    if (answer == NULL)
        herd_fail("no answer to %s", request);
    return answer;
}

const char *
line_ask(struct line *l, const char *format, ...)
{
    char request[REQUEST_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(request, sizeof(request), format, args);
    va_end(args);
    return ask(l, request);
}

const char *
line_expect(struct line *l, const char *start, const char *format, ...)
{
    char request[REQUEST_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(request, sizeof(request), format, args);
    va_end(args);
    const char *answer = ask(l, request);
    if (!line_says(answer, start))
        herd_fail("expected %s, got %.200s", start, answer);
    return answer;
}
