#ifndef POLICIES_H
#define POLICIES_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A policy for a test: the defaults with some keys changed, in the words of a
 * configuration file. */
#include "core/policy.h"

/* `settings` is "key=value key=value", without spaces inside; "" for none. */
struct bk_policy policy_with(const char *settings);

#endif
