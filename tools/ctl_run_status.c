/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/ctl_run_status.h"
#include "core/text.h"
#include "tools/ctl_out.h"
#include <string.h>

/* What statuses mean without being told: sysexits.h for programs that know it,
 * timeout(1), and the shell's words for "could not be started". */
static const struct {
    unsigned char status;
    enum breaker_outcome outcome;
} usual[] = {
    {0, BREAKER_SUCCESS},    {64, BREAKER_REJECTED}, /* usage */
    {65, BREAKER_REJECTED},                          /* data */
    {66, BREAKER_CANCELLED},                         /* no input: ours */
    {71, BREAKER_CANCELLED},                         /* system: ours */
    {72, BREAKER_CANCELLED},                         /* system file: ours */
    {73, BREAKER_CANCELLED},                         /* cannot create: ours */
    {77, BREAKER_CRITICAL},                          /* no permission */
    {78, BREAKER_CANCELLED},                         /* configuration: ours */
    {124, BREAKER_TIMEOUT},  {126, BREAKER_CANCELLED}, {127, BREAKER_CANCELLED},
};

/* One status, 1 to 255 (0 is success and stays so). */
static bool
read_status(const char *text, size_t len, uint64_t *out)
{
    return bk_read_number(text, len, out) && *out > 0 &&
           *out < RUN_STATUS_COUNT;
}

/* "75" or "100-110". */
static bool
read_range(const char *text, size_t len, uint64_t *first, uint64_t *last)
{
    const char *dash = memchr(text, '-', len);

    if (dash == NULL) {
        bool is_read = read_status(text, len, first);

        *last = *first;
        return is_read;
    }
    return read_status(text, (size_t)(dash - text), first) &&
           read_status(dash + 1, len - (size_t)(dash - text) - 1, last) &&
           *first <= *last;
}

static bool
read_list(struct run_statuses *s, const char *list, const char *option,
          enum breaker_outcome outcome)
{
    const char *at = list;

    while (at != NULL) {
        size_t len = strcspn(at, ",");
        uint64_t first = 0;
        uint64_t last = 0;

        if (!read_range(at, len, &first, &last)) {
            ctl_say("\"%s\" is no value for %s: exit statuses 1 to 255, as in "
                    "69,75,100-110",
                    list, option);
            return false;
        }
        for (uint64_t i = first; i <= last; i++)
            s->outcome[i] = outcome;
        at = at[len] == ',' ? at + len + 1 : NULL;
    }
    return true;
}

bool
run_statuses_read(struct run_statuses *s, const char *retry_on,
                  const char *critical_on, const char *reject_on)
{
    enum breaker_outcome other =
        retry_on == NULL ? BREAKER_FAILURE : BREAKER_REJECTED;

    for (size_t i = 0; i < RUN_STATUS_COUNT; i++)
        s->outcome[i] = other;
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        s->outcome[usual[i].status] = usual[i].outcome;
    return read_list(s, retry_on, "--retry-on", BREAKER_FAILURE) &&
           read_list(s, critical_on, "--critical-on", BREAKER_CRITICAL) &&
           read_list(s, reject_on, "--reject-on", BREAKER_REJECTED);
}
