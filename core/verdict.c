/* SPDX-License-Identifier: Apache-2.0 */
#include "core/verdict.h"

#define KIND_SHIFT 62
#define REASON_SHIFT 58
#define GENERATION_SHIFT 38
#define REASON_MASK UINT64_C(0xf)
#define INCARNATION_MASK UINT64_C(0xff)
#define GENERATION_MASK UINT64_C(0xfff)

_Static_assert(BK_NO <= 3, "two bits hold a verdict's kind");
_Static_assert(BK_DENY_COUNT <= 16, "four bits hold a reason");

uint64_t
bk_verdict_pack(const struct bk_verdict *v)
{
    uint64_t until = v->until_ms;

    if (until > BK_VERDICT_FOREVER)
        until = BK_VERDICT_FOREVER;
    return ((uint64_t)v->kind << KIND_SHIFT) |
           (((uint64_t)v->reason & REASON_MASK) << REASON_SHIFT) |
           ((v->incarnation & INCARNATION_MASK)
            << BK_VERDICT_INCARNATION_SHIFT) |
           ((v->generation & GENERATION_MASK) << GENERATION_SHIFT) | until;
}

/* A worker unpacks what it finds in memory it does not own, so a word that no
 * daemon writes is "ask", never a kind or a reason outside the tables. */
struct bk_verdict
bk_verdict_unpack(uint64_t word)
{
    uint64_t kind = word >> KIND_SHIFT;
    uint64_t reason = (word >> REASON_SHIFT) & REASON_MASK;
    struct bk_verdict v = {
        .kind = BK_ASK,
        .reason = BK_DENY_NONE,
        .incarnation = (uint8_t)((word >> BK_VERDICT_INCARNATION_SHIFT) &
                                 INCARNATION_MASK),
        .generation = (uint16_t)((word >> GENERATION_SHIFT) & GENERATION_MASK),
        .until_ms = word & BK_VERDICT_FOREVER,
    };

    if (kind == BK_GO) {
        v.kind = BK_GO;
    } else if (kind == BK_NO && reason != BK_DENY_NONE &&
               reason < BK_DENY_COUNT) {
        v.kind = BK_NO;
        v.reason = (enum bk_deny)reason;
    }
    return v;
}

uint64_t
bk_verdict_until(int64_t deadline_ns)
{
    uint64_t until_ms;

    if (deadline_ns <= 0)
        return 0;
    if (deadline_ns == BK_NEVER)
        return BK_VERDICT_FOREVER;
    until_ms = (uint64_t)(deadline_ns / BK_NS_PER_MS);
    return until_ms < BK_VERDICT_FOREVER ? until_ms : BK_VERDICT_FOREVER;
}
