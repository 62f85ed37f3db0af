/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store_box.h"
#include "daemon/log.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Room that an emptied box keeps for its next use. */
#define KEPT 256

/* A box is bounded, so this fails only where the machine has nothing left. The
 * daemon then ends rather than lose a row it said it would save: the segment
 * holds the state, and the next daemon adopts it. */
static void *
grow(void *old, size_t count, size_t size)
{
    void *memory = realloc(old, count * size);

    if (memory == NULL) {
        log_line(LOG_ERROR, "store: out of memory");
        abort();
    }
    return memory;
}

static size_t
bucket_for(const struct store_box *b, const char *name)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

    for (const char *c = name; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    return (size_t)(hash ^ (hash >> 32)) & (b->bucket_count - 1);
}

/* The bucket of `name`, or the empty one where it would go. */
static uint32_t *
seek(const struct store_box *b, const char *name)
{
    size_t at = bucket_for(b, name);

    while (b->buckets[at] != 0 &&
           strcmp(b->entries[b->buckets[at] - 1].name, name) != 0)
        at = (at + 1) & (b->bucket_count - 1);
    return &b->buckets[at];
}

/* Twice the room; buckets stay at most half full. */
static void
make_room(struct store_box *b)
{
    b->entry_room = b->entry_room == 0 ? 64 : 2 * b->entry_room;
    b->entries = grow(b->entries, b->entry_room, sizeof *b->entries);
    b->bucket_count = 2 * b->entry_room;
    b->buckets = grow(b->buckets, b->bucket_count, sizeof *b->buckets);
    memset(b->buckets, 0, b->bucket_count * sizeof *b->buckets);
    for (size_t i = 0; i < b->entry_count; i++)
        *seek(b, b->entries[i].name) = (uint32_t)i + 1;
}

/* The entry of a name, a new one when `limit` allows it; else NULL. */
static struct store_entry *
entry_of(struct store_box *b, const char *name, size_t limit)
{
    uint32_t *bucket;
    struct store_entry *e;

    if (b->entry_count == b->entry_room)
        make_room(b);
    bucket = seek(b, name);
    if (*bucket != 0)
        return &b->entries[*bucket - 1];
    if (b->entry_count >= limit) {
        b->dropped++;
        return NULL;
    }
    e = &b->entries[b->entry_count++];
    memset(e, 0, sizeof *e);
    bk_copy_text(e->name, sizeof e->name, name, strlen(name));
    *bucket = (uint32_t)b->entry_count;
    return e;
}

static void
free_settings(struct store_entry *e)
{
    while (e->settings != NULL) {
        struct store_setting *next = e->settings->next;

        free(e->settings);
        e->settings = next;
    }
}

void
store_box_put_event(struct store_box *b, const struct bk_past *event)
{
    if (b->event_count == STORE_EVENTS_MAX) {
        b->event_first = (b->event_first + 1) % STORE_EVENTS_MAX;
        b->event_count--;
        b->dropped++;
    } else if (b->event_count == b->event_room) {
        /* The ring turns only when it is full, so this is no ring yet. */
        assert(b->event_first == 0);
        b->event_room = b->event_room == 0 ? 64 : 2 * b->event_room;
        if (b->event_room > STORE_EVENTS_MAX)
            b->event_room = STORE_EVENTS_MAX;
        b->events = grow(b->events, b->event_room, sizeof *b->events);
    }
    b->events[(b->event_first + b->event_count) % b->event_room] = *event;
    b->event_count++;
}

void
store_box_put_service(struct store_box *b, const struct bk_saved *saved,
                      int64_t wall_ms)
{
    struct store_entry *e = entry_of(b, saved->name, STORE_NAMES_MAX);

    if (e == NULL)
        return;
    e->has_row = true;
    e->saved = *saved;
    e->wall_ms = wall_ms;
}

/* Settings are bounded where operators SET them, so they find room always. */
void
store_box_put_setting(struct store_box *b, const char *service, const char *key,
                      const char *value)
{
    struct store_entry *e = entry_of(b, service, SIZE_MAX);
    struct store_setting *setting = e->settings;

    while (setting != NULL && strcmp(setting->key, key) != 0)
        setting = setting->next;
    if (setting == NULL) {
        setting = grow(NULL, 1, sizeof *setting);
        bk_copy_text(setting->key, sizeof setting->key, key, strlen(key));
        setting->next = e->settings;
        e->settings = setting;
    }
    setting->is_removed = value == NULL;
    bk_copy_text(setting->value, sizeof setting->value,
                 value != NULL ? value : "", value != NULL ? strlen(value) : 0);
}

void
store_box_put_forgotten(struct store_box *b, const char *name,
                        uint64_t generation)
{
    struct store_entry *e = entry_of(b, name, STORE_NAMES_MAX);

    if (e == NULL)
        return;
    free_settings(e);
    e->has_row = false;
    e->is_forgotten = true;
    e->generation = generation;
}

void
store_box_put_meta(struct store_box *b, const struct store_meta *meta)
{
    b->meta = *meta;
    b->has_meta = true;
}

void
store_box_put_leap(struct store_box *b)
{
    b->has_leap = true;
}

bool
store_box_put_ask(struct store_box *b, const struct store_ask *ask)
{
    if (b->ask_count >= STORE_ASKS_MAX)
        return false;
    if (b->ask_count == b->ask_room) {
        b->ask_room = b->ask_room == 0 ? 8 : 2 * b->ask_room;
        b->asks = grow(b->asks, b->ask_room, sizeof *b->asks);
    }
    b->asks[b->ask_count++] = *ask;
    return true;
}

bool
store_box_take_ask(struct store_box *b, struct store_ask *out)
{
    if (b->ask_count == 0)
        return false;
    *out = b->asks[0];
    b->ask_count--;
    memmove(b->asks, b->asks + 1, b->ask_count * sizeof *b->asks);
    return true;
}

const struct bk_past *
store_box_event(const struct store_box *b, size_t i)
{
    assert(i < b->event_count);
    return &b->events[(b->event_first + i) % b->event_room];
}

size_t
store_box_count(const struct store_box *b)
{
    return b->entry_count + b->event_count + (b->has_meta ? 1 : 0) +
           (b->has_leap ? 1 : 0);
}

static void
merge_entry(struct store_box *to, const struct store_entry *e)
{
    if (e->is_forgotten)
        store_box_put_forgotten(to, e->name, e->generation);
    if (e->has_row)
        store_box_put_service(to, &e->saved, e->wall_ms);
    for (const struct store_setting *s = e->settings; s != NULL; s = s->next)
        store_box_put_setting(to, e->name, s->key,
                              s->is_removed ? NULL : s->value);
}

static bool
is_empty(const struct store_box *b)
{
    return store_box_count(b) == 0 && b->ask_count == 0 && b->last_job == 0 &&
           b->dropped == 0;
}

void
store_box_merge(struct store_box *to, struct store_box *from)
{
    struct store_ask ask;

    if (is_empty(to)) {
        struct store_box empty = *to;

        *to = *from;
        *from = empty;
        return;
    }
    for (size_t i = 0; i < from->entry_count; i++)
        merge_entry(to, &from->entries[i]);
    for (size_t i = 0; i < from->event_count; i++)
        store_box_put_event(to, store_box_event(from, i));
    if (from->has_leap)
        store_box_put_leap(to);
    if (from->has_meta)
        store_box_put_meta(to, &from->meta);
    while (store_box_take_ask(from, &ask)) {
        bool has_room = store_box_put_ask(to, &ask);

        assert(has_room); /* asks out are counted over all boxes */
    }
    if (from->last_job > to->last_job)
        to->last_job = from->last_job;
    to->dropped += from->dropped;
    store_box_written(from);
    from->dropped = 0;
}

/* Room beyond the ordinary is given back. */
static void *
shrink(void *memory, size_t *room)
{
    if (*room <= KEPT)
        return memory;
    free(memory);
    *room = 0;
    return NULL;
}

void
store_box_written(struct store_box *b)
{
    for (size_t i = 0; i < b->entry_count; i++)
        free_settings(&b->entries[i]);
    b->entry_count = 0;
    b->entries = shrink(b->entries, &b->entry_room);
    if (b->entries == NULL) {
        free(b->buckets);
        b->buckets = NULL;
        b->bucket_count = 0;
    } else {
        memset(b->buckets, 0, b->bucket_count * sizeof *b->buckets);
    }
    b->event_count = 0;
    b->event_first = 0;
    b->events = shrink(b->events, &b->event_room);
    b->has_meta = false;
    b->has_leap = false;
    b->last_job = 0;
}

void
store_box_free(struct store_box *b)
{
    store_box_written(b);
    free(b->entries);
    free(b->buckets);
    free(b->events);
    free(b->asks);
    memset(b, 0, sizeof *b);
}
