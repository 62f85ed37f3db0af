#ifndef UPSTREAM_SCRIPT_H
#define UPSTREAM_SCRIPT_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The script of flaky-upstream: how it behaves from when until when. */
#include "core/text.h"

#define UPSTREAM_PHASES 64
#define UPSTREAM_TITLE_SIZE 64
/* A script's text, from the command line, a file or the control port. */
#define UPSTREAM_SCRIPT_BYTES 4096
/* A retry-after is at most this many seconds. */
#define UPSTREAM_RETRY_AFTER_MAX_S 3600

/* What a request meets. */
enum upstream_kind {
    UPSTREAM_OK,     /* 200 */
    UPSTREAM_STATUS, /* an error status, with or without a Retry-After */
    UPSTREAM_HANG,   /* the request is read and never answered */
    UPSTREAM_RESET,  /* the connection is reset when the request is there */
    UPSTREAM_REFUSE, /* nobody listens; what was connected is cut */
    UPSTREAM_KIND_COUNT
};
const char *upstream_kind_name(enum upstream_kind kind);

struct upstream_phase {
    char title[UPSTREAM_TITLE_SIZE]; /* as it was written */
    enum upstream_kind kind;
    unsigned status;          /* of UPSTREAM_STATUS */
    int64_t length_ns;        /* BK_NEVER: the last one stays */
    int64_t latency_ns;       /* -1: the server's */
    int64_t retry_after_s;    /* -1: none */
    bool is_retry_after_date; /* as an HTTP-date instead of seconds */
    uint64_t share_ppm;       /* of the requests; the others meet UPSTREAM_OK */
};

struct upstream_script {
    size_t count; /* at least 1 */
    struct upstream_phase phases[UPSTREAM_PHASES];
};

/* Reads "ok 2s; down 503 4s; 429 retry-after=1 1s; ok": phases between `;` or
 * line ends, `#` starts a comment. False: `error` has one sentence. */
bool upstream_script_parse(const char *text, size_t len,
                           struct upstream_script *out, struct bk_text *error);

/* The phase in force `elapsed_ns` after the start; *until_ns is when (after the
 * start) it ends, or BK_NEVER. After the last phase's end the last one stays. */
size_t upstream_script_at(const struct upstream_script *script,
                          int64_t elapsed_ns, int64_t *until_ns);

#endif
