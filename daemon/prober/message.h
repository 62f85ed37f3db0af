#ifndef PROBER_MESSAGE_H
#define PROBER_MESSAGE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What breakerd and its prober say to each other: one line of words a packet, so
 * that a packet is whole or not there. Each side checks what the other sends. */
#include "core/config_file.h"

#define MESSAGE_MAX 4096 /* octets of a packet */
#define MESSAGE_LIST_SIZE (BK_WEBHOOK_SERVICES_MAX * BK_NAME_SIZE)

enum message_kind {
    /* breakerd says */
    MESSAGE_PROBE,   /* ask this address, from now on */
    MESSAGE_UNPROBE, /* no more */
    MESSAGE_HOOK,    /* tell this address of changes, from now on */
    MESSAGE_UNHOOK,  /* no more */
    MESSAGE_EVENT,   /* a service has changed */
    /* the prober says */
    MESSAGE_ALIVE,   /* once a second */
    MESSAGE_RESULT,  /* of a health probe */
    MESSAGE_TOLD,    /* messages sent, failed, dropped since it last said so */
    MESSAGE_TROUBLE, /* of its own, for the log */
    MESSAGE_KIND_COUNT
};

/* Each kind uses the fields that its row in message.c names; the rest is zero. */
struct message {
    uint64_t kind;  /* enum message_kind */
    uint64_t place; /* of the service or webhook, in the daemon's table */
    char name[BK_NAME_SIZE];
    char url[BK_WEBHOOK_URL_SIZE];
    uint64_t interval_ms;
    uint64_t timeout_ms;
    uint64_t format;                  /* enum bk_webhook_format */
    char services[MESSAGE_LIST_SIZE]; /* "a,b,c", or "*" for all */
    uint64_t outcome;                 /* success, failure or timeout */
    uint64_t latency_us;
    uint64_t sent;
    uint64_t failed;
    uint64_t dropped;
    uint64_t seq;
    uint64_t from;
    uint64_t to;
    uint64_t mode;
    uint64_t cause;
    uint64_t generation;
    uint64_t at_ms;    /* wall clock */
    uint64_t until_ms; /* wall clock: when it may be tried; 0: unknown */
    char actor[BK_ACTOR_SIZE];
    char text[BK_REASON_SIZE];
};

/* Octets written into `out` (MESSAGE_MAX), or -1 when a field cannot be sent. */
int message_write(const struct message *m, char *out);
/* False for anything that message_write does not make. */
bool message_read(const char *at, size_t len, struct message *out);

#endif
