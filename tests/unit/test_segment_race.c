/* SPDX-License-Identifier: Apache-2.0
 *
 * The segment while it is written: by threads, for the thread sanitizer, and by
 * processes that are killed in the middle. Every put keeps `allowed` and `denied`
 * equal, so a record made of two moments shows. */
#include "core/segment.h"
#include "fleets.h"
#include "unit.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 4000
#define READERS 3
#define KILLS 150
#define SERVICES 16
#define GUESTS 7

static struct bk_segment writers_view;
static void *readers_base; /* mapped read-only, as workers do */
static void *base;
static size_t bytes;
static _Atomic int is_over;

static const char *const steady[] = {"steady", "also/steady", "x"};

static int
begin(void **state)
{
    const struct bk_limits *limits;
    FILE *file = tmpfile();

    (void)state;
    begin_fleet(SERVICES, 8, 4, 1);
    limits = bk_fleet_limits(fleet);
    bytes = bk_segment_bytes(limits);
    if (file == NULL || ftruncate(fileno(file), (off_t)bytes) != 0)
        return -1;
    base =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    readers_base = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fileno(file), 0);
    (void)fclose(file);
    if (base == MAP_FAILED || readers_base == MAP_FAILED)
        return -1;
    bk_segment_format(base, limits, "a-boot-id", 42);
    if (bk_segment_attach(&writers_view, base, bytes) != NULL)
        return -1;
    atomic_store(&writers_view.header->phase, BK_SEGMENT_RUNNING);
    return 0;
}

static int
end(void **state)
{
    (void)munmap(base, bytes);
    (void)munmap(readers_base, bytes);
    return end_fleet(state);
}

static void
publish(void)
{
    uint32_t slot;

    while ((slot = bk_fleet_next_dirty(fleet)) != BK_NO_SLOT) {
        bk_segment_put_service(&writers_view, fleet, slot);
        (void)bk_segment_put_word(&writers_view, slot,
                                  bk_fleet_verdict(fleet, slot));
    }
}

static void
count(const char *name, int64_t now_ns, uint64_t times)
{
    size_t len = strlen(name);

    (void)bk_fleet_tally(fleet, now_ns, name, len, true, times, BK_DENY_NONE);
    (void)bk_fleet_tally(fleet, now_ns, name, len, false, times, BK_DENY_OPEN);
}

static void
name_guest(int which, char name[BK_NAME_SIZE])
{
    (void)sprintf(name, "a/name/that/comes/and/goes/%d", which);
}

/* An outcome against it and an operator's words, both its own name. */
static void
speak_of(const char *name, int64_t now_ns)
{
    struct bk_report failed = {.name = name,
                               .name_len = strlen(name),
                               .is_current = true,
                               .outcome = BK_FAILURE,
                               .latency_ns = -1,
                               .text = name,
                               .text_len = strlen(name)};
    struct bk_order order = {.name = name,
                             .name_len = strlen(name),
                             .mode = BK_FORCED_OPEN,
                             .duration_ns = BK_NEVER,
                             .reason = name,
                             .reason_len = strlen(name),
                             .actor = "0:0:1"};
    struct bk_note note;
    enum bk_applied applied;
    uint32_t slot;
    bool was_override;

    (void)bk_fleet_report(fleet, now_ns, &failed, &applied);
    (void)bk_fleet_order(fleet, now_ns, &order, &slot, &was_override);
    (void)drain_notes(&note);
}

/* A name that comes and goes, so that slots, index and blocks change hands. */
static void
come_and_go(int round)
{
    char name[BK_NAME_SIZE];

    name_guest(round % GUESTS, name);
    if (bk_fleet_find(fleet, name, strlen(name)) == BK_NO_SLOT)
        speak_of(name, MS(round));
    else
        (void)bk_fleet_forget(fleet, name, strlen(name));
}

static void
write_round(int round)
{
    for (size_t i = 0; i < COUNT_OF(steady); i++)
        count(steady[i], MS(round), 1);
    come_and_go(round);
    publish();
}

static void
make_steady(void)
{
    for (size_t i = 0; i < COUNT_OF(steady); i++) {
        uint32_t slot;

        assert_int_equal(
            bk_fleet_make(fleet, 0, steady[i], strlen(steady[i]), &slot),
            BK_OK);
    }
    publish();
}

struct reader {
    pthread_t thread;
    uint64_t good;
    uint64_t gave_up; /* torn beyond patience, or missed in the index */
    uint64_t wrong;
};

/* A guest's record and the words in its blocks are of one service, or not seen; what
 * counted against a slot was said of a guest. */
static bool
guest_is_itself(const struct bk_segment *s, int which)
{
    char name[BK_NAME_SIZE];
    struct bk_record record;
    struct bk_evidence evidence[BK_EVIDENCE_COUNT];
    uint32_t slot;

    name_guest(which, name);
    slot = bk_segment_find(s, name, strlen(name));
    if (slot == BK_NO_SLOT || !bk_segment_read(s, slot, &record))
        return true;
    bk_segment_read_evidence(s, slot, evidence);
    for (size_t i = 0; i < BK_EVIDENCE_COUNT; i++) {
        if (evidence[i].at_ns != 0 &&
            strncmp(evidence[i].text, name, strlen(name) - 1) != 0)
            return false;
    }
    return !record.breaker.override.is_set ||
           strcmp(record.breaker.override.reason, record.name) == 0;
}

/* One look at one steady name. */
static void
look(struct reader *r, const struct bk_segment *s, size_t which,
     uint64_t latest[])
{
    const char *name = steady[which];
    uint32_t slot = bk_segment_find(s, name, strlen(name));
    struct bk_record record;

    if (slot == BK_NO_SLOT || !bk_segment_read(s, slot, &record)) {
        r->gave_up++;
        return;
    }
    if (strcmp(record.name, name) != 0 ||
        record.breaker.counters.allowed != record.breaker.counters.denied ||
        record.breaker.counters.allowed < latest[which])
        r->wrong++;
    latest[which] = record.breaker.counters.allowed;
    r->good++;
}

static void *
read_all_the_time(void *context)
{
    struct reader *r = context;
    uint64_t latest[COUNT_OF(steady)] = {0};
    struct bk_segment s;

    /* The thread sanitizer knows two addresses of one page as two places: the
     * writer's own mapping lets it see what pairs with what. */
    if (bk_segment_attach(&s, base, bytes) != NULL)
        r->wrong++;
    while (!atomic_load(&is_over)) {
        for (size_t i = 0; i < COUNT_OF(steady); i++)
            look(r, &s, i, latest);
        for (int i = 0; i < GUESTS; i++)
            r->wrong += !guest_is_itself(&s, i);
    }
    return NULL;
}

static void
readers_see_whole_records_only(void **state)
{
    struct reader readers[READERS] = {0};
    uint64_t good = 0;
    uint64_t gave_up = 0;

    (void)state;
    atomic_store(&is_over, 0);
    make_steady();
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i].thread, NULL,
                                        read_all_the_time, &readers[i]),
                         0);
    for (int round = 1; round < ROUNDS; round++)
        write_round(round);
    atomic_store(&is_over, 1);
    for (int i = 0; i < READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_int_equal(readers[i].wrong, 0);
        good += readers[i].good;
        gave_up += readers[i].gave_up;
    }
    print_message("%llu looks, %llu in vain\n", (unsigned long long)good,
                  (unsigned long long)gave_up);
    assert_true(good > 0);
    /* To miss is allowed, and rare even under a writer that does nothing else. */
    assert_true(gave_up <= good / 10 + 100);
}

/* The steady services as a worker finds them, who may only read: whole, equal,
 * not going back. */
static void
check_all(uint64_t latest[])
{
    struct bk_segment s;

    assert_null(bk_segment_attach(&s, readers_base, bytes));
    for (size_t i = 0; i < COUNT_OF(steady); i++) {
        uint32_t slot = bk_fleet_find(fleet, steady[i], strlen(steady[i]));
        struct bk_record record;

        assert_true(bk_segment_read(&s, slot, &record));
        assert_string_equal(record.name, steady[i]);
        assert_int_equal(record.breaker.counters.allowed,
                         record.breaker.counters.denied);
        assert_true(record.breaker.counters.allowed >= latest[i]);
        /* The fleet follows, so that the next writer goes on from there. */
        count(steady[i], 0, record.breaker.counters.allowed - latest[i]);
        latest[i] = record.breaker.counters.allowed;
    }
    for (int i = 0; i < GUESTS; i++)
        assert_true(guest_is_itself(&s, i));
}

/* As the next daemon does, whose fleet has the steady services alone. */
static void
take_over(void)
{
    uint64_t met[SERVICES * BK_BLOCKS_MOST / 64 + 1] = {0};

    bk_segment_sweep(&writers_view, met);
    for (uint32_t slot = 0; slot < SERVICES; slot++) {
        if (bk_fleet_service(fleet, slot) == NULL)
            bk_segment_put_service(&writers_view, fleet, slot);
    }
    assert_true(writers_view.block_used <= SERVICES * BK_BLOCKS_MOST);
}

static void
a_writer_killed_in_the_middle_leaves_whole_records(void **state)
{
    uint64_t latest[COUNT_OF(steady)] = {0};
    uint32_t seed = 20261122;

    (void)state;
    make_steady();
    for (int i = 0; i < KILLS; i++) {
        pid_t child = fork();
        int status;

        if (child == 0) {
            (void)alarm(10);
            for (int round = 1;; round++)
                write_round(round);
        }
        seed = seed * 1664525 + 1013904223;
        usleep((seed >> 8) % 3000);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        check_all(latest);
        take_over();
    }
    /* The next writer mends what the last one left half done in the index. */
    for (size_t i = 0; i < COUNT_OF(steady); i++) {
        count(steady[i], MS(1), 1);
        publish();
        assert_int_equal(
            bk_segment_find(&writers_view, steady[i], strlen(steady[i])),
            bk_fleet_find(fleet, steady[i], strlen(steady[i])));
    }
    print_message("%d kills, %llu rounds, seed 20261122\n", KILLS,
                  (unsigned long long)latest[0]);
    assert_true(latest[0] > KILLS / 10); /* a slow machine writes less */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(readers_see_whole_records_only),
        TEST(a_writer_killed_in_the_middle_leaves_whole_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
