/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/observe.h"
#include "daemon/log.h"
#include <string.h>

static bool
is_of(const struct observe_row *row, const struct bk_service *s)
{
    return s != NULL && s->incarnation == row->incarnation;
}

static void
begin_row(struct observe_row *row, const struct bk_service *s, int64_t now_ns)
{
    row->incarnation = s->incarnation;
    row->since_ns = now_ns;
    memcpy(row->told, s->stats->would_reject, sizeof(row->told));
}

void
observe_see(struct observe *o, const struct bk_fleet *fleet, int64_t now_ns,
            uint32_t slot, enum bk_deny reason)
{
    const struct bk_service *s = bk_fleet_service(fleet, slot);
    for (uint32_t i = 0; i < o->count; i++) {
        if (o->rows[i].slot == slot && is_of(&o->rows[i], s)) {
            return; /* counted, and told with the others */
        }
    }
    if (s == NULL || o->count == OBSERVE_SERVICES) {
        return;
    }
    struct observe_row *row = &o->rows[o->count++];
    row->slot = slot;
    begin_row(row, s, now_ns);
    log_line(LOG_INFO,
             "%s: would have denied a call (%s); mode observe let it through",
             s->name, bk_deny_name(reason));
}

/* "12 calls (open 10, ramp 2)" of what is not told yet; false: there is nothing. */
static bool
write_calls(const struct observe_row *row, const struct bk_service *s,
            struct bk_text *out)
{
    char room[256];
    struct bk_text reasons;
    uint64_t calls = 0;
    bk_text_init(&reasons, room, sizeof(room));
    for (size_t i = 0; i < BK_DENY_CALLS; i++) {
        uint64_t more = s->stats->would_reject[i] - row->told[i];
        if (more == 0) {
            continue;
        }
        bk_text_put(&reasons, calls > 0 ? ", " : "");
        bk_text_put(&reasons, bk_deny_name((enum bk_deny)i));
        bk_text_put_char(&reasons, ' ');
        bk_text_put_u64(&reasons, more);
        calls += more;
    }
    bk_text_put_u64(out, calls);
    bk_text_put(out, calls == 1 ? " call (" : " calls (");
    bk_text_put(out, room);
    bk_text_put_char(out, ')');
    return calls > 0;
}

/* True when the service is to be watched further. */
static bool
tell_row(struct observe_row *row, const struct bk_service *s, int64_t now_ns)
{
    char room[320];
    struct bk_text calls;
    if (!is_of(row, s)) {
        return false;
    }
    if (now_ns - row->since_ns < OBSERVE_EVERY_NS) {
        return true;
    }
    bk_text_init(&calls, room, sizeof(room));
    if (!write_calls(row, s, &calls)) {
        return false;
    }
    log_line(LOG_INFO,
             "%s: would have denied %s in the last %lld s; mode observe let "
             "them through",
             s->name, room,
             (long long)((now_ns - row->since_ns) / BK_NS_PER_S));
    begin_row(row, s, now_ns);
    return true;
}

void
observe_tell(struct observe *o, const struct bk_fleet *fleet, int64_t now_ns)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < o->count; i++) {
        struct observe_row row = o->rows[i];
        if (tell_row(&row, bk_fleet_service(fleet, row.slot), now_ns)) {
            o->rows[kept++] = row;
        }
    }
    o->count = kept;
}
