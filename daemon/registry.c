/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/registry.h"
#include "daemon/arena.h"
#include "daemon/clock.h"
#include "daemon/log.h"
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Leases that may be out, for each service there may be. */
#define LEASES_A_SERVICE 32
#define LEASES_MIN 4096
#define LEASES_MAX 131072
/* Different policies; services that share one share its slot. */
#define POLICIES_MIN 256
#define ROUTES_MAX 64

static struct bk_limits
limits_for(uint32_t services)
{
    struct bk_limits l = {.services = services, .routes = ROUTES_MAX};
    l.leases = services * LEASES_A_SERVICE;
    l.leases = l.leases < LEASES_MIN ? LEASES_MIN : l.leases;
    l.leases = l.leases > LEASES_MAX ? LEASES_MAX : l.leases;
    l.policies = services / 4 < POLICIES_MIN ? POLICIES_MIN : services / 4;
    return l;
}

/* The wall clock at an instant of ours, so that what remains of a wait is the same
 * before and after it was saved, however long the saving took. */
static int64_t
wall_at(int64_t at_ns)
{
    return clock_wall_ms() - (clock_boot_ns() - at_ns) / BK_NS_PER_MS;
}

/* ---- start: config, database and segment come together ---- */

/* What the database holds comes in when the segment has been looked at. */
struct loading {
    struct registry *r;
    int64_t now_ns;
    bool is_adopted;   /* the segment was */
    uint32_t restored; /* services it did not bring back */
};

static bool
is_missing(void *context, const char *name)
{
    struct loading *l = context;
    return bk_fleet_find(l->r->fleet, name, strlen(name)) == BK_NO_SLOT;
}

static void
load_service(void *context, const struct bk_saved *saved)
{
    struct loading *l = context;
    enum bk_error error = bk_fleet_restore(l->r->fleet, l->now_ns, saved);
    if (error == BK_OK) {
        l->restored++;
    } else {
        log_line(LOG_WARNING, "service %s cannot be restored: %s", saved->name,
                 bk_error_name(error));
    }
}

static void
load_setting(void *context, const char *service, const char *key,
             const char *value)
{
    struct loading *l = context;
    char sentence[256];
    struct bk_text error;
    bk_text_init(&error, sentence, sizeof(sentence));
    if (!config_set(l->r->config, service, key, strlen(key), value,
                    strlen(value), &error)) {
        log_line(LOG_WARNING, "a saved setting of %s is left out: %s", service,
                 sentence);
    }
}

static void
load_forgotten(void *context, const char *name, uint64_t generation)
{
    struct loading *l = context;
    bk_fleet_remember(l->r->fleet, name, generation);
}

/* Lines that the segment does not have: all of a new one's, and those an earlier
 * daemon saved in its last moment. */
static void
load_past(void *context, const struct bk_past *line)
{
    struct loading *l = context;
    publish_line(l->r->publish, line);
}

static void
make_configured(void *context, const char *name)
{
    struct registry *r = context;
    uint32_t slot;
    enum bk_error error =
        bk_fleet_make(r->fleet, clock_boot_ns(), name, strlen(name), &slot);
    if (error != BK_OK) {
        log_line(LOG_WARNING, "service %s is configured and cannot be made: %s",
                 name, bk_error_name(error));
    }
}

/* Beyond the first large page of each part, so that few services take no more than
 * they need, and of thousands each is found without a walk through page tables. */
static void
prefer_large_pages(struct bk_fleet *fleet)
{
    struct bk_fleet_part parts[BK_FLEET_PARTS];
    bk_fleet_parts(fleet, parts);
    for (size_t i = 0; i < BK_FLEET_PARTS; i++) {
        size_t bytes = parts[i].slot_bytes * bk_fleet_limits(fleet)->services;
        size_t ahead = arena_to_large(parts[i].at) + ARENA_LARGE_PAGE;
        if (!parts[i].is_seldom && bytes > ahead) {
            arena_prefer_large((char *)parts[i].at + ahead, bytes - ahead);
        }
    }
}

static bool
make_fleet(struct registry *r)
{
    struct bk_limits limits =
        limits_for(config_of_daemon(r->config)->max_services);
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed)) {
        seed = (uint64_t)clock_mono_ns();
    }
    void *mem = arena_open(bk_fleet_bytes(&limits));
    r->unsaved = calloc(limits.services, 1);
    if (mem == NULL || r->unsaved == NULL) {
        arena_close(mem, bk_fleet_bytes(&limits));
        return false;
    }
    r->fleet = bk_fleet_init(mem, &limits, config_source, r->config, seed);
    prefer_large_pages(r->fleet);
    return true;
}

/* ---- the prober ---- */

static void
take_health(void *context, int64_t now_ns, const struct bk_health *health)
{
    struct registry *r = context;
    bk_fleet_health(r->fleet, now_ns, health);
    registry_note(r, now_ns, NULL, NULL);
}

void
registry_probe(struct registry *r, int64_t now_ns)
{
    prober_turn(r->prober, r->fleet, now_ns);
}

static void
take_webhooks(struct registry *r)
{
    uint32_t count;
    const struct bk_webhook *hooks = config_webhooks(r->config, &count);
    prober_set_hooks(r->prober, hooks, count);
}

/* What is on disk is told to webhooks, too. */
static void
tell_webhooks(void *context, const struct bk_past *event)
{
    struct registry *r = context;
    uint32_t slot =
        bk_fleet_find(r->fleet, event->service, strlen(event->service));
    int64_t wait_ns = 0;
    if (slot != BK_NO_SLOT) {
        const struct bk_breaker *b = &bk_fleet_service(r->fleet, slot)->breaker;
        /* Of a later state it would say when that ends. */
        wait_ns = b->generation == event->generation
                      ? bk_breaker_wait(b, clock_boot_ns())
                      : 0;
    }
    uint64_t until_ms =
        wait_ns > 0 ? (uint64_t)clock_wall_ms() + bk_ms_up(wait_ns) : 0;
    prober_tell(r->prober, event, until_ms);
}

static void
mark_unsaved(void *context, uint32_t slot)
{
    struct registry *r = context;
    r->unsaved[slot] = 1;
    prober_look(r->prober, r->fleet, slot);
}

static bool
open_prober(struct registry *r)
{
    uint32_t services = bk_fleet_limits(r->fleet)->services;
    r->prober = prober_open(services, take_health, r);
    events_listen(r->events, tell_webhooks, r);
    return r->prober != NULL;
}

static void
save_numbers(struct registry *r)
{
    struct store_meta meta = {.epoch = r->epoch,
                              .next_id = bk_fleet_next_id(r->fleet),
                              .last_seq = r->seq};
    r->meta_next_id = meta.next_id;
    r->job = store_put_meta(r->store, &meta);
}

/* The ids of this run. After a lost segment they leap, and the leap is written
 * down before the first is given out; the disk has time for it while the rest of the
 * start goes on. */
static void
begin_epoch(struct registry *r, const struct publish_found *found,
            const struct store_meta *meta)
{
    /* A database that was lost begins anew; what is published does not. */
    r->seq =
        found->last_seq > meta->last_seq ? found->last_seq : meta->last_seq;
    r->epoch = (found->epoch > meta->epoch ? found->epoch : meta->epoch) + 1;
    if (!found->is_adopted && meta->epoch > 0) {
        bk_fleet_set_next_id(r->fleet, meta->next_id + BK_ID_LEAP);
    }
    save_numbers(r);
    store_flush(r->store);
}

/* The numbers of this run are on their way. Of what was taken in, only generations that
 * have leapt must be on disk before the first worker comes, too; all else is saved by
 * and by. */
static void
save_start(struct registry *r, int64_t now_ns, const struct loading *l)
{
    bool has_leapt = l->is_adopted && l->restored > 0;
    registry_save(r, now_ns, has_leapt ? UINT32_MAX : 0);
}

/* What was adopted is published already and yet new to the database, which may be
 * behind, and to the prober. */
static void
look_at_all(struct registry *r)
{
    uint32_t services = bk_fleet_limits(r->fleet)->services;
    for (uint32_t slot = 0; slot < services; slot++) {
        if (bk_fleet_service(r->fleet, slot) != NULL) {
            mark_unsaved(r, slot);
        }
    }
}

static void
take_routes(struct registry *r)
{
    uint32_t count;
    const struct bk_route *routes = config_routes(r->config, &count);
    if (!bk_fleet_set_routes(r->fleet, routes, count)) {
        log_line(LOG_ERROR, "too many routes");
    }
}

bool
registry_open(struct registry *r, const struct rundir *dir, int64_t now_ns,
              struct bk_text *error)
{
    struct loading loading = {.r = r, .now_ns = now_ns};
    struct store_reader reader = {.context = &loading,
                                  .wants = is_missing,
                                  .service = load_service,
                                  .setting = load_setting,
                                  .forgotten = load_forgotten,
                                  .past = load_past};
    struct store_meta meta = {0};
    struct publish_found found;
    r->started_ns = now_ns;
    bool ok = make_fleet(r) && open_prober(r);
    if (ok) {
        take_routes(r);
        r->publish = publish_open(dir, r->fleet, now_ns, &found);
        ok = r->publish != NULL;
    }
    if (!ok) {
        bk_text_put(error, "not enough memory");
        return false;
    }
    loading.is_adopted = found.is_adopted;
    if (!store_load(r->store, wall_at(now_ns), &reader, &meta, error)) {
        publish_close(&r->publish); /* nothing here is to be saved */
        return false;
    }
    if (!found.is_adopted && loading.restored > 0) {
        r->job = store_put_leap(r->store);
    }
    begin_epoch(r, &found, &meta);
    registry_reconfigure(r, now_ns);
    registry_advance(r, now_ns);
    look_at_all(r);
    registry_publish_rest(r, true);
    save_start(r, now_ns, &loading);
    log_line(LOG_INFO,
             "%u services (%u from shared memory with %u leases, %u from the "
             "database)",
             bk_fleet_count(r->fleet), found.services, found.leases,
             loading.restored);
    return true;
}

void
registry_close(struct registry *r)
{
    publish_close(&r->publish);
    prober_close(&r->prober);
    if (r->fleet != NULL) {
        arena_close(r->fleet, bk_fleet_bytes(bk_fleet_limits(r->fleet)));
    }
    free(r->unsaved);
    r->fleet = NULL;
    r->unsaved = NULL;
}

/* ---- effects ---- */

static void
put_row(struct registry *r, int64_t now_ns, uint32_t slot)
{
    struct bk_saved saved;
    if (bk_fleet_service(r->fleet, slot) != NULL) {
        bk_fleet_save(r->fleet, slot, now_ns, &saved);
        r->job = store_put_service(r->store, &saved, wall_at(now_ns));
    }
    r->unsaved[slot] = 0;
}

static void
put_change(struct registry *r, int64_t now_ns, const struct bk_note *note,
           const char *actor, const struct bk_word *text)
{
    const struct bk_change *c = &note->change;
    bool is_operators = actor != NULL && c->cause == BK_CAUSE_OPERATOR;
    struct bk_past event = {.seq = ++r->seq,
                            .wall_ms = wall_at(c->at_ns),
                            .from = c->from,
                            .to = c->to,
                            .mode = c->mode,
                            .cause = c->cause,
                            .generation = c->generation};
    memcpy(event.service, note->name, sizeof(event.service));
    const char *who = is_operators ? actor : "-";
    bk_copy_text(event.actor, sizeof(event.actor), who, strlen(who));
    if (is_operators && text != NULL && text->at != NULL) {
        bk_copy_text(event.text, sizeof(event.text), text->at, text->len);
    }
    put_row(r, now_ns, note->service);
    r->job = store_put_event(r->store, &event);
    events_put(r->events, r->job, &event, true);
    log_line(LOG_INFO, "%s: %s -> %s (%s, mode %s, generation %llu)",
             note->name, bk_state_name(c->from), bk_state_name(c->to),
             bk_cause_name(c->cause), bk_mode_name(c->mode),
             (unsigned long long)c->generation);
}

static unsigned
take_notes(struct registry *r, int64_t now_ns, const char *actor,
           const struct bk_word *text)
{
    struct bk_note note;
    unsigned own = 0;
    while (bk_fleet_next_note(r->fleet, &note)) {
        if (note.is_forgotten) {
            r->job = store_put_forgotten(r->store, note.name,
                                         note.change.generation);
            log_line(LOG_INFO, "%s: idle, made room for another service",
                     note.name);
            continue;
        }
        put_change(r, now_ns, &note, actor, text);
        own += actor != NULL && note.change.cause == BK_CAUSE_OPERATOR;
    }
    return own;
}

/* Behind every outcome, and hardly ever is there one. */
unsigned
registry_note(struct registry *r, int64_t now_ns, const char *actor,
              const struct bk_word *text)
{
    return bk_fleet_has_note(r->fleet) ? take_notes(r, now_ns, actor, text) : 0;
}

void
registry_record(struct registry *r, int64_t now_ns, const char *service,
                const char *actor, const char *text, size_t text_len)
{
    struct bk_past event = {.seq = ++r->seq,
                            .wall_ms = clock_wall_ms(),
                            .cause = BK_CAUSE_OPERATOR};
    uint32_t slot = bk_fleet_find(r->fleet, service, strlen(service));
    bk_copy_text(event.service, sizeof(event.service), service,
                 strlen(service));
    bk_copy_text(event.actor, sizeof(event.actor), actor, strlen(actor));
    bk_copy_text(event.text, sizeof(event.text), text, text_len);
    if (slot != BK_NO_SLOT) {
        const struct bk_breaker *b = &bk_fleet_service(r->fleet, slot)->breaker;
        event.from = b->state;
        event.to = event.from;
        event.mode = b->mode;
        event.generation = b->generation;
        put_row(r, now_ns, slot);
    }
    r->job = store_put_event(r->store, &event);
    events_put(r->events, r->job, &event, false);
    log_line(LOG_INFO, "%s: %s (by %s)", event.service, event.text, actor);
}

void
registry_publish(struct registry *r)
{
    publish_sync(r->publish, r->fleet, mark_unsaved, r);
    store_flush(r->store);
}

void
registry_publish_rest(struct registry *r, bool is_promised)
{
    registry_publish(r);
    publish_rest(r->publish, r->fleet, is_promised);
}

bool
registry_save(struct registry *r, int64_t now_ns, uint32_t most)
{
    uint32_t services = bk_fleet_limits(r->fleet)->services;
    uint32_t put = 0;
    uint32_t seen = 0;
    for (; seen < services && put < most; seen++) {
        r->unsaved_at = (r->unsaved_at + 1) % services;
        if (r->unsaved[r->unsaved_at]) {
            put_row(r, now_ns, r->unsaved_at);
            put++;
        }
    }
    if (r->meta_next_id != bk_fleet_next_id(r->fleet)) {
        save_numbers(r);
    }
    store_flush(r->store);
    return seen < services;
}

void
registry_save_last(struct registry *r, int64_t now_ns)
{
    uint32_t services = bk_fleet_limits(r->fleet)->services;
    for (uint32_t slot = 0; slot < services; slot++) {
        const struct bk_service *s = bk_fleet_service(r->fleet, slot);
        if (s != NULL && s->breaker.state == BK_OPEN) {
            r->unsaved[slot] = 1;
        }
    }
    registry_save(r, now_ns, UINT32_MAX);
}

void
registry_advance(struct registry *r, int64_t now_ns)
{
    while (!bk_fleet_advance(r->fleet, now_ns)) {
        registry_note(r, now_ns, NULL, NULL);
    }
    registry_note(r, now_ns, NULL, NULL);
}

void
registry_reconfigure(struct registry *r, int64_t now_ns)
{
    uint32_t services = bk_fleet_limits(r->fleet)->services;
    take_routes(r);
    publish_routes(r->publish, r->fleet);
    take_webhooks(r);
    config_each_service(r->config, make_configured, r);
    for (uint32_t slot = 0; slot < services; slot++) {
        const struct bk_service *s = bk_fleet_service(r->fleet, slot);
        if (s == NULL) {
            continue;
        }
        if (bk_fleet_reconfigure(r->fleet, now_ns, slot) != BK_OK) {
            log_line(LOG_ERROR,
                     "%s keeps its configuration: more than %u different ones",
                     s->name, bk_fleet_limits(r->fleet)->policies);
        }
        registry_note(r, now_ns, NULL, NULL);
    }
}

/* ---- the store's answers ---- */

static void
put_setting(void *context, const char *service, const char *key,
            const char *value)
{
    struct registry *r = context;
    r->job = store_put_setting(r->store, service, key, value);
}

static void
put_forgotten(void *context, const char *name, uint64_t generation)
{
    struct registry *r = context;
    r->job = store_put_forgotten(r->store, name, generation);
}

/* The file had to be replaced: all that it should hold goes in again. */
static void
put_everything(struct registry *r, int64_t now_ns)
{
    uint32_t services = bk_fleet_limits(r->fleet)->services;
    for (uint32_t slot = 0; slot < services; slot++) {
        r->unsaved[slot] = bk_fleet_service(r->fleet, slot) != NULL;
    }
    config_each_setting(r->config, put_setting, r);
    bk_fleet_each_forgotten(r->fleet, put_forgotten, r);
    r->meta_next_id = 0;
    registry_save(r, now_ns, UINT32_MAX);
}

void
registry_stored(struct registry *r, int64_t now_ns,
                const struct store_done *done)
{
    if (done->kind == STORE_SAVED) {
        if (r->is_degraded) {
            log_line(LOG_INFO, "the database can be written again");
        }
        r->is_degraded = false;
        r->saved = done->job;
        events_saved(r->events, done->job, publish_line, r->publish);
    } else if (done->kind == STORE_FAILED) {
        if (!r->is_degraded) {
            log_line(LOG_ERROR,
                     "cannot save to the database: %s; serving from memory, "
                     "trying again",
                     done->text);
        }
        r->is_degraded = true;
    } else if (done->kind == STORE_REBUILD) {
        put_everything(r, now_ns);
    }
}
