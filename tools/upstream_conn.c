/* SPDX-License-Identifier: Apache-2.0
 *
 * A connection's buffers and the order of its requests: pipelined ones are
 * answered one after the other. */
#define _GNU_SOURCE
#include "tools/upstream_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct upstream_conn *
upstream_conn_new(int fd, bool is_control)
{
    struct upstream_conn *conn = calloc(1, sizeof *conn);

    if (conn != NULL) {
        conn->fd = fd;
        conn->is_control = is_control;
    }
    return conn;
}

void
upstream_conn_free(struct upstream_conn **conn)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    if (*conn == NULL) {
        return;
    }
    if ((*conn)->is_cut) {
        (void)setsockopt((*conn)->fd, SOL_SOCKET, SO_LINGER, &at_once,
                         sizeof at_once);
    }
    close((*conn)->fd);
    free(*conn);
    *conn = NULL;
}

static void
drop_front(struct upstream_conn *conn, size_t count)
{
    memmove(conn->in, conn->in + count, conn->in_len - count);
    conn->in_len -= count;
}

static void
take_body(struct upstream_conn *conn)
{
    const size_t have =
        conn->in_len < conn->body_left ? conn->in_len : (size_t)conn->body_left;
    const size_t room = sizeof conn->body - conn->body_len;
    const size_t kept = have < room ? have : room;

    memcpy(conn->body + conn->body_len, conn->in, kept);
    conn->body_len += kept;
    conn->body_left -= have;
    drop_front(conn, have);
    if (conn->body_left == 0) {
        conn->state = UPSTREAM_CONN_READY;
    }
}

static void
take_head(struct upstream_conn *conn, const struct upstream_request *request)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

    bk_copy_text(conn->method, sizeof conn->method, request->method,
                 request->method_len);
    bk_copy_text(conn->path, sizeof conn->path, request->path,
                 request->path_len);
    conn->keeps_alive = request->keeps_alive;
    conn->body_left = request->body_len;
    conn->body_len = 0;
    if (request->wants_continue && request->body_len > 0 &&
        send(conn->fd, go_on, sizeof go_on - 1, MSG_NOSIGNAL) < 0) {
        conn->state = UPSTREAM_CONN_BROKEN;
        return;
    }
    conn->state = UPSTREAM_CONN_BODY;
    drop_front(conn, request->head_len);
}

void
upstream_conn_parse(struct upstream_conn *conn)
{
    struct upstream_request request;

    if (conn->state == UPSTREAM_CONN_READING && conn->in_len > 0) {
        switch (upstream_head_parse(conn->in, conn->in_len, &request)) {
        case UPSTREAM_HEAD_WHOLE:
            take_head(conn, &request);
            break;
        case UPSTREAM_HEAD_PART:
            if (conn->in_len == sizeof conn->in) {
                conn->state = UPSTREAM_CONN_BAD;
            }
            break;
        case UPSTREAM_HEAD_BAD:
        default:
            conn->state = UPSTREAM_CONN_BAD;
            break;
        }
    }
    if (conn->state == UPSTREAM_CONN_BODY) {
        take_body(conn);
    }
}

void
upstream_conn_receive(struct upstream_conn *conn)
{
    const size_t room = sizeof conn->in - conn->in_len;
    const ssize_t got =
        room > 0 ? recv(conn->fd, conn->in + conn->in_len, room, 0) : -1;

    if (got > 0) {
        conn->in_len += (size_t)got;
        upstream_conn_parse(conn);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        conn->state = UPSTREAM_CONN_BROKEN;
    }
}

void
upstream_conn_answer(struct upstream_conn *conn,
                     const struct upstream_answer *answer, int64_t due_ns)
{
    struct bk_text text;

    bk_text_init(&text, conn->out, sizeof conn->out);
    upstream_answer_write(answer, &text);
    conn->keeps_alive = answer->keeps_alive;
    conn->out_len = text.len;
    conn->out_sent = 0;
    conn->due_ns = due_ns;
    conn->state = UPSTREAM_CONN_WAITING;
}

void
upstream_conn_send(struct upstream_conn *conn)
{
    conn->state = UPSTREAM_CONN_SENDING;
    while (conn->out_sent < conn->out_len) {
        const ssize_t sent = send(conn->fd, conn->out + conn->out_sent,
                                  conn->out_len - conn->out_sent, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                conn->state = UPSTREAM_CONN_BROKEN;
            }
            return;
        }
        conn->out_sent += (size_t)sent;
    }
    conn->state =
        conn->keeps_alive ? UPSTREAM_CONN_READING : UPSTREAM_CONN_BROKEN;
}

void
upstream_conn_refuse(struct upstream_conn *conn)
{
    static const char body[] = "not a request this server reads\n";
    const struct upstream_answer answer = {.status = 400,
                                           .retry_after_s = -1,
                                           .type = "text/plain",
                                           .body = body,
                                           .body_len = sizeof body - 1};
    upstream_conn_answer(conn, &answer, 0);
}
