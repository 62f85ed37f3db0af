#ifndef UPSTREAM_SERVER_H
#define UPSTREAM_SERVER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The server of flaky-upstream: one thread, one epoll descriptor, two ports on
 * 127.0.0.1. The main port follows the script; the control port always answers:
 * GET /stats, POST /start (the script and the counts begin anew), POST /script
 * (the body is a new script). */
#include "tools/upstream_script.h"

struct upstream_options {
    uint16_t port;          /* 0: any free one */
    uint16_t control_port;  /* 0: any free one */
    int64_t latency_ns;     /* of phases that do not say */
    uint32_t connections;   /* open at once on both ports; the rest is cut */
    const char *stats_path; /* NULL: none; rewritten at every phase's end */
    struct upstream_script script;
};

struct upstream_server; /* private */

/* Binds both ports and starts the script. NULL: `error` has one sentence. */
struct upstream_server *
upstream_server_new(const struct upstream_options *options,
                    struct bk_text *error);
uint16_t upstream_server_port(const struct upstream_server *server);
uint16_t upstream_server_control_port(const struct upstream_server *server);
/* Serves until `stop_fd` becomes readable. False: `error` has one sentence. */
bool upstream_server_run(struct upstream_server *server, int stop_fd,
                         struct bk_text *error);
void upstream_server_free(struct upstream_server **server);

#endif
