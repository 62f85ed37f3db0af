#ifndef CLIENT_PEER_H
#define CLIENT_PEER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The library's own connection with a test at its other end. */
#include "client/transport.h"
#include "client_stage.h"
#include <sys/un.h>

struct peer {
    struct stage *stage;
    char path[128];
    int listener;
    int fd; /* of the connection taken up */
    struct transport transport;
    uint8_t in[65536];
    size_t in_len;
    char heard[4096]; /* lines and answers, each behind its id */
};

/* cmocka's setup and teardown; *state is the struct peer. */
int up(void **state);
int down(void **state);

/* ---- the peer's side ---- */

/* What it says behind its greeting. */
#define PEER_READY "\4\34\5READY\13Socket-Type\0\0\0\6ROUTER"

struct sockaddr_un address_of(const char *path);
void serve(struct peer *p, int backlog);
void end_serving(struct peer *p);
void take_up(struct peer *p);
void greet(struct peer *p);
void say(struct peer *p, const void *octets, size_t len);
/* What the worker has sent, as far as it is there. */
void hear(struct peer *p);

/* ---- the worker's side ---- */

bool open_transport(struct peer *p, struct cause *cause);
void start(struct peer *p);
/* Into `heard`; a transport_taker, the context is the struct peer. */
void take(void *context, uint64_t id, const char *line, size_t len);
/* As a session does it. */
uint32_t settle(struct peer *p);
void wait_ms(struct peer *p, int64_t ms);
void expect_trouble(struct peer *p, const char *clause);
/* The lowest free descriptor is the next one made. */
int next_descriptor(void);

/* Both, up to the end of the handshake. */
void shake_hands(struct peer *p);

#endif
