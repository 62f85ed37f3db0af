/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop of flaky-upstream: wait, look at the script, accept, read, answer.
 * Connections are only freed in one place, at the end of a turn, so that no
 * event of the same turn can name one that is gone. */
#define _GNU_SOURCE
#include "tools/upstream_server.h"

#include "tools/upstream_play.h"
#include "tools/upstream_port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 64
/* A connection on which nothing moves ends after this long. */
#define IDLE_NS (60 * BK_NS_PER_S)
/* No wait is longer, so that no mistake in a deadline stops the server. */
#define TURN_NS BK_NS_PER_S

struct upstream_server {
    struct upstream_play play;
    struct upstream_port main_port;
    struct upstream_port control_port;
    struct upstream_conn **conns; /* `count` of them, in no order */
    size_t count;
    size_t limit;
    int epoll_fd;
};

static int64_t
read_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * BK_NS_PER_S + now.tv_nsec;
}

static bool
fail(struct bk_text *error, const char *what)
{
    const char *why = strerror(errno);

    bk_text_put(error, what);
    bk_text_put(error, ": ");
    bk_text_put(error, why);
    return false;
}

static bool
watch(const struct upstream_server *server, int fd, void *what)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = what}};

    return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* What a connection's state waits for. A client that leaves is noticed in every
 * state: hanging requests must not pile up. */
static void
watch_state(const struct upstream_server *server, struct upstream_conn *conn)
{
    struct epoll_event event = {.events = EPOLLRDHUP, .data = {.ptr = conn}};

    if (conn->state == UPSTREAM_CONN_READING ||
        conn->state == UPSTREAM_CONN_BODY) {
        event.events = EPOLLIN;
    } else if (conn->state == UPSTREAM_CONN_SENDING) {
        event.events = EPOLLOUT | EPOLLRDHUP;
    }
    if (epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, conn->fd, &event) != 0) {
        conn->state = UPSTREAM_CONN_BROKEN;
    }
}

/* Brings the listening socket and the connections in line with the phase. */
static bool
enter_phase(struct upstream_server *server, struct bk_text *error)
{
    if (upstream_play_refuses(&server->play)) {
        upstream_port_refuse(&server->main_port);
        for (size_t i = 0; i < server->count; i++) {
            if (!server->conns[i]->is_control) {
                server->conns[i]->state = UPSTREAM_CONN_BROKEN;
                server->conns[i]->is_cut = true;
            }
        }
        return true;
    }
    if (server->main_port.listen_fd >= 0) {
        return true;
    }
    return upstream_port_listen(&server->main_port, error) &&
           (watch(server, server->main_port.listen_fd, &server->main_port) ||
            fail(error, "cannot watch the listening socket"));
}

static void
add_conn(struct upstream_server *server, int fd, bool is_control,
         int64_t now_ns)
{
    struct upstream_conn *conn = NULL;

    if (server->count < server->limit) {
        conn = upstream_conn_new(fd, is_control);
    }
    if (conn == NULL) {
        server->play.tally.turned_away++;
        close(fd);
        return;
    }
    conn->due_ns = now_ns + IDLE_NS;
    if (!watch(server, fd, conn)) {
        upstream_conn_free(&conn);
        return;
    }
    server->conns[server->count++] = conn;
    server->play.tally.accepted++;
}

static void
accept_some(struct upstream_server *server, const struct upstream_port *port,
            int64_t now_ns)
{
    for (int i = 0; i < EVENTS; i++) {
        const int fd =
            accept4(port->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            return;
        }
        add_conn(server, fd, port == &server->control_port, now_ns);
    }
}

static bool
answer(struct upstream_server *server, struct upstream_conn *conn,
       int64_t now_ns, struct bk_text *error)
{
    if (!conn->is_control) {
        upstream_play_answer(&server->play, conn, now_ns);
        return true;
    }
    return !upstream_play_control(&server->play, conn, now_ns) ||
           enter_phase(server, error);
}

/* Moves a connection as far as it goes without waiting. */
static bool
drive(struct upstream_server *server, struct upstream_conn *conn,
      int64_t now_ns, struct bk_text *error)
{
    bool moves = true;

    while (moves) {
        const enum upstream_conn_state before = conn->state;
        if (before == UPSTREAM_CONN_READY) {
            if (!answer(server, conn, now_ns, error)) {
                return false;
            }
        } else if (before == UPSTREAM_CONN_BAD) {
            server->play.tally.bad_requests++;
            upstream_conn_refuse(conn);
        } else if (before == UPSTREAM_CONN_WAITING && conn->due_ns <= now_ns) {
            upstream_conn_send(conn);
        } else if (before == UPSTREAM_CONN_READING) {
            upstream_conn_parse(conn);
        }
        moves = conn->state != before;
    }
    if (conn->state != UPSTREAM_CONN_WAITING &&
        conn->state != UPSTREAM_CONN_HANGING) {
        conn->due_ns = now_ns + IDLE_NS;
    }
    if (conn->state != UPSTREAM_CONN_BROKEN) {
        watch_state(server, conn);
    }
    return true;
}

static bool
handle(struct upstream_server *server, struct upstream_conn *conn,
       uint32_t events, int64_t now_ns, struct bk_text *error)
{
    if (conn->state == UPSTREAM_CONN_BROKEN) {
        return true;
    }
    if ((events & EPOLLIN) != 0) {
        upstream_conn_receive(conn);
    } else if ((events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) != 0) {
        conn->state = UPSTREAM_CONN_BROKEN;
    } else if (conn->state == UPSTREAM_CONN_SENDING) {
        upstream_conn_send(conn);
    }
    return drive(server, conn, now_ns, error);
}

static bool
dispatch(struct upstream_server *server, const struct epoll_event *event,
         int64_t now_ns, struct bk_text *error)
{
    void *what = event->data.ptr;

    if (what == &server->main_port || what == &server->control_port) {
        accept_some(server, what, now_ns);
        return true;
    }
    return handle(server, what, event->events, now_ns, error);
}

/* What time does to connections: answers fall due, idle ones end. */
static bool
sweep(struct upstream_server *server, int64_t now_ns, struct bk_text *error)
{
    for (size_t i = server->count; i-- > 0;) {
        struct upstream_conn *conn = server->conns[i];
        bool is_over = conn->state == UPSTREAM_CONN_BROKEN;
        if (!is_over && conn->due_ns <= now_ns) {
            is_over = conn->state != UPSTREAM_CONN_WAITING;
            if (!is_over && !drive(server, conn, now_ns, error)) {
                return false;
            }
            is_over = is_over || conn->state == UPSTREAM_CONN_BROKEN;
        }
        if (is_over) {
            upstream_conn_free(&server->conns[i]);
            server->conns[i] = server->conns[--server->count];
        }
    }
    server->play.tally.open = (uint32_t)server->count;
    return true;
}

static int
wait_ms(const struct upstream_server *server, int64_t now_ns)
{
    const int64_t phase_ns =
        bk_after(server->play.started_ns, server->play.phase_ends_ns);
    int64_t due_ns = now_ns + TURN_NS;

    due_ns = phase_ns < due_ns ? phase_ns : due_ns;
    for (size_t i = 0; i < server->count; i++) {
        if (server->conns[i]->due_ns < due_ns) {
            due_ns = server->conns[i]->due_ns;
        }
    }
    return (int)bk_ms_up(due_ns - now_ns);
}

/* One turn of the loop. False at the end: *is_stopped, or `error` is filled. */
static bool
turn(struct upstream_server *server, bool *is_stopped, struct bk_text *error)
{
    struct epoll_event events[EVENTS];
    const int count = epoll_wait(server->epoll_fd, events, EVENTS,
                                 wait_ms(server, read_clock()));
    const int64_t now_ns = read_clock();

    if (count < 0 && errno != EINTR) {
        return fail(error, "cannot wait for events");
    }
    if (upstream_play_follow(&server->play, now_ns) &&
        !enter_phase(server, error)) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == NULL) {
            upstream_play_save(&server->play, now_ns);
            *is_stopped = true;
            return false;
        }
        if (!dispatch(server, &events[i], now_ns, error)) {
            return false;
        }
    }
    return sweep(server, now_ns, error);
}

bool
upstream_server_run(struct upstream_server *server, int stop_fd,
                    struct bk_text *error)
{
    bool is_stopped = false;

    if (!watch(server, stop_fd, NULL)) {
        return fail(error, "cannot watch the signals");
    }
    upstream_play_start(&server->play, read_clock());
    if (!enter_phase(server, error)) {
        return false;
    }
    while (turn(server, &is_stopped, error)) {
    }
    return is_stopped;
}

static bool
prepare(struct upstream_server *server, const struct upstream_options *options,
        struct bk_text *error)
{
    server->conns = calloc(server->limit, sizeof(struct upstream_conn *));
    if (server->conns == NULL) {
        return fail(error, "cannot keep that many connections");
    }
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (server->epoll_fd < 0) {
        return fail(error, "cannot make an epoll descriptor");
    }
    if (!upstream_port_open(&server->main_port, options->port, error) ||
        !upstream_port_open(&server->control_port, options->control_port,
                            error)) {
        return false;
    }
    return (watch(server, server->main_port.listen_fd, &server->main_port) &&
            watch(server, server->control_port.listen_fd,
                  &server->control_port)) ||
           fail(error, "cannot watch the listening sockets");
}

struct upstream_server *
upstream_server_new(const struct upstream_options *options,
                    struct bk_text *error)
{
    struct upstream_server *server = calloc(1, sizeof *server);

    if (server == NULL) {
        (void)fail(error, "cannot start");
        return NULL;
    }
    server->epoll_fd = -1;
    server->main_port = UPSTREAM_PORT_NONE;
    server->control_port = UPSTREAM_PORT_NONE;
    server->limit = options->connections;
    server->play.script = options->script;
    server->play.latency_ns = options->latency_ns;
    server->play.stats_path = options->stats_path;
    if (!prepare(server, options, error)) {
        upstream_server_free(&server);
    }
    return server;
}

uint16_t
upstream_server_port(const struct upstream_server *server)
{
    return server->main_port.number;
}

uint16_t
upstream_server_control_port(const struct upstream_server *server)
{
    return server->control_port.number;
}

void
upstream_server_free(struct upstream_server **server)
{
    if (*server == NULL) {
        return;
    }
    for (size_t i = 0; i < (*server)->count; i++) {
        upstream_conn_free(&(*server)->conns[i]);
    }
    free((*server)->conns);
    upstream_port_close(&(*server)->main_port);
    upstream_port_close(&(*server)->control_port);
    if ((*server)->epoll_fd >= 0) {
        close((*server)->epoll_fd);
    }
    free(*server);
    *server = NULL;
}
