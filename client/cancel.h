#ifndef CLIENT_CANCEL_H
#define CLIENT_CANCEL_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Sleeping until a time or until cancelled. */
#include "breaker/retry.h"

/* Returns after `ns`, as soon as `cancel` (may be NULL) is set, or when a signal
 * was handled. Keeps errno. */
void cancel_sleep(const struct breaker_cancel *cancel, int64_t ns);

#endif
