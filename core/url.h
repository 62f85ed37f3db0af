#ifndef BK_URL_H
#define BK_URL_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses that breakerd may be told to ask: whether one can be meant at all. */
#include <stdbool.h>
#include <stddef.h>

/* True for http:// or https:// with a host, and a port that exists where one is
 * given, in printable ASCII. */
bool bk_url_is_valid(const char *s, size_t len);

#endif
