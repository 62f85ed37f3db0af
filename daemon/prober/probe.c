/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/prober/probe.h"
#include "daemon/clock.h"
#include "daemon/prober/link.h"
#include "daemon/prober/phase.h"
#include <stdlib.h>
#include <string.h>

/* An answer from here up to the first of the others is a good one. */
#define STATUS_GOOD 200
#define STATUS_BAD 400

/* Trouble of our own is told, but not each time. */
#define TROUBLE_NS (10 * BK_NS_PER_S)

struct probe {
    struct probes *all;
    uint64_t place;
    char name[BK_NAME_SIZE];
    char url[BK_WEBHOOK_URL_SIZE];
    int64_t interval_ns;
    int64_t timeout_ns;
    int64_t next_ns;
    bool is_out;
};

struct probes {
    struct fetch *fetch;
    struct probe **all; /* by place; NULL where there is none */
    size_t room;
    size_t first;       /* where the next turn begins: who found no room */
    int64_t next_ns;    /* no probe is due earlier */
    int64_t trouble_ns; /* trouble is not told again before */
};

struct probes *
probes_open(struct fetch *fetch)
{
    struct probes *p = calloc(1, sizeof(*p));
    if (p != NULL) {
        p->fetch = fetch;
        p->next_ns = BK_NEVER;
    }
    return p;
}

static void
drop(struct probes *p, size_t place)
{
    if (place < p->room && p->all[place] != NULL) {
        fetch_drop(p->fetch, p->all[place]);
        free(p->all[place]);
        p->all[place] = NULL;
    }
}

void
probes_close(struct probes **p)
{
    if (*p == NULL) {
        return;
    }
    for (size_t i = 0; i < (*p)->room; i++) {
        drop(*p, i);
    }
    free((*p)->all);
    free(*p);
    *p = NULL;
}

static bool
make_room(struct probes *p, size_t place)
{
    if (place < p->room) {
        return true;
    }
    size_t room = p->room > 0 ? p->room : 64;
    while (room <= place) {
        room *= 2;
    }
    struct probe **more = realloc(p->all, room * sizeof(struct probe *));
    if (more == NULL) {
        return false;
    }
    memset(more + p->room, 0, (room - p->room) * sizeof(struct probe *));
    p->all = more;
    p->room = room;
    return true;
}

bool
probes_take(struct probes *p, const struct message *m, int64_t now_ns)
{
    drop(p, m->place);
    if (m->kind == MESSAGE_UNPROBE) {
        return true;
    }
    struct probe *probe = calloc(1, sizeof(*probe));
    if (probe == NULL || !make_room(p, m->place)) {
        free(probe);
        return false;
    }
    probe->all = p;
    probe->place = m->place;
    memcpy(probe->name, m->name, sizeof(probe->name));
    memcpy(probe->url, m->url, sizeof(probe->url));
    probe->interval_ns = (int64_t)m->interval_ms * BK_NS_PER_MS;
    probe->timeout_ns = (int64_t)m->timeout_ms * BK_NS_PER_MS;
    if (probe->interval_ns == 0 || probe->timeout_ns == 0) {
        free(probe);
        return true;
    }
    probe->next_ns = phase_next(probe->name, probe->interval_ns, now_ns);
    p->all[m->place] = probe;
    p->next_ns = probe->next_ns < p->next_ns ? probe->next_ns : p->next_ns;
    return true;
}

/* Says nothing of the service. */
static void
tell_trouble(struct probes *p, const struct fetch_result *r)
{
    struct message m = {.kind = MESSAGE_TROUBLE};
    int64_t now_ns = clock_boot_ns();
    bk_copy_text(m.text, sizeof(m.text), r->text, strlen(r->text));
    if (now_ns >= p->trouble_ns && link_send(&m)) {
        p->trouble_ns = now_ns + TROUBLE_NS;
    }
}

static void
tell(const struct probe *probe, const struct fetch_result *r)
{
    struct message m = {.kind = MESSAGE_RESULT,
                        .place = probe->place,
                        .latency_us = (uint64_t)(r->latency_ns / BK_NS_PER_US)};
    bool is_good = r->end == FETCH_ANSWERED && r->status >= STATUS_GOOD &&
                   r->status < STATUS_BAD;
    memcpy(m.name, probe->name, sizeof(m.name));
    bk_copy_text(m.text, sizeof(m.text), r->text, strlen(r->text));
    m.outcome = is_good ? BK_SUCCESS : BK_FAILURE;
    if (r->end == FETCH_TIMEOUT) {
        m.outcome = BK_TIMEOUT;
    }
    link_send(&m);
}

static void
done(void *context, const struct fetch_result *result)
{
    struct probe *probe = context;
    probe->is_out = false;
    if (result->end == FETCH_OWN_TROUBLE) {
        tell_trouble(probe->all, result);
    } else {
        tell(probe, result);
    }
}

static void
start(struct probes *p, struct probe *probe)
{
    struct fetch_request request = {.url = probe->url,
                                    .timeout_ns = probe->timeout_ns,
                                    .done = done,
                                    .context = probe};
    probe->is_out = true;
    fetch_start(p->fetch, &request);
}

/* One that is still out misses its turn; one without room waits: false. */
static bool
take_turn(struct probes *p, struct probe *probe, int64_t now_ns)
{
    if (!probe->is_out && !fetch_has_room(p->fetch)) {
        return false;
    }
    probe->next_ns = phase_next(probe->name, probe->interval_ns, now_ns);
    if (!probe->is_out) {
        start(p, probe);
    }
    return true;
}

void
probes_turn(struct probes *p, int64_t now_ns)
{
    if (now_ns < p->next_ns) {
        return;
    }
    int64_t next_ns = BK_NEVER;
    size_t first = p->first;
    bool is_full = false;
    for (size_t n = 0; n < p->room; n++) {
        size_t place = (first + n) % p->room;
        struct probe *probe = p->all[place];
        if (probe == NULL) {
            continue;
        }
        if (probe->next_ns <= now_ns && !take_turn(p, probe, now_ns) &&
            !is_full) {
            p->first = place;
            is_full = true;
        }
        next_ns = probe->next_ns < next_ns ? probe->next_ns : next_ns;
    }
    p->next_ns = next_ns;
}

int64_t
probes_deadline(const struct probes *p)
{
    /* Without room the end of a request is waited for. */
    return fetch_has_room(p->fetch) ? p->next_ns : BK_NEVER;
}
