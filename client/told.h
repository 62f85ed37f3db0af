#ifndef CLIENT_TOLD_H
#define CLIENT_TOLD_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What a worker has to tell: an outcome, or a permit given back. Kept in order
 * until the daemon (or, when it is away, the local machine) has taken it. */
#include "breaker/breaker.h"
#include "client/names.h"
#include "core/text.h"

/* Octets of an error text that are told. */
#define TOLD_TEXT 64
/* What waits while the daemon is not connected; beyond it the oldest goes. */
#define TOLD_QUEUE 1024
/* What has piled up goes out in messages of so many lines. */
#define TOLD_BATCH 64
/* A line: two words of 63 octets at most, numbers, a text. */
#define TOLD_LINE 320

enum told_kind { TOLD_REPORT, TOLD_RELEASE };

struct told {
    struct breaker_service *service; /* NULL for a release */
    uint64_t id;                     /* permit, token */
    uint64_t generation;
    int64_t latency_us; /* -1: unknown */
    uint64_t retry_after_ms;
    uint32_t attempt; /* 0: unknown */
    uint8_t kind;     /* enum told_kind */
    uint8_t outcome;
    bool is_current; /* no generation: the current one */
    bool will_retry;
    char text[TOLD_TEXT + 1];
};

struct told_queue {
    struct told *items; /* TOLD_QUEUE of them, made at first need */
    uint32_t first;
    uint32_t count;
    uint64_t dropped;
};

void told_push(struct told_queue *q, const struct told *item);
const struct told *told_first(const struct told_queue *q); /* NULL: empty */
void told_pop(struct told_queue *q, uint32_t count);
void told_fini(struct told_queue *q);
/* The line that says it. */
void told_write(const struct told *item, bool is_silent, struct bk_text *out);
/* The lines of the oldest of them, '\n' between; returns how many they are. */
uint32_t told_write_batch(const struct told_queue *q, struct bk_text *out);

#endif
