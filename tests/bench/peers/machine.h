#ifndef PEERS_MACHINE_H
#define PEERS_MACHINE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The breaker that one would write by hand behind a lock: closed, open, half open;
 * so many failures in a row open it, after a while one probe goes out, so many
 * successes close it. The lock is the caller's, and so is the time. */
#include <stdbool.h>
#include <stdint.h>

enum machine_state { MACHINE_CLOSED, MACHINE_OPEN, MACHINE_HALF_OPEN };

#define MACHINE_THRESHOLD 5
#define MACHINE_PROBES 2
#define MACHINE_OPEN_NS (60 * INT64_C(1000000000))

struct machine {
    enum machine_state state;
    uint32_t failures;  /* in a row */
    uint32_t successes; /* of probes */
    uint32_t out;       /* probes */
    uint64_t generation;
    uint64_t calls;
    uint64_t failed;
    int64_t until_ns;   /* open */
    int64_t latency_ns; /* summed */
};

static inline void
machine_go(struct machine *m, enum machine_state to)
{
    m->state = to;
    m->generation++;
    m->failures = 0;
    m->successes = 0;
    m->out = 0;
}

static inline bool
machine_allow(struct machine *m, int64_t now_ns, uint64_t *generation)
{
    if (m->state == MACHINE_OPEN && now_ns >= m->until_ns)
        machine_go(m, MACHINE_HALF_OPEN);
    *generation = m->generation;
    if (m->state == MACHINE_OPEN ||
        (m->state == MACHINE_HALF_OPEN && m->out > 0))
        return false;
    m->out += m->state == MACHINE_HALF_OPEN;
    m->calls++;
    return true;
}

static inline void
machine_report(struct machine *m, bool is_success, int64_t now_ns,
               int64_t latency_ns, uint64_t generation)
{
    if (generation != m->generation)
        return;
    m->latency_ns += latency_ns;
    if (m->state == MACHINE_HALF_OPEN)
        m->out--;
    if (!is_success) {
        m->failed++;
        if (m->state == MACHINE_HALF_OPEN ||
            ++m->failures >= MACHINE_THRESHOLD) {
            machine_go(m, MACHINE_OPEN);
            m->until_ns = now_ns + MACHINE_OPEN_NS;
        }
        return;
    }
    m->failures = 0;
    if (m->state == MACHINE_HALF_OPEN && ++m->successes >= MACHINE_PROBES)
        machine_go(m, MACHINE_CLOSED);
}

#endif
