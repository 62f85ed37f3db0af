/* SPDX-License-Identifier: Apache-2.0 */
#include "client/told.h"
#include "core/wire.h"
#include <stdlib.h>

void
told_push(struct told_queue *q, const struct told *item)
{
    if (q->items == NULL) {
        q->items = calloc(TOLD_QUEUE, sizeof *q->items);
        q->first = 0;
        q->count = 0;
    }
    if (q->items == NULL) {
        q->dropped++;
        return;
    }
    if (q->count == TOLD_QUEUE) {
        told_pop(q, 1);
        q->dropped++;
    }
    q->items[(q->first + q->count) % TOLD_QUEUE] = *item;
    q->count++;
}

const struct told *
told_first(const struct told_queue *q)
{
    return q->count > 0 ? &q->items[q->first] : NULL;
}

void
told_pop(struct told_queue *q, uint32_t count)
{
    q->first = (q->first + count) % TOLD_QUEUE;
    q->count -= count;
}

void
told_fini(struct told_queue *q)
{
    free(q->items);
    q->items = NULL;
    q->count = 0;
}

void
told_write(const struct told *item, bool is_silent, struct bk_text *out)
{
    if (item->kind == TOLD_RELEASE) {
        bk_write_release(out, item->id);
        return;
    }
    bk_write_report(
        out, is_silent, item->service->name, item->id, item->is_current,
        item->generation, (enum bk_outcome)item->outcome, item->latency_us,
        item->attempt, item->will_retry, item->retry_after_ms, item->text);
}

uint32_t
told_write_batch(const struct told_queue *q, struct bk_text *out)
{
    uint32_t count = 0;

    for (; count < q->count && count < TOLD_BATCH; count++) {
        if (count > 0)
            bk_text_put_char(out, '\n');
        told_write(&q->items[(q->first + count) % TOLD_QUEUE], true, out);
    }
    return count;
}
