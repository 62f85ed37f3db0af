#ifndef CTL_ORDER_H
#define CTL_ORDER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What operators' orders have in common: the reason that goes with them, and the
 * words for what now happens to calls. */
#include "tools/ctl_ask.h"

/* Warns of a reason that will be cut, refuses one that fits no line. */
enum ctl_exit order_check_reason(const struct ctl *c);
/* Prints answer number `at` for the service: JSON, or a sentence that says what
 * now happens to calls and until when. `verb`: the subcommand's name. */
enum ctl_exit order_print(const struct ctl *c, const struct link_reply *reply,
                          size_t at, const char *service, const char *verb);

#endif
