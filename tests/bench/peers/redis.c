/* SPDX-License-Identifier: Apache-2.0
 *
 * A breaker in Redis that processes share: one EVALSHA decides, one reports, over
 * a unix socket.
 *
 *   redis SOCKET */
#define _GNU_SOURCE
#include "tools/bench/bench_player.h"
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SHA_SIZE 41
#define WAIT_S 10

/* state 1 is open until a time, state 2 lets one probe out. */
static const char script[] =
    "local s = redis.call('HMGET', KEYS[1], 'state', 'until')\n"
    "if s[1] == '1' then\n"
    "  if tonumber(ARGV[1]) < tonumber(s[2]) then\n"
    "    return {0, s[2]}\n"
    "  end\n"
    "  redis.call('HSET', KEYS[1], 'state', 2)\n"
    "elseif s[1] == '2' then\n"
    "  return {0, 0}\n"
    "end\n"
    "redis.call('HINCRBY', KEYS[1], 'calls', 1)\n"
    "return {1, 0}\n";

static redisContext *redis;
static char sha[SHA_SIZE];

static bool
connect_to(const char *path)
{
    struct timeval patience = {.tv_sec = WAIT_S};
    redisReply *reply;

    redis = redisConnectUnixWithTimeout(path, patience);
    if (redis == NULL || redis->err != 0)
        return false;
    redisSetTimeout(redis, patience);
    reply = redisCommand(redis, "SCRIPT LOAD %s", script);
    if (reply == NULL || reply->type != REDIS_REPLY_STRING)
        return false;
    snprintf(sha, sizeof sha, "%s", reply->str);
    freeReplyObject(reply);
    return true;
}

static bool
is_allow(redisReply *reply)
{
    bool is = reply != NULL && reply->type == REDIS_REPLY_ARRAY &&
              reply->elements == 2 && reply->element[0]->integer == 1;

    if (reply != NULL)
        freeReplyObject(reply);
    return is;
}

static bool
trip(struct player_told *told)
{
    return is_allow(redisCommand(redis, "EVALSHA %s 1 bench %lld", sha,
                                 (long long)player_clock_ns())) ||
           player_fail(told, "redis denied or failed");
}

/* The median of single round trips. */
static bool
play_trip(const struct player_order *order, struct player_told *told)
{
    return player_median(told, order->count,
                         (int64_t)player_number(order, 0, 0) * 1000, trip);
}

/* So many under way at once. */
static bool
play_flow(const struct player_order *order, struct player_told *told)
{
    uint64_t window = player_number(order, 0, 100);
    uint64_t allowed = 0;

    player_begin(told);
    for (uint64_t done = 0; done < order->count; done += window) {
        long long now_ns = (long long)player_clock_ns();

        for (uint64_t i = 0; i < window; i++)
            redisAppendCommand(redis, "EVALSHA %s 1 bench %lld", sha, now_ns);
        for (uint64_t i = 0; i < window; i++) {
            void *reply = NULL;

            if (redisGetReply(redis, &reply) != REDIS_OK || !is_allow(reply))
                return player_fail(told, "redis denied or failed");
            allowed++;
        }
    }
    player_end(told, allowed);
    return true;
}

int
main(int argc, char **argv)
{
    static const struct player_row rows[] = {
        {"trip", play_trip},
        {"flow", play_flow},
    };

    if (argc != 2 || !connect_to(argv[1])) {
        fprintf(stderr, "redis: %s\n",
                argc != 2       ? "usage: redis SOCKET"
                : redis == NULL ? "no memory"
                                : redis->errstr);
        return 1;
    }
    return player_serve(rows, sizeof rows / sizeof rows[0]);
}
