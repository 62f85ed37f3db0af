#ifndef UPSTREAM_CONN_H
#define UPSTREAM_CONN_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection of flaky-upstream: octets in, requests out of them, answers
 * back. It knows nothing of the script. */
#include "tools/upstream_http.h"
#include "tools/upstream_tally.h"

/* An answer of the control port is the longest that goes out. */
#define UPSTREAM_OUT_BYTES (UPSTREAM_TALLY_BYTES + 512)

#define UPSTREAM_METHOD_SIZE 17
#define UPSTREAM_PATH_SIZE 64

enum upstream_conn_state {
    UPSTREAM_CONN_READING, /* a request, or the pause before the next one */
    UPSTREAM_CONN_BODY,    /* its body */
    UPSTREAM_CONN_BAD,     /* what came is no request: refuse it */
    UPSTREAM_CONN_READY,   /* the request is whole and wants an answer */
    UPSTREAM_CONN_WAITING, /* the answer is written and goes out at due_ns */
    UPSTREAM_CONN_HANGING, /* it never gets one */
    UPSTREAM_CONN_SENDING,
    UPSTREAM_CONN_BROKEN /* to be closed */
};

struct upstream_conn {
    int fd;
    bool is_control;
    enum upstream_conn_state state;
    int64_t due_ns; /* WAITING: the answer; else: when we give up on it */
    uint64_t body_left;
    size_t in_len;
    size_t body_len;
    size_t out_len;
    size_t out_sent;
    bool keeps_alive;
    bool is_cut; /* ends with a reset instead of in order */
    char method[UPSTREAM_METHOD_SIZE];
    char path[UPSTREAM_PATH_SIZE];    /* cut when longer */
    char in[UPSTREAM_HEAD_MAX];       /* what has arrived and is not used yet */
    char body[UPSTREAM_SCRIPT_BYTES]; /* of the request, its beginning */
    char out[UPSTREAM_OUT_BYTES];
};

/* NULL when memory is short. Owns `fd`. */
struct upstream_conn *upstream_conn_new(int fd, bool is_control);
void upstream_conn_free(struct upstream_conn **conn);
/* Takes what has arrived and reads on; sets the state. */
void upstream_conn_receive(struct upstream_conn *conn);
/* Reads on in what is buffered already (after an answer went out). */
void upstream_conn_parse(struct upstream_conn *conn);
/* BAD -> WAITING with a 400, the last answer of this connection. */
void upstream_conn_refuse(struct upstream_conn *conn);
/* READY -> WAITING until `due_ns`. */
void upstream_conn_answer(struct upstream_conn *conn,
                          const struct upstream_answer *answer, int64_t due_ns);
/* Sends what is there to send; READING again (or BROKEN) when all is out. */
void upstream_conn_send(struct upstream_conn *conn);

#endif
