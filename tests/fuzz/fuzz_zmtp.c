/* SPDX-License-Identifier: Apache-2.0
 *
 * What a peer sends a worker or the daemon, as it comes: the first octet says which and
 * at what point of the conversation, the second how it is torn into pieces. Pieces make no difference
 * to what is understood. */
#include "core/zmtp.h"
#include "target.h"
#include <string.h>

/* What was understood: a sum over all items. */
struct heard {
    uint64_t sum;
    size_t taken;
    enum bk_zmtp_kind last; /* INCOMPLETE or FAULT */
    enum bk_zmtp_side side; /* ours */
    enum bk_zmtp_phase phase;
};

static void
add(struct heard *h, uint64_t value)
{
    h->sum = (h->sum ^ value) * UINT64_C(0x100000001b3);
}

static void
check(const struct bk_zmtp_item *item, const uint8_t *octets, size_t count)
{
    PROMISE(item->used <= count);
    PROMISE(item->len == 0 || (item->data >= octets &&
                               item->data + item->len <= octets + item->used));
    PROMISE(item->len <= BK_ZMTP_FRAME_MAX);
    PROMISE(item->kind != BK_ZMTP_PING || item->len <= BK_ZMTP_CONTEXT_MAX);
    PROMISE((item->kind == BK_ZMTP_FAULT) == (item->fault != NULL));
    if (item->kind == BK_ZMTP_INCOMPLETE)
        PROMISE(item->used == 0 && item->needed > count);
    else
        PROMISE(item->kind == BK_ZMTP_FAULT || item->used > 0);
}

/* Takes what can be taken of the first `count` octets. */
static void
listen_to(struct heard *h, const uint8_t *octets, size_t count)
{
    while (h->last != BK_ZMTP_FAULT) {
        struct bk_zmtp_item item;

        bk_zmtp_take(h->side, &h->phase, octets + h->taken, count - h->taken,
                     &item);
        check(&item, octets + h->taken, count - h->taken);
        h->last = item.kind;
        if (item.kind == BK_ZMTP_INCOMPLETE || item.kind == BK_ZMTP_FAULT)
            return;
        add(h, item.kind);
        add(h, item.has_more);
        for (size_t i = 0; i < item.len; i++)
            add(h, item.data[i]);
        h->taken += item.used;
    }
}

/* A PONG is a command that a DEALER has no answer to. */
static void
check_pong(const uint8_t *context, size_t len)
{
    uint8_t pong[BK_ZMTP_PONG_MAX];
    enum bk_zmtp_phase phase = BK_ZMTP_TRAFFIC;
    size_t wrote = bk_zmtp_put_pong(pong, context, len);
    struct bk_zmtp_item item;

    PROMISE(wrote <= sizeof pong);
    bk_zmtp_take(BK_ZMTP_DEALER, &phase, pong, wrote, &item);
    PROMISE(item.kind == BK_ZMTP_NOTHING && item.used == wrote);
}

/* Lines made of these octets come back as they were said. */
static void
check_message(const char *lines, size_t len)
{
    uint8_t out[BK_ZMTP_ENVELOPE + 512 + 512 * BK_ZMTP_FRAME_HEAD];
    enum bk_zmtp_phase phase = BK_ZMTP_TRAFFIC;
    size_t wrote = bk_zmtp_put_message(out, sizeof out, 7, lines, len);
    size_t at = 0;
    struct bk_zmtp_item item = {.has_more = true};

    PROMISE((wrote == 0) == (len == 0));
    for (int frame = 0; at < wrote; frame++) {
        PROMISE(item.has_more);
        bk_zmtp_take(BK_ZMTP_DEALER, &phase, out + at, wrote - at, &item);
        PROMISE(item.kind == BK_ZMTP_FRAME);
        at += item.used;
        if (frame < 2)
            continue;
        PROMISE(item.len <= len && memcmp(item.data, lines, item.len) == 0);
        lines += item.len;
        len -= item.len;
        PROMISE(len == 0 || *lines == '\n');
        lines += len > 0;
        len -= len > 0;
    }
    PROMISE(wrote == 0 || (len == 0 && !item.has_more));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum bk_zmtp_phase phases[] = {
        BK_ZMTP_WANTS_GREETING, BK_ZMTP_WANTS_READY, BK_ZMTP_TRAFFIC};
    struct heard whole = {.last = BK_ZMTP_INCOMPLETE};
    struct heard torn;
    size_t piece;

    if (size < 2)
        return 0;
    whole.phase = phases[data[0] % 3];
    whole.side = data[0] / 3 % 2 == 0 ? BK_ZMTP_DEALER : BK_ZMTP_ROUTER;
    torn = whole;
    piece = 1 + data[1] % 16;
    data += 2;
    size -= 2;
    listen_to(&whole, data, size);
    for (size_t count = 0; count < size; count += piece)
        listen_to(&torn, data, count);
    listen_to(&torn, data, size);
    PROMISE(torn.sum == whole.sum && torn.taken == whole.taken);
    PROMISE(torn.last == whole.last && torn.phase == whole.phase);
    check_pong(data, size < BK_ZMTP_CONTEXT_MAX ? size : BK_ZMTP_CONTEXT_MAX);
    check_message((const char *)data, size < 512 ? size : 512);
    return 0;
}
