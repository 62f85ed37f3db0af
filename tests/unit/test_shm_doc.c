/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of docs/shm.md say what the compiler does. */
#include "core/image.h"
#include "core/segment_blocks.h"
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>

static char *page;

static int
read_page(void **state)
{
    FILE *f = fopen(SHM_DOC, "r");
    size_t len;

    (void)state;
    page = calloc(1, 65536);
    if (f == NULL || page == NULL)
        return -1;
    len = fread(page, 1, 65535, f);
    return fclose(f) == 0 && len > 0 && len < 65535 ? 0 : -1;
}

static int
free_page(void **state)
{
    (void)state;
    free(page);
    return 0;
}

static void
assert_row(const char *row)
{
    if (strstr(page, row) == NULL)
        fail_msg("docs/shm.md has no row \"%s\"", row);
}

static void
assert_offset(size_t offset, const char *field)
{
    char row[128];

    (void)snprintf(row, sizeof row, "\n| %zu | %s |", offset, field);
    assert_row(row);
}

#define HEADER(field) \
    assert_offset(offsetof(struct bk_segment_header, field), #field)
#define PAST(field) assert_offset(offsetof(struct bk_past, field), #field)
#define RECORD(field) assert_offset(offsetof(struct bk_record, field), #field)

static void
offsets_are_as_written(void **state)
{
    (void)state;
    HEADER(magic);
    HEADER(fingerprint);
    HEADER(total_bytes);
    HEADER(limits);
    HEADER(bucket_count);
    HEADER(words_at);
    HEADER(stamps_at);
    HEADER(buckets_at);
    HEADER(names_at);
    HEADER(records_at);
    HEADER(chains_at);
    HEADER(blocks_at);
    HEADER(policies_at);
    HEADER(leases_at);
    HEADER(routes_at);
    HEADER(past_at);
    HEADER(pending_at);
    HEADER(boot_id);
    HEADER(time_namespace);
    HEADER(phase);
    HEADER(epoch);
    HEADER(daemon_pid);
    HEADER(started_boot_ns);
    HEADER(heartbeat_boot_ns);
    HEADER(heartbeat_mono_ns);
    HEADER(workers);
    HEADER(service_count);
    HEADER(next_id);
    HEADER(route_count);
    HEADER(lease_end);
    HEADER(policy_end);
    HEADER(block_end);
    HEADER(version);
    HEADER(totals);
    RECORD(name);
    RECORD(incarnation);
    RECORD(policy);
    RECORD(is_used);
    RECORD(is_configured);
    RECORD(used_ns);
    RECORD(words);
    RECORD(breaker);
    PAST(seq);
    PAST(wall_ms);
    PAST(generation);
    PAST(from);
    PAST(to);
    PAST(mode);
    PAST(cause);
    PAST(service);
    PAST(actor);
    PAST(text);
}

static void
assert_size(const char *array, const char *elements, size_t words)
{
    char row[128];

    (void)snprintf(row, sizeof row, "\n| %s | %s | %zu |", array, elements,
                   words * sizeof(uint64_t));
    assert_row(row);
}

static void
sizes_are_as_written(void **state)
{
    (void)state;
    assert_size("words", "services", 1);
    assert_size("stamps", "services", 1);
    assert_size("names", "services", BK_NAME_SIZE / sizeof(uint64_t));
    assert_size("records", "services", BK_RECORD_WORDS);
    assert_size("chains", "services", 1);
    assert_size("blocks", "34 × services", BK_BLOCK_WORDS);
    assert_size("policies", "policies", BK_IMAGE_WORDS(struct bk_policy));
    assert_size("leases", "leases", BK_IMAGE_WORDS(struct bk_lease));
    assert_size("routes", "routes", BK_IMAGE_WORDS(struct bk_route));
    assert_size("pending", "1", BK_RECORD_WORDS);
    assert_size("past", "256", BK_IMAGE_WORDS(struct bk_past));
    assert_int_equal(BK_EVIDENCE_COUNT, 8);
    assert_int_equal(BK_PAST_COUNT, 256);
    assert_int_equal(BK_BLOCKS_MOST, 34);
}

static void
the_word_is_as_drawn(void **state)
{
    const struct bk_verdict fields[] = {
        {.kind = BK_GO},
        {.kind = BK_ASK, .reason = BK_DENY_OPEN},
        {.kind = BK_ASK, .incarnation = 1},
        {.kind = BK_ASK, .generation = 1},
        {.kind = BK_ASK, .until_ms = 1},
    };
    const unsigned shifts[] = {62, 58, 50, 38, 0};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        assert_true(bk_verdict_pack(&fields[i]) == UINT64_C(1) << shifts[i]);
    assert_row(" 63 62 61   58 57         50 49             38 37");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_are_as_written),
        cmocka_unit_test(sizes_are_as_written),
        cmocka_unit_test(the_word_is_as_drawn),
    };
    return cmocka_run_group_tests(tests, read_page, free_page);
}
