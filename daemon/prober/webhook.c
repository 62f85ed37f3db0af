/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/prober/webhook.h"
#include "daemon/clock.h"
#include "daemon/prober/link.h"
#include "daemon/prober/pace.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* How long an answer may take. */
#define POST_NS (10 * BK_NS_PER_S)
/* A message that could not be sent for this long is given up. */
#define GIVE_UP_NS (600 * BK_NS_PER_S)
/* Where nobody knows how long to wait. */
#define PAUSE_NS BK_NS_PER_S
/* No target is left alone for longer, whatever its Retry-After says. */
#define WAIT_MAX_NS (3600 * BK_NS_PER_S)
#define LEASES 256

struct hook {
    struct webhooks *all;
    struct message told;  /* as breakerd said it; all zero: none */
    struct pace_row *row; /* of the message that is out; NULL: none is */
    uint64_t permit;
    uint64_t generation;
};

struct webhooks {
    struct fetch *fetch;
    struct bk_fleet *fleet; /* a service for each webhook */
    struct hook hooks[BK_WEBHOOKS_MAX];
    struct pace pace;
    struct message news; /* MESSAGE_TOLD, not said yet */
    char host[HOST_NAME_MAX + 1];
};

/* ---- the breakers ---- */

static bool
give_policy(void *context, const char *name, struct bk_policy *out)
{
    (void)context;
    (void)name;
    bk_policy_defaults(out);
    out->recovery_timeout_ns = 30 * BK_NS_PER_S;
    out->success_threshold = 1;
    out->max_attempts = 5;
    out->max_delay_ns = 30 * BK_NS_PER_S;
    out->rate_limit_base_delay_ns = 5 * BK_NS_PER_S;
    out->max_hold_ns = WAIT_MAX_NS;
    return true;
}

/* Nobody is told of a webhook's own circuit. */
static void
drain(struct bk_fleet *f)
{
    struct bk_note note;
    while (bk_fleet_next_note(f, &note)) {
    }
    while (bk_fleet_next_dirty(f) != BK_NO_SLOT) {
    }
    while (bk_fleet_next_dirty_lease(f) != BK_NO_SLOT) {
    }
}

struct webhooks *
webhooks_open(struct fetch *fetch)
{
    const struct bk_limits limits = {.services = BK_WEBHOOKS_MAX,
                                     .leases = LEASES,
                                     .policies = BK_WEBHOOKS_MAX,
                                     .routes = 1};
    struct webhooks *w = calloc(1, sizeof(*w));
    void *memory = calloc(1, bk_fleet_bytes(&limits));
    uint64_t seed = 0;
    if (w == NULL || memory == NULL) {
        free(w);
        free(memory);
        return NULL;
    }
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed)) {
        seed = (uint64_t)clock_mono_ns();
    }
    w->fetch = fetch;
    w->fleet = bk_fleet_init(memory, &limits, give_policy, NULL, seed);
    w->news.kind = MESSAGE_TOLD;
    if (gethostname(w->host, sizeof(w->host) - 1) != 0 || w->host[0] == '\0') {
        bk_copy_text(w->host, sizeof(w->host), "localhost", 9);
    }
    for (size_t i = 0; i < BK_WEBHOOKS_MAX; i++) {
        w->hooks[i].all = w;
    }
    return w;
}

void
webhooks_close(struct webhooks **w)
{
    if (*w == NULL) {
        return;
    }
    for (size_t i = 0; i < BK_WEBHOOKS_MAX; i++) {
        fetch_drop((*w)->fetch, &(*w)->hooks[i]);
    }
    free((*w)->fleet);
    free(*w);
    *w = NULL;
}

/* ---- what breakerd says ---- */

static void
forget(struct webhooks *w, uint32_t place)
{
    struct hook *h = &w->hooks[place];
    fetch_drop(w->fetch, h);
    w->news.dropped += pace_drop(&w->pace, place);
    bk_fleet_forget(w->fleet, h->told.name, strlen(h->told.name));
    drain(w->fleet);
    *h = (struct hook){.all = w};
}

/* "*", or a list with the name in it. */
static bool
is_told_of(const struct message *hook, const char *service)
{
    size_t len = strlen(service);
    const char *at = hook->services;
    if (strcmp(at, "*") == 0) {
        return hook->name[0] != '\0';
    }
    while (*at != '\0') {
        size_t part = strcspn(at, ",");
        if (part == len && memcmp(at, service, len) == 0) {
            return true;
        }
        at += part + (at[part] == ',');
    }
    return false;
}

static void
take_event(struct webhooks *w, const struct message *m, int64_t now_ns)
{
    struct body_change change = {.from = (enum bk_state)m->from,
                                 .to = (enum bk_state)m->to,
                                 .mode = (enum bk_mode)m->mode,
                                 .cause = (enum bk_cause)m->cause,
                                 .seq = m->seq,
                                 .generation = m->generation,
                                 .at_ms = m->at_ms,
                                 .until_ms = m->until_ms,
                                 .count = 1};
    memcpy(change.service, m->name, sizeof(change.service));
    memcpy(change.actor, m->actor, sizeof(change.actor));
    memcpy(change.text, m->text, sizeof(change.text));
    for (uint32_t i = 0; i < BK_WEBHOOKS_MAX; i++) {
        if (is_told_of(&w->hooks[i].told, change.service) &&
            !pace_add(&w->pace, i, &change, now_ns)) {
            w->news.dropped++;
        }
    }
}

void
webhooks_take(struct webhooks *w, const struct message *m, int64_t now_ns)
{
    if (m->kind == MESSAGE_EVENT) {
        take_event(w, m, now_ns);
        return;
    }
    forget(w, (uint32_t)m->place);
    if (m->kind == MESSAGE_HOOK) {
        w->hooks[m->place].told = *m;
    }
}

/* ---- what comes of a message ---- */

/* "NAME: what went wrong", never the address. */
static void
note_error(struct hook *h, const char *what)
{
    struct bk_text t;
    bk_text_init(&t, h->all->news.text, sizeof(h->all->news.text));
    bk_text_put(&t, h->told.name);
    bk_text_put(&t, ": ");
    bk_copy_text(t.at + t.len, t.cap - t.len, what, strlen(what));
}

static enum bk_outcome
outcome_of(const struct fetch_result *r)
{
    if (r->end == FETCH_TIMEOUT) {
        return BK_TIMEOUT;
    }
    if (r->end != FETCH_ANSWERED || r->status >= 500) {
        return BK_FAILURE;
    }
    if (r->status == 429) {
        return BK_RATE_LIMITED;
    }
    /* Anything else says that it will not have this message, now or later. */
    return r->status >= 200 && r->status < 300 ? BK_SUCCESS : BK_REJECTED;
}

static void
report(struct hook *h, int64_t now_ns, enum bk_outcome outcome,
       const struct fetch_result *r, bool will_retry)
{
    struct bk_report told = {.name = h->told.name,
                             .name_len = strlen(h->told.name),
                             .permit = h->permit,
                             .generation = h->generation,
                             .outcome = outcome,
                             .latency_ns = r->latency_ns,
                             .attempt = h->row->attempt,
                             .will_retry = will_retry,
                             .retry_after_ns = r->retry_after_ns};
    enum bk_applied applied;
    bk_fleet_report(h->all->fleet, now_ns, &told, &applied);
    drain(h->all->fleet);
}

/* Whether what bars a retry passes by itself. */
static bool
is_passing(enum bk_deny deny)
{
    return deny == BK_DENY_OPEN || deny == BK_DENY_RATE_LIMITED ||
           deny == BK_DENY_MAX_ELAPSED;
}

static void
begin_anew(struct pace_row *row, int64_t now_ns, int64_t wait_ns)
{
    row->attempt = 1;
    row->token = 0;
    pace_again(row, now_ns + (wait_ns > 0 ? wait_ns : PAUSE_NS));
}

static void
give_up(struct hook *h, struct pace_row *row, int64_t now_ns, const char *why)
{
    h->all->news.failed++;
    note_error(h, why);
    pace_end(row, now_ns);
}

static void
take_failure(struct hook *h, int64_t now_ns, enum bk_outcome outcome,
             const struct fetch_result *r)
{
    struct pace_row *row = h->row;
    struct bk_retry ask = {.name = h->told.name,
                           .name_len = strlen(h->told.name),
                           .failed_attempt = row->attempt,
                           .outcome = outcome,
                           .retry_after_ns = r->retry_after_ns};
    struct bk_granted got = {0};
    enum bk_error error = bk_fleet_retry(h->all->fleet, now_ns, &ask, &got);
    bool is_granted = error == BK_OK && got.is_granted;
    report(h, now_ns, outcome, r, is_granted);
    note_error(h, r->text);
    if (is_granted) {
        row->attempt++;
        row->token = got.token;
        pace_again(row, now_ns + got.delay_ns);
    } else if (error == BK_OK && is_passing(got.deny) &&
               now_ns - row->since_ns < GIVE_UP_NS) {
        int64_t wait_ns = (int64_t)got.retry_after_ms * BK_NS_PER_MS;
        wait_ns = wait_ns > r->retry_after_ns ? wait_ns : r->retry_after_ns;
        begin_anew(row, now_ns, wait_ns < WAIT_MAX_NS ? wait_ns : WAIT_MAX_NS);
    } else {
        give_up(h, row, now_ns, r->text);
    }
}

static void
done(void *context, const struct fetch_result *r)
{
    struct hook *h = context;
    int64_t now_ns = clock_boot_ns();
    enum bk_outcome outcome = outcome_of(r);
    if (r->end == FETCH_OWN_TROUBLE) {
        report(h, now_ns, BK_CANCELLED, r, false);
        note_error(h, r->text);
        pace_again(h->row, now_ns + PAUSE_NS);
    } else if (outcome == BK_SUCCESS) {
        report(h, now_ns, outcome, r, false);
        h->all->news.sent++;
        pace_end(h->row, now_ns);
    } else {
        take_failure(h, now_ns, outcome, r);
    }
    h->row = NULL;
}

/* ---- sending ---- */

static void
post(struct hook *h, struct pace_row *row)
{
    char body[BODY_SIZE];
    enum bk_webhook_format format = (enum bk_webhook_format)h->told.format;
    struct fetch_request request = {.url = h->told.url,
                                    .timeout_ns = POST_NS,
                                    .body = body,
                                    .content_type = body_content_type(format),
                                    .done = done,
                                    .context = h};
    body_write(format, &row->change, h->all->host, body);
    pace_begin(row);
    h->row = row;
    fetch_start(h->all->fetch, &request);
}

/* Asks the webhook's own breaker first. */
static void
try_to_send(struct hook *h, struct pace_row *row, int64_t now_ns)
{
    struct bk_acquire ask = {.name = h->told.name,
                             .name_len = strlen(h->told.name),
                             .attempt = row->attempt,
                             .token = row->token};
    struct bk_acquired got = {0};
    row->since_ns = row->since_ns > 0 ? row->since_ns : now_ns;
    enum bk_error error = bk_fleet_acquire(h->all->fleet, now_ns, &ask, &got);
    drain(h->all->fleet);
    if (error == BK_OK && got.is_allowed) {
        h->permit = got.permit;
        h->generation = got.generation;
        post(h, row);
    } else if (now_ns - row->since_ns >= GIVE_UP_NS) {
        pace_begin(row);
        give_up(h, row, now_ns, "out of reach for too long");
    } else if (error == BK_OK && got.deny == BK_DENY_BUDGET) {
        begin_anew(row, now_ns, 0); /* the token has run out meanwhile */
    } else {
        pace_again(row, now_ns + (got.wait_ns > 0 ? got.wait_ns : PAUSE_NS));
    }
}

static void
tell(struct webhooks *w)
{
    const struct message *n = &w->news;
    bool has_news = n->sent > 0 || n->failed > 0 || n->dropped > 0;
    if (has_news && link_send(n)) {
        w->news = (struct message){.kind = MESSAGE_TOLD};
    }
}

void
webhooks_turn(struct webhooks *w, int64_t now_ns)
{
    for (uint32_t i = 0; i < BK_WEBHOOKS_MAX; i++) {
        struct hook *h = &w->hooks[i];
        /* One message of a webhook at a time: in order, and not too fast. */
        if (h->told.name[0] != '\0' && h->row == NULL &&
            fetch_has_room(w->fetch)) {
            struct pace_row *row = pace_due(&w->pace, i, now_ns);
            if (row != NULL) {
                try_to_send(h, row, now_ns);
            }
        }
    }
    tell(w);
}

int64_t
webhooks_deadline(const struct webhooks *w)
{
    int64_t first_ns = BK_NEVER;
    for (uint32_t i = 0; i < BK_WEBHOOKS_MAX; i++) {
        if (w->hooks[i].told.name[0] != '\0' && w->hooks[i].row == NULL &&
            fetch_has_room(w->fetch)) {
            int64_t due_ns = pace_deadline(&w->pace, i);
            first_ns = due_ns < first_ns ? due_ns : first_ns;
        }
    }
    return first_ns;
}
