/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sockets.h"
#include "core/wire.h"
#include "daemon/log.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

/* Events queued for one subscriber before more are dropped. */
#define QUEUE_MESSAGES 1000
#define HANDSHAKE_MS 2000
#define LINGER_MS 250

struct door {
    const char *name;
    mode_t mode;
    enum callers_door callers; /* CALLERS_DOORS: events are none */
};

static const struct door doors[GATE_DOORS] = {
    [GATE_WORKER] = {"worker.sock", 0660, CALLERS_WORKERS},
    [GATE_OPERATOR] = {"operator.sock", 0600, CALLERS_OPERATORS},
    [GATE_EVENTS] = {"events.sock", 0660, CALLERS_DOORS}};

static bool
fail(struct bk_text *error, const char *what)
{
    bk_text_put(error, what);
    bk_text_put(error, ": ");
    bk_text_put(error, zmq_strerror(zmq_errno()));
    return false;
}

static bool
set(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof(value)) == 0;
}

/* Options set after the bind would be ignored without a word. */
static bool
bind_events(void *socket, const char *path, int fd, struct bk_text *error)
{
    int64_t longest = BK_FRAME_MAX;
    char endpoint[PATH_MAX + 8];
    snprintf(endpoint, sizeof(endpoint), "ipc://%s", path);
    return (set(socket, ZMQ_SNDHWM, QUEUE_MESSAGES) &&
            set(socket, ZMQ_LINGER, LINGER_MS) &&
            set(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) &&
            zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &longest, sizeof(longest)) ==
                0 &&
            set(socket, ZMQ_USE_FD, fd) && zmq_bind(socket, endpoint) == 0) ||
           fail(error, endpoint);
}

/* The listening descriptor; -1 and a sentence. */
static int
listen_for(struct sockets *s, const struct rundir *dir, enum gate_door door,
           struct handed *handed, struct bk_text *error)
{
    const char *name = doors[door].name;
    int fd = handed_take(handed, dir->path, name);
    if (fd >= 0) {
        gate_adopt(door, fd);
        log_line(LOG_INFO, "%s was handed over by the service manager", name);
        return fd;
    }
    fd = gate_listen(dir, door, name, doors[door].mode, error);
    s->is_made[door] = fd >= 0;
    return fd;
}

static bool
open_door(struct sockets *s, struct callers *callers, const struct rundir *dir,
          enum gate_door door, struct handed *handed, struct bk_text *error)
{
    char path[PATH_MAX];
    int fd = listen_for(s, dir, door, handed, error);
    if (fd < 0 || !rundir_file(dir, doors[door].name, path)) {
        return false;
    }
    if (doors[door].callers == CALLERS_DOORS) {
        return bind_events(s->events, path, fd, error);
    }
    return callers_listen(callers, doors[door].callers, fd) ||
           rundir_fail(error, "listen at", path, errno);
}

bool
sockets_open(struct sockets *s, struct bk_text *error)
{
    memset(s, 0, sizeof(*s));
    s->context = zmq_ctx_new();
    if (s->context == NULL) {
        return fail(error, "cannot start ZeroMQ");
    }
    zmq_ctx_set(s->context, ZMQ_BLOCKY, 0);
    zmq_ctx_set(s->context, ZMQ_IO_THREADS, 1);
    s->events = zmq_socket(s->context, ZMQ_PUB);
    return s->events != NULL || fail(error, "cannot make a ZeroMQ socket");
}

bool
sockets_listen(struct sockets *s, struct callers *callers,
               const struct rundir *dir, struct handed *handed,
               struct bk_text *error)
{
    /* Workers last: whoever finds their socket finds the others. */
    for (int door = GATE_DOORS - 1; door >= 0; door--) {
        if (!open_door(s, callers, dir, (enum gate_door)door, handed, error)) {
            return false;
        }
    }
    handed_close(handed);
    return true;
}

void
sockets_close(struct sockets *s, const struct rundir *dir)
{
    char path[PATH_MAX];
    if (s->events != NULL) {
        zmq_close(s->events);
    }
    for (int door = 0; s->context != NULL && door < GATE_DOORS; door++) {
        if (s->is_made[door] && rundir_file(dir, doors[door].name, path)) {
            unlink(path);
        }
    }
    if (s->context != NULL) {
        while (zmq_ctx_term(s->context) != 0 && zmq_errno() == EINTR) {
        }
        s->context = NULL;
    }
}
