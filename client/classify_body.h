#ifndef CLIENT_CLASSIFY_BODY_H
#define CLIENT_CLASSIFY_BODY_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What an error body in JSON says, of the few fields that the table knows. */
#include "core/vocab.h"

#define CLASSIFY_WORD_SIZE 48
#define CLASSIFY_MESSAGE_SIZE 512

/* Strings are in small letters, NUL-ended, cut to fit, printable ASCII only ('?'
 * for the rest); "" when the body does not have them. Fields within "error" go
 * before those at the top. */
struct classify_body {
    char code[CLASSIFY_WORD_SIZE];
    char type[CLASSIFY_WORD_SIZE];
    char message[CLASSIFY_MESSAGE_SIZE];
    int64_t retry_after_ms; /* the top's retry_after in seconds; -1: none */
    bool is_plain;          /* "error" is a string, as Ollama has it */
    bool has_global;        /* Discord's */
    bool is_global;
};

/* Reads a body, or the beginning of one. What cannot be read ends it: what was
 * found so far stays. Never deeper than it is told to look, so that no nesting
 * costs more than its length. */
void classify_body_read(const char *at, size_t len, struct classify_body *out);

#endif
