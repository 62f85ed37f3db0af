/* SPDX-License-Identifier: Apache-2.0 */
#include "core/past.h"
#include <string.h>

#define MS_PER_DAY INT64_C(86400000)
/* 0000-03-01 to 1970-01-01; years begin in March here, so that a leap day is the
 * last of its year. */
#define DAYS_BEFORE_1970 INT64_C(719468)
#define DAYS_PER_400_YEARS INT64_C(146097)
#define INSTANT_END_MS INT64_C(253402300800000) /* the year 10000 */

static void
put_digits(struct bk_text *t, int64_t value, int64_t place)
{
    for (; place > 0; place /= 10)
        bk_text_put_char(t, (char)('0' + value / place % 10));
}

/* Of the proleptic Gregorian calendar, in whole numbers: which 400 years, which
 * year of them, which day of that, and the months' lengths from March on follow
 * (153 days every five months). */
static void
put_date(struct bk_text *t, int64_t days_since_1970)
{
    int64_t day = days_since_1970 + DAYS_BEFORE_1970;
    int64_t era = day / DAYS_PER_400_YEARS;
    int64_t of_era = day % DAYS_PER_400_YEARS;
    int64_t year =
        (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153; /* 0 is March */

    put_digits(t, year + 400 * era + (month >= 10), 1000);
    bk_text_put_char(t, '-');
    put_digits(t, month < 10 ? month + 3 : month - 9, 10);
    bk_text_put_char(t, '-');
    put_digits(t, of_year - (153 * month + 2) / 5 + 1, 10);
}

void
bk_instant_format(int64_t wall_ms, char out[BK_INSTANT_SIZE])
{
    int64_t ms = wall_ms >= 0 && wall_ms < INSTANT_END_MS ? wall_ms : 0;
    int64_t of_day = ms % MS_PER_DAY;
    struct bk_text t;

    bk_text_init(&t, out, BK_INSTANT_SIZE);
    put_date(&t, ms / MS_PER_DAY);
    bk_text_put_char(&t, 'T');
    put_digits(&t, of_day / 3600000, 10);
    bk_text_put_char(&t, ':');
    put_digits(&t, of_day / 60000 % 60, 10);
    bk_text_put_char(&t, ':');
    put_digits(&t, of_day / 1000 % 60, 10);
    bk_text_put_char(&t, '.');
    put_digits(&t, of_day % 1000, 100);
    bk_text_put_char(&t, 'Z');
}

static bool
is_text(const char *field, size_t size)
{
    return memchr(field, '\0', size) != NULL;
}

bool
bk_past_is_sound(const struct bk_past *p)
{
    if (p->seq == 0 || p->seq >= BK_NUMBER_END || p->from >= BK_STATE_COUNT ||
        p->to >= BK_STATE_COUNT || p->mode >= BK_MODE_COUNT ||
        p->cause >= BK_CAUSE_COUNT || p->generation >= BK_NUMBER_END)
        return false;
    if (!is_text(p->service, sizeof p->service) ||
        !is_text(p->actor, sizeof p->actor) ||
        !is_text(p->text, sizeof p->text))
        return false;
    return strcmp(p->service, "*") == 0 ||
           bk_name_is_valid(p->service, strlen(p->service));
}

void
bk_past_row(struct bk_json *j, const struct bk_past *p)
{
    char at[BK_INSTANT_SIZE];

    bk_instant_format(p->wall_ms, at);
    bk_json_open(j, NULL, '{');
    bk_json_u64(j, "seq", p->seq);
    bk_json_string(j, "at", at);
    bk_json_string(j, "service", p->service);
    bk_json_string(j, "from", bk_state_name((enum bk_state)p->from));
    bk_json_string(j, "to", bk_state_name((enum bk_state)p->to));
    bk_json_string(j, "mode", bk_mode_name((enum bk_mode)p->mode));
    bk_json_string(j, "reason", bk_cause_name((enum bk_cause)p->cause));
    bk_json_u64(j, "generation", p->generation);
    bk_json_string(j, "actor", p->actor);
    bk_json_string(j, "text", p->text);
    bk_json_close(j, '}');
}
