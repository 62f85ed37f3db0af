#ifndef STORE_THREAD_H
#define STORE_THREAD_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What the loop's side (store.c) and the thread's side (store_thread.c) of a
 * store share, and which side owns what. */
#include "daemon/store_copy.h"
#include "daemon/store_roll.h"
#include <pthread.h>

/* Octets of history that may wait for the loop before more is read. */
#define STORE_ANSWER_OCTETS ((size_t)16 << 20)
/* Between tries while the file cannot be written: twice as long each time. */
#define STORE_RETRY_LEAST_NS (100 * BK_NS_PER_MS)
#define STORE_RETRY_MOST_NS (5 * BK_NS_PER_S)
/* Between two files set aside: twice as long each time, or a dying disk would be
 * filled with copies. */
#define STORE_ASIDE_LEAST_NS BK_NS_PER_S
#define STORE_ASIDE_MOST_NS (3600 * BK_NS_PER_S)

/* An answer to one question. */
struct store_reply {
    struct store_reply *next;
    struct store_done done;
};

/* What the thread tells the loop, folded: only the latest of each counts. */
struct store_news {
    uint64_t saved_job; /* 0: none */
    uint64_t failed_job;
    bool wants_rebuild;
    char failed_text[160];
    struct store_reply *first; /* in the order they were asked */
    struct store_reply *last;
    size_t octets; /* of the answers in them */
};

/* Whether the thread has the file. */
enum store_start { STORE_OPENING, STORE_OPEN, STORE_REFUSED };

struct store {
    /* The loop's alone. */
    struct store_box incoming;
    uint64_t job;
    uint64_t asks_out; /* questions not answered yet */

    /* Both, under the mutex. */
    pthread_mutex_t mutex;
    struct store_box handed;
    struct store_news news;
    struct store_stats stats;
    enum store_start start;
    pthread_cond_t started; /* start is another */
    bool wants_check;
    bool is_stopping;
    bool has_ended;

    /* Set before the thread starts, closed after it ended. */
    int wake_fd; /* for the thread */
    int done_fd; /* for the loop */
    pthread_t thread;
    bool has_thread;

    /* The thread's; from its start to the first job the loop's, for loading. */
    struct store_file file;
    struct store_roll roll;
    char refusal[1024]; /* STORE_REFUSED: one sentence */
    struct store_copy copy;
    struct store_box work;  /* taken, not written yet */
    struct store_box spare; /* empty between two turns */
    bool may_look;          /* wants_check, as it was seen last */
    bool is_looked_through; /* the file, since it was opened */
    bool is_damaged;        /* the file may not be written to any more */
    char damage[160];       /* is_damaged: in SQLite's words */
    bool has_untried;       /* work holds something newer than the last try */
    int64_t tried_ns;       /* the last try */
    int64_t retry_ns;       /* the next one; 0: nothing failed */
    int64_t retry_after_ns; /* how long the last wait was */
    int64_t aside_ns;       /* not before: the next file to be set aside */
    int64_t aside_after_ns;
};

void *store_thread_run(void *store);
/* The first that the thread does: opens the file, reads ahead, tells the loop. */
void store_start(struct store *s);
/* Adds to one of the eventfds. */
void store_wake(int fd);
/* Appends an answer to the news; the mutex is held. */
void store_reply_add(struct store *s, const struct store_done *done);

#endif
