#ifndef CLIENT_LOG_H
#define CLIENT_LOG_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What a worker is told: once an outage, at most once a second and once in ten
 * seconds for the same reason, through the handle's callback or as one write to
 * standard error. */
#include "breaker/breaker.h"
#include "client/cause.h"
#include <stdatomic.h>

#define LOG_REPEAT_NS (10 * BK_NS_PER_S)
#define LOG_SIZE 768

/* What was said last. */
struct log_memory {
    _Atomic int code;
    _Atomic int64_t at_ns; /* 0: never */
};

struct breaker;

/* Says one sentence now. */
void log_say(struct breaker *b, enum breaker_log_level level,
             const char *sentence);
/* Whether a warning about this is due; remembers that it was given. */
bool log_is_due(struct log_memory *memory, enum cause_code code,
                int64_t now_ns);

#endif
