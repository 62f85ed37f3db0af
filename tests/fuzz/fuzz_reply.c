/* SPDX-License-Identifier: Apache-2.0
 *
 * Answer lines, as a client gets them from who knows whom. */
#include "core/wire.h"
#include "target.h"
#include <string.h>

static void
check_word(struct bk_word w, const char *line, size_t len)
{
    PROMISE((w.at == NULL) == (w.len == 0));
    PROMISE(w.at == NULL || (w.at >= line && w.at + w.len <= line + len));
}

/* Writes what the daemon would have written; false where text is free. */
static bool
write_again(const struct bk_reply *r, struct bk_text *out)
{
    char service[BK_NAME_SIZE];
    bk_copy_text(service, sizeof(service), r->service.at, r->service.len);
    switch (r->kind) {
    case BK_REPLY_ALLOW:
        bk_write_allow(out, service, r->id, r->generation,
                       (enum bk_state)r->state);
        return true;
    case BK_REPLY_DENY:
        bk_write_deny(out, service, (enum bk_deny)r->deny, r->wait_ms);
        return true;
    case BK_REPLY_GRANT:
        bk_write_grant(out, service, r->id, r->wait_ms);
        return true;
    case BK_REPLY_PONG:
        bk_write_pong(out, r->id);
        return true;
    case BK_REPLY_OK:
    case BK_REPLY_ERR:
        break;
    }
    return false;
}

static void
check_same(const struct bk_reply *a, const struct bk_reply *b)
{
    PROMISE(a->kind == b->kind && a->id == b->id);
    PROMISE(a->generation == b->generation && a->wait_ms == b->wait_ms);
    PROMISE(a->state == b->state && a->deny == b->deny);
    PROMISE(a->service.len == b->service.len);
    if (a->service.len > 0)
        PROMISE(memcmp(a->service.at, b->service.at, a->service.len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bk_reply reply;
    const char *line = (const char *)data;
    if (!bk_reply_parse(line, size, &reply))
        return 0;
    check_word(reply.service, line, size);
    check_word(reply.text, line, size);
    PROMISE(reply.kind <= BK_REPLY_ERR);
    PROMISE(reply.id < BK_NUMBER_END && reply.wait_ms < BK_NUMBER_END);
    PROMISE(reply.applied >= -1 && reply.applied <= BK_UNKNOWN);
    if (reply.kind == BK_REPLY_ERR)
        PROMISE(reply.error > BK_OK && reply.error < BK_ERROR_COUNT);
    char room[512];
    struct bk_text out;
    bk_text_init(&out, room, sizeof(room));
    if (write_again(&reply, &out)) {
        struct bk_reply again;
        PROMISE(!out.is_cut);
        PROMISE(bk_reply_parse(room, out.len, &again));
        check_same(&reply, &again);
    }
    return 0;
}
