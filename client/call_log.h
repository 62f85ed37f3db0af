#ifndef CLIENT_CALL_LOG_H
#define CLIENT_CALL_LOG_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What a call says to people and adds to the numbers. */
#include "client/call.h"
#include "client/client.h"

/* `b` may be NULL: then only the call's own callback hears of it. */
void call_log(struct breaker *b, const struct breaker_call *call,
              enum call_event event, int64_t delay_ns);

#endif
