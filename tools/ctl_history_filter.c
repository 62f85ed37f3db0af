/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/ctl_history_filter.h"
#include "core/text.h"
#include "tools/ctl_json.h"
#include "tools/ctl_out.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ".25" as milliseconds; goes on to what follows it. */
static int
read_fraction(const char **at)
{
    int ms = 0;
    int unit = 100;

    if (**at != '.')
        return 0;
    for ((*at)++; **at >= '0' && **at <= '9'; (*at)++) {
        ms += (**at - '0') * unit;
        unit /= 10;
    }
    return ms;
}

/* RFC 3339, also with a space between day and time as the table prints it. */
static bool
read_time(const char *text, int64_t *wall_ms)
{
    struct tm day = {0};
    const char *at = strptime(text, "%Y-%m-%d", &day);
    int64_t offset_s;
    int ms;

    if (at == NULL || (*at != 'T' && *at != 't' && *at != ' '))
        return false;
    at = strptime(at + 1, "%H:%M:%S", &day);
    if (at == NULL)
        return false;
    ms = read_fraction(&at);
    at = *at != ' ' ? strptime(at, "%z", &day) : NULL;
    if (at == NULL || *at != '\0')
        return false;
    offset_s = day.tm_gmtoff; /* timegm clears it */
    *wall_ms = ((int64_t)timegm(&day) - offset_s) * 1000 + ms;
    return true;
}

static bool
read_since(const char *text, int64_t *wall_ms)
{
    struct timespec now;
    int64_t ago_ns;

    if (!bk_read_duration(text, strlen(text), &ago_ns))
        return read_time(text, wall_ms);
    clock_gettime(CLOCK_REALTIME, &now);
    *wall_ms =
        (int64_t)now.tv_sec * 1000 + (now.tv_nsec - ago_ns) / BK_NS_PER_MS;
    return true;
}

/* Instants written like this compare as texts. */
static void
put_instant(char out[HISTORY_INSTANT_SIZE], int64_t wall_ms)
{
    int64_t ms = wall_ms < 0 ? 0 : wall_ms;
    time_t seconds = (time_t)(ms / 1000);
    struct tm day;
    char date[24] = "";

    if (gmtime_r(&seconds, &day) != NULL)
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &day);
    snprintf(out, HISTORY_INSTANT_SIZE, "%s.%03dZ", date, (int)(ms % 1000));
}

static enum ctl_exit
refuse_reason(const char *word)
{
    char all[256];
    struct bk_text text;

    bk_text_init(&text, all, sizeof all);
    for (int i = 0; i < BK_CAUSE_COUNT; i++) {
        bk_text_put(&text, i > 0 ? ", " : "");
        bk_text_put(&text, bk_cause_name((enum bk_cause)i));
    }
    ctl_say("\"%s\" is no reason of a change; there are: %s", word, all);
    return CTL_USAGE;
}

enum ctl_exit
history_filter_init(struct history_filter *f, const struct ctl *c)
{
    int64_t since_ms;

    *f = (struct history_filter){.c = c};
    if (c->reason != NULL && bk_cause_parse(c->reason, strlen(c->reason)) < 0)
        return refuse_reason(c->reason);
    if (c->since != NULL && !read_since(c->since, &since_ms)) {
        ctl_say("\"%s\" is neither a duration (90m) nor a time with its zone "
                "(2026-01-31T12:00:00Z)",
                c->since);
        return CTL_USAGE;
    }
    if (c->since != NULL)
        put_instant(f->since, since_ms);
    f->is_any = c->reason == NULL && c->since == NULL && c->actor == NULL &&
                c->from_states == 0 && c->to_states == 0;
    return CTL_DONE;
}

/* "1000" is the user, whatever group and process. */
static bool
is_actor(const char *actor, const char *wanted)
{
    size_t len = strlen(wanted);

    return strncmp(actor, wanted, len) == 0 &&
           (actor[len] == '\0' || actor[len] == ':');
}

static bool
is_among(const json_t *row, const char *key, unsigned states)
{
    const char *word = ctl_json_word(row, key, "");
    int state = bk_state_parse(word, strlen(word));

    return states == 0 || (state >= 0 && (states >> (unsigned)state & 1) != 0);
}

/* What moved nothing is no change from or to a state. */
static bool
is_change(const struct ctl *c, const json_t *row)
{
    if (c->from_states == 0 && c->to_states == 0)
        return true;
    return strcmp(ctl_json_word(row, "from", ""),
                  ctl_json_word(row, "to", "")) != 0 &&
           is_among(row, "from", c->from_states) &&
           is_among(row, "to", c->to_states);
}

bool
history_filter_is_past(const struct history_filter *f, const json_t *row)
{
    return strcmp(ctl_json_word(row, "at", ""), f->since) < 0;
}

bool
history_filter_matches(const struct history_filter *f, const json_t *row)
{
    const struct ctl *c = f->c;

    return !history_filter_is_past(f, row) && is_change(c, row) &&
           (c->reason == NULL ||
            strcmp(ctl_json_word(row, "reason", ""), c->reason) == 0) &&
           (c->actor == NULL ||
            is_actor(ctl_json_word(row, "actor", ""), c->actor));
}
