/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/bench/bench_player.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

static int64_t
read_clock(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

int64_t
player_clock_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t
player_cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t
player_thread_cpu_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void
player_pause_ns(int64_t ns)
{
    struct timespec t = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};

    nanosleep(&t, NULL);
}

void
player_begin(struct player_told *told)
{
    told->cpu_ns = player_cpu_ns();
    told->began_ns = player_clock_ns();
}

void
player_end(struct player_told *told, uint64_t ops)
{
    told->ended_ns = player_clock_ns();
    told->cpu_ns = player_cpu_ns() - told->cpu_ns;
    told->ns = told->ended_ns - told->began_ns;
    told->ops = ops;
}

bool
player_fail(struct player_told *told, const char *why)
{
    snprintf(told->why, sizeof told->why, "%s", why);
    return false;
}

uint64_t
player_number(const struct player_order *order, size_t word, uint64_t otherwise)
{
    return word < order->word_count ? strtoull(order->words[word], NULL, 10)
                                    : otherwise;
}

static int
by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

int64_t
player_share(int64_t *values, size_t count, double share)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, by_value);
    return values[(size_t)(share * (double)(count - 1))];
}

bool
player_median(struct player_told *told, uint64_t count, int64_t pause_ns,
              bool (*once)(struct player_told *told))
{
    static int64_t took_ns[PLAYER_SAMPLES_MAX];

    if (count > PLAYER_SAMPLES_MAX)
        count = PLAYER_SAMPLES_MAX;
    player_begin(told);
    for (uint64_t i = 0; i < count; i++) {
        int64_t began_ns;

        if (pause_ns > 0)
            player_pause_ns(pause_ns);
        began_ns = player_clock_ns();
        if (!once(told))
            return false;
        took_ns[i] = player_clock_ns() - began_ns;
    }
    player_end(told, count);
    told->ns = player_share(took_ns, (size_t)count, 0.5) * (int64_t)count;
    return true;
}

/* ---- orders in, answers out ---- */

static void
answer(bool is_played, const struct player_told *told)
{
    if (!is_played) {
        printf("no %s\n", told->why[0] != '\0' ? told->why : "it failed");
        return;
    }
    printf("ok %" PRIu64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64,
           told->ops, told->began_ns, told->ended_ns, told->ns, told->cpu_ns);
    for (size_t i = 0; i < told->more_count; i++)
        printf(" %.17g", told->more[i]);
    putchar('\n');
}

static void
play(const struct player_row *rows, size_t count, char *line)
{
    struct player_told told = {0};
    struct player_order order = {0};
    char *rest = NULL;
    const char *name = strtok_r(line, " \n", &rest);
    const char *number = strtok_r(NULL, " \n", &rest);
    const char *word;

    order.count = number != NULL ? strtoull(number, NULL, 10) : 0;
    while (order.word_count < PLAYER_WORDS_MAX &&
           (word = strtok_r(NULL, " \n", &rest)) != NULL)
        order.words[order.word_count++] = word;
    for (size_t i = 0; name != NULL && i < count; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            answer(rows[i].play(&order, &told), &told);
            return;
        }
    }
    player_fail(&told, "there is no such block");
    answer(false, &told);
}

int
player_serve(const struct player_row *rows, size_t count)
{
    char line[PLAYER_LINE_MAX];

    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin) != NULL)
        play(rows, count, line);
    return 0;
}
