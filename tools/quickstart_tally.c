/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums and prints what the workers counted. */
#include "tools/quickstart_tally.h"

#include "core/json.h"

static void
keep_max(_Atomic uint64_t *max, uint64_t before, uint64_t value)
{
    atomic_store_explicit(max, before > value ? before : value,
                          memory_order_relaxed);
}

void
quickstart_tally_sum(const struct quickstart_tally *tallies, uint32_t count,
                     struct quickstart_tally *out)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t max = quickstart_read(&out->failed_wait_max_ms);
#define QUICKSTART_ADD(name, help) \
    quickstart_count(&out->name, quickstart_read(&tallies[i].name));
        QUICKSTART_COUNTERS(QUICKSTART_ADD)
#undef QUICKSTART_ADD
        keep_max(&out->failed_wait_max_ms, max,
                 quickstart_read(&tallies[i].failed_wait_max_ms));
    }
}

void
quickstart_tally_print(const struct quickstart_tally *tally,
                       struct bk_json *json)
{
#define QUICKSTART_PRINT(name, help) \
    bk_json_u64(json, #name, quickstart_read(&tally->name));
    QUICKSTART_COUNTERS(QUICKSTART_PRINT)
#undef QUICKSTART_PRINT
}
