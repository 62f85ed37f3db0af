/* SPDX-License-Identifier: Apache-2.0
 *
 * A bare DEALER that speaks BRK/1: load for a daemon, and for an echo of the same
 * frames.
 *
 *   breaker-bench-dealer ENDPOINT */
#define _GNU_SOURCE
#include "tools/bench/bench_player.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#define WAIT_MS 10000
#define LINE_SIZE 128
#define LINES_MAX 10000
/* The most lines a message may carry. */
#define MESSAGE_LINES 1000

static void *dealer;
/* One line a service, made once for each kind of block. */
static struct {
    char text[LINES_MAX][LINE_SIZE];
    size_t lengths[LINES_MAX];
    size_t count;
    char kind[LINE_SIZE];
} lines;

/* `how` has one %s, for the service's name. */
static void
prepare(const char *how, uint64_t services)
{
    char kind[LINE_SIZE];
    size_t count = services > LINES_MAX ? LINES_MAX : (size_t)services;

    snprintf(kind, sizeof kind, "%s %zu", how, count);
    if (strcmp(kind, lines.kind) == 0)
        return;
    memcpy(lines.kind, kind, sizeof kind);
    lines.count = count == 0 ? 1 : count;
    for (size_t i = 0; i < lines.count; i++) {
        int len = snprintf(lines.text[i], LINE_SIZE, "%s ", how);

        if (count == 0)
            len +=
                snprintf(lines.text[i] + len, LINE_SIZE - (size_t)len, "bench");
        else
            len += snprintf(lines.text[i] + len, LINE_SIZE - (size_t)len, "s%u",
                            (unsigned)(i * 7919 % count));
        if (strncmp(how, "REPORT", 6) == 0)
            len += snprintf(lines.text[i] + len, LINE_SIZE - (size_t)len,
                            " 0 - success 700");
        lines.lengths[i] = (size_t)len;
    }
}

static bool
put_line(uint64_t number, bool is_more)
{
    size_t at = (size_t)(number % lines.count);

    return zmq_send(dealer, lines.text[at], lines.lengths[at],
                    is_more ? ZMQ_SNDMORE : 0) >= 0;
}

/* One message; its last frame must not be a refusal. Returns its frames. */
static int
hear(void)
{
    char frame[LINE_SIZE];
    int more = 1;
    int frames = 0;
    size_t size = sizeof more;

    while (more != 0) {
        int len = zmq_recv(dealer, frame, sizeof frame, 0);

        if (len < 0)
            return 0;
        zmq_getsockopt(dealer, ZMQ_RCVMORE, &more, &size);
        frames++;
    }
    return frame[0] == 'D' || frame[0] == 'E' ? 0 : frames;
}

/* With an id of eight octets, as libbreaker sends. */
static bool
trip(struct player_told *told)
{
    static uint64_t id;

    id++;
    zmq_send(dealer, &id, sizeof id, ZMQ_SNDMORE);
    zmq_send(dealer, "", 0, ZMQ_SNDMORE);
    return (put_line(0, false) && hear() == 3) ||
           player_fail(told, "no answer, or a refusal");
}

/* trip COUNT [PAUSE_US]: the median of round trips of ACQUIRE. */
static bool
play_trip(const struct player_order *order, struct player_told *told)
{
    prepare("ACQUIRE", 0);
    return player_median(told, order->count,
                         (int64_t)player_number(order, 0, 0) * 1000, trip);
}

/* flow COUNT [WINDOW [SERVICES]]: so many ACQUIREs under way at once. */
static bool
play_flow(const struct player_order *order, struct player_told *told)
{
    uint64_t window = player_number(order, 0, 100);
    uint64_t sent = 0;

    prepare("ACQUIRE", player_number(order, 1, 0));
    player_begin(told);
    for (uint64_t heard = 0; heard < order->count; heard++) {
        for (; sent < order->count && sent < heard + window; sent++) {
            zmq_send(dealer, "", 0, ZMQ_SNDMORE);
            if (!put_line(sent, false))
                return player_fail(told, "cannot send");
        }
        if (hear() != 2)
            return player_fail(told, "no answer, or a refusal");
    }
    player_end(told, order->count);
    return true;
}

/* All that was sent has been carried out. */
static bool
sync_up(void)
{
    zmq_send(dealer, "", 0, ZMQ_SNDMORE);
    return zmq_send(dealer, "PING", 4, 0) >= 0 && hear() == 2;
}

/* tell COUNT [LINES [SERVICES]]: REPORTQs, so many a message. */
static bool
play_tell(const struct player_order *order, struct player_told *told)
{
    uint64_t wanted = player_number(order, 0, 100);
    uint64_t together = wanted > 0 ? wanted : 1;
    /* Before it is asked whether they came through: seldom, as the answer waits until
     * all is published. */
    uint64_t stretch = 5000 * together;
    uint64_t sent = 0;

    prepare("REPORTQ", player_number(order, 1, 0));
    player_begin(told);
    while (sent < order->count) {
        zmq_send(dealer, "", 0, ZMQ_SNDMORE);
        for (uint64_t i = 0; i < together; i++) {
            if (!put_line(sent + i, i + 1 < together))
                return player_fail(told, "cannot send");
        }
        sent += together;
        if ((sent % stretch == 0 || sent >= order->count) && !sync_up())
            return player_fail(told, "no answer to PING");
    }
    player_end(told, sent);
    return true;
}

/* One line for each of so many services, all answered. */
static bool
tell_each(const char *how, uint64_t count)
{
    prepare(how, count);
    for (uint64_t done = 0; done < count;) {
        uint64_t now = count - done;

        if (now > MESSAGE_LINES)
            now = MESSAGE_LINES;
        zmq_send(dealer, "", 0, ZMQ_SNDMORE);
        for (uint64_t i = 0; i < now; i++)
            put_line(done + i, i + 1 < now);
        if (hear() != (int)now + 1)
            return false;
        done += now;
    }
    return true;
}

/* make COUNT: that many services come to be, each with a call made and reported. */
static bool
play_make(const struct player_order *order, struct player_told *told)
{
    player_begin(told);
    if (!tell_each("ACQUIRE", order->count) ||
        !tell_each("REPORT", order->count))
        return player_fail(told, "services were refused");
    player_end(told, order->count);
    return true;
}

int
main(int argc, char **argv)
{
    static const struct player_row rows[] = {
        {"trip", play_trip},
        {"flow", play_flow},
        {"tell", play_tell},
        {"make", play_make},
    };
    int wait_ms = WAIT_MS;
    int status;

    dealer = zmq_socket(zmq_ctx_new(), ZMQ_DEALER);
    zmq_setsockopt(dealer, ZMQ_RCVTIMEO, &wait_ms, sizeof wait_ms);
    zmq_setsockopt(dealer, ZMQ_SNDTIMEO, &wait_ms, sizeof wait_ms);
    if (argc != 2 || zmq_connect(dealer, argv[1]) != 0) {
        fprintf(stderr, "usage: breaker-bench-dealer ENDPOINT\n");
        return 2;
    }
    status = player_serve(rows, sizeof rows / sizeof rows[0]);
    fflush(stdout);
    /* Nothing more is to be sent: no reason to wait for libzmq. */
    _exit(status);
}
