/* SPDX-License-Identifier: Apache-2.0
 *
 * libzmq, hidden: one context and one DEALER socket that never block. A context is
 * made only where libzmq cannot abort for want of descriptors or threads: both
 * are proven first. */
#define _GNU_SOURCE
#include "client/clock.h"
#include "client/transport.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

/* Free descriptors proven before libzmq is started (it takes 6 for one socket,
 * and opens more when it reconnects). */
#define FREE_DESCRIPTORS 16
#define FREE_THREADS 2
/* Messages queued while the daemon is slow. */
#define QUEUE 1024
/* Messages taken at one go. */
#define DRAIN_MAX 1024
#define RECONNECT_MS 5
#define RECONNECT_MAX_MS 1000
/* libzmq retries a connection more and more seldom. Who has something to say has
 * it try at once, first after this, and at most ten times as long. */
#define KICK_NS (100 * BK_NS_PER_MS)
#define KICK_MAX_NS (10 * KICK_NS)
#define ENDPOINT_MAX 128

struct libzmq {
    void *context;
    void *socket;
    int fd; /* readable: something may have happened; edge-triggered, so look
               until there is nothing left before waiting on it */
    int wake_fd;
    int64_t kick_ns; /* no kick before this */
    int64_t kick_again_ns;
    char endpoint[ENDPOINT_MAX];
};

/* ---- proofs: libzmq aborts its host where these would fail inside it ---- */

static bool
prove_descriptors(struct cause *cause)
{
    int fds[FREE_DESCRIPTORS];
    int count = 0;
    int error = 0;

    while (count < FREE_DESCRIPTORS) {
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
        bk_text_put_u64(&text, FREE_DESCRIPTORS);
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
    pthread_t threads[FREE_THREADS];
    int count = 0;

    while (count < FREE_THREADS &&
           pthread_create(&threads[count], NULL, return_at_once, NULL) == 0)
        count++;
    for (int i = 0; i < count; i++)
        (void)pthread_join(threads[i], NULL);
    if (count < FREE_THREADS) {
        struct bk_text text = cause_set(cause, CAUSE_THREADS);

        bk_text_put(&text, "no more threads allowed: libzmq needs ");
        bk_text_put_u64(&text, FREE_THREADS);
    }
    return count == FREE_THREADS;
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
        {ZMQ_SNDHWM, QUEUE},
        {ZMQ_RCVHWM, QUEUE},
        {ZMQ_SNDTIMEO, 0},
        {ZMQ_RCVTIMEO, 0},
        {ZMQ_RECONNECT_IVL, RECONNECT_MS},
        {ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS},
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

static bool
start(struct libzmq *z)
{
    size_t size = sizeof z->fd;

    z->wake_fd = transport_raise(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    z->context = zmq_ctx_new();
    if (z->wake_fd < 0 || z->context == NULL)
        return false;
    (void)zmq_ctx_set(z->context, ZMQ_BLOCKY, 0);
    (void)zmq_ctx_set(z->context, ZMQ_MAX_SOCKETS, 8);
    z->socket = zmq_socket(z->context, ZMQ_DEALER);
    return z->socket != NULL && set_options(z->socket) &&
           zmq_connect(z->socket, z->endpoint) == 0 &&
           zmq_getsockopt(z->socket, ZMQ_FD, &z->fd, &size) == 0;
}

static void
shut(void *self)
{
    struct libzmq *z = self;

    if (z->socket != NULL)
        (void)zmq_close(z->socket);
    if (z->context != NULL) {
        while (zmq_ctx_term(z->context) != 0 && zmq_errno() == EINTR)
            ;
    }
    if (z->wake_fd >= 0)
        (void)close(z->wake_fd);
    free(z);
}

/* Memory, or the two proofs. */
static struct libzmq *
make(const struct transport_place *place, struct cause *cause)
{
    struct libzmq *z = calloc(1, sizeof *z);
    struct bk_text text;

    if (z == NULL) {
        text = cause_set(cause, CAUSE_TRANSPORT);
        bk_text_put(&text, "out of memory");
        return NULL;
    }
    z->fd = -1;
    z->wake_fd = -1;
    z->kick_ns = clock_mono_ns() + KICK_NS;
    z->kick_again_ns = KICK_NS;
    bk_text_init(&text, z->endpoint, sizeof z->endpoint);
    bk_text_put(&text, "ipc://");
    bk_text_put(&text, place->path);
    if (prove_descriptors(cause) && prove_threads(cause))
        return z;
    free(z);
    return NULL;
}

/* The threads libzmq starts inherit the mask: the host's signals stay the host's. */
static void *
open_up(const struct transport_place *place, struct cause *cause)
{
    sigset_t all;
    sigset_t before;
    struct libzmq *z;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    z = make(place, cause);
    if (z != NULL && !start(z)) {
        struct bk_text text = cause_set(cause, CAUSE_TRANSPORT);

        bk_text_put(&text, "libzmq: ");
        bk_text_put(&text, zmq_strerror(zmq_errno()));
        shut(z);
        z = NULL;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return z;
}

/* libzmq's own descriptors and threads do not survive a fork; they stay. */
static void
abandon(void *self)
{
    struct libzmq *z = self;

    if (z->wake_fd >= 0)
        (void)close(z->wake_fd);
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

/* ZMQ_EVENTS makes libzmq carry out what its I/O thread told it; without it the
 * socket would not notice that it has been connected. Looking may use up the edge of
 * the descriptor. */
static uint32_t
look(void *self)
{
    struct libzmq *z = self;
    int events = 0;
    size_t size = sizeof events;
    int rc;

    do
        rc = zmq_getsockopt(z->socket, ZMQ_EVENTS, &events, &size);
    while (rc < 0 && zmq_errno() == EINTR);
    if (rc != 0)
        return 0;
    return ((events & ZMQ_POLLIN) != 0 ? TRANSPORT_MAY_TAKE : 0) |
           ((events & ZMQ_POLLOUT) != 0 ? TRANSPORT_MAY_SEND : 0);
}

/* When the connection breaks in the middle of a message, libzmq drops the rest
 * of it as long as the rest is given to it, so all frames are. */
static enum transport_sent
send_message(void *self, uint64_t id, const char *lines, size_t len)
{
    struct libzmq *z = self;
    const char *end = lines + len;
    bool is_sent = true;

    if ((look(z) & TRANSPORT_MAY_SEND) == 0)
        return TRANSPORT_FULL;
    if (id != 0)
        is_sent = send_frame(z->socket, &id, sizeof id, true);
    if (!is_sent)
        return TRANSPORT_FULL;
    is_sent = send_frame(z->socket, "", 0, true);
    if (!is_sent && id == 0)
        return TRANSPORT_FULL;
    while (lines < end) {
        const char *stop = memchr(lines, '\n', (size_t)(end - lines));

        if (stop == NULL)
            stop = end;
        is_sent = send_frame(z->socket, lines, (size_t)(stop - lines),
                             stop + 1 < end) &&
                  is_sent;
        lines = stop + 1;
    }
    return is_sent ? TRANSPORT_SENT : TRANSPORT_FULL;
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

static uint32_t
drain(void *self, transport_taker *taker, void *context)
{
    struct libzmq *z = self;
    struct transport_message message = {0};
    uint32_t messages = 0;
    uint32_t frames = 0;
    zmq_msg_t frame;

    (void)zmq_msg_init(&frame);
    while (messages < DRAIN_MAX && receive_frame(z->socket, &frame)) {
        bool has_more = zmq_msg_more(&frame) != 0;

        transport_take_frame(&message, zmq_msg_data(&frame),
                             zmq_msg_size(&frame), has_more, taker, context);
        frames++;
        messages += !has_more;
    }
    (void)zmq_msg_close(&frame);
    return frames;
}

/* ---- waiting and connecting ---- */

static void
sleep_on(void *self, pthread_mutex_t *lock, int64_t left_ns)
{
    struct libzmq *z = self;
    struct pollfd fds[2] = {{.fd = z->fd, .events = POLLIN},
                            {.fd = z->wake_fd, .events = POLLIN}};
    struct timespec left = clock_spec(left_ns);
    uint64_t count;

    (void)pthread_mutex_unlock(lock);
    (void)ppoll(fds, 2, &left, NULL);
    (void)pthread_mutex_lock(lock);
    (void)!read(z->wake_fd, &count, sizeof count);
}

static void
wake(void *self)
{
    struct libzmq *z = self;
    uint64_t one = 1;

    (void)!write(z->wake_fd, &one, sizeof one);
}

/* A connection that is there is left alone; one that a stopped daemon does not take
 * up is not opened again and again. */
static void
reach(void *self, int64_t now_ns)
{
    struct libzmq *z = self;

    if ((look(z) & TRANSPORT_MAY_SEND) != 0) {
        z->kick_again_ns = KICK_NS;
    } else if (now_ns >= z->kick_ns) {
        (void)zmq_disconnect(z->socket, z->endpoint);
        (void)zmq_connect(z->socket, z->endpoint);
        z->kick_ns = now_ns + z->kick_again_ns;
        z->kick_again_ns = 2 * z->kick_again_ns < KICK_MAX_NS
                               ? 2 * z->kick_again_ns
                               : KICK_MAX_NS;
    }
}

static void
hope(void *self)
{
    struct libzmq *z = self;

    z->kick_ns = 0;
    z->kick_again_ns = KICK_NS;
}

/* libzmq does not tell when it reconnects, nor why it cannot connect. */
static uint64_t
serial(void *self)
{
    (void)self;
    return 1;
}

static const struct cause *
trouble(void *self)
{
    static const struct cause unknown = {.code = CAUSE_NONE};

    (void)self;
    return &unknown;
}

const struct transport_kind transport_libzmq = {
    .name = "libzmq",
    .open = open_up,
    .close = shut,
    .abandon = abandon,
    .reach = reach,
    .hope = hope,
    .send = send_message,
    .drain = drain,
    .look = look,
    .wait = sleep_on,
    .wake = wake,
    .serial = serial,
    .trouble = trouble,
    .leaves_to_sleeper = false,
};
