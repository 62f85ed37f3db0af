/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sockets.h"
#include "core/wire.h"
#include "daemon/log.h"
#include "daemon/meter.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

/* Answers queued for one peer before more are dropped and counted; the other way
 * METER_QUEUE messages before it is held back. */
#define QUEUE_MESSAGES 1000
#define HANDSHAKE_MS 2000
#define LINGER_MS 250

struct door {
    const char *name;
    mode_t mode;
    int type;
};

static const struct door doors[GATE_DOORS] = {
    [GATE_WORKER] = {"worker.sock", 0660, ZMQ_ROUTER},
    [GATE_OPERATOR] = {"operator.sock", 0600, ZMQ_ROUTER},
    [GATE_EVENTS] = {"events.sock", 0660, ZMQ_PUB}};

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
configure(void *socket, int type, int fd)
{
    int64_t longest = BK_FRAME_MAX;
    return set(socket, ZMQ_RCVHWM, METER_QUEUE) &&
           set(socket, ZMQ_SNDHWM, QUEUE_MESSAGES) &&
           set(socket, ZMQ_LINGER, LINGER_MS) &&
           set(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) &&
           zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &longest, sizeof(longest)) ==
               0 &&
           (type != ZMQ_ROUTER || set(socket, ZMQ_ROUTER_MANDATORY, 1)) &&
           set(socket, ZMQ_USE_FD, fd);
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
open_door(struct sockets *s, const struct rundir *dir, enum gate_door door,
          struct handed *handed, struct bk_text *error)
{
    void *const sockets[GATE_DOORS] = {[GATE_EVENTS] = s->events,
                                       [GATE_OPERATOR] = s->operator_,
                                       [GATE_WORKER] = s->worker};
    char path[PATH_MAX];
    char endpoint[PATH_MAX + 8];
    int fd = listen_for(s, dir, door, handed, error);
    if (fd < 0) {
        return false;
    }
    rundir_file(dir, doors[door].name, path);
    snprintf(endpoint, sizeof(endpoint), "ipc://%s", path);
    return (configure(sockets[door], doors[door].type, fd) &&
            zmq_bind(sockets[door], endpoint) == 0) ||
           fail(error, endpoint);
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
    s->events = zmq_socket(s->context, doors[GATE_EVENTS].type);
    s->operator_ = zmq_socket(s->context, doors[GATE_OPERATOR].type);
    s->worker = zmq_socket(s->context, doors[GATE_WORKER].type);
    return (s->events != NULL && s->operator_ != NULL && s->worker != NULL) ||
           fail(error, "cannot make a ZeroMQ socket");
}

bool
sockets_listen(struct sockets *s, const struct rundir *dir,
               struct handed *handed, struct bk_text *error)
{
    /* Workers last: whoever finds their socket finds the others. */
    for (int door = GATE_DOORS - 1; door >= 0; door--) {
        if (!open_door(s, dir, (enum gate_door)door, handed, error)) {
            return false;
        }
    }
    handed_close(handed);
    return true;
}

int
sockets_fd(void *socket)
{
    int fd = -1;
    size_t size = sizeof(fd);
    return zmq_getsockopt(socket, ZMQ_FD, &fd, &size) == 0 ? fd : -1;
}

void
sockets_close(struct sockets *s, const struct rundir *dir)
{
    void *const all[] = {s->worker, s->operator_, s->events};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i] != NULL) {
            zmq_close(all[i]);
        }
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
