/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/reply.h"
#include "core/zmtp.h"
#include <stdlib.h>
#include <string.h>

/* Memory of a reply that is used again and grew beyond this is given back. */
#define ARENA_KEEP ((size_t)64 * 1024)

struct reply *
reply_new(void)
{
    return calloc(1, sizeof(struct reply));
}

static void
free_own(struct reply *r)
{
    for (size_t i = 0; i < r->count; i++) {
        free(r->answers[i].own);
        r->answers[i].own = NULL;
    }
}

void
reply_free(struct reply **r)
{
    if (*r != NULL) {
        free_own(*r);
        free((*r)->answers);
        free((*r)->arena);
        free(*r);
        *r = NULL;
    }
}

void
reply_clear(struct reply *r)
{
    free_own(r);
    if (r->arena_room > ARENA_KEEP) {
        free(r->arena);
        r->arena = NULL;
        r->arena_room = 0;
    }
    r->next = NULL;
    r->route_len = 0;
    r->route_count = 0;
    r->count = 0;
    r->arena_len = 0;
    r->due = 0;
    r->job = 0;
    r->is_short = false;
}

bool
reply_add_route(struct reply *r, const void *at, size_t len)
{
    if (r->route_count == REPLY_ROUTE_FRAMES || len > BK_ENVELOPE_OCTETS) {
        return false;
    }
    r->route_len += bk_zmtp_put_head(r->route + r->route_len, len, true);
    memcpy(r->route + r->route_len, at, len);
    r->route_len += len;
    r->route_count++;
    return true;
}

static struct reply_answer *
add(struct reply *r)
{
    if (r->count == r->room) {
        size_t room = r->room > 0 ? 2 * r->room : 8;
        struct reply_answer *more = realloc(r->answers, room * sizeof(*more));
        if (more == NULL) {
            r->is_short = true;
            return NULL;
        }
        r->answers = more;
        r->room = room;
    }
    struct reply_answer *a = &r->answers[r->count++];
    memset(a, 0, sizeof(*a));
    return a;
}

void
reply_add(struct reply *r, const char *text, size_t len)
{
    if (r->arena_len + len > r->arena_room) {
        size_t room = r->arena_room > 0 ? r->arena_room : 1024;
        while (room < r->arena_len + len) {
            room *= 2;
        }
        char *more = realloc(r->arena, room);
        if (more == NULL) {
            r->is_short = true;
            return;
        }
        r->arena = more;
        r->arena_room = room;
    }
    struct reply_answer *a = add(r);
    if (a != NULL) {
        memcpy(r->arena + r->arena_len, text, len);
        a->from = r->arena_len;
        a->len = len;
        r->arena_len += len;
    }
}

size_t
reply_add_due(struct reply *r)
{
    struct reply_answer *a = add(r);
    if (a == NULL) {
        return 0;
    }
    a->is_due = true;
    r->due++;
    return r->count - 1;
}

void
reply_fill(struct reply *r, size_t index, char *own, size_t len)
{
    if (index < r->count && r->answers[index].is_due) {
        r->answers[index].own = own;
        r->answers[index].len = len;
        r->answers[index].is_due = false;
        r->due--;
    } else {
        free(own);
    }
}

void
reply_fail_disk(struct reply *r, const char *why)
{
    char line[320];
    struct bk_text t;
    bk_text_init(&t, line, sizeof(line));
    bk_write_error(&t, BK_ERR_UNAVAILABLE, why);
    for (size_t i = 0; i < r->count; i++) {
        struct reply_answer *a = &r->answers[i];
        if (!a->needs_disk) {
            continue;
        }
        free(a->own);
        a->needs_disk = false;
        a->own = malloc(t.len + 1);
        a->len = a->own != NULL ? t.len : 0;
        if (a->own != NULL) {
            memcpy(a->own, line, t.len + 1);
        }
    }
    r->job = 0;
}

bool
reply_is_whole(const struct reply *r, uint64_t saved_job)
{
    return r->due == 0 && r->job <= saved_job;
}

bool
reply_say(const struct reply *r, struct callers *callers)
{
    uint8_t head[BK_ZMTP_FRAME_HEAD];
    if (r->count == 0) {
        return true;
    }
    if (r->is_short || !callers_answer(callers, r->caller)) {
        return false;
    }
    callers_put(callers, r->route, r->route_len);
    for (size_t i = 0; i < r->count; i++) {
        const struct reply_answer *a = &r->answers[i];
        size_t head_len = bk_zmtp_put_head(head, a->len, i + 1 < r->count);
        callers_put(callers, head, head_len);
        callers_put(callers, a->own != NULL ? a->own : r->arena + a->from,
                    a->len);
    }
    return true;
}
