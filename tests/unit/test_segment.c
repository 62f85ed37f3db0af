/* SPDX-License-Identifier: Apache-2.0
 *
 * The segment: its layout, its index, and that what is put reads back. */
#include "core/image.h"
#include "core/segment_blocks.h"
#include "core/segment_index.h"
#include "fleets.h"
#include "maps.h"
#include "unit.h"

static void
what_is_put_reads_back(void **state)
{
    struct bk_record record;
    struct bk_policy policy;
    struct bk_evidence evidence[BK_EVIDENCE_COUNT];
    char name[BK_NAME_SIZE];
    (void)state;
    begin_fleet(4, 4, 4, 2);
    configure("llm", "failure_threshold=2");
    map();
    assert_int_equal(bk_segment_find(&segment, "llm", 3), BK_NO_SLOT);
    report("llm", BK_FAILURE, 7);
    publish();
    uint32_t slot = bk_segment_find(&segment, "llm", 3);
    assert_int_equal(slot, bk_fleet_find(fleet, "llm", 3));
    assert_true(bk_segment_name(&segment, slot, name));
    assert_string_equal(name, "llm");
    assert_true(bk_segment_read(&segment, slot, &record));
    assert_string_equal(record.name, "llm");
    assert_int_equal(record.is_configured, 1);
    assert_int_equal(record.incarnation, 1);
    assert_true(record.used_ns == 7);
    assert_memory_equal(&record.breaker, &service("llm")->breaker,
                        sizeof(record.breaker));
    assert_true(bk_segment_read_policy(&segment, record.policy, &policy));
    assert_int_equal(policy.failure_threshold, 2);
    bk_segment_read_evidence(&segment, slot, evidence);
    assert_memory_equal(evidence, service("llm")->evidence, sizeof(evidence));
    assert_int_equal(atomic_load(&segment.words[slot]),
                     bk_fleet_verdict(fleet, slot));
    /* Again, and again: one image or the other. */
    for (int i = 1; i < 5; i++) {
        report("llm", BK_SUCCESS, 10 + i);
        publish();
        assert_true(bk_segment_read(&segment, slot, &record));
        assert_int_equal(record.breaker.counters.success, i);
    }
}

static void
words_tell_whether_they_changed(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 0);
    map();
    assert_true(bk_segment_put_word(&segment, 3, 5));
    assert_false(bk_segment_put_word(&segment, 3, 5));
    assert_true(bk_segment_put_word(&segment, 3, 0));
}

static void
leases_and_routes_read_back(void **state)
{
    struct bk_lease lease;
    struct bk_route route = {.name = "any", .count = 2};
    struct bk_route read;
    (void)state;
    begin_fleet(4, 4, 4, 2);
    configure("llm", "max_concurrent=2");
    map();
    strcpy(route.members[0], "a");
    strcpy(route.members[1], "b");
    assert_true(bk_fleet_set_routes(fleet, &route, 1));
    acquire("llm", 9);
    publish();
    uint32_t slot = bk_leases_find(bk_fleet_leases(fleet), got.permit);
    assert_true(bk_segment_read_lease(&segment, slot, &lease));
    assert_memory_equal(&lease, bk_leases_at(bk_fleet_leases(fleet), slot),
                        sizeof(lease));
    assert_true(bk_segment_read_route(&segment, 0, &read));
    assert_memory_equal(&read, &route, sizeof(read));
    assert_int_equal(atomic_load(&segment.header->route_count), 1);
    assert_false(bk_segment_read_route(&segment, 1, &read));
    assert_int_equal(bk_fleet_release(fleet, 9, got.permit), BK_APPLIED);
    assert_true(bk_fleet_set_routes(fleet, &route, 0));
    publish();
    assert_true(bk_segment_read_lease(&segment, slot, &lease));
    assert_int_equal(lease.kind, BK_LEASE_FREE);
    assert_false(bk_segment_read_route(&segment, 0, &read));
}

static void
indices_out_of_range_are_refused(void **state)
{
    struct bk_record record;
    struct bk_policy policy;
    struct bk_lease lease;
    struct bk_route route;
    struct bk_evidence evidence[BK_EVIDENCE_COUNT];
    char name[BK_NAME_SIZE];
    (void)state;
    begin_fleet(4, 4, 4, 2);
    map();
    assert_false(bk_segment_read(&segment, 4, &record));
    assert_false(bk_segment_read(&segment, 0, &record));
    assert_false(bk_segment_read_policy(&segment, 4, &policy));
    assert_false(bk_segment_read_policy(&segment, 0, &policy));
    assert_false(bk_segment_read_lease(&segment, 4, &lease));
    assert_false(bk_segment_read_route(&segment, 2, &route));
    assert_false(bk_segment_name(&segment, 4, name));
    assert_false(bk_segment_name(&segment, 0, name));
    memset(evidence, 0xa5, sizeof(evidence));
    bk_segment_read_evidence(&segment, 4, evidence);
    for (int i = 0; i < BK_EVIDENCE_COUNT; i++)
        assert_true(evidence[i].at_ns == 0);
    assert_int_equal(bk_segment_find(&segment, "", 0), BK_NO_SLOT);
    char far[BK_NAME_SIZE] = {0};
    memset(far, 'x', sizeof(far));
    assert_int_equal(bk_segment_find(&segment, far, sizeof(far)), BK_NO_SLOT);
}

static void
the_version_is_text(void **state)
{
    char version[BK_VERSION_SIZE];
    (void)state;
    begin_fleet(1, 0, 1, 0);
    map();
    bk_segment_read_version(&segment, version);
    assert_string_equal(version, "");
    for (size_t i = 0; i < BK_VERSION_SIZE / 8; i++)
        atomic_store(&segment.header->version[i], UINT64_MAX);
    bk_segment_read_version(&segment, version);
    assert_int_equal(strlen(version), BK_VERSION_SIZE - 1);
}

/* ---- attaching ---- */

static void
refuse_attach(void *base, size_t size, const char *want)
{
    struct bk_segment s;
    const char *why = bk_segment_attach(&s, base, size);
    assert_non_null(why);
    assert_string_equal(why, want);
}

static void
a_foreign_file_is_not_attached(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 2);
    map();
    struct bk_segment_header *h = memory;
    struct bk_segment_header good = *h;
    refuse_attach(memory, 0, "is too small");
    refuse_attach(memory, sizeof(*h) - 1, "is too small");
    refuse_attach((char *)memory + 4, bytes - 8, "is too small");
    refuse_attach(memory, bytes - 1, "is shorter than its header says");
    h->magic++;
    refuse_attach(memory, bytes, "is not a breakerd segment");
    *h = good;
    h->fingerprint++;
    refuse_attach(memory, bytes, "was laid out by another version of breakerd");
    *h = good;
    h->limits.services = 0;
    refuse_attach(memory, bytes, "has limits out of bounds");
    h->limits.services = UINT32_MAX;
    refuse_attach(memory, bytes, "has limits out of bounds");
    *h = good;
    h->limits.leases = (1 << 24) + 1;
    refuse_attach(memory, bytes, "has limits out of bounds");
    *h = good;
    h->limits.policies = UINT32_MAX;
    refuse_attach(memory, bytes, "has limits out of bounds");
    *h = good;
    h->limits.routes = UINT32_MAX;
    refuse_attach(memory, bytes, "has limits out of bounds");
    *h = good;
    h->limits.leases = 1 << 24;
    refuse_attach(memory, bytes, "is shorter than its header says");
    *h = good;
    assert_null(bk_segment_attach(&segment, memory, bytes));
}

static void
a_damaged_header_is_not_attached(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 2);
    map();
    struct bk_segment_header *h = memory;
    uint64_t *const fields[] = {&h->total_bytes, &h->words_at,  &h->stamps_at,
                                &h->buckets_at,  &h->names_at,  &h->records_at,
                                &h->chains_at,   &h->blocks_at, &h->policies_at,
                                &h->leases_at,   &h->routes_at, &h->past_at,
                                &h->pending_at};
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        *fields[i] += 64;
        refuse_attach(memory, bytes, "has a damaged header");
        *fields[i] -= 64;
    }
    h->bucket_count *= 2;
    refuse_attach(memory, bytes, "has a damaged header");
}

static void
the_layout_has_no_overlap(void **state)
{
    (void)state;
    begin_fleet(5, 3, 2, 1);
    map();
    const uintptr_t ends[] = {
        (uintptr_t)memory + sizeof(struct bk_segment_header),
        (uintptr_t)(segment.words + 5),
        (uintptr_t)(segment.stamps + 5),
        (uintptr_t)(segment.buckets + segment.bucket_count),
        (uintptr_t)(segment.names + 5 * BK_NAME_WORDS),
        (uintptr_t)(segment.records + 5 * BK_RECORD_WORDS),
        (uintptr_t)(segment.chains + 5),
        (uintptr_t)(segment.leases + 3 * BK_IMAGE_WORDS(struct bk_lease)),
        (uintptr_t)(segment.routes + 1 * BK_IMAGE_WORDS(struct bk_route)),
        (uintptr_t)(segment.past +
                    BK_PAST_COUNT * BK_IMAGE_WORDS(struct bk_past)),
        (uintptr_t)(segment.pending + BK_RECORD_WORDS),
        (uintptr_t)(segment.policies + 2 * BK_IMAGE_WORDS(struct bk_policy)),
        (uintptr_t)(segment.blocks +
                    (size_t)5 * BK_BLOCKS_MOST * BK_BLOCK_WORDS)};
    const uintptr_t starts[] = {
        (uintptr_t)segment.words,    (uintptr_t)segment.stamps,
        (uintptr_t)segment.buckets,  (uintptr_t)segment.names,
        (uintptr_t)segment.records,  (uintptr_t)segment.chains,
        (uintptr_t)segment.leases,   (uintptr_t)segment.routes,
        (uintptr_t)segment.past,     (uintptr_t)segment.pending,
        (uintptr_t)segment.policies, (uintptr_t)segment.blocks,
        (uintptr_t)memory + bytes};
    for (size_t i = 0; i < COUNT_OF(starts); i++)
        assert_true(starts[i] >= ends[i]);
    assert_true(segment.bucket_count >= 10);
    assert_int_equal(bytes % 4096, 0);
    assert_int_equal(segment.block_count, 5 * BK_BLOCKS_MOST);
    /* What has memory only in part begins on a page of its own. */
    assert_int_equal(((uintptr_t)segment.blocks - (uintptr_t)memory) % 4096, 0);
    assert_int_equal(bk_segment_fixed_bytes(&segment.limits),
                     (uintptr_t)segment.policies - (uintptr_t)memory);
    assert_int_equal(bk_segment_fixed_bytes(&segment.limits) % 4096, 0);
}

/* ---- the index ---- */

static const char *
numbered(int i)
{
    static char name[16];
    struct bk_text t;
    bk_text_init(&t, name, sizeof(name));
    bk_text_put(&t, "service-");
    bk_text_put_u64(&t, (uint64_t)i);
    return name;
}

static uint32_t
find(const char *name)
{
    return bk_segment_find(&segment, name, strlen(name));
}

/* A record's name is looked for as the field it is, of every length. */
static void
the_index_leads_to_the_slot_of_a_field(void **state)
{
    char name[BK_NAME_SIZE] = "";
    char full[BK_NAME_SIZE];
    (void)state;
    begin_fleet(BK_NAME_SIZE, 4, 4, 0);
    map();
    assert_false(bk_segment_leads(&segment, name, 0));
    for (size_t len = 1; len < BK_NAME_SIZE; len++) {
        name[len - 1] = 'a';
        assert_false(bk_segment_leads(&segment, name, 0));
        report(name, BK_SUCCESS, 0);
        publish();
        uint32_t slot = find(name);
        assert_true(bk_segment_leads(&segment, name, slot));
        assert_false(bk_segment_leads(&segment, name, slot + 1));
    }
    memset(full, 'a', sizeof(full));
    assert_false(bk_segment_leads(&segment, full, 0));
}

static void
the_index_follows_names(void **state)
{
    enum { COUNT = 100 };
    (void)state;
    begin_fleet(COUNT, 4, 4, 0);
    map();
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < COUNT; i++)
            report(numbered(i), BK_SUCCESS, 0);
        publish();
        for (int i = round; i < COUNT; i += 3)
            assert_int_equal(
                bk_fleet_forget(fleet, numbered(i), strlen(numbered(i))),
                BK_OK);
        publish();
        for (int i = 0; i < COUNT; i++)
            assert_int_equal(
                find(numbered(i)),
                bk_fleet_find(fleet, numbered(i), strlen(numbered(i))));
    }
}

static void
a_damaged_index_misleads_nobody_and_is_rebuilt(void **state)
{
    (void)state;
    begin_fleet(8, 4, 4, 0);
    map();
    for (int i = 0; i < 7; i++)
        report(numbered(i), BK_SUCCESS, 0);
    publish();
    /* Buckets that lead nowhere, or to other names. */
    for (uint32_t i = 0; i < segment.bucket_count; i++)
        atomic_store(&segment.buckets[i], i % 3 == 0 ? 4000 : 1 + i % 8);
    for (int i = 0; i < 7; i++) {
        uint32_t slot = find(numbered(i));
        assert_true(slot == BK_NO_SLOT ||
                    slot ==
                        bk_fleet_find(fleet, numbered(i), strlen(numbered(i))));
    }
    assert_int_equal(find("nobody"), BK_NO_SLOT);
    /* Full of nonsense, as one found it who took the file over: the first name that is
     * published and cannot be found puts all in order. */
    for (uint32_t i = 0; i < segment.bucket_count; i++)
        atomic_store(&segment.buckets[i], 4000);
    bk_fleet_touch(fleet,
                   bk_fleet_find(fleet, numbered(3), strlen(numbered(3))));
    publish();
    for (int i = 0; i < 7; i++)
        assert_int_equal(find(numbered(i)), bk_fleet_find(fleet, numbered(i),
                                                          strlen(numbered(i))));
    for (uint32_t i = 0; i < segment.bucket_count; i++)
        atomic_store(&segment.buckets[i], 4000);
    report("another", BK_SUCCESS, 0);
    publish();
    assert_int_equal(find("another"), bk_fleet_find(fleet, "another", 7));
    for (uint32_t i = 0; i < segment.bucket_count; i++)
        atomic_store(&segment.buckets[i], 4000);
    assert_int_equal(bk_fleet_forget(fleet, "another", 7), BK_OK);
    publish();
    assert_int_equal(find("another"), BK_NO_SLOT);
}

static void
images_are_updated_only_when_they_differ(void **state)
{
    _Atomic uint64_t image[3] = {0};
    uint64_t in[2] = {0, 0};
    uint64_t out[2] = {9, 9};
    (void)state;
    /* Blank memory is a whole image of zeros. */
    assert_true(bk_image_load(image, out, sizeof(out)));
    assert_int_equal(out[0] | out[1], 0);
    bk_image_update(image, in, sizeof(in));
    assert_int_equal(atomic_load(&image[2]), 0);
    in[1] = 5;
    bk_image_update(image, in, sizeof(in));
    assert_true(bk_image_load(image, out, sizeof(out)));
    assert_int_equal(out[1], 5);
    uint64_t check = atomic_load(&image[2]);
    assert_true(check != 0);
    atomic_store(&image[2], check + 1);
    assert_false(bk_image_load(image, out, sizeof(out)));
    bk_image_update(image, in, sizeof(in));
    assert_int_equal(atomic_load(&image[2]), check);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_reads_back),
        cmocka_unit_test(words_tell_whether_they_changed),
        cmocka_unit_test(leases_and_routes_read_back),
        cmocka_unit_test(indices_out_of_range_are_refused),
        cmocka_unit_test(the_version_is_text),
        cmocka_unit_test(a_foreign_file_is_not_attached),
        cmocka_unit_test(a_damaged_header_is_not_attached),
        cmocka_unit_test(the_layout_has_no_overlap),
        cmocka_unit_test(the_index_leads_to_the_slot_of_a_field),
        cmocka_unit_test(the_index_follows_names),
        cmocka_unit_test(a_damaged_index_misleads_nobody_and_is_rebuilt),
        cmocka_unit_test(images_are_updated_only_when_they_differ),
    };
    return cmocka_run_group_tests(tests, NULL, end_map);
}
