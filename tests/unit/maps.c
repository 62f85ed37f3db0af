/* SPDX-License-Identifier: Apache-2.0 */
#include "maps.h"
#include "fleets.h"
#include "unit.h"
#include <stdlib.h>

struct bk_segment segment;
void *memory;
size_t bytes;

void
map(void)
{
    const struct bk_limits *limits = bk_fleet_limits(fleet);
    free(memory);
    bytes = bk_segment_bytes(limits);
    memory = calloc(1, bytes);
    assert_non_null(memory);
    bk_segment_format(memory, limits, "a-boot-id", 42);
    assert_null(bk_segment_attach(&segment, memory, bytes));
}

int
end_map(void **state)
{
    free(memory);
    memory = NULL;
    return end_fleet(state);
}

void
publish(void)
{
    uint32_t slot;
    while ((slot = bk_fleet_next_dirty(fleet)) != BK_NO_SLOT) {
        bk_segment_put_service(&segment, fleet, slot);
        bk_segment_put_word(&segment, slot, bk_fleet_verdict(fleet, slot));
    }
    while ((slot = bk_fleet_next_dirty_lease(fleet)) != BK_NO_SLOT)
        bk_segment_put_lease(&segment, fleet, slot);
    bk_segment_put_policies(&segment, fleet);
    bk_segment_put_routes(&segment, fleet);
}
