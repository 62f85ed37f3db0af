#ifndef CLIENT_CLASSIFY_HEAD_H
#define CLIENT_CLASSIFY_HEAD_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Header lines as they came off the wire. */
#include "core/vocab.h"

/* A piece of somebody else's octets. */
struct classify_view {
    const char *at; /* NULL: there is none */
    size_t len;
};

/* Without blanks, tabs and line ends at both ends. */
struct classify_view classify_trim(const char *at, size_t len);
/* Compares without regard to the case of letters of ASCII. */
bool classify_is(struct classify_view view, const char *word);
/* The trimmed value of the last line with this name, in the last block of lines
 * (what comes before belongs to an interim answer or a redirect). */
struct classify_view classify_head_find(const char *headers, size_t len,
                                        const char *name);

#endif
