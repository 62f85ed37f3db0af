/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/prober/pace.h"
#include <string.h>

static struct pace_row *
find(struct pace *p, uint32_t hook, const char *service)
{
    for (size_t i = 0; i < PACE_ROWS; i++) {
        struct pace_row *row = &p->rows[i];
        if (row->is_used && row->hook == hook &&
            strcmp(row->change.service, service) == 0) {
            return row;
        }
    }
    return NULL;
}

/* Quiet for a whole window: nothing has to be remembered any more. */
static bool
is_over(const struct pace_row *row, int64_t now_ns)
{
    return row->is_used && row->change.count == 0 && row->due_ns <= now_ns;
}

static struct pace_row *
make(struct pace *p, uint32_t hook, int64_t now_ns)
{
    for (size_t i = 0; i < PACE_ROWS; i++) {
        struct pace_row *row = &p->rows[i];
        if (!row->is_used || is_over(row, now_ns)) {
            *row =
                (struct pace_row){.is_used = true, .hook = hook, .attempt = 1};
            return row;
        }
    }
    return NULL;
}

bool
pace_add(struct pace *p, uint32_t hook, const struct body_change *change,
         int64_t now_ns)
{
    struct pace_row *row = find(p, hook, change->service);
    if (row == NULL) {
        row = make(p, hook, now_ns);
    }
    if (row == NULL) {
        return false;
    }
    uint64_t count = row->change.count;
    enum bk_state from = count > 0 ? row->change.from : change->from;
    if (count == 0) {
        int64_t soon_ns = now_ns + PACE_HOLD_NS;
        row->due_ns = row->due_ns > soon_ns ? row->due_ns : soon_ns;
    }
    row->change = *change;
    row->change.from = from;
    row->change.count = count + 1;
    return true;
}

struct pace_row *
pace_due(struct pace *p, uint32_t hook, int64_t now_ns)
{
    struct pace_row *first = NULL;
    for (size_t i = 0; i < PACE_ROWS; i++) {
        struct pace_row *row = &p->rows[i];
        if (is_over(row, now_ns)) {
            row->is_used = false;
        }
        bool is_due = row->is_used && row->hook == hook && row->sending == 0 &&
                      row->change.count > 0 && row->due_ns <= now_ns;
        if (is_due && (first == NULL || row->due_ns < first->due_ns)) {
            first = row;
        }
    }
    return first;
}

void
pace_begin(struct pace_row *row)
{
    row->sending = row->change.count;
    row->sent_to = row->change.to;
}

void
pace_again(struct pace_row *row, int64_t due_ns)
{
    row->sending = 0;
    row->due_ns = due_ns;
}

/* What came while it was out goes on from where that message ended. */
void
pace_end(struct pace_row *row, int64_t now_ns)
{
    row->change.count -= row->sending;
    row->change.from = row->sent_to;
    row->sending = 0;
    row->attempt = 1;
    row->token = 0;
    row->since_ns = 0;
    row->due_ns = now_ns + PACE_WINDOW_NS;
}

uint64_t
pace_drop(struct pace *p, uint32_t hook)
{
    uint64_t dropped = 0;
    for (size_t i = 0; i < PACE_ROWS; i++) {
        struct pace_row *row = &p->rows[i];
        if (row->is_used && row->hook == hook) {
            dropped += row->change.count;
            row->is_used = false;
        }
    }
    return dropped;
}

int64_t
pace_deadline(const struct pace *p, uint32_t hook)
{
    int64_t first_ns = BK_NEVER;
    for (size_t i = 0; i < PACE_ROWS; i++) {
        const struct pace_row *row = &p->rows[i];
        if (row->is_used && row->hook == hook && row->sending == 0 &&
            row->change.count > 0 && row->due_ns < first_ns) {
            first_ns = row->due_ns;
        }
    }
    return first_ns;
}
