/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/log.h"
#include "client/client.h"
#include <errno.h>
#include <signal.h>
#include <unistd.h>

/* One write, so that lines of several processes do not mix; no stdio, whose lock
 * the host may hold. */
static void
write_line(const char *sentence)
{
    char line[LOG_SIZE];
    struct bk_text text;
    sigset_t pipe_signal;
    sigset_t before;
    sigset_t pending;
    ssize_t done;

    bk_text_init(&text, line, sizeof line - 1);
    bk_text_put(&text, "libbreaker: ");
    bk_text_put(&text, sentence);
    line[text.len] = '\n';
    (void)sigemptyset(&pipe_signal);
    (void)sigaddset(&pipe_signal, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    (void)sigpending(&pending);
    do
        done = write(STDERR_FILENO, line, text.len + 1);
    while (done < 0 && errno == EINTR);
    /* A reader of standard error that is gone must not end the host. */
    if (done < 0 && errno == EPIPE && sigismember(&pending, SIGPIPE) == 0)
        (void)sigtimedwait(&pipe_signal, NULL, &(struct timespec){0, 0});
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void
log_say(struct breaker *b, enum breaker_log_level level, const char *sentence)
{
    if (b->log != NULL)
        b->log(b->log_context, level, sentence);
    else
        write_line(sentence);
}

bool
log_is_due(struct log_memory *memory, enum cause_code code, int64_t now_ns)
{
    int64_t last = atomic_load_explicit(&memory->at_ns, memory_order_relaxed);
    bool is_new =
        atomic_load_explicit(&memory->code, memory_order_relaxed) != (int)code;

    if (last != 0 &&
        now_ns - last < (is_new ? LOG_REPEAT_NS / 10 : LOG_REPEAT_NS))
        return false;
    /* Of threads that come at once, one speaks. */
    if (!atomic_compare_exchange_strong_explicit(&memory->at_ns, &last, now_ns,
                                                 memory_order_relaxed,
                                                 memory_order_relaxed))
        return false;
    atomic_store_explicit(&memory->code, (int)code, memory_order_relaxed);
    return true;
}
