/* SPDX-License-Identifier: Apache-2.0
 *
 * check: would a call be let through now? Decided by the daemon's own machine on
 * a copy of the published state, so nothing is taken and nothing counted. */
#include "tools/ctl_commands.h"
#include "tools/ctl_fetch.h"
#include "tools/ctl_out.h"
#include <stdio.h>
#include <string.h>

struct answer {
    const char *service; /* the one decided about */
    struct bk_effects fx;
    enum bk_state state;
    enum bk_mode mode;
};

/* One service; a route's member that was never used is made on first use, and
 * then closed. */
static struct answer
ask_service(const struct view *v, const char *name)
{
    struct answer answer = {.service = name, .fx = {.is_allowed = true}};
    struct view_service s;

    if (view_find(v, name, &s)) {
        answer.fx = view_peek(v, &s);
        answer.state = (enum bk_state)s.record.breaker.state;
        answer.mode = (enum bk_mode)s.record.breaker.mode;
    }
    return answer;
}

static bool
find_route(const struct view *v, const char *name, struct bk_route *out)
{
    for (uint32_t i = 0; i < v->segment.limits.routes; i++) {
        if (bk_segment_read_route(&v->segment, i, out) &&
            strcmp(out->name, name) == 0)
            return true;
    }
    return false;
}

/* The first member that admits, else the one with the shortest known wait. */
static struct answer
ask_route(const struct view *v, const struct bk_route *route)
{
    struct answer best = ask_service(v, route->members[0]);

    for (uint32_t i = 1; i < route->count && !best.fx.is_allowed; i++) {
        struct answer one = ask_service(v, route->members[i]);
        bool is_shorter =
            one.fx.wait_ns > 0 &&
            (best.fx.wait_ns == 0 || one.fx.wait_ns < best.fx.wait_ns);

        if (one.fx.is_allowed || is_shorter)
            best = one;
    }
    return best;
}

static void
print_json(const char *name, const struct answer *a)
{
    json_t *json = json_pack(
        "{s:s, s:s, s:b, s:s, s:s, s:s?, s:I}", "asked", name, "service",
        a->service, "allowed", (int)a->fx.is_allowed, "state",
        bk_state_name(a->state), "mode", bk_mode_name(a->mode), "reason",
        a->fx.is_allowed ? NULL : bk_deny_name(a->fx.deny), "retry_after_ms",
        (json_int_t)bk_ms_up(a->fx.wait_ns));

    ctl_json_print(json);
    json_decref(json);
}

static void
print_words(const struct answer *a)
{
    char wait[CTL_DURATION_SIZE];

    ctl_print(a->fx.is_allowed ? CTL_GOOD : CTL_BAD,
              a->fx.is_allowed ? "allowed" : "denied");
    if (!a->fx.is_allowed)
        printf(" %s", bk_deny_name(a->fx.deny));
    printf("  %s is %s", a->service, bk_state_name(a->state));
    if (a->mode != BK_AUTO)
        printf(", mode %s", bk_mode_name(a->mode));
    if (a->fx.wait_ns > 0) {
        ctl_duration(wait, bk_ms_up(a->fx.wait_ns));
        printf(", look again in %s", wait);
    }
    putchar('\n');
}

enum ctl_exit
ctl_check(const struct ctl *c, const char *const *words, size_t count)
{
    struct view v;
    struct bk_route route;
    struct view_service s;
    struct answer answer;
    enum ctl_exit exit;

    (void)count;
    if (ask_check_name(words[0]) != CTL_DONE)
        return CTL_USAGE;
    exit = fetch_view(c, &v);
    if (exit != CTL_DONE)
        return exit;
    if (find_route(&v, words[0], &route)) {
        answer = ask_route(&v, &route);
    } else if ((exit = fetch_service(&v, words[0], &s)) == CTL_DONE) {
        answer = ask_service(&v, words[0]);
    } else {
        view_close(&v);
        return exit;
    }
    view_close(&v);
    if (c->is_json)
        print_json(words[0], &answer);
    else
        print_words(&answer);
    return answer.fx.is_allowed ? CTL_DONE : CTL_UNMET;
}
