/* SPDX-License-Identifier: Apache-2.0
 *
 * Dates without strptime, which would read them in the host's language. */
#include "client/classify_date.h"
#include <string.h>

#define DAY_S 86400

struct cursor {
    const char *at;
    const char *end;
};

struct date {
    unsigned year, month, day, hour, minute, second; /* month: 1..12 */
};

static bool
take(struct cursor *c, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(c->end - c->at) < len || memcmp(c->at, word, len) != 0)
        return false;
    c->at += len;
    return true;
}

/* Exactly `digits` digits; a leading blank stands for 0 where `pads`. */
static bool
take_number(struct cursor *c, int digits, bool pads, unsigned *out)
{
    unsigned value = 0;

    if (c->end - c->at < digits)
        return false;
    for (int i = 0; i < digits; i++) {
        char digit = c->at[i];

        if (pads && i == 0 && digit == ' ')
            digit = '0';
        if (digit < '0' || digit > '9')
            return false;
        value = value * 10 + (unsigned)(digit - '0');
    }
    c->at += digits;
    *out = value;
    return true;
}

static bool
take_month(struct cursor *c, unsigned *out)
{
    static const char *const names[] = {"Jan", "Feb", "Mar", "Apr",
                                        "May", "Jun", "Jul", "Aug",
                                        "Sep", "Oct", "Nov", "Dec"};

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (take(c, names[i])) {
            *out = i + 1;
            return true;
        }
    return false;
}

static bool
take_day_name(struct cursor *c)
{
    static const char *const names[] = {
        "Monday",   "Tuesday", "Wednesday", "Thursday", "Friday",
        "Saturday", "Sunday",  "Mon",       "Tue",      "Wed",
        "Thu",      "Fri",     "Sat",       "Sun"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (take(c, names[i]))
            return true;
    return false;
}

static bool
take_time(struct cursor *c, struct date *d)
{
    return take_number(c, 2, false, &d->hour) && take(c, ":") &&
           take_number(c, 2, false, &d->minute) && take(c, ":") &&
           take_number(c, 2, false, &d->second);
}

static bool
take_zone(struct cursor *c)
{
    return take(c, " GMT") || take(c, " UTC");
}

/* What follows the day's name; `is_short` tells of a year with two digits. */
static bool
take_date(struct cursor *c, struct date *d, bool *is_short)
{
    *is_short = false;
    if (!take(c, ","))
        return take(c, " ") && take_month(c, &d->month) && take(c, " ") &&
               take_number(c, 2, true, &d->day) && take(c, " ") &&
               take_time(c, d) && take(c, " ") &&
               take_number(c, 4, false, &d->year);
    if (!take(c, " ") || !take_number(c, 2, false, &d->day))
        return false;
    if (take(c, " "))
        return take_month(c, &d->month) && take(c, " ") &&
               take_number(c, 4, false, &d->year) && take(c, " ") &&
               take_time(c, d) && take_zone(c);
    *is_short = true;
    return take(c, "-") && take_month(c, &d->month) && take(c, "-") &&
           take_number(c, 2, false, &d->year) && take(c, " ") &&
           take_time(c, d) && take_zone(c);
}

/* Days since 1970-01-01 in the Gregorian calendar; a year begins in March, so
 * that the odd day is its last. */
static int64_t
days_of(const struct date *d)
{
    int64_t year = (int64_t)d->year - (d->month <= 2 ? 1 : 0);
    int64_t month = (d->month + 9) % 12;
    int64_t days = year * 365 + year / 4 - year / 100 + year / 400;

    return days + (month * 153 + 2) / 5 + d->day - 1 - 719468;
}

static bool
is_date(const struct date *d)
{
    static const unsigned char lengths[] = {31, 29, 31, 30, 31, 30,
                                            31, 31, 30, 31, 30, 31};

    return d->year >= 1 && d->day >= 1 && d->day <= lengths[d->month - 1] &&
           d->hour <= 23 && d->minute <= 59 && d->second <= 60;
}

static int64_t
seconds_of(const struct date *d)
{
    int64_t minutes = (int64_t)d->hour * 60 + d->minute;

    return days_of(d) * DAY_S + minutes * 60 + d->second;
}

bool
classify_date_read(const char *s, size_t len, int64_t now_s, int64_t *out_s)
{
    struct cursor c = {s, s + len};
    struct date d = {0};
    bool is_short;

    if (len == 0 || !take_day_name(&c) || !take_date(&c, &d, &is_short) ||
        c.at != c.end)
        return false;
    if (is_short)
        d.year += 1900;
    if (!is_date(&d))
        return false;
    /* From 1900 on by centuries, to the last that is near enough. */
    while (is_short && d.year < 9900) {
        struct date next = d;

        next.year += 100;
        if (seconds_of(&next) > now_s + INT64_C(50) * 365 * DAY_S)
            break;
        d = next;
    }
    *out_s = seconds_of(&d);
    return true;
}
