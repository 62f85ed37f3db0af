#ifndef CLIENT_SESSION_PRIVATE_H
#define CLIENT_SESSION_PRIVATE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a session, shared by session.c (talking), session_open.c
 * (connecting) and session_wait.c (waiting). Everything here is called with the
 * session's lock held. */
#include "client/session.h"

/* A thread that waits for an answer; lives on its stack, listed while it does. */
struct waiter {
    struct waiter *next; /* first come, first sent */
    struct exchange *exchange;
    uint64_t id;
    pthread_cond_t wake;
    bool is_sent;
    bool is_done;
};

enum session_reach {
    REACH_OPEN,   /* there is a connection, or one is being made */
    REACH_CLOSED, /* there might be one, had the caller been allowed to open it */
    REACH_NOWHERE
};
/* A connection to the instance's socket, made when there is none and `may_open`.
 * It is left alone while somebody waits on it. Making it starts threads, so the lock
 * is let go meanwhile: whoever may not open never waits for that. */
enum session_reach session_reach(struct breaker *b, struct session *s,
                                 int64_t now_ns, bool may_open);
/* One that waits by the monotonic clock. */
void session_condition(pthread_cond_t *condition);
/* Sends what can be sent, and takes nothing. */
void session_send(struct breaker *b, struct session *s);
/* Sends and takes until nothing more can be done. It ends with a look that found
 * nothing: only then may somebody sleep on the descriptor, whose edge every call
 * into libzmq may use up. */
void session_settle(struct breaker *b, struct session *s);
/* Once a connection: until it is there and what is queued has gone, or a short time
 * is over. Else the report of a worker that then falls silent would lie here. */
void session_await_connection(struct breaker *b, struct session *s);
/* A PING, at most one in SESSION_PROBE_NS; nobody waits for the answer. */
void session_ask_for_life(struct breaker *b, struct session *s, int64_t now_ns);

#endif
