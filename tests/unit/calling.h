#ifndef CALLING_H
#define CALLING_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Callers with one of them at the other end of a socket, to say and hear octets. */
#include "daemon/callers.h"

struct calling {
    struct callers *callers;
    char directory[64];
    char path[96];
    int64_t now_ns;
    int fd;       /* its end; it does not block */
    uint64_t key; /* its name; it has greeted and said something */
    size_t taken; /* for a test to count */
};

/* Set-up and tear-down of cmocka's. */
int calling_open(void **state);
int calling_close(void **state);
/* Another one, that has said nothing; its end. */
int calling_connect(const struct calling *l);
/* What a caller says: all of it, or the test fails. */
void calling_say(int fd, const void *octets, size_t len);
/* Greeting and READY of such a socket; what is said to it so far is read. */
void calling_greet(struct calling *l, int fd, const char *type);
/* The daemon's side hears what it can: calls `taken` for each message. */
void calling_hear(struct calling *l,
                  void (*taken)(void *context, const struct callers_message *m),
                  void *context);
/* Exactly these octets come next. */
void calling_expect(const struct calling *l, const char *octets, size_t len);
/* Whether the daemon has hung up; what it said before is read. */
bool calling_is_over(int fd);

#endif
