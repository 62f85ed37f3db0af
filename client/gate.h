#ifndef CLIENT_GATE_H
#define CLIENT_GATE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The gate: the answer to "may I call?" read from the verdict word in shared
 * memory. One acquire load, a coarse clock and a look at the heartbeat; no lock,
 * no system call. */
#include "client/client.h"

/* Up to DENIED the gate has decided. */
enum gate_answer {
    GATE_ALLOWED,
    GATE_DENIED,
    GATE_ASK,  /* the daemon must be asked */
    GATE_BLIND /* no mapping, or nobody keeps it up to date */
};

/* Fills in `permit` when the answer is ALLOWED or DENIED, and counts it for the
 * next tally. `needs_token`: a retry, which only the daemon can allow. */
enum gate_answer gate_ask(struct breaker *b, struct breaker_service *s,
                          bool needs_token, int64_t coarse_ns,
                          struct breaker_permit *permit);
/* Does the word that was just read of a slot with that incarnation deny? Then `permit`
 * is filled in, and it is counted, likewise. */
bool gate_denies(struct breaker_service *s, uint64_t word, uint8_t incarnation,
                 struct breaker_permit *permit);
/* On the coarse clock: how long the generation that a call was let through with goes
 * with the word it was read from. */
int64_t gate_believes_until(struct breaker_service *s);

#endif
