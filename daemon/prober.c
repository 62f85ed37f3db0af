/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/prober.h"
#include "daemon/log.h"
#include "daemon/prober/hash.h"
#include "daemon/prober_child.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Changes that wait for the prober to read. */
#define EVENTS_MAX 512
/* Messages that are read, and sent, before the loop goes on. */
#define TURN_MESSAGES 128
/* It says once a second that it is alive; silent for this long, it is not. */
#define SILENCE_NS (10 * BK_NS_PER_S)

/* What is known of a slot's health probe. */
struct want {
    uint64_t edition; /* incarnation, policy: what was looked at last */
    uint64_t print;   /* of name, address and times; 0: none is wanted */
    uint32_t incarnation;
    uint32_t policy;
    bool is_pending; /* the prober does not know yet */
    bool is_bad;     /* the last answer; a line said so */
};

struct change {
    struct bk_past event;
    uint64_t until_ms;
};

struct prober {
    struct prober_child child;
    prober_result *result;
    void *context;
    struct want *wants;
    uint32_t places;
    uint32_t wanted;  /* of them */
    uint32_t pending; /* of them */
    uint32_t at;      /* where the search for pending ones goes on */
    struct message hooks[BK_WEBHOOKS_MAX]; /* all zero: none */
    bool hook_is_pending[BK_WEBHOOKS_MAX];
    uint32_t hook_count;
    struct change *changes; /* a ring of EVENTS_MAX */
    uint32_t change_first;
    uint32_t change_count;
    int64_t heard_ns;
    bool is_blocked; /* the socket is full */
    struct prober_stats stats;
};

struct prober *
prober_open(uint32_t places, prober_result *result, void *context)
{
    struct prober *p = calloc(1, sizeof(*p));
    if (p == NULL) {
        return NULL;
    }
    prober_child_init(&p->child);
    p->places =
        places < BK_CONFIG_SERVICES_MAX ? places : BK_CONFIG_SERVICES_MAX;
    p->result = result;
    p->context = context;
    p->wants = calloc(p->places, sizeof(*p->wants));
    p->changes = calloc(EVENTS_MAX, sizeof(*p->changes));
    if (p->wants == NULL || p->changes == NULL) {
        prober_close(&p);
    }
    return p;
}

void
prober_close(struct prober **p)
{
    if (*p != NULL) {
        prober_child_end(&(*p)->child, 0);
        free((*p)->wants);
        free((*p)->changes);
        free(*p);
        *p = NULL;
    }
}

/* ---- what is wanted ---- */

/* Never 0: that stands for no probe. */
static uint64_t
print_of(const struct bk_service *s, const struct bk_policy *p)
{
    uint64_t hash = HASH_START;
    hash = hash_add(hash, s->name, strlen(s->name) + 1);
    hash = hash_add(hash, p->probe_url, strlen(p->probe_url));
    hash = hash_add(hash, &p->probe_interval_ns, sizeof(p->probe_interval_ns));
    hash = hash_add(hash, &p->probe_timeout_ns, sizeof(p->probe_timeout_ns));
    return hash | 1;
}

static void
set_pending(struct prober *p, struct want *w)
{
    p->pending += !w->is_pending;
    w->is_pending = true;
}

void
prober_look(struct prober *p, const struct bk_fleet *fleet, uint32_t slot)
{
    if (slot >= p->places) {
        return;
    }
    struct want *w = &p->wants[slot];
    const struct bk_service *s = bk_fleet_service(fleet, slot);
    const struct bk_policy *policy =
        s != NULL ? bk_fleet_policy(fleet, s->policy) : NULL;
    bool has_url = policy != NULL && policy->probe_url[0] != '\0';
    uint64_t edition = bk_fleet_policy_edition(fleet);
    if (!has_url && w->print == 0) {
        return;
    }
    if (has_url && w->print != 0 && w->edition == edition &&
        w->incarnation == s->incarnation && w->policy == s->policy) {
        return;
    }
    uint64_t print = has_url ? print_of(s, policy) : 0;
    w->edition = edition;
    w->incarnation = has_url ? s->incarnation : 0;
    w->policy = has_url ? s->policy : 0;
    if (print == w->print) {
        return;
    }
    p->wanted += print != 0;
    p->wanted -= w->print != 0;
    w->print = print;
    w->is_bad = false;
    set_pending(p, w);
}

/* As the prober is told of it. */
static struct message
message_of(const struct bk_webhook *w, uint32_t place)
{
    struct message m = {
        .kind = MESSAGE_HOOK, .place = place, .format = w->format};
    struct bk_text list;
    memcpy(m.name, w->name, sizeof(m.name));
    memcpy(m.url, w->url, sizeof(m.url));
    bk_text_init(&list, m.services, sizeof(m.services));
    for (uint32_t i = 0; i < w->count; i++) {
        bk_text_put(&list, i > 0 ? "," : "");
        bk_text_put(&list, w->services[i]);
    }
    bk_text_put(&list, w->count == 0 ? "*" : "");
    return m;
}

void
prober_set_hooks(struct prober *p, const struct bk_webhook *hooks,
                 uint32_t count)
{
    for (uint32_t i = 0; i < BK_WEBHOOKS_MAX; i++) {
        struct message m = {0};
        if (i < count) {
            m = message_of(&hooks[i], i);
        }
        if (memcmp(&m, &p->hooks[i], sizeof(m)) != 0) {
            p->hook_is_pending[i] = true;
        }
        p->hooks[i] = m;
    }
    p->hook_count = count;
    p->change_count = count > 0 ? p->change_count : 0; /* nobody to be told */
}

void
prober_tell(struct prober *p, const struct bk_past *event, uint64_t until_ms)
{
    if (p->hook_count == 0) {
        return;
    }
    if (p->change_count == EVENTS_MAX) {
        p->stats.webhooks_dropped++;
        return;
    }
    struct change *c =
        &p->changes[(p->change_first + p->change_count++) % EVENTS_MAX];
    c->event = *event;
    c->until_ms = until_ms;
}

/* A prober that was just started knows nothing. */
static void
tell_all(struct prober *p)
{
    for (uint32_t i = 0; i < p->places; i++) {
        if (p->wants[i].print != 0) {
            set_pending(p, &p->wants[i]);
        }
    }
    for (uint32_t i = 0; i < BK_WEBHOOKS_MAX; i++) {
        p->hook_is_pending[i] = i < p->hook_count;
    }
}

/* ---- sending ---- */

/* False when it has to be tried again; what cannot be said at all is let go. */
static bool
send_message(struct prober *p, const struct message *m)
{
    char packet[MESSAGE_MAX];
    int len = message_write(m, packet);
    if (len < 0) {
        return true;
    }
    ssize_t n =
        send(p->child.fd, packet, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
    p->is_blocked = n < 0 && (errno == EAGAIN || errno == ENOBUFS);
    return n >= 0;
}

static bool
send_want(struct prober *p, const struct bk_fleet *fleet, uint32_t place)
{
    struct message m = {.kind = MESSAGE_UNPROBE, .place = place};
    const struct bk_service *s = bk_fleet_service(fleet, place);
    if (p->wants[place].print != 0 && s != NULL) {
        const struct bk_policy *policy = bk_fleet_policy(fleet, s->policy);
        m.kind = MESSAGE_PROBE;
        memcpy(m.name, s->name, sizeof(m.name));
        memcpy(m.url, policy->probe_url, sizeof(policy->probe_url));
        m.interval_ms = (uint64_t)(policy->probe_interval_ns / BK_NS_PER_MS);
        m.timeout_ms = (uint64_t)(policy->probe_timeout_ns / BK_NS_PER_MS);
    }
    return send_message(p, &m);
}

static void
send_wants(struct prober *p, const struct bk_fleet *fleet)
{
    int sent = 0;
    for (uint32_t seen = 0; p->pending > 0 && seen < p->places; seen++) {
        struct want *w = &p->wants[p->at];
        if (w->is_pending) {
            if (sent++ == TURN_MESSAGES || !send_want(p, fleet, p->at)) {
                return;
            }
            w->is_pending = false;
            p->pending--;
        }
        p->at = (p->at + 1) % p->places;
    }
}

static void
send_hooks(struct prober *p)
{
    for (uint32_t i = 0; i < BK_WEBHOOKS_MAX; i++) {
        struct message none = {.kind = MESSAGE_UNHOOK, .place = i};
        if (!p->hook_is_pending[i]) {
            continue;
        }
        if (!send_message(p, i < p->hook_count ? &p->hooks[i] : &none)) {
            return;
        }
        p->hook_is_pending[i] = false;
    }
}

static void
send_changes(struct prober *p)
{
    while (p->change_count > 0) {
        const struct change *c = &p->changes[p->change_first];
        const struct bk_past *e = &c->event;
        struct message m = {.kind = MESSAGE_EVENT,
                            .seq = e->seq,
                            .from = e->from,
                            .to = e->to,
                            .mode = e->mode,
                            .cause = e->cause,
                            .generation = e->generation,
                            .at_ms = (uint64_t)e->wall_ms,
                            .until_ms = c->until_ms};
        memcpy(m.name, e->service, sizeof(m.name));
        memcpy(m.actor, e->actor, sizeof(m.actor));
        memcpy(m.text, e->text, sizeof(m.text));
        if (!send_message(p, &m)) {
            return;
        }
        p->change_first = (p->change_first + 1) % EVENTS_MAX;
        p->change_count--;
    }
}

/* ---- hearing ---- */

static void
hear_result(struct prober *p, const struct bk_fleet *fleet, int64_t now_ns,
            const struct message *m)
{
    const struct bk_service *s =
        m->place < p->places ? bk_fleet_service(fleet, (uint32_t)m->place)
                             : NULL;
    /* What was asked on behalf of another is nobody's by now. */
    if (s == NULL || p->wants[m->place].print == 0 ||
        strcmp(s->name, m->name) != 0) {
        return;
    }
    struct want *w = &p->wants[m->place];
    bool is_bad = m->outcome != BK_SUCCESS;
    if (is_bad != w->is_bad) {
        log_line(LOG_INFO, "%s: its probe_url %s (%s)", m->name,
                 is_bad ? "does not answer well" : "answers well again",
                 m->text);
    }
    w->is_bad = is_bad;
    struct bk_health health = {.name = m->name,
                               .name_len = strlen(m->name),
                               .outcome = (enum bk_outcome)m->outcome,
                               .latency_ns =
                                   (int64_t)m->latency_us * BK_NS_PER_US,
                               .text = m->text,
                               .text_len = strlen(m->text)};
    p->result(p->context, now_ns, &health);
}

/* False when it is not the prober's language. */
static bool
hear(struct prober *p, const struct bk_fleet *fleet, int64_t now_ns,
     const struct message *m)
{
    switch ((int)m->kind) {
    case MESSAGE_ALIVE:
        return true;
    case MESSAGE_RESULT:
        hear_result(p, fleet, now_ns, m);
        return true;
    case MESSAGE_TOLD:
        p->stats.webhooks_sent += m->sent;
        p->stats.webhooks_failed += m->failed;
        p->stats.webhooks_dropped += m->dropped;
        if (m->failed + m->dropped > 0) {
            log_line(LOG_WARNING, "webhooks: %s; %llu given up, %llu dropped",
                     m->text, (unsigned long long)m->failed,
                     (unsigned long long)m->dropped);
        }
        return true;
    case MESSAGE_TROUBLE:
        log_line(LOG_WARNING, "prober: %s", m->text);
        return true;
    default:
        return false;
    }
}

/* False when this prober is of no more use. */
static bool
listen_to(struct prober *p, const struct bk_fleet *fleet, int64_t now_ns)
{
    for (int i = 0; i < TURN_MESSAGES; i++) {
        char packet[MESSAGE_MAX];
        struct message m;
        ssize_t n =
            recv(p->child.fd, packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            break;
        }
        if (n <= 0) {
            log_line(LOG_WARNING, "the prober has died");
            return false;
        }
        if ((size_t)n > sizeof(packet) ||
            !message_read(packet, (size_t)n, &m) ||
            !hear(p, fleet, now_ns, &m)) {
            log_line(LOG_ERROR, "the prober does not make sense");
            return false;
        }
        p->heard_ns = now_ns;
    }
    if (now_ns - p->heard_ns >= SILENCE_NS) {
        log_line(LOG_WARNING, "the prober has said nothing for %d s",
                 (int)(SILENCE_NS / BK_NS_PER_S));
        return false;
    }
    return true;
}

void
prober_turn(struct prober *p, const struct bk_fleet *fleet, int64_t now_ns)
{
    bool is_needed = p->wanted > 0 || p->hook_count > 0;
    prober_child_reap(&p->child);
    if (p->child.fd < 0 && is_needed && prober_child_start(&p->child, now_ns)) {
        p->heard_ns = now_ns;
        p->is_blocked = false;
        p->stats.starts++;
        tell_all(p);
    }
    if (p->child.fd >= 0 && !is_needed) {
        log_line(LOG_INFO, "the prober has nothing to do any more");
        prober_child_end(&p->child, now_ns);
    }
    if (p->child.fd < 0) {
        return;
    }
    if (!listen_to(p, fleet, now_ns)) {
        prober_child_end(&p->child, now_ns);
        return;
    }
    p->is_blocked = false;
    send_wants(p, fleet);
    if (!p->is_blocked) {
        send_hooks(p);
    }
    if (!p->is_blocked) {
        send_changes(p);
    }
}

int
prober_fd(const struct prober *p)
{
    return p->child.fd;
}

bool
prober_wants_to_write(const struct prober *p)
{
    return p->is_blocked || p->pending > 0;
}

int64_t
prober_deadline(const struct prober *p)
{
    if (p->child.fd >= 0) {
        return bk_after(p->heard_ns, SILENCE_NS);
    }
    bool is_needed = p->wanted > 0 || p->hook_count > 0;
    return is_needed ? p->child.next_start_ns : BK_NEVER;
}

void
prober_stats(const struct prober *p, struct prober_stats *out)
{
    *out = p->stats;
}
