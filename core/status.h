#ifndef BK_STATUS_H
#define BK_STATUS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The status JSON, written once for the daemon, the tools and the scenarios. */
#include "core/fleet.h"
#include "core/json.h"

struct bk_status_daemon {
    bool is_running;
    uint64_t pid;
    const char *version;
    uint64_t epoch;
    int64_t uptime_ns;
    uint64_t services;
    uint64_t workers;
};

struct bk_status_service {
    const char *name;
    const struct bk_breaker *breaker;
    const struct bk_policy *policy;
    const struct bk_evidence *evidence; /* BK_EVIDENCE_COUNT, or NULL */
    int64_t now_ns;
};

/* {"schema":1,"daemon":{...},"services":[ ... then one call a service, then the
 * end. A caller may send what it has between rows. */
void bk_status_begin(struct bk_json *j, const struct bk_status_daemon *daemon);
void bk_status_row(struct bk_json *j, const struct bk_status_service *service);
void bk_status_end(struct bk_json *j);

#endif
