#ifndef LINK_H
#define LINK_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A small client for tools: one socket to one endpoint, a message of lines out,
 * a message of answers back, never later than a deadline. Not thread-safe. */
#include "core/text.h"

/* How long a tool waits for an answer. */
#define LINK_DEADLINE_MS 5000
/* The longest endpoint path the kernel takes, its NUL included. */
#define LINK_PATH_SIZE 108

/* What stands behind a socket file. */
enum link_state {
    LINK_LISTENS,   /* somebody accepts connections there */
    LINK_ABSENT,    /* no such file */
    LINK_DEAF,      /* the file is there, nobody listens */
    LINK_FORBIDDEN, /* this user may not connect */
    LINK_ODD        /* not a socket, or a path too long for one */
};
/* Asks the kernel, not the daemon: libzmq itself would wait in silence for a
 * socket that nobody serves or that this user may not use. */
enum link_state link_probe(const char *path);

enum link_result {
    LINK_ANSWERED,
    LINK_LATE,  /* no answer before the deadline */
    LINK_FAILED /* libzmq refused; link_error says why */
};

/* Answer lines in order, each NUL-terminated (and possibly holding others). */
struct link_reply {
    char **frames;
    size_t *lengths;
    size_t count;
};

struct link;

/* A DEALER connected to the ipc endpoint at `path`. NULL with errno set by
 * libzmq when there are no resources for it. */
struct link *link_open(const char *path);
void link_close(struct link **l);
/* Sends `count` lines as one message and waits for the message that answers it.
 * `reply` is filled in only with LINK_ANSWERED; the caller frees it. Answers to
 * earlier questions that were given up are thrown away. */
enum link_result link_ask(struct link *l, const char *const *lines,
                          size_t count, int64_t deadline_ms,
                          struct link_reply *reply);
/* Goes on waiting for the answer to a question that was LINK_LATE. */
enum link_result link_go_on(struct link *l, int64_t deadline_ms,
                            struct link_reply *reply);
/* A question without waiting for an answer; for lines that have none. */
enum link_result link_tell(struct link *l, const char *const *lines,
                           size_t count, int64_t deadline_ms);
/* libzmq's words for the last LINK_FAILED. */
const char *link_error(const struct link *l);
void link_reply_free(struct link_reply *reply);

#endif
