#ifndef QUICKSTART_REMOTE_H
#define QUICKSTART_REMOTE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Talk with flaky-upstream's control port. */
#include "core/text.h"

/* Begins its script anew, or with `script` when that is not NULL. False: said
 * why on standard error. */
bool quickstart_remote_start(const char *control, const char *script);
/* Its statistics, a JSON object of at most `size` - 1 octets; "" when it does not
 * answer. */
void quickstart_remote_stats(const char *control, char *json, size_t size);

#endif
