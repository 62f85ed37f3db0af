/* SPDX-License-Identifier: Apache-2.0 */
#include "client/tally.h"
#include "core/wire.h"
#include <string.h>

/* Lines of one message; a line is "TALLYQ name allowed count [reason]". */
#define LINES_MAX 64
#define LINE_MAX_OCTETS (BK_NAME_SIZE + 64)

/* What one message says, to be taken back when it could not be sent. */
struct batch {
    struct breaker *client;
    struct {
        _Atomic uint64_t *counter;
        uint64_t count;
    } rows[LINES_MAX];
    uint32_t count;
    struct bk_text text;
    char lines[LINES_MAX * LINE_MAX_OCTETS];
};

static struct breaker_service *
newest(struct breaker *b)
{
    return atomic_load_explicit(&b->names.newest, memory_order_acquire);
}

static bool
send_batch(struct batch *batch)
{
    struct world *w = client_world(batch->client);
    bool is_sent = batch->count == 0 ||
                   session_post(batch->client, batch->lines, batch->text.len);

    for (uint32_t i = 0; i < batch->count; i++) {
        if (is_sent)
            atomic_fetch_add_explicit(&w->numbers.by_memory,
                                      batch->rows[i].count,
                                      memory_order_relaxed);
        else
            atomic_fetch_add_explicit(batch->rows[i].counter,
                                      batch->rows[i].count,
                                      memory_order_relaxed);
    }
    batch->count = 0;
    bk_text_init(&batch->text, batch->lines, sizeof batch->lines);
    return is_sent;
}

static bool
add(struct batch *batch, struct breaker_service *s, _Atomic uint64_t *counter,
    enum bk_deny reason)
{
    uint64_t count;

    if (atomic_load_explicit(counter, memory_order_relaxed) == 0)
        return true;
    count = atomic_exchange_explicit(counter, 0, memory_order_relaxed);
    if (count == 0)
        return true;
    if (batch->count > 0)
        bk_text_put_char(&batch->text, '\n');
    bk_write_tally(&batch->text, s->name, reason == BK_DENY_NONE, count,
                   reason);
    batch->rows[batch->count].counter = counter;
    batch->rows[batch->count].count = count;
    batch->count++;
    return batch->count < LINES_MAX || send_batch(batch);
}

static bool
add_service(struct batch *batch, struct breaker_service *s)
{
    if (!add(batch, s, &s->allowed, BK_DENY_NONE))
        return false;
    for (int reason = BK_DENY_NONE + 1; reason < BK_DENY_COUNT; reason++) {
        if (!add(batch, s, &s->denied[reason], (enum bk_deny)reason))
            return false;
    }
    return true;
}

void
tally_send(struct breaker *b)
{
    struct batch batch;

    lanes_collect(&client_world(b)->lanes);
    batch.client = b;
    batch.count = 0;
    bk_text_init(&batch.text, batch.lines, sizeof batch.lines);
    for (struct breaker_service *s = newest(b); s != NULL; s = s->next) {
        if (!add_service(&batch, s))
            return;
    }
    (void)send_batch(&batch);
}

void
tally_when_due(struct breaker *b, int64_t coarse_ns)
{
    struct world *w = client_world(b);
    int64_t due_ns =
        atomic_load_explicit(&w->tally_due_ns, memory_order_relaxed);

    if (coarse_ns >= due_ns &&
        atomic_compare_exchange_strong_explicit(
            &w->tally_due_ns, &due_ns, coarse_ns + TALLY_NS,
            memory_order_relaxed, memory_order_relaxed))
        tally_send(b);
}

void
tally_forget(struct breaker *b)
{
    for (struct breaker_service *s = newest(b); s != NULL; s = s->next) {
        atomic_store_explicit(&s->allowed, 0, memory_order_relaxed);
        for (int reason = 0; reason < BK_DENY_COUNT; reason++)
            atomic_store_explicit(&s->denied[reason], 0, memory_order_relaxed);
    }
}

uint64_t
tally_pending(struct breaker *b)
{
    uint64_t sum = 0;

    lanes_collect(&client_world(b)->lanes);
    for (struct breaker_service *s = newest(b); s != NULL; s = s->next) {
        sum += atomic_load_explicit(&s->allowed, memory_order_relaxed);
        for (int reason = 0; reason < BK_DENY_COUNT; reason++)
            sum +=
                atomic_load_explicit(&s->denied[reason], memory_order_relaxed);
    }
    return sum;
}
