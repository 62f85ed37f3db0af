/* SPDX-License-Identifier: Apache-2.0
 *
 * A segment with damage: what does not make sense is not believed. */
#include "core/image.h"
#include "core/segment_blocks.h"
#include "fleets.h"
#include "maps.h"
#include "unit.h"

static void
a_torn_record_is_not_read(void **state)
{
    struct bk_record record;
    (void)state;
    begin_fleet(2, 2, 2, 0);
    map();
    acquire("llm", 0);
    publish();
    uint32_t slot = bk_segment_find(&segment, "llm", 3);
    _Atomic uint64_t *sequence = segment.records + slot * BK_RECORD_WORDS;
    size_t words = BK_RECORD_WORDS - 1;
    _Atomic uint64_t *image = sequence + 1;
    assert_true(bk_segment_read(&segment, slot, &record));
    for (size_t i = 0; i < words; i++) {
        uint64_t good = atomic_load(&image[i]);
        atomic_store(&image[i], good ^ UINT64_C(0x100));
        assert_false(bk_segment_read(&segment, slot, &record));
        atomic_store(&image[i], good);
    }
    assert_true(bk_segment_read(&segment, slot, &record));
    /* The next publication makes it whole again. */
    atomic_store(&image[3], 0);
    acquire("llm", 1);
    publish();
    assert_true(bk_segment_read(&segment, slot, &record));
}

static struct bk_record sound;

/* A writer killed after each of its steps: the record is the old one or the new one,
 * and what is put next, here or elsewhere, finds all in order. */
static void
a_record_half_written_is_the_pending_one(void **state)
{
    struct bk_record was;
    struct bk_record record;
    (void)state;
    begin_fleet(2, 2, 2, 0);
    map();
    acquire("llm", 0);
    publish();
    uint32_t slot = bk_segment_find(&segment, "llm", 3);
    _Atomic uint64_t *sequence = segment.records + slot * BK_RECORD_WORDS;
    assert_true(bk_segment_read(&segment, slot, &was));
    struct bk_record next = was;
    next.used_ns++;
    bk_image_store(segment.pending + 1, &next, BK_RECORD_BYTES);
    assert_true(bk_segment_read(&segment, slot, &record));
    assert_memory_equal(&record, &was, sizeof was);
    atomic_store(&segment.pending[0], slot + 1);
    assert_true(bk_segment_read(&segment, slot, &record));
    assert_memory_equal(&record, &was, sizeof was);
    atomic_fetch_add(sequence, 1);
    for (size_t i = 0; i < BK_RECORD_WORDS / 2; i++)
        atomic_store(&sequence[1 + i], UINT64_MAX);
    assert_true(bk_segment_read(&segment, slot, &record));
    assert_memory_equal(&record, &next, sizeof next);
    /* Nothing pending, or of another slot: nothing is believed, nor waited for. */
    atomic_store(&segment.pending[0], 0);
    assert_false(bk_segment_read(&segment, slot, &record));
    atomic_store(&segment.pending[0], UINT64_MAX);
    assert_false(bk_segment_read(&segment, slot, &record));
    atomic_store(&segment.pending[0], slot + 1);
    /* The next writer finishes it before it begins something else. */
    acquire("bot", 1);
    publish();
    assert_int_equal(atomic_load(sequence) & 1, 0);
    assert_int_equal(atomic_load(&segment.pending[0]), 0);
    assert_true(bk_segment_read(&segment, slot, &record));
    assert_memory_equal(&record, &next, sizeof next);
}

/* A whole record, but with content that no daemon writes. */
static bool
reads(const struct bk_record *record)
{
    struct bk_record out;
    _Atomic uint64_t *sequence = segment.records;
    bk_image_store(sequence + 1, record, BK_RECORD_BYTES);
    return bk_segment_read(&segment, 0, &out);
}

#define REFUSED(field, value)         \
    do {                              \
        struct bk_record bad = sound; \
        bad.field = value;            \
        assert_false(reads(&bad));    \
    } while (0)

static void
whole_but_senseless_records_are_not_read(void **state)
{
    (void)state;
    begin_fleet(1, 2, 2, 0);
    map();
    acquire("llm", 0);
    publish();
    assert_true(bk_segment_read(&segment, 0, &sound));
    assert_true(reads(&sound));
    REFUSED(is_used, 0);
    REFUSED(is_used, 2);
    REFUSED(is_configured, 2);
    REFUSED(policy, 2);
    REFUSED(name[0], '*');
    REFUSED(name[0], '\0');
    REFUSED(used_ns, -1);
    REFUSED(breaker.changed_ns, -1);
    REFUSED(breaker.state, BK_STATE_COUNT);
    REFUSED(breaker.mode, BK_MODE_COUNT);
    REFUSED(breaker.cause, BK_CAUSE_COUNT);
    REFUSED(breaker.generation, BK_NUMBER_END);
    REFUSED(breaker.ramp.step, BK_RAMP_STEPS + 1);
    REFUSED(breaker.window.head, BK_WINDOW_CALLS_MAX);
    REFUSED(breaker.override.is_set, 2);
    REFUSED(breaker.override.mode, BK_MODE_COUNT);
    struct bk_record bad = sound;
    memset(bad.name, 'x', sizeof(bad.name));
    assert_false(reads(&bad));
    /* An operator's words without an end, and in a place that is none. */
    bad = sound;
    memset(bad.breaker.override.reason, 'x',
           sizeof(bad.breaker.override.reason));
    bad.words = bk_blocks_put_words(&segment, 0, 0, &bad);
    assert_int_equal(bad.words, 1);
    assert_false(reads(&bad));
    bad.words = 3;
    assert_true(reads(&bad));
    bad = sound;
    memset(bad.breaker.override.actor, 'x', sizeof(bad.breaker.override.actor));
    bad.words = bk_blocks_put_words(&segment, 0, 1, &bad);
    assert_int_equal(bad.words, 2);
    assert_false(reads(&bad));
}

static struct bk_policy sound_policy;

static bool
reads_policy(const struct bk_policy *policy)
{
    struct bk_policy out;
    bk_image_store(segment.policies, policy, sizeof(*policy));
    return bk_segment_read_policy(&segment, 0, &out);
}

#define REFUSED_POLICY(field, value)                \
    do {                                            \
        struct bk_policy bad_policy = sound_policy; \
        bad_policy.field = value;                   \
        assert_false(reads_policy(&bad_policy));    \
    } while (0)

static void
senseless_policies_are_not_read(void **state)
{
    (void)state;
    begin_fleet(1, 2, 2, 0);
    map();
    acquire("llm", 0);
    publish();
    assert_true(bk_segment_read_policy(&segment, 0, &sound_policy));
    REFUSED_POLICY(window_ns, -1);
    REFUSED_POLICY(window_ns, 0);
    REFUSED_POLICY(window_ns, BK_SLICES - 1);
    REFUSED_POLICY(probe_timeout_ns, -1);
    REFUSED_POLICY(probe_timeout_ns, BK_DURATION_MAX_NS + 1);
    REFUSED_POLICY(retry_ratio_ppm, BK_RETRY_RATIO_MAX_PPM + 1);
    REFUSED_POLICY(retry_min_per_sec_ppm, BK_RETRY_MIN_MAX_PPM + 1);
    REFUSED_POLICY(mode, BK_FORCED_OPEN);
    REFUSED_POLICY(retry_ttl_ns, BK_SLICES - 1);
    REFUSED_POLICY(window_calls, BK_WINDOW_CALLS_MAX + 1);
    REFUSED_POLICY(recovery_jitter_ppm, BK_PPM + 1);
    REFUSED_POLICY(half_open_max_calls, 0);
    REFUSED_POLICY(success_threshold, 0);
    REFUSED_POLICY(on_critical, BK_CRITICAL_IGNORE + 1);
    REFUSED_POLICY(on_rate_limit, BK_LIMIT_IGNORE + 1);
    REFUSED_POLICY(count, BK_COUNT_CALL + 1);
    REFUSED_POLICY(jitter, BK_JITTER_NONE + 1);
    REFUSED_POLICY(mode, BK_MODE_COUNT);
    REFUSED_POLICY(requires_name[0], '*');
    struct bk_policy p = sound_policy;
    memset(p.probe_url, 'x', sizeof(p.probe_url));
    assert_false(reads_policy(&p));
    p = sound_policy;
    strcpy(p.requires_name, "vault");
    assert_true(reads_policy(&p));
    p.window_ns = 0;
    p.window_calls = BK_WINDOW_CALLS_MAX;
    assert_true(reads_policy(&p));
}

static void
senseless_leases_are_not_read(void **state)
{
    struct bk_lease lease = {.id = 5, .kind = BK_LEASE_PERMIT};
    struct bk_lease out;
    (void)state;
    begin_fleet(1, 2, 2, 0);
    map();
    bk_image_store(segment.leases, &lease, sizeof(lease));
    assert_true(bk_segment_read_lease(&segment, 0, &out));
    lease.service = 1;
    bk_image_store(segment.leases, &lease, sizeof(lease));
    assert_false(bk_segment_read_lease(&segment, 0, &out));
    lease.service = 0;
    lease.kind = BK_LEASE_TOKEN + 1;
    bk_image_store(segment.leases, &lease, sizeof(lease));
    assert_false(bk_segment_read_lease(&segment, 0, &out));
    lease.kind = BK_LEASE_TOKEN;
    lease.id = BK_NUMBER_END;
    bk_image_store(segment.leases, &lease, sizeof(lease));
    assert_false(bk_segment_read_lease(&segment, 0, &out));
    lease.id = 5;
    lease.deadline_ns = -1;
    bk_image_store(segment.leases, &lease, sizeof(lease));
    assert_false(bk_segment_read_lease(&segment, 0, &out));
    lease.deadline_ns = 0;
    lease.slice = -1;
    bk_image_store(segment.leases, &lease, sizeof(lease));
    assert_false(bk_segment_read_lease(&segment, 0, &out));
}

static void
senseless_evidence_is_not_read(void **state)
{
    struct bk_evidence evidence[BK_EVIDENCE_COUNT];
    struct bk_evidence good = {.at_ns = 1, .outcome = BK_FAILURE};
    struct bk_evidence bad[] = {good, good, good, good, good, good};
    (void)state;
    begin_fleet(1, 2, 2, 0);
    map();
    assert_false(bk_segment_read_evidence(&segment, 0, evidence));
    bad[0].outcome = BK_OUTCOME_COUNT;
    memset(bad[1].worker, 'x', sizeof(bad[1].worker));
    memset(bad[2].text, 'x', sizeof(bad[2].text));
    bad[3].at_ns = -1;
    bad[4].latency_ns = -2;
    assert_true(bk_blocks_put_evidence(&segment, 0, 0, &good));
    for (uint32_t i = 0; i < COUNT_OF(bad); i++)
        assert_true(bk_blocks_put_evidence(&segment, 0, 1 + i, &bad[i]));
    /* The last is torn: its second half was taken first. */
    uint64_t first = atomic_load(&segment.chains[0]) - 1;
    atomic_fetch_add(segment.blocks + first * BK_BLOCK_WORDS + 2, 1);
    assert_true(bk_segment_read_evidence(&segment, 0, evidence));
    assert_true(evidence[0].at_ns == 1);
    for (int i = 1; i < BK_EVIDENCE_COUNT; i++)
        assert_true(evidence[i].at_ns == 0);
}

static void
senseless_routes_are_not_read(void **state)
{
    struct bk_route route = {.name = "any", .count = 1};
    struct bk_route out;
    (void)state;
    begin_fleet(1, 2, 2, 1);
    map();
    strcpy(route.members[0], "a");
    bk_image_store(segment.routes, &route, sizeof(route));
    assert_true(bk_segment_read_route(&segment, 0, &out));
    route.count = 2;
    bk_image_store(segment.routes, &route, sizeof(route));
    assert_false(bk_segment_read_route(&segment, 0, &out));
    route.count = BK_ROUTE_MEMBERS + 1;
    bk_image_store(segment.routes, &route, sizeof(route));
    assert_false(bk_segment_read_route(&segment, 0, &out));
    atomic_store(segment.routes, 0);
    assert_false(bk_segment_read_route(&segment, 0, &out));
}

static void
senseless_lines_of_history_are_not_read(void **state)
{
    const struct bk_past good = {
        .seq = 257, .to = BK_OPEN, .service = "llm", .actor = "-"};
    struct bk_past bad[10];
    struct bk_past out;
    (void)state;
    begin_fleet(1, 2, 2, 1);
    map();
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        bad[i] = good;
    bad[0].seq = 256; /* belongs elsewhere */
    bad[1].seq = BK_NUMBER_END + 1;
    bad[2].from = BK_STATE_COUNT;
    bad[3].to = UINT32_MAX;
    bad[4].mode = BK_MODE_COUNT;
    bad[5].cause = BK_CAUSE_COUNT;
    bad[6].service[0] = '\0';
    memset(bad[7].service, 'a', sizeof(bad[7].service));
    memset(bad[8].text, 'a', sizeof(bad[8].text));
    bad[9].generation = BK_NUMBER_END;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        bk_image_store(segment.past + BK_IMAGE_WORDS(struct bk_past), &bad[i],
                       sizeof(bad[i]));
        assert_false(bk_segment_read_past(&segment, 1, &out));
    }
    bk_segment_put_past(&segment, &good);
    assert_true(bk_segment_read_past(&segment, 1, &out));
    assert_memory_equal(&out, &good, sizeof(out));
    atomic_fetch_add(segment.past + BK_IMAGE_WORDS(struct bk_past) + 3, 1);
    assert_false(bk_segment_read_past(&segment, 1, &out));
    assert_false(bk_segment_read_past(&segment, 0, &out));
    assert_false(bk_segment_read_past(&segment, BK_PAST_COUNT, &out));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_torn_record_is_not_read),
        cmocka_unit_test(a_record_half_written_is_the_pending_one),
        cmocka_unit_test(whole_but_senseless_records_are_not_read),
        cmocka_unit_test(senseless_policies_are_not_read),
        cmocka_unit_test(senseless_leases_are_not_read),
        cmocka_unit_test(senseless_evidence_is_not_read),
        cmocka_unit_test(senseless_routes_are_not_read),
        cmocka_unit_test(senseless_lines_of_history_are_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, end_map);
}
