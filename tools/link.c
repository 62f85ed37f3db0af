/* SPDX-License-Identifier: Apache-2.0
 *
 * A DEALER that puts a number of its own into the envelope, so that an answer
 * which comes after its deadline is never taken for the next one. */
#define _GNU_SOURCE
#include "tools/link.h"
#include "core/wire.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

/* An answer's frame is at most this long: a status of 100,000 services. */
#define ANSWER_BYTES_MAX (INT64_C(256) << 20)
/* Messages that may wait on this side. */
#define WAITING_MAX 64
/* A daemon that is just starting is found again after this. */
#define RECONNECT_MS 50

struct link {
    void *context;
    void *socket;
    uint64_t asked; /* number of the last question */
    int error;
};

static int64_t
clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool
set_number(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

/* All options first: libzmq ignores most of them once connected. */
static bool
prepare(void *socket)
{
    int64_t most = ANSWER_BYTES_MAX;

    return set_number(socket, ZMQ_LINGER, 0) &&
           set_number(socket, ZMQ_IMMEDIATE, 1) &&
           set_number(socket, ZMQ_SNDHWM, WAITING_MAX) &&
           set_number(socket, ZMQ_RCVHWM, WAITING_MAX) &&
           set_number(socket, ZMQ_RECONNECT_IVL, RECONNECT_MS) &&
           zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &most, sizeof most) == 0;
}

struct link *
link_open(const char *path)
{
    char endpoint[LINK_PATH_SIZE + 8];
    struct bk_text text;
    struct link *l = calloc(1, sizeof *l);

    if (l == NULL)
        return NULL;
    bk_text_init(&text, endpoint, sizeof endpoint);
    bk_text_put(&text, "ipc://");
    bk_text_put(&text, path);
    l->context = zmq_ctx_new();
    if (l->context != NULL)
        l->socket = zmq_socket(l->context, ZMQ_DEALER);
    if (l->socket == NULL || text.is_cut || !prepare(l->socket) ||
        zmq_connect(l->socket, endpoint) != 0) {
        int error = text.is_cut ? ENAMETOOLONG : errno;

        link_close(&l);
        errno = error;
    }
    return l;
}

void
link_close(struct link **l)
{
    if (*l == NULL)
        return;
    if ((*l)->socket != NULL)
        zmq_close((*l)->socket);
    if ((*l)->context != NULL)
        zmq_ctx_term((*l)->context);
    free(*l);
    *l = NULL;
}

const char *
link_error(const struct link *l)
{
    return zmq_strerror(l->error);
}

void
link_reply_free(struct link_reply *reply)
{
    for (size_t i = 0; i < reply->count; i++)
        free(reply->frames[i]);
    free(reply->frames);
    free(reply->lengths);
    reply->frames = NULL;
    reply->lengths = NULL;
    reply->count = 0;
}

/* Waits for `events` on the socket; LINK_ANSWERED when they are there. */
static enum link_result
await(struct link *l, short events, int64_t end_ms)
{
    for (;;) {
        int64_t left_ms = end_ms - clock_ms();
        zmq_pollitem_t item = {.socket = l->socket, .events = events};
        int ready;

        if (left_ms < 0)
            left_ms = 0;
        ready = zmq_poll(&item, 1, (long)left_ms);
        if (ready > 0)
            return LINK_ANSWERED;
        if (ready == 0)
            return LINK_LATE;
        if (errno != EINTR) {
            l->error = errno;
            return LINK_FAILED;
        }
    }
}

static bool
send_frame(struct link *l, const void *at, size_t len, bool is_last)
{
    int flags = ZMQ_DONTWAIT | (is_last ? 0 : ZMQ_SNDMORE);

    while (zmq_send(l->socket, at, len, flags) < 0) {
        if (errno != EINTR) {
            l->error = errno;
            return false;
        }
    }
    return true;
}

static enum link_result
send_lines(struct link *l, const char *const *lines, size_t count,
           int64_t end_ms)
{
    enum link_result result = await(l, ZMQ_POLLOUT, end_ms);

    if (result != LINK_ANSWERED)
        return result;
    l->asked++;
    if (!send_frame(l, &l->asked, sizeof l->asked, false) ||
        !send_frame(l, "", 0, false))
        return LINK_FAILED;
    for (size_t i = 0; i < count; i++) {
        if (!send_frame(l, lines[i], strlen(lines[i]), i + 1 == count))
            return LINK_FAILED;
    }
    return LINK_ANSWERED;
}

static bool
keep_frame(struct link_reply *reply, zmq_msg_t *frame)
{
    size_t len = zmq_msg_size(frame);
    size_t next = reply->count + 1;
    char **frames = realloc(reply->frames, next * sizeof *frames);
    size_t *lengths;

    if (frames == NULL)
        return false;
    reply->frames = frames;
    lengths = realloc(reply->lengths, next * sizeof *lengths);
    if (lengths == NULL)
        return false;
    reply->lengths = lengths;
    frames[reply->count] = malloc(len + 1);
    if (frames[reply->count] == NULL)
        return false;
    memcpy(frames[reply->count], zmq_msg_data(frame), len);
    frames[reply->count][len] = '\0';
    lengths[reply->count] = len;
    reply->count = next;
    return true;
}

/* Takes one frame of a message off the socket. `place` is its number. Returns
 * whether the message is still what we wait for. */
static bool
take_frame(struct link *l, zmq_msg_t *frame, size_t place, bool is_ours,
           struct link_reply *reply)
{
    if (place == 0)
        return zmq_msg_size(frame) == sizeof l->asked &&
               memcmp(zmq_msg_data(frame), &l->asked, sizeof l->asked) == 0;
    if (place == 1)
        return is_ours && zmq_msg_size(frame) == 0;
    return is_ours && place <= 1 + BK_LINES_MAX && keep_frame(reply, frame);
}

/* Reads one whole message; true when it answers the last question. */
static bool
receive(struct link *l, struct link_reply *reply)
{
    bool is_ours = true;
    bool has_more = true;

    reply->frames = NULL;
    reply->lengths = NULL;
    reply->count = 0;
    for (size_t place = 0; has_more; place++) {
        zmq_msg_t frame;

        zmq_msg_init(&frame);
        while (zmq_msg_recv(&frame, l->socket, ZMQ_DONTWAIT) < 0) {
            if (errno != EINTR) {
                is_ours = false;
                break;
            }
        }
        has_more = zmq_msg_more(&frame) != 0;
        is_ours = take_frame(l, &frame, place, is_ours, reply);
        zmq_msg_close(&frame);
    }
    if (!is_ours || reply->count == 0) {
        link_reply_free(reply);
        return false;
    }
    return true;
}

/* Until the last question is answered. */
static enum link_result
hear(struct link *l, int64_t end_ms, struct link_reply *reply)
{
    enum link_result result = LINK_ANSWERED;

    while (result == LINK_ANSWERED) {
        result = await(l, ZMQ_POLLIN, end_ms);
        if (result == LINK_ANSWERED && receive(l, reply))
            return LINK_ANSWERED;
        if (result == LINK_ANSWERED && clock_ms() > end_ms)
            result = LINK_LATE;
    }
    return result;
}

enum link_result
link_ask(struct link *l, const char *const *lines, size_t count,
         int64_t deadline_ms, struct link_reply *reply)
{
    int64_t end_ms = clock_ms() + deadline_ms;
    enum link_result result = send_lines(l, lines, count, end_ms);

    return result == LINK_ANSWERED ? hear(l, end_ms, reply) : result;
}

enum link_result
link_go_on(struct link *l, int64_t deadline_ms, struct link_reply *reply)
{
    return hear(l, clock_ms() + deadline_ms, reply);
}

enum link_result
link_tell(struct link *l, const char *const *lines, size_t count,
          int64_t deadline_ms)
{
    return send_lines(l, lines, count, clock_ms() + deadline_ms);
}
