/* SPDX-License-Identifier: Apache-2.0
 *
 * Many processes meet an upstream that fails at once, over and over. Checks that
 * the circuit opens at exactly the failure it should, fleet-wide, and that no
 * acquire that began after the trip was published is allowed.
 *
 *   fleet_trip --dir DIR [--mode wire|word|auto] [--processes N] [--flips N] */
#include "breaker/breaker.h"
#include "core/segment.h"
#include "herd.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SERVICE "flipped"
#define THRESHOLD 5
#define PROCESSES_MAX 256
/* More processes that only ask and report nothing: so more acquires fall into the
 * moment of the trip. */
#define WATCHERS 4

/* How a worker asks. */
struct asker {
    struct line *line;
    struct bk_segment segment; /* word */
    _Atomic int64_t began_ns;
    uint32_t slot;
    struct breaker *handle; /* auto */
    struct breaker_service *service;
};

/* What one worker saw in one flip. */
struct seen {
    int64_t last_allowed_ns; /* when its last allowed acquire began */
    uint64_t allowed;
    uint64_t applied;
    uint64_t stale;
};

struct board {
    uint64_t generation; /* of the closed circuit, this flip */
    bool is_over;
    struct seen seen[PROCESSES_MAX];
};

static struct {
    const char *dir;
    const char *mode;
    unsigned processes;
    uint64_t flips;
    struct board *board;
} run;

static void
map_segment(struct bk_segment *segment)
{
    char path[256];
    struct stat st;
    snprintf(path, sizeof(path), "%s/breakerd.shm", run.dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        herd_fail("cannot open %s", path);
    void *base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (base == MAP_FAILED)
        herd_fail("cannot map %s", path);
    const char *why = bk_segment_attach(segment, base, (size_t)st.st_size);
    if (why != NULL)
        herd_fail("%s: %s", path, why);
}

static void
open_asker(struct asker *a)
{
    a->line = line_open(run.dir, "worker.sock");
    if (strcmp(run.mode, "word") == 0) {
        map_segment(&a->segment);
        a->slot = bk_segment_find(&a->segment, SERVICE, strlen(SERVICE));
        if (a->slot == BK_NO_SLOT)
            herd_fail("%s is not published", SERVICE);
    } else if (strcmp(run.mode, "auto") == 0) {
        struct breaker_options options = BREAKER_OPTIONS_INIT;
        options.dir = run.dir;
        options.deadline_ms = HERD_WAIT_MS;
        a->handle = breaker_open(&options);
        a->service = breaker_service(a->handle, SERVICE);
        if (a->service == NULL)
            herd_fail("libbreaker: %s", breaker_error_text());
    }
}

static void
close_asker(struct asker *a)
{
    breaker_close(&a->handle);
    line_close(&a->line);
}

static bool
ask_daemon(struct asker *a)
{
    const char *answer = line_ask(a->line, "ACQUIRE " SERVICE);
    if (line_says(answer, "DENY " SERVICE " open "))
        return false;
    if (!line_says(answer, "ALLOW " SERVICE " 0 "))
        herd_fail("asked, got %s", answer);
    return true;
}

/* The word alone, as a worker in any language could read it. */
static bool
ask_word(struct asker *a)
{
    struct bk_verdict v = bk_verdict_unpack(
        atomic_load_explicit(&a->segment.words[a->slot], memory_order_acquire));
    if (v.kind == BK_ASK)
        return ask_daemon(a);
    return v.kind == BK_GO;
}

/* One question and, when allowed, one failure. Returns whether it was. */
static bool
call_once(struct asker *a, struct seen *seen, bool reports)
{
    struct breaker_permit permit = {0};
    /* Nothing of the question may happen before the clock was read: the exchange
     * waits for the reading and lets no later load pass. */
    int64_t began_ns = herd_now_ns();
    atomic_exchange(&a->began_ns, began_ns);
    bool is_allowed =
        a->handle != NULL
            ? breaker_acquire(a->service, &permit) == BREAKER_ALLOWED
        : a->segment.header != NULL ? ask_word(a)
                                    : ask_daemon(a);
    if (!is_allowed)
        return false;
    seen->allowed++;
    seen->last_allowed_ns = began_ns;
    if (!reports)
        return true;
    bool is_applied = false;
    if (a->handle != NULL) {
        struct breaker_details details = BREAKER_DETAILS_INIT;
        details.flags = BREAKER_CONFIRM;
        int answer = breaker_report_with(&permit, BREAKER_FAILURE, &details);
        if (answer != BREAKER_APPLIED && answer != BREAKER_STALE)
            herd_fail("report: %d %s", answer, breaker_error_text());
        is_applied = answer == BREAKER_APPLIED;
    } else {
        const char *answer = line_expect(
            a->line, "OK ", "REPORT " SERVICE " 0 %llu failure 1000",
            (unsigned long long)run.board->generation);
        is_applied = strcmp(answer, "OK applied") == 0;
    }
    seen->applied += is_applied ? 1 : 0;
    seen->stale += is_applied ? 0 : 1;
    return true;
}

static void
work(unsigned index, void *context)
{
    (void)context;
    struct asker asker = {0};
    struct seen *seen = &run.board->seen[index];
    bool reports = index >= WATCHERS;
    open_asker(&asker);
    for (;;) {
        herd_meet_parent();
        if (run.board->is_over)
            break;
        *seen = (struct seen){0};
        int64_t end_ns = herd_now_ns() + INT64_C(1000000) * HERD_WAIT_MS;
        while (call_once(&asker, seen, reports))
            if (herd_now_ns() > end_ns)
                herd_fail("the circuit never opened");
        herd_meet_parent();
    }
    close_asker(&asker);
}

struct totals {
    uint64_t late;
    uint64_t allowed;
    uint64_t stale;
    uint64_t wrong;
};

/* After every worker was denied once. */
static void
judge(const struct bk_segment *segment, uint32_t slot, uint64_t flip,
      struct totals *totals)
{
    int64_t stamp_ns =
        atomic_load_explicit(&segment->stamps[slot], memory_order_acquire);
    uint64_t applied = 0;
    for (unsigned i = 0; i < run.processes; i++) {
        const struct seen *seen = &run.board->seen[i];
        applied += seen->applied;
        totals->allowed += seen->allowed;
        totals->stale += seen->stale;
        if (seen->last_allowed_ns > stamp_ns) {
            totals->late++;
            fprintf(stderr, "flip %llu: allowed %lld ns after the trip\n",
                    (unsigned long long)flip,
                    (long long)(seen->last_allowed_ns - stamp_ns));
        }
    }
    if (applied != THRESHOLD) {
        totals->wrong++;
        fprintf(stderr, "flip %llu: %llu failures counted\n",
                (unsigned long long)flip, (unsigned long long)applied);
    }
}

static void
flip_once(struct herd *h, struct line *op, uint64_t flip,
          const struct bk_segment *segment, uint32_t slot,
          struct totals *totals)
{
    const char *answer = line_expect(op, "OK {", "RESET " SERVICE);
    uint64_t before = herd_number(answer, "generation");
    run.board->generation = before;
    herd_meet(h);
    herd_meet(h);
    answer = line_expect(op, "OK {", "STATUS " SERVICE);
    if (strstr(answer, "\"state\":\"open\"") == NULL ||
        strstr(answer, "\"reason\":\"consecutive_failures\"") == NULL ||
        herd_number(answer, "consecutive_failures") != THRESHOLD ||
        herd_number(answer, "generation") != before + 1 ||
        herd_number(answer, "opened") != flip + 1 ||
        herd_number(answer, "failure") != THRESHOLD * (flip + 1))
        herd_fail("flip %llu: %s", (unsigned long long)flip, answer);
    judge(segment, slot, flip, totals);
}

int
main(int argc, char **argv)
{
    run.dir = herd_option(argc, argv, "--dir", NULL);
    run.mode = herd_option(argc, argv, "--mode", "wire");
    run.processes =
        WATCHERS + (unsigned)herd_option_number(argc, argv, "--processes", 32);
    run.flips = herd_option_number(argc, argv, "--flips", 1000);
    if (run.processes <= WATCHERS || run.processes > PROCESSES_MAX)
        herd_fail("--processes is 1 to %d", PROCESSES_MAX - WATCHERS);
    run.board = herd_share(sizeof(*run.board));
    struct line *op = line_open(run.dir, "operator.sock");
    line_expect(op, "OK {", "SET " SERVICE " failure_threshold %d", THRESHOLD);
    line_close(&op); /* contexts do not survive a fork */

    struct herd *h = herd_start(run.processes, work, NULL);
    struct bk_segment segment;
    map_segment(&segment);
    uint32_t slot = bk_segment_find(&segment, SERVICE, strlen(SERVICE));
    if (slot == BK_NO_SLOT)
        herd_fail("%s is not published", SERVICE);
    op = line_open(run.dir, "operator.sock");
    struct totals totals = {0};
    for (uint64_t i = 0; i < run.flips; i++)
        flip_once(h, op, i, &segment, slot, &totals);
    run.board->is_over = true;
    herd_meet(h);
    herd_finish(&h);
    line_close(&op);
    printf("mode=%s processes=%u flips=%llu allowed=%llu stale=%llu "
           "allowed_after_publication=%llu flips_not_at_the_fifth=%llu\n",
           run.mode, run.processes - WATCHERS, (unsigned long long)run.flips,
           (unsigned long long)totals.allowed, (unsigned long long)totals.stale,
           (unsigned long long)totals.late, (unsigned long long)totals.wrong);
    return totals.late == 0 && totals.wrong == 0 ? 0 : 1;
}
