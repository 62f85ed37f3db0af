/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/orders.h"
#include "core/json.h"
#include <stdlib.h>
#include <string.h>

/* Lines of history one command may ask for. */
#define HISTORY_MAX 10000
/* Beside a document: the word before it, or an error and its sentence. */
#define FILL_ROOM (STORE_WORDS_SIZE + 64)

struct bk_json
orders_begin(struct answer *a)
{
    struct bk_json j;
    bk_text_put(a->out, "OK ");
    bk_json_init(&j, a->out);
    bk_json_open(&j, NULL, '{');
    return j;
}

/* ---- configuration ---- */

static void
say_setting(struct answer *a, const char *service, size_t key)
{
    const struct registry *r = a->commands->registry;
    uint8_t origins[64];
    struct bk_policy policy;
    char value[BK_LINE_MAX];
    struct bk_text t;
    struct bk_json j = orders_begin(a);
    config_effective(r->config, service, &policy, origins);
    bk_text_init(&t, value, sizeof(value));
    bk_policy_print(&policy, key, &t);
    bk_json_string(&j, "service", service);
    bk_json_string(&j, "key", bk_key_name(key));
    bk_json_string(&j, "value", value);
    bk_json_string(&j, "origin", bk_origin_name((enum bk_origin)origins[key]));
    bk_json_close(&j, '}');
}

/* Applies the changed configuration of one service and writes it down. */
static void
apply(struct answer *a, uint32_t slot, size_t key, bool is_set)
{
    struct registry *r = a->commands->registry;
    char name[BK_NAME_SIZE];
    char value[BK_LINE_MAX];
    char line[BK_REASON_SIZE];
    struct bk_policy policy;
    struct bk_text t;
    memcpy(name, bk_fleet_service(r->fleet, slot)->name, sizeof(name));
    config_effective(r->config, name, &policy, NULL);
    bk_text_init(&t, value, sizeof(value));
    bk_policy_print(&policy, key, &t);
    r->job = store_put_setting(r->store, name, bk_key_name(key),
                               is_set ? value : NULL);
    bk_text_init(&t, line, sizeof(line));
    bk_text_put(&t, is_set ? "set " : "unset ");
    bk_text_put(&t, bk_key_name(key));
    bk_text_put(&t, is_set ? "=" : "");
    bk_text_put(&t, is_set ? value : "");
    registry_note(r, a->now_ns, a->peer->actor, NULL);
    registry_record(r, a->now_ns, name, a->peer->actor, line, t.len);
    say_setting(a, name, key);
    a->needs_disk = true;
}

/* The value SET before, as text, so that a failed change can be taken back. */
static bool
print_set(const struct registry *r, const char *name, size_t key,
          struct bk_text *out)
{
    uint8_t origins[64];
    struct bk_policy policy;
    config_effective(r->config, name, &policy, origins);
    bk_policy_print(&policy, key, out);
    return origins[key] == BK_FROM_SET;
}

/* A refused SET makes no service; a good one is a change to one that is there, so
 * that a new mode is a transition like any other: a new service is made before
 * its first value counts. */
static enum bk_error
make_for_set(struct answer *a, const char *name, const struct bk_request *q,
             uint32_t *slot, struct bk_text *error)
{
    struct registry *r = a->commands->registry;
    if (bk_fleet_is_route(r->fleet, name, strlen(name))) {
        return BK_ERR_BAD_SERVICE;
    }
    if (bk_fleet_find(r->fleet, name, strlen(name)) == BK_NO_SLOT) {
        if (!config_set(r->config, name, q->key.at, q->key.len, q->value.at,
                        q->value.len, error)) {
            return BK_ERR_BAD_REQUEST;
        }
        config_forget(r->config, name);
    }
    return bk_fleet_make(r->fleet, a->now_ns, name, strlen(name), slot);
}

/* Takes a value back that could not be applied. */
static void
undo_set(struct registry *r, const char *name, const struct bk_request *q,
         bool was_set, const struct bk_text *old)
{
    char sentence[256];
    struct bk_text error;
    bk_text_init(&error, sentence, sizeof(sentence));
    if (was_set) {
        config_set(r->config, name, q->key.at, q->key.len, old->at, old->len,
                   &error);
    } else {
        config_unset(r->config, name, q->key.at, q->key.len, &error);
    }
}

void
orders_set(struct answer *a, const struct bk_request *q)
{
    struct registry *r = a->commands->registry;
    char name[BK_NAME_SIZE];
    char sentence[256];
    char before[BK_LINE_MAX];
    struct bk_text error;
    struct bk_text old;
    uint32_t slot;
    bool was_set = false;
    bk_copy_text(name, sizeof(name), q->service.at, q->service.len);
    bk_text_init(&error, sentence, sizeof(sentence));
    bk_text_init(&old, before, sizeof(before));
    int key = bk_key_find(q->key.at, q->key.len);
    enum bk_error failed = make_for_set(a, name, q, &slot, &error);
    if (failed == BK_OK) {
        was_set = key >= 0 && print_set(r, name, (size_t)key, &old);
        failed = config_set(r->config, name, q->key.at, q->key.len, q->value.at,
                            q->value.len, &error)
                     ? BK_OK
                     : BK_ERR_BAD_REQUEST;
    }
    if (failed == BK_ERR_BAD_REQUEST) {
        bk_write_error(a->out, failed, sentence);
        return;
    }
    if (failed == BK_OK) {
        failed = bk_fleet_reconfigure(r->fleet, a->now_ns, slot);
        if (failed != BK_OK) {
            undo_set(r, name, q, was_set, &old);
        }
    }
    if (failed == BK_OK) {
        apply(a, slot, (size_t)key, true);
    } else {
        answer_error(a, failed);
    }
}

void
orders_unset(struct answer *a, const struct bk_request *q)
{
    struct registry *r = a->commands->registry;
    uint32_t slot = bk_fleet_find(r->fleet, q->service.at, q->service.len);
    char sentence[256];
    struct bk_text error;
    bk_text_init(&error, sentence, sizeof(sentence));
    if (slot == BK_NO_SLOT) {
        answer_error(a, BK_ERR_UNKNOWN_SERVICE);
        return;
    }
    if (!config_unset(r->config, bk_fleet_service(r->fleet, slot)->name,
                      q->key.at, q->key.len, &error)) {
        bk_write_error(a->out, BK_ERR_BAD_REQUEST, sentence);
        return;
    }
    enum bk_error failed = bk_fleet_reconfigure(r->fleet, a->now_ns, slot);
    if (failed != BK_OK) {
        answer_error(a, failed);
        return;
    }
    apply(a, slot, (size_t)bk_key_find(q->key.at, q->key.len), false);
}

void
orders_config(struct answer *a, const struct bk_request *q)
{
    const struct registry *r = a->commands->registry;
    char name[BK_NAME_SIZE] = "";
    char value[BK_LINE_MAX];
    uint8_t origins[64];
    struct bk_policy policy;
    struct bk_text t;
    if (!q->is_all) {
        bk_copy_text(name, sizeof(name), q->service.at, q->service.len);
        if (bk_fleet_find(r->fleet, name, q->service.len) == BK_NO_SLOT) {
            answer_error(a, BK_ERR_UNKNOWN_SERVICE);
            return;
        }
    }
    config_effective(r->config, name, &policy, origins);
    struct bk_json j = orders_begin(a);
    if (q->is_all) {
        bk_json_null(&j, "service");
    } else {
        bk_json_string(&j, "service", name);
    }
    bk_json_open(&j, "config", '{');
    for (size_t key = 0; key < bk_key_count(); key++) {
        bk_text_init(&t, value, sizeof(value));
        bk_policy_print(&policy, key, &t);
        bk_json_open(&j, bk_key_name(key), '{');
        bk_json_string(&j, "value", value);
        bk_json_string(&j, "origin",
                       bk_origin_name((enum bk_origin)origins[key]));
        bk_json_close(&j, '}');
    }
    bk_json_close(&j, '}');
    bk_json_close(&j, '}');
}

void
orders_reload(struct answer *a, const struct bk_request *q)
{
    struct registry *r = a->commands->registry;
    char sentence[512];
    struct bk_text error;
    (void)q;
    bk_text_init(&error, sentence, sizeof(sentence));
    if (!config_reload(r->config, &error)) {
        bk_write_error(a->out, BK_ERR_BAD_REQUEST, sentence);
        return;
    }
    registry_reconfigure(r, a->now_ns);
    registry_record(r, a->now_ns, "*", a->peer->actor, "reload", 6);
    struct bk_json j = orders_begin(a);
    bk_json_u64(&j, "services", bk_fleet_count(r->fleet));
    bk_json_close(&j, '}');
    a->needs_disk = true;
}

/* ---- HISTORY, BACKUP, FORGET ---- */

/* The store answers later, with this ticket. */
static uint64_t
await_store(struct answer *a)
{
    uint64_t ticket = ++a->commands->tickets;
    size_t index = reply_add_due(a->reply);
    if (!a->reply->is_short) {
        a->reply->answers[index].ticket = ticket;
    }
    a->is_later = true;
    return ticket;
}

void
orders_history(struct answer *a, const struct bk_request *q)
{
    struct registry *r = a->commands->registry;
    char name[BK_NAME_SIZE];
    if (!q->is_all &&
        bk_fleet_find(r->fleet, q->service.at, q->service.len) == BK_NO_SLOT) {
        answer_error(a, BK_ERR_UNKNOWN_SERVICE);
        return;
    }
    bk_copy_text(name, sizeof(name), q->service.at, q->service.len);
    store_ask_history(r->store, q->is_all ? NULL : name,
                      q->count < HISTORY_MAX ? q->count : HISTORY_MAX, q->id,
                      await_store(a));
    store_flush(r->store);
}

/* All that changed is put before, so that it is in the copy. */
void
orders_backup(struct answer *a, const struct bk_request *q)
{
    struct registry *r = a->commands->registry;
    char path[BK_LINE_MAX + 1];
    char line[BK_REASON_SIZE];
    struct bk_text t;
    bk_copy_text(path, sizeof(path), q->text.at, q->text.len);
    bk_text_init(&t, line, sizeof(line));
    bk_text_put(&t, "backup: ");
    bk_text_put(&t, path);
    registry_record(r, a->now_ns, "*", a->peer->actor, line, t.len);
    registry_save(r, a->now_ns, UINT32_MAX);
    store_ask_copy(r->store, path, q->is_allowed, await_store(a));
    store_flush(r->store);
}

static void
fill_answer(struct reply *reply, size_t index, const struct store_done *done)
{
    size_t len = done->json != NULL ? done->json_len : 0;
    char *line = malloc(len + FILL_ROOM);
    struct bk_text t;
    if (line == NULL) {
        reply->is_short = true;
        reply_fill(reply, index, NULL, 0);
        return;
    }
    bk_text_init(&t, line, len + FILL_ROOM);
    if (done->json != NULL) {
        bk_text_put(&t, "OK ");
        bk_text_put_n(&t, done->json, len);
    } else {
        bk_write_error(&t, BK_ERR_UNAVAILABLE, done->text);
    }
    reply_fill(reply, index, line, t.len);
}

void
orders_fill(struct reply *waiting, const struct store_done *done)
{
    for (struct reply *r = waiting; r != NULL; r = r->next) {
        for (size_t i = 0; i < r->count; i++) {
            if (r->answers[i].is_due && r->answers[i].ticket == done->ticket) {
                fill_answer(r, i, done);
                return;
            }
        }
    }
}

void
orders_forget(struct answer *a, const struct bk_request *q)
{
    struct registry *r = a->commands->registry;
    uint32_t slot = bk_fleet_find(r->fleet, q->service.at, q->service.len);
    if (slot == BK_NO_SLOT) {
        answer_error(a, BK_ERR_UNKNOWN_SERVICE);
        return;
    }
    char name[BK_NAME_SIZE];
    const struct bk_service *s = bk_fleet_service(r->fleet, slot);
    uint64_t generation = s->breaker.generation;
    memcpy(name, s->name, sizeof(name));
    registry_record(r, a->now_ns, name, a->peer->actor, "forget", 6);
    bk_fleet_forget(r->fleet, name, strlen(name));
    config_forget(r->config, name);
    r->job = store_put_forgotten(r->store, name, generation);
    struct bk_json j = orders_begin(a);
    bk_json_string(&j, "service", name);
    bk_json_u64(&j, "generation", generation);
    bk_json_close(&j, '}');
    a->needs_disk = true;
}
