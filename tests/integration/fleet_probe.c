/* SPDX-License-Identifier: Apache-2.0
 *
 * Many processes ask at the moment a circuit turns from open to half-open, over
 * and over. Checks that exactly one of them is allowed each time.
 *
 *   fleet_probe --dir DIR [--processes N] [--rounds N] [--recovery-ms N] */
#include "core/segment.h"
#include "herd.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE "probed"
#define PROCESSES_MAX 256
/* How long before the moment workers stop sleeping and ask without pause. */
#define EARLY_NS (8 * BK_NS_PER_MS)

struct winner {
    uint64_t permit;
    uint64_t generation;
};

struct board {
    int64_t due_ns;
    bool is_over;
    struct winner winners[PROCESSES_MAX]; /* permit 0: was denied */
    uint64_t asked_early[PROCESSES_MAX];
};

static struct {
    const char *dir;
    unsigned processes;
    uint64_t rounds;
    struct board *board;
} run;

/* Asks until the circuit is no longer open. */
static void
ask_at_the_moment(struct line *line, unsigned index)
{
    struct winner *mine = &run.board->winners[index];
    *mine = (struct winner){0};
    herd_sleep_until(run.board->due_ns - EARLY_NS);
    for (;;) {
        const char *answer = line_ask(line, "ACQUIRE " SERVICE);
        uint64_t permit = 0;
        uint64_t generation = 0;
        if (line_says(answer, "DENY " SERVICE " open ")) {
            run.board->asked_early[index]++;
            continue;
        }
        if (line_says(answer, "DENY " SERVICE " half_open "))
            return;
        if (!line_allows(answer, &permit, &generation) || permit == 0 ||
            strstr(answer, " half_open") == NULL)
            herd_fail("asked, got %s", answer);
        *mine = (struct winner){permit, generation};
        return;
    }
}

static void
work(unsigned index, void *context)
{
    (void)context;
    struct line *line = line_open(run.dir, "worker.sock");
    line_expect(line, "PONG ", "PING");
    for (;;) {
        herd_meet_parent();
        if (run.board->is_over)
            break;
        ask_at_the_moment(line, index);
        herd_meet_parent();
        herd_meet_parent(); /* the parent has looked */
        const struct winner *mine = &run.board->winners[index];
        if (mine->permit != 0)
            line_expect(line, "OK applied",
                        "REPORT " SERVICE " %llu %llu failure 1000",
                        (unsigned long long)mine->permit,
                        (unsigned long long)mine->generation);
        herd_meet_parent();
    }
    line_close(&line);
}

static unsigned
winners_of(uint64_t round, uint64_t *generation)
{
    unsigned count = 0;
    for (unsigned i = 0; i < run.processes; i++) {
        if (run.board->winners[i].permit == 0)
            continue;
        count++;
        if (run.board->winners[i].generation <= *generation)
            herd_fail("round %llu: the generation went back",
                      (unsigned long long)round);
    }
    for (unsigned i = 0; i < run.processes; i++)
        if (run.board->winners[i].permit != 0)
            *generation = run.board->winners[i].generation;
    return count;
}

/* Returns how many were allowed. */
static unsigned
run_round(struct herd *h, struct line *op, uint64_t round, uint64_t *generation)
{
    const char *answer = line_expect(op, "OK {", "STATUS " SERVICE);
    if (strstr(answer, "\"state\":\"closed\"") != NULL ||
        herd_number(answer, "failed_rounds") != round)
        herd_fail("round %llu: %s", (unsigned long long)round, answer);
    run.board->due_ns =
        herd_now_ns() +
        (int64_t)herd_number(answer, "retry_after_ms") * BK_NS_PER_MS;
    herd_meet(h); /* go */
    herd_meet(h); /* everybody has an answer */
    unsigned count = winners_of(round, generation);
    answer = line_expect(op, "OK {", "STATUS " SERVICE);
    if (herd_number(answer, "in_use") != count)
        herd_fail("round %llu: %u allowed, but %s", (unsigned long long)round,
                  count, answer);
    herd_meet(h);
    herd_meet(h); /* the probe has failed: open again */
    return count;
}

int
main(int argc, char **argv)
{
    run.dir = herd_option(argc, argv, "--dir", NULL);
    run.processes = (unsigned)herd_option_number(argc, argv, "--processes", 50);
    run.rounds = herd_option_number(argc, argv, "--rounds", 1000);
    uint64_t recovery_ms = herd_option_number(argc, argv, "--recovery-ms", 40);
    if (run.processes < 1 || run.processes > PROCESSES_MAX)
        herd_fail("--processes is 1 to %d", PROCESSES_MAX);
    run.board = herd_share(sizeof(*run.board));
    struct herd *h = herd_start(run.processes, work, NULL);
    struct line *op = line_open(run.dir, "operator.sock");
    line_expect(op, "OK {", "SET " SERVICE " failure_threshold 1");
    line_expect(op, "OK {", "SET " SERVICE " recovery_timeout %llums",
                (unsigned long long)recovery_ms);
    line_expect(op, "OK applied", "REPORT " SERVICE " 0 - failure");

    uint64_t wrong = 0;
    uint64_t generation = 0;
    uint64_t early = 0;
    for (uint64_t i = 0; i < run.rounds; i++) {
        unsigned count = run_round(h, op, i, &generation);
        if (count != 1) {
            wrong++;
            fprintf(stderr, "round %llu: %u were allowed\n",
                    (unsigned long long)i, count);
        }
    }
    run.board->is_over = true;
    herd_meet(h);
    herd_finish(&h);
    line_close(&op);
    for (unsigned i = 0; i < run.processes; i++)
        early += run.board->asked_early[i];
    printf("processes=%u rounds=%llu asked_just_before=%llu "
           "rounds_without_exactly_one=%llu\n",
           run.processes, (unsigned long long)run.rounds,
           (unsigned long long)early, (unsigned long long)wrong);
    return wrong == 0 ? 0 : 1;
}
