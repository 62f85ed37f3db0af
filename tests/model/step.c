/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/step.h"

#include <assert.h>
#include <inttypes.h>

static const char *const names[NAME_COUNT] = {
    "a", "b", "c", "d", "Up:1/x@y-z_.",
    "e-0123456789-0123456789-0123456789-0123456789-0123456789-012345", "route",
    "detour",
    /* No names: empty, reserved, of foreign characters, too long. */
    "", "-", "*", "with space", "caf\xc3\xa9",
    "f-0123456789-0123456789-0123456789-0123456789-0123456789-0123456"};

const char *
step_name(size_t name)
{
    assert(name < NAME_COUNT);
    return names[name];
}

static void
print_time(int64_t ns, FILE *out)
{
    fprintf(out, "%" PRId64 ".%09" PRId64 "s", ns / BK_NS_PER_S,
            ns % BK_NS_PER_S);
}

static void
print_duration(const char *key, int64_t ns, FILE *out)
{
    if (ns == BK_NEVER) {
        fprintf(out, " %s=-", key);
        return;
    }
    fprintf(out, " %s=", key);
    print_time(ns, out);
}

static void
print_id(const struct step *s, FILE *out)
{
    if (s->id == ID_NONE)
        fputs(" 0", out);
    else if (s->id == ID_UNISSUED)
        fputs(" unissued", out);
    else
        fprintf(out, " N%" PRIu32, s->id_step);
}

static void
print_report(const struct step *s, FILE *out)
{
    static const char *const generations[GEN_CHOICES] = {
        [GEN_DASH] = "-",         [GEN_OF_STEP] = "given",
        [GEN_NOW] = "current",    [GEN_BEFORE] = "current-1",
        [GEN_NEXT] = "current+1", [GEN_ZERO] = "0"};
    fputs(" permit", out);
    print_id(s, out);
    fprintf(out, " generation=%s %s", generations[s->generation],
            bk_outcome_name(s->outcome));
    if (s->latency_ns >= 0)
        print_duration("latency", s->latency_ns, out);
    if (s->retry_after_ns > 0)
        print_duration("retry_after", s->retry_after_ns, out);
    fprintf(out, " attempt=%" PRIu64 "%s", s->attempt, s->flag ? "+" : "");
}

static void
print_routes(const struct step *s, FILE *out)
{
    for (size_t r = 0; r < NAME_ROUTES; r++) {
        fprintf(out, " %s=", names[NAME_SERVICES + r]);
        for (size_t i = 0; i < NAME_SERVICES && s->members[r][i] < NAME_COUNT;
             i++)
            fprintf(out, "%s%s", i > 0 ? "," : "", names[s->members[r][i]]);
    }
}

static void
print_ask(const struct step *s, FILE *out)
{
    fprintf(out, " attempt=%" PRIu64, s->attempt);
    if (s->id != ID_NONE) {
        fputs(" token", out);
        print_id(s, out);
    }
    if (s->ttl_ns > 0)
        print_duration("ttl", s->ttl_ns, out);
    fprintf(out, " as N%" PRIu32, s->serial);
}

static void
print_words(const struct step *s, FILE *out)
{
    switch (s->kind) {
    case STEP_ACQUIRE:
        print_ask(s, out);
        break;
    case STEP_REPORT:
        print_report(s, out);
        break;
    case STEP_RETRY:
        fprintf(out, " %s attempt=%" PRIu64, bk_outcome_name(s->outcome),
                s->attempt);
        if (s->retry_after_ns > 0)
            print_duration("retry_after", s->retry_after_ns, out);
        fprintf(out, " as N%" PRIu32, s->serial);
        break;
    case STEP_RENEW:
        print_id(s, out);
        print_duration("ttl", s->ttl_ns, out);
        break;
    case STEP_RELEASE:
        print_id(s, out);
        break;
    case STEP_TALLY:
        fprintf(out, " %s %" PRIu32, s->flag ? "allowed" : "denied", s->count);
        break;
    case STEP_ORDER:
        fprintf(out, " %s", bk_mode_name(s->mode));
        print_duration("for", s->duration_ns, out);
        break;
    case STEP_HEALTH:
        fprintf(out, " %s", bk_outcome_name(s->outcome));
        break;
    case STEP_RESET:
        fputs(s->flag ? " keeps-override" : "", out);
        break;
    case STEP_SET:
        fprintf(out, " %s=%s", spec_key(s->key),
                s->value == 0 ? "(default)" : spec_text(s->key, s->value));
        break;
    case STEP_ROUTES:
        print_routes(s, out);
        break;
    case STEP_PASS:
    case STEP_DIE:
    case STEP_MAKE:
    case STEP_FORGET:
    case STEP_LOSE_SEGMENT:
    case STEP_ADOPT:
    case STEP_KIND_COUNT:
        break;
    }
}

static bool
has_name(enum step_kind kind)
{
    return kind == STEP_ACQUIRE || kind == STEP_REPORT || kind == STEP_RETRY ||
           kind == STEP_TALLY || kind == STEP_HEALTH || kind == STEP_ORDER ||
           kind == STEP_RESET || kind == STEP_SET || kind == STEP_MAKE ||
           kind == STEP_FORGET;
}

void
step_print(const struct step *step, FILE *out)
{
    static const char *const verbs[STEP_KIND_COUNT] = {
        [STEP_PASS] = "-",
        [STEP_ACQUIRE] = "acquire",
        [STEP_REPORT] = "report",
        [STEP_RETRY] = "retry",
        [STEP_RELEASE] = "release",
        [STEP_RENEW] = "renew",
        [STEP_TALLY] = "tally",
        [STEP_HEALTH] = "health",
        [STEP_DIE] = "die",
        [STEP_ORDER] = "order",
        [STEP_RESET] = "reset",
        [STEP_SET] = "set",
        [STEP_MAKE] = "make",
        [STEP_ROUTES] = "routes",
        [STEP_FORGET] = "forget",
        [STEP_LOSE_SEGMENT] = "lose-segment",
        [STEP_ADOPT] = "adopt-segment"};
    print_time(step->at_ns, out);
    if (step->late_ns > 0)
        fprintf(out, "(-%" PRId64 "ns)", step->late_ns);
    fprintf(out, "  w%" PRIu32 "  %s", step->pid, verbs[step->kind]);
    if (has_name(step->kind))
        fprintf(out, " %s", step_name(step->name));
    print_words(step, out);
    fprintf(out, "%s%s", step->is_lazy ? " (lazy)" : "",
            step->looks_around ? "" : " (looks at one)");
}
