/* SPDX-License-Identifier: Apache-2.0
 *
 * Lateness, line by line. */
#include "tools/scenario_late.h"
#include <string.h>

static int64_t
later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void
scenario_late_ask(struct scenario_late *late, int64_t late_ns)
{
    late->asked_ns = later(late_ns, 0);
}

void
scenario_late_answer(struct scenario_late *late, int64_t late_ns)
{
    late->answered_ns = later(late_ns, late->asked_ns);
}

void
scenario_late_next(struct scenario_late *late, const struct scenario_step *step)
{
    late->any_ns = later(late->any_ns, late->answered_ns);
    /* A daemon that starts goes on with the waits it finds: it begins none. */
    if (strcmp(step->actor, "daemon") != 0) {
        late->acted_ns = later(late->acted_ns, late->answered_ns);
    }
    late->asked_ns = 0;
    late->answered_ns = 0;
}

bool
scenario_late_is_over(const struct scenario_late *late)
{
    return late->asked_ns >= bk_after(SCENARIO_LATE_NS, late->acted_ns);
}

/* Whether the wait in an answer may not have run since the line was due: the
 * line itself may have begun it, or it is cut to a maximum. */
static bool
may_stand(const struct scenario_step *step,
          const struct scenario_answer *answer)
{
    bool only_looks = step->verb == SCENARIO_STATE ||
                      step->verb == SCENARIO_ACQUIRE ||
                      step->verb == SCENARIO_RETRY;
    bool is_cut = answer->reply.kind == BK_REPLY_DENY &&
                  answer->reply.deny == BK_DENY_HALF_OPEN;
    return !only_looks || is_cut;
}

struct scenario_excuse
scenario_late_excuse(const struct scenario_late *late,
                     const struct scenario_step *step,
                     const struct scenario_answer *answer)
{
    bool stands = may_stand(step, answer);
    int64_t run_ms = stands ? 0 : late->asked_ns / BK_NS_PER_MS;
    return (struct scenario_excuse){
        .slack_ms = SCENARIO_SLACK_MS,
        .run_ms_min = (double)run_ms,
        .run_ms_max = (double)bk_ms_up(late->answered_ns),
        .wait_began_ms = (double)bk_ms_up(late->acted_ns),
        .age_began_ms = (double)bk_ms_up(late->any_ns)};
}
