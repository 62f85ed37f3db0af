/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/events.h"
#include "core/json.h"
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

/* Events that may wait for the disk. */
#define EVENTS_MAX 10000

struct waiting {
    uint64_t job;
    bool is_transition;
    struct bk_past line;
};

struct events {
    void *socket;
    struct waiting *ring;
    uint32_t first;
    uint32_t count;
    uint64_t dropped;
    void (*told)(void *context, const struct bk_past *line);
    void *context;
};

struct events *
events_open(void *socket)
{
    struct events *e = calloc(1, sizeof(*e));
    if (e != NULL) {
        e->socket = socket;
        e->ring = calloc(EVENTS_MAX, sizeof(*e->ring));
        if (e->ring == NULL) {
            events_close(&e);
        }
    }
    return e;
}

void
events_close(struct events **e)
{
    if (*e != NULL) {
        free((*e)->ring);
        free(*e);
        *e = NULL;
    }
}

void
events_listen(struct events *e,
              void (*told)(void *context, const struct bk_past *line),
              void *context)
{
    e->told = told;
    e->context = context;
}

void
events_put(struct events *e, uint64_t job, const struct bk_past *line,
           bool is_transition)
{
    if (e->count == EVENTS_MAX) {
        e->first = (e->first + 1) % EVENTS_MAX;
        e->count--;
        e->dropped++;
    }
    e->ring[(e->first + e->count) % EVENTS_MAX] = (struct waiting){
        .job = job, .is_transition = is_transition, .line = *line};
    e->count++;
}

static void
send(struct events *e, const struct bk_past *event)
{
    char topic[BK_NAME_SIZE + 16];
    char body[2048];
    char at[BK_INSTANT_SIZE];
    struct bk_text t;
    struct bk_text json;
    struct bk_json j;

    bk_text_init(&t, topic, sizeof(topic));
    bk_text_put(&t, "breaker.");
    bk_text_put(&t, event->service);
    bk_instant_format(event->wall_ms, at);
    bk_text_init(&json, body, sizeof(body));
    bk_json_init(&j, &json);
    bk_json_open(&j, NULL, '{');
    bk_json_u64(&j, "seq", event->seq);
    bk_json_string(&j, "service", event->service);
    bk_json_string(&j, "from", bk_state_name((enum bk_state)event->from));
    bk_json_string(&j, "to", bk_state_name((enum bk_state)event->to));
    bk_json_string(&j, "mode", bk_mode_name((enum bk_mode)event->mode));
    bk_json_string(&j, "reason", bk_cause_name((enum bk_cause)event->cause));
    bk_json_u64(&j, "generation", event->generation);
    bk_json_string(&j, "actor", event->actor);
    bk_json_string(&j, "at", at);
    bk_json_close(&j, '}');
    /* A subscriber that cannot keep up loses events; it has history. */
    if (e->socket != NULL &&
        zmq_send(e->socket, topic, t.len, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0) {
        zmq_send(e->socket, body, json.len, ZMQ_DONTWAIT);
    }
}

void
events_saved(struct events *e, uint64_t job,
             void (*saved)(void *context, const struct bk_past *line),
             void *context)
{
    while (e->count > 0 && e->ring[e->first].job <= job) {
        const struct waiting *w = &e->ring[e->first];
        if (w->is_transition) {
            send(e, &w->line);
        }
        if (w->is_transition && e->told != NULL) {
            e->told(e->context, &w->line);
        }
        if (saved != NULL) {
            saved(context, &w->line);
        }
        e->first = (e->first + 1) % EVENTS_MAX;
        e->count--;
    }
}

uint64_t
events_dropped(const struct events *e)
{
    return e->dropped;
}
