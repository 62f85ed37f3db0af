/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client_stage.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#define LINES_MAX 20000
#define ENVELOPE_MAX 5
#define HELD_MAX 64
#define POLL_MS 2

/* A reply not yet sent: its envelope and its answers. */
struct held {
    zmq_msg_t envelope[ENVELOPE_MAX];
    uint32_t depth;
    char answers[8][4096];
    uint32_t count;
};

struct fake {
    pthread_t thread;
    pthread_mutex_t lock;
    void *context;
    void *socket;
    fake_player *player;
    void *player_context;
    char *lines[LINES_MAX];
    uint32_t line_count;
    struct held held[HELD_MAX];
    uint32_t held_count;
    uint32_t turns;
    bool is_muted;
    bool is_over;
};

int64_t
mono_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * BK_NS_PER_S + t.tv_nsec;
}

void
sleep_ms(int64_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000,
                         .tv_nsec = (ms % 1000) * BK_NS_PER_MS};

    while (nanosleep(&t, &t) != 0)
        ;
}

/* ---- one message ---- */

static void
play_line(struct fake *f, struct held *reply, const char *data, size_t len)
{
    char line[1100] = "";
    char *answer = reply->answers[reply->count];

    bk_copy_text(line, sizeof line, data, len);
    pthread_mutex_lock(&f->lock);
    if (f->line_count < LINES_MAX)
        f->lines[f->line_count++] = strdup(line);
    pthread_mutex_unlock(&f->lock);
    answer[0] = '\0';
    f->player(f->player_context, line, answer, sizeof reply->answers[0]);
    if (answer[0] != '\0' && reply->count < 7)
        reply->count++;
}

static bool
take_message(struct fake *f, struct held *reply)
{
    bool is_body = false;
    zmq_msg_t frame;
    int more = 1;

    reply->depth = 0;
    reply->count = 0;
    while (more) {
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, f->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&frame);
            return false;
        }
        more = zmq_msg_more(&frame);
        if (is_body) {
            play_line(f, reply, zmq_msg_data(&frame), zmq_msg_size(&frame));
        } else if (zmq_msg_size(&frame) == 0) {
            is_body = true;
        } else if (reply->depth < ENVELOPE_MAX) {
            zmq_msg_init(&reply->envelope[reply->depth]);
            zmq_msg_move(&reply->envelope[reply->depth++], &frame);
        }
        zmq_msg_close(&frame);
    }
    return true;
}

static void
send_reply(struct fake *f, struct held *reply)
{
    for (uint32_t i = 0; i < reply->depth; i++) {
        if (reply->count == 0 ||
            zmq_msg_send(&reply->envelope[i], f->socket, ZMQ_SNDMORE) < 0)
            zmq_msg_close(&reply->envelope[i]);
    }
    if (reply->count == 0)
        return;
    zmq_send(f->socket, "", 0, ZMQ_SNDMORE);
    for (uint32_t i = 0; i < reply->count; i++)
        zmq_send(f->socket, reply->answers[i], strlen(reply->answers[i]),
                 i + 1 < reply->count ? ZMQ_SNDMORE : 0);
}

static void
turn(struct fake *f)
{
    bool is_muted;

    pthread_mutex_lock(&f->lock);
    is_muted = f->is_muted;
    f->turns++;
    pthread_mutex_unlock(&f->lock);
    if (!is_muted) {
        for (uint32_t i = 0; i < f->held_count; i++)
            send_reply(f, &f->held[i]);
        f->held_count = 0;
    }
    while (f->held_count < HELD_MAX &&
           take_message(f, &f->held[f->held_count])) {
        if (is_muted)
            f->held_count++;
        else
            send_reply(f, &f->held[f->held_count]);
    }
}

static bool
is_over(struct fake *f)
{
    bool answer;

    pthread_mutex_lock(&f->lock);
    answer = f->is_over;
    pthread_mutex_unlock(&f->lock);
    return answer;
}

static void *
run(void *context)
{
    struct fake *f = context;

    while (!is_over(f)) {
        zmq_pollitem_t item = {.socket = f->socket, .events = ZMQ_POLLIN};

        zmq_poll(&item, 1, POLL_MS);
        turn(f);
    }
    return NULL;
}

struct fake *
fake_new(const char *dir, fake_player *player, void *context)
{
    struct fake *f = calloc(1, sizeof *f);
    char endpoint[160];
    int zero = 0;

    snprintf(endpoint, sizeof endpoint, "ipc://%s/worker.sock", dir);
    pthread_mutex_init(&f->lock, NULL);
    f->player = player;
    f->player_context = context;
    f->context = zmq_ctx_new();
    f->socket = zmq_socket(f->context, ZMQ_ROUTER);
    zmq_setsockopt(f->socket, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(f->socket, ZMQ_SNDHWM, &zero, sizeof zero);
    zmq_setsockopt(f->socket, ZMQ_RCVHWM, &zero, sizeof zero);
    if (zmq_bind(f->socket, endpoint) != 0 ||
        pthread_create(&f->thread, NULL, run, f) != 0)
        abort();
    return f;
}

void
fake_free(struct fake **fake)
{
    struct fake *f = *fake;

    if (f == NULL)
        return;
    pthread_mutex_lock(&f->lock);
    f->is_over = true;
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    for (uint32_t i = 0; i < f->held_count; i++) {
        for (uint32_t k = 0; k < f->held[i].depth; k++)
            zmq_msg_close(&f->held[i].envelope[k]);
    }
    zmq_close(f->socket);
    zmq_ctx_term(f->context);
    for (uint32_t i = 0; i < f->line_count; i++)
        free(f->lines[i]);
    pthread_mutex_destroy(&f->lock);
    free(f);
    *fake = NULL;
}

void
fake_mute(struct fake *f, bool is_muted)
{
    uint32_t before;
    uint32_t now;

    pthread_mutex_lock(&f->lock);
    f->is_muted = is_muted;
    before = f->turns;
    now = before;
    pthread_mutex_unlock(&f->lock);
    /* A turn that began earlier is over: it knew nothing of it. */
    while (now - before < 2) {
        sleep_ms(1);
        pthread_mutex_lock(&f->lock);
        now = f->turns;
        pthread_mutex_unlock(&f->lock);
    }
}

/* ---- what it heard ---- */

bool
fake_line(struct fake *f, const char *prefix, uint32_t n, char line[1100])
{
    bool is_there = false;

    pthread_mutex_lock(&f->lock);
    for (uint32_t i = 0; i < f->line_count && !is_there; i++) {
        if (strncmp(f->lines[i], prefix, strlen(prefix)) == 0 && n-- == 0) {
            bk_copy_text(line, 1100, f->lines[i], strlen(f->lines[i]));
            is_there = true;
        }
    }
    pthread_mutex_unlock(&f->lock);
    return is_there;
}

uint32_t
fake_count(struct fake *f, const char *prefix)
{
    uint32_t count = 0;

    pthread_mutex_lock(&f->lock);
    for (uint32_t i = 0; i < f->line_count; i++)
        count += strncmp(f->lines[i], prefix, strlen(prefix)) == 0;
    pthread_mutex_unlock(&f->lock);
    return count;
}

bool
fake_wait(struct fake *f, const char *prefix, uint32_t count)
{
    for (int i = 0; i < 400; i++) {
        if (fake_count(f, prefix) >= count)
            return true;
        sleep_ms(5);
    }
    return false;
}
