#ifndef CLIENT_SESSION_H
#define CLIENT_SESSION_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The conversation with the daemon: one socket, any number of threads. Requests
 * carry a number in the envelope and answers come back by it. Of the threads that
 * wait for an answer one (the leader) sleeps on the socket; whoever holds the lock
 * hands out what has arrived. Nobody waits past his deadline, and once the
 * daemon has kept silent nobody waits for it at all until it speaks again. */
#include "client/attach.h"
#include "client/told.h"
#include "client/transport.h"
#include "core/wire.h"
#include <pthread.h>

/* While the daemon is silent it is asked for a sign of life this often. */
#define SESSION_PROBE_NS (100 * BK_NS_PER_MS)
/* After the transport could not be opened, the next try. */
#define SESSION_OPEN_AGAIN_NS (1 * BK_NS_PER_S)
/* What the first report of a process waits for its connection. */
#define SESSION_FIRST_NS (20 * BK_NS_PER_MS)

enum session_quiet {
    SESSION_SPEAKING,
    SESSION_UNREACHED, /* a request could not be sent in time */
    SESSION_UNANSWERED /* one was sent and not answered in time */
};

enum session_result {
    SESSION_ANSWERED,
    SESSION_NOT_SENT, /* the daemon knows nothing of it */
    SESSION_SENT      /* no answer: the daemon may or may not have done it */
};

enum session_told {
    SESSION_TOLD,      /* sent, or will be with what is told next */
    SESSION_QUEUED,    /* a handle that tells later: when somebody asks */
    SESSION_SPEECHLESS /* the daemon cannot be talked to at all: not taken */
};

/* A question and room for its answer. */
struct exchange {
    const char *line;
    size_t line_len;
    char *answer;
    size_t size;       /* of the room; one octet is for a NUL */
    size_t answer_len; /* the whole answer's; size or more: it was cut */
};

struct waiter;
struct breaker;

struct session {
    pthread_mutex_t lock;
    struct transport transport;
    bool is_open;
    bool is_opening;       /* a thread does, with the lock let go */
    pthread_cond_t opened; /* it is done, in whichever way */
    bool is_new;           /* nobody has waited for the connection yet */
    bool is_greeted;       /* HELLO was sent on this connection */
    uint64_t serial;       /* of that connection */
    uint64_t epoch;        /* of the daemon that was greeted, 0: not known */
    int64_t again_ns;      /* not opened before this */
    int64_t probe_ns;      /* no PING before this */
    enum session_quiet quiet;
    char path[ENDPOINT_SIZE]; /* the socket it is connected to */
    struct cause cause;       /* why there is no answer */
    struct waiter *waiters;
    struct waiter *leader;
    uint64_t next_id;
    struct told_queue queue;
    uint64_t told; /* items ever */
    uint64_t
        arrived; /* so many of them have been carried out, for all we know */
    uint64_t mark_id; /* of a PING sent behind them, 0: none is out */
    uint64_t mark_told;
    uint64_t mark_serial; /* the connection it went by */
    _Atomic uint64_t unanswered;
    _Atomic uint64_t late;
};

bool session_init(struct session *s, uint64_t seed);
/* Frees what is this process's own. */
void session_fini(struct session *s);

/* Sends a line and waits for its answer until `deadline_ns` (monotonic). */
enum session_result session_ask(struct breaker *b, struct exchange *x,
                                int64_t deadline_ns);
/* Reads the answer; false: it is none, or was cut. */
bool session_read(const struct exchange *x, struct bk_reply *reply);
/* Whether session_ask might get an answer. Does not wait and makes no connection:
 * where there is none yet, one might. */
bool session_may_answer(struct breaker *b, int64_t now_ns);
/* Hands over what needs no answer, in order. Waits for nothing but, once, for the
 * connection; of a handle that tells later, not even for that. */
enum session_told session_tell(struct breaker *b, const struct told *item);
/* Sends lines ('\n' between them) that need no answer, now or not at all. */
bool session_post(struct breaker *b, const char *lines, size_t len);
/* Queues it until the daemon is back. */
void session_keep(struct breaker *b, const struct told *item);
uint32_t session_queued(struct breaker *b);
/* Takes the oldest of what is queued; false: nothing is. */
bool session_take(struct breaker *b, struct told *out);
/* Reports lost because too many were queued. */
uint64_t session_dropped(struct breaker *b);
/* False: the deadline was over before everything told had arrived. */
bool session_flush(struct breaker *b, int64_t deadline_ns);
/* Everything told has been carried out, as far as is known without waiting. Only for
 * handles that tell later: their lines are followed by a PING. */
bool session_has_arrived(struct breaker *b);
/* The daemon is seen to live again: waiting for it makes sense. */
void session_hope(struct breaker *b);
/* What the last failure was; false when there was none. */
bool session_cause(struct breaker *b, struct cause *out);

#endif
