#ifndef BK_VERDICT_H
#define BK_VERDICT_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The verdict word: the answer to "may I call?" for one service in 64 bits, so
 * that a worker needs one load. Word 0 means: ask the daemon. */
#include "core/vocab.h"

enum bk_verdict_kind { BK_ASK, BK_GO, BK_NO };

/* "No end known" in `until_ms`; also what later instants are cut to. */
#define BK_VERDICT_FOREVER ((UINT64_C(1) << 38) - 1)

struct bk_verdict {
    enum bk_verdict_kind kind;
    enum bk_deny reason;
    uint8_t incarnation; /* low bits: the slot still has the same name */
    uint16_t generation; /* low 12 bits */
    uint64_t until_ms;   /* CLOCK_BOOTTIME, rounded down: NO holds before
                                 it, afterwards ask */
};

#define BK_VERDICT_INCARNATION_SHIFT 50
/* That of the slot, of any word. */
static inline uint8_t
bk_verdict_incarnation(uint64_t word)
{
    return (uint8_t)(word >> BK_VERDICT_INCARNATION_SHIFT);
}

/* Layout, high to low: kind 2, reason 4, incarnation 8, generation 12, until 38. */
uint64_t bk_verdict_pack(const struct bk_verdict *v);
struct bk_verdict bk_verdict_unpack(uint64_t word);
/* The BOOTTIME of `until_ms` for a deadline; BK_NEVER is FOREVER. */
uint64_t bk_verdict_until(int64_t deadline_ns);

#endif
