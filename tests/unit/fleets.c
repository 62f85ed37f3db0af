/* SPDX-License-Identifier: Apache-2.0 */
#include "fleets.h"
#include "policies.h"
#include "unit.h"
#include <stdlib.h>

struct bk_fleet *fleet;
struct bk_acquired got;
struct bk_granted granted;

static struct {
    const char *name;
    const char *settings;
} configured[16];
static size_t configured_count;

void
configure(const char *name, const char *settings)
{
    size_t i = 0;
    while (i < configured_count && strcmp(configured[i].name, name) != 0)
        i++;
    assert_true(i < COUNT_OF(configured));
    configured[i].name = name;
    configured[i].settings = settings;
    if (i == configured_count)
        configured_count++;
}

void
forget_configuration(void)
{
    configured_count = 0;
}

bool
source(void *context, const char *name, struct bk_policy *out)
{
    assert_ptr_equal(context, configured);
    for (size_t i = 0; i < configured_count; i++) {
        if (strcmp(configured[i].name, name) == 0) {
            *out = policy_with(configured[i].settings);
            return true;
        }
    }
    *out = policy_with("");
    return false;
}

void
begin_fleet(uint32_t services, uint32_t leases, uint32_t policies,
            uint32_t routes)
{
    struct bk_limits limits = {.services = services,
                               .leases = leases,
                               .policies = policies,
                               .routes = routes};
    free(fleet);
    void *memory = calloc(1, bk_fleet_bytes(&limits));
    assert_non_null(memory);
    fleet = bk_fleet_init(memory, &limits, source, configured, 1);
    assert_ptr_equal(fleet, memory);
    forget_configuration();
}

int
end_fleet(void **state)
{
    (void)state;
    free(fleet);
    fleet = NULL;
    return 0;
}

enum bk_error
acquire_as(const char *name, uint64_t attempt, uint64_t token, int64_t ttl_ns,
           uint32_t pid, int64_t now_ns)
{
    struct bk_acquire ask = {.name = name,
                             .name_len = strlen(name),
                             .attempt = attempt,
                             .token = token,
                             .ttl_ns = ttl_ns,
                             .caller = {.pid = pid, .worker = "bot"}};
    return bk_fleet_acquire(fleet, now_ns, &ask, &got);
}

void
acquire(const char *name, int64_t now_ns)
{
    assert_int_equal(acquire_as(name, 1, 0, 0, 100, now_ns), BK_OK);
}

void
expect_allowed(bool is_leased)
{
    assert_true(got.is_allowed);
    assert_int_equal(got.permit != 0, is_leased);
}

void
expect_denied(enum bk_deny reason, uint64_t retry_after_ms)
{
    assert_false(got.is_allowed);
    assert_int_equal(got.deny, reason);
    assert_int_equal(got.retry_after_ms, retry_after_ms);
}

static struct bk_report
report_of(const char *name, enum bk_outcome outcome)
{
    return (struct bk_report){.name = name,
                              .name_len = strlen(name),
                              .is_current = true,
                              .outcome = outcome,
                              .latency_ns = MS(5),
                              .attempt = 1,
                              .text = "503",
                              .text_len = 3,
                              .caller = {.pid = 100, .worker = "bot"}};
}

enum bk_applied
report(const char *name, enum bk_outcome outcome, int64_t now_ns)
{
    struct bk_report r = report_of(name, outcome);
    enum bk_applied answer;
    assert_int_equal(bk_fleet_report(fleet, now_ns, &r, &answer), BK_OK);
    return answer;
}

enum bk_applied
report_permit(const char *name, uint64_t permit, uint64_t generation,
              enum bk_outcome outcome, int64_t now_ns)
{
    struct bk_report r = report_of(name, outcome);
    enum bk_applied answer;
    r.permit = permit;
    r.generation = generation;
    r.is_current = false;
    assert_int_equal(bk_fleet_report(fleet, now_ns, &r, &answer), BK_OK);
    return answer;
}

enum bk_error
retry(const char *name, uint64_t failed_attempt, enum bk_outcome outcome,
      int64_t retry_after_ns, int64_t now_ns)
{
    struct bk_retry ask = {.name = name,
                           .name_len = strlen(name),
                           .failed_attempt = failed_attempt,
                           .outcome = outcome,
                           .retry_after_ns = retry_after_ns,
                           .caller = {.pid = 100, .worker = "bot"}};
    return bk_fleet_retry(fleet, now_ns, &ask, &granted);
}

enum bk_error
order(const char *name, enum bk_mode mode, int64_t now_ns)
{
    struct bk_order o = {.name = name,
                         .name_len = strlen(name),
                         .mode = mode,
                         .duration_ns = BK_NEVER,
                         .actor = "0:0:1"};
    uint32_t slot;
    bool was_override;
    return bk_fleet_order(fleet, now_ns, &o, &slot, &was_override);
}

const struct bk_service *
service(const char *name)
{
    uint32_t slot = bk_fleet_find(fleet, name, strlen(name));
    assert_int_not_equal(slot, BK_NO_SLOT);
    const struct bk_service *found = bk_fleet_service(fleet, slot);
    assert_non_null(found);
    return found;
}

int
drain_notes(struct bk_note *last)
{
    int count = 0;
    while (bk_fleet_next_note(fleet, last))
        count++;
    return count;
}
