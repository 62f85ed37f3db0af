/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/transport.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#define ENDPOINT_MAX 128

/* ---- proofs: libzmq aborts its host where these would fail inside it ---- */

static bool
prove_descriptors(struct cause *cause)
{
    int fds[TRANSPORT_DESCRIPTORS];
    int count = 0;
    int error = 0;

    while (count < TRANSPORT_DESCRIPTORS) {
        fds[count] = count == 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC)
                                : fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
        if (fds[count] < 0) {
            error = errno;
            break;
        }
        count++;
    }
    for (int i = 0; i < count; i++)
        (void)close(fds[i]);
    if (error != 0) {
        struct bk_text text = cause_set(cause, CAUSE_DESCRIPTORS);

        bk_text_put(&text, "too few free descriptors to talk to breakerd: ");
        bk_text_put_u64(&text, (uint64_t)count);
        bk_text_put(&text, " of ");
        bk_text_put_u64(&text, TRANSPORT_DESCRIPTORS);
    }
    return error == 0;
}

/* Two at a time, with the attributes libzmq uses: none. */
static void *
return_at_once(void *nothing)
{
    return nothing;
}

static bool
prove_threads(struct cause *cause)
{
    pthread_t threads[TRANSPORT_THREADS];
    int count = 0;

    while (count < TRANSPORT_THREADS &&
           pthread_create(&threads[count], NULL, return_at_once, NULL) == 0)
        count++;
    for (int i = 0; i < count; i++)
        (void)pthread_join(threads[i], NULL);
    if (count < TRANSPORT_THREADS) {
        struct bk_text text = cause_set(cause, CAUSE_THREADS);

        bk_text_put(&text, "no more threads allowed: libzmq needs ");
        bk_text_put_u64(&text, TRANSPORT_THREADS);
    }
    return count == TRANSPORT_THREADS;
}

/* ---- opening ---- */

static bool
set_options(void *socket)
{
    static const struct {
        int option;
        int value;
    } rows[] = {
        {ZMQ_LINGER, 0},
        {ZMQ_IMMEDIATE, 1}, /* nothing queues for a daemon that is not there */
        {ZMQ_SNDHWM, TRANSPORT_QUEUE},
        {ZMQ_RCVHWM, TRANSPORT_QUEUE},
        {ZMQ_SNDTIMEO, 0},
        {ZMQ_RCVTIMEO, 0},
        {ZMQ_RECONNECT_IVL, TRANSPORT_RECONNECT_MS},
        {ZMQ_RECONNECT_IVL_MAX, TRANSPORT_RECONNECT_MAX_MS},
    };
    int64_t frame_max = TRANSPORT_FRAME_MAX;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (zmq_setsockopt(socket, rows[i].option, &rows[i].value,
                           sizeof rows[i].value) != 0)
            return false;
    }
    return zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_max,
                          sizeof frame_max) == 0;
}

static void
name_endpoint(const char *path, char endpoint[ENDPOINT_MAX])
{
    struct bk_text text;

    bk_text_init(&text, endpoint, ENDPOINT_MAX);
    bk_text_put(&text, "ipc://");
    bk_text_put(&text, path);
}

static bool
start(struct transport *t, const char *path)
{
    char endpoint[ENDPOINT_MAX];
    size_t size = sizeof t->fd;

    name_endpoint(path, endpoint);
    t->context = zmq_ctx_new();
    if (t->context == NULL)
        return false;
    (void)zmq_ctx_set(t->context, ZMQ_BLOCKY, 0);
    (void)zmq_ctx_set(t->context, ZMQ_MAX_SOCKETS, 8);
    t->socket = zmq_socket(t->context, ZMQ_DEALER);
    return t->socket != NULL && set_options(t->socket) &&
           zmq_connect(t->socket, endpoint) == 0 &&
           zmq_getsockopt(t->socket, ZMQ_FD, &t->fd, &size) == 0;
}

bool
transport_open(struct transport *t, const char *path, struct cause *cause)
{
    sigset_t all;
    sigset_t before;
    bool is_open = false;

    /* The threads libzmq starts inherit this mask: the host's signals stay the
     * host's. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    memset(t, 0, sizeof *t);
    t->fd = -1;
    if (prove_descriptors(cause) && prove_threads(cause)) {
        is_open = start(t, path);
        if (!is_open) {
            struct bk_text text = cause_set(cause, CAUSE_TRANSPORT);

            bk_text_put(&text, "libzmq: ");
            bk_text_put(&text, zmq_strerror(zmq_errno()));
            transport_close(t);
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return is_open;
}

void
transport_reconnect(struct transport *t, const char *path)
{
    char endpoint[ENDPOINT_MAX];

    name_endpoint(path, endpoint);
    (void)zmq_disconnect(t->socket, endpoint);
    (void)zmq_connect(t->socket, endpoint);
}

void
transport_close(struct transport *t)
{
    if (t->socket != NULL)
        (void)zmq_close(t->socket);
    if (t->context != NULL) {
        while (zmq_ctx_term(t->context) != 0 && zmq_errno() == EINTR)
            ;
    }
    t->socket = NULL;
    t->context = NULL;
    t->fd = -1;
}

/* ---- messages ---- */

static bool
send_frame(void *socket, const void *data, size_t len, bool has_more)
{
    int rc;

    do
        rc = zmq_send(socket, data, len,
                      ZMQ_DONTWAIT | (has_more ? ZMQ_SNDMORE : 0));
    while (rc < 0 && zmq_errno() == EINTR);
    return rc >= 0;
}

/* When the connection breaks in the middle of a message, libzmq drops the rest
 * of it as long as the rest is given to it, so all frames are. */
enum transport_sent
transport_send(struct transport *t, uint64_t id, const char *lines, size_t len)
{
    const char *end = lines + len;
    bool is_sent = true;

    if ((transport_look(t) & TRANSPORT_MAY_SEND) == 0)
        return TRANSPORT_FULL;
    if (id != 0)
        is_sent = send_frame(t->socket, &id, sizeof id, true);
    if (!is_sent)
        return TRANSPORT_FULL;
    is_sent = send_frame(t->socket, "", 0, true);
    if (!is_sent && id == 0)
        return TRANSPORT_FULL;
    while (lines < end) {
        const char *stop = memchr(lines, '\n', (size_t)(end - lines));

        if (stop == NULL)
            stop = end;
        is_sent = send_frame(t->socket, lines, (size_t)(stop - lines),
                             stop + 1 < end) &&
                  is_sent;
        lines = stop + 1;
    }
    return is_sent ? TRANSPORT_SENT : TRANSPORT_FULL;
}

/* ZMQ_EVENTS makes libzmq carry out what its I/O thread told it; without it the
 * socket would not notice that it has been connected. */
uint32_t
transport_look(struct transport *t)
{
    int events = 0;
    size_t size = sizeof events;
    int rc;

    do
        rc = zmq_getsockopt(t->socket, ZMQ_EVENTS, &events, &size);
    while (rc < 0 && zmq_errno() == EINTR);
    if (rc != 0)
        return 0;
    return ((events & ZMQ_POLLIN) != 0 ? TRANSPORT_MAY_TAKE : 0) |
           ((events & ZMQ_POLLOUT) != 0 ? TRANSPORT_MAY_SEND : 0);
}

static bool
receive_frame(void *socket, zmq_msg_t *frame)
{
    int rc;

    do
        rc = zmq_msg_recv(frame, socket, ZMQ_DONTWAIT);
    while (rc < 0 && zmq_errno() == EINTR);
    return rc >= 0;
}

/* One message: frames before the delimiter are the envelope (ours is one frame of
 * 8 octets), those after it are answers. */
static bool
receive(struct transport *t, transport_taker *taker, void *context)
{
    zmq_msg_t frame;
    uint64_t id = 0;
    bool is_body = false;
    bool has_more;

    (void)zmq_msg_init(&frame);
    if (!receive_frame(t->socket, &frame)) {
        (void)zmq_msg_close(&frame);
        return false;
    }
    do {
        size_t len = zmq_msg_size(&frame);

        if (is_body)
            taker(context, id, zmq_msg_data(&frame), len);
        else if (len == 0)
            is_body = true;
        else if (len == sizeof id)
            memcpy(&id, zmq_msg_data(&frame), sizeof id);
        has_more = zmq_msg_more(&frame) != 0;
    } while (has_more && receive_frame(t->socket, &frame));
    (void)zmq_msg_close(&frame);
    return true;
}

uint32_t
transport_drain(struct transport *t, transport_taker *taker, void *context)
{
    uint32_t count = 0;

    while (count < TRANSPORT_DRAIN_MAX && receive(t, taker, context))
        count++;
    return count;
}
