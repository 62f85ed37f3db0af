#ifndef CLIENT_CLASSIFY_DATE_H
#define CLIENT_CLASSIFY_DATE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP-dates, in the three forms that a recipient has to accept. */
#include "core/vocab.h"

/* Reads the whole of `s`: "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94
 * 08:49:37 GMT" or "Sun Nov  6 08:49:37 1994". A year of two digits is the one
 * that is at most 50 years after `now_s`. False, and *out_s as it was, for
 * anything else; the name of the day is not compared with the date. */
bool classify_date_read(const char *s, size_t len, int64_t now_s,
                        int64_t *out_s);

#endif
