/* SPDX-License-Identifier: Apache-2.0
 *
 * trip, bypass, observe, auto: orders about one service's mode. */
#include "tools/ctl_order.h"
#include "core/breaker.h"
#include "core/wire.h"
#include "tools/ctl_commands.h"
#include "tools/ctl_out.h"
#include <stdio.h>
#include <string.h>

/* The line's command, name and duration take at most this much of it. */
#define LINE_OVERHEAD 128

enum ctl_exit
order_check_reason(const struct ctl *c)
{
    size_t len = c->reason != NULL ? strlen(c->reason) : 0;

    if (len > BK_LINE_MAX - LINE_OVERHEAD) {
        ctl_say("the reason has %zu octets; at most %d are kept", len,
                BK_REASON_SIZE - 1);
        return CTL_USAGE;
    }
    if (len >= BK_REASON_SIZE)
        ctl_say("the reason is cut: its first %d octets are kept",
                BK_REASON_SIZE - 1);
    return CTL_DONE;
}

/* ", until 14:03:12 (in 10m)", or what ends it when nothing does by itself. */
static void
put_until(struct bk_text *out, const json_t *expires, const char *service)
{
    char duration[CTL_DURATION_SIZE];
    char clock[CTL_CLOCK_SIZE];
    uint64_t ms;

    if (!json_is_number(expires)) {
        bk_text_put(out, ", until you say breakerctl auto ");
        bk_text_put(out, service);
        return;
    }
    ms = (uint64_t)json_number_value(expires);
    ctl_duration(duration, ms);
    ctl_clock_in(clock, ms);
    bk_text_put(out, ", until ");
    bk_text_put(out, clock);
    bk_text_put(out, " (in ");
    bk_text_put(out, duration);
    bk_text_put_char(out, ')');
}

/* What happens to calls in this mode and state. */
static const char *
consequence(int mode, int state)
{
    switch (mode) {
    case BK_FORCED_OPEN:
        return "forced open: every call is denied";
    case BK_BYPASS:
        return "bypassed: every call is let through, outcomes are only counted";
    case BK_OBSERVE:
        return "observed: the breaker runs, but every call is let through and "
               "what it would have denied is counted";
    default:
        break;
    }
    switch (state) {
    case BK_OPEN:
        return "open: calls are denied until a probe is due";
    case BK_HALF_OPEN:
        return "half open: probes are let through one after the other, other "
               "calls are denied until they succeed";
    default:
        return "closed: calls are let through, the breaker decides";
    }
}

static int
word_of(const json_t *json, const char *key,
        int (*parse)(const char *text, size_t len))
{
    const char *word = ctl_json_word(json, key, "");

    return parse(word, strlen(word));
}

static void
print_words(const json_t *json, const char *service, const char *verb)
{
    const json_t *expires = json_object_get(json, "expires_ms");
    bool is_removed = json_is_true(json_object_get(json, "override_removed"));
    bool is_lifting = strcmp(verb, "auto") == 0 || strcmp(verb, "reset") == 0;
    int mode = word_of(json, "mode", bk_mode_parse);
    int state = word_of(json, "state", bk_state_parse);
    char sentence[512];
    struct bk_text text;

    bk_text_init(&text, sentence, sizeof sentence);
    bk_text_put(&text, service);
    bk_text_put(&text, strcmp(verb, "reset") == 0 ? " is reset and " : " is ");
    bk_text_put(&text, consequence(mode, state));
    if (!is_lifting)
        put_until(&text, expires, service);
    if (is_lifting && is_removed)
        bk_text_put(&text, "; its override is removed");
    else if (strcmp(verb, "auto") == 0)
        bk_text_put(&text, "; it had no override");
    puts(sentence);
}

enum ctl_exit
order_print(const struct ctl *c, const struct link_reply *reply, size_t at,
            const char *service, const char *verb)
{
    json_t *json;
    enum ctl_exit exit = ask_json(reply, at, service, &json);

    if (exit != CTL_DONE)
        return exit;
    if (c->is_json)
        ctl_json_print(json);
    else
        print_words(json, service, verb);
    json_decref(json);
    return CTL_DONE;
}

static enum ctl_exit
order(const struct ctl *c, const char *command, const char *service,
      const char *verb)
{
    char duration[32] = "-";
    struct ask_lines lines = {0};
    struct link_reply reply;
    struct bk_text text;
    enum ctl_exit exit;

    if (ask_check_name(service) != CTL_DONE ||
        order_check_reason(c) != CTL_DONE)
        return CTL_USAGE;
    if (c->for_ns != BK_NEVER) {
        bk_text_init(&text, duration, sizeof duration);
        bk_text_put_u64(&text, bk_ms_up(c->for_ns));
    }
    if (strcmp(command, "AUTO") == 0)
        ask_add(&lines, command, service, c->reason, NULL);
    else
        ask_add(&lines, command, service, duration, c->reason);
    exit = ask_all(c, ASK_OPERATOR, &lines, &reply);
    ask_free(&lines);
    if (exit != CTL_DONE)
        return exit;
    exit = order_print(c, &reply, 0, service, verb);
    link_reply_free(&reply);
    return exit;
}

enum ctl_exit
ctl_trip(const struct ctl *c, const char *const *words, size_t count)
{
    (void)count;
    return order(c, "TRIP", words[0], "trip");
}

enum ctl_exit
ctl_bypass(const struct ctl *c, const char *const *words, size_t count)
{
    (void)count;
    return order(c, "BYPASS", words[0], "bypass");
}

enum ctl_exit
ctl_observe(const struct ctl *c, const char *const *words, size_t count)
{
    (void)count;
    return order(c, "OBSERVE", words[0], "observe");
}

enum ctl_exit
ctl_auto(const struct ctl *c, const char *const *words, size_t count)
{
    (void)count;
    return order(c, "AUTO", words[0], "auto");
}
