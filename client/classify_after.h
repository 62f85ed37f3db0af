#ifndef CLIENT_CLASSIFY_AFTER_H
#define CLIENT_CLASSIFY_AFTER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * How long an upstream asks to be left alone. */
#include "breaker/classify.h"
#include "client/classify_body.h"

/* "2", "0.35", "1.30000001": seconds as milliseconds, rounded up and cut to
 * BREAKER_RETRY_AFTER_MAX_MS; -1 for anything else. */
int64_t classify_seconds_ms(const char *s, size_t len);
/* What the answer as a whole says, by the order of precedence in the document;
 * 0: nothing, or nothing to wait for. */
uint64_t classify_after_ms(const struct breaker_http *answer,
                           const struct classify_body *body);

#endif
