#ifndef BK_WIRE_H
#define BK_WIRE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * BRK/1 lines: requests read, replies written, and for clients the other way
 * round. Commands are rows of one table. docs/protocol.md is the specification. */
#include "core/text.h"

#define BK_PROTOCOL 1
#define BK_LINE_MAX 1024      /* octets of a request line */
#define BK_LINES_MAX 1024     /* lines of a message */
#define BK_ENVELOPE_MAX 4     /* frames before the delimiter */
#define BK_ENVELOPE_OCTETS 64 /* of one of them */
#define BK_FRAME_MAX 8192     /* a longer one closes the connection */

enum bk_command {
    BK_CMD_HELLO,
    BK_CMD_PING,
    BK_CMD_ACQUIRE,
    BK_CMD_REPORT,
    BK_CMD_REPORTQ,
    BK_CMD_TALLYQ,
    BK_CMD_RETRY,
    BK_CMD_RELEASE,
    BK_CMD_RENEW,
    BK_CMD_STATUS,
    BK_CMD_CONFIG,
    BK_CMD_RESET,
    BK_CMD_TRIP,
    BK_CMD_BYPASS,
    BK_CMD_OBSERVE,
    BK_CMD_AUTO,
    BK_CMD_SET,
    BK_CMD_UNSET,
    BK_CMD_RELOAD,
    BK_CMD_HISTORY,
    BK_CMD_BACKUP,
    BK_CMD_FORGET,
    BK_CMD_COUNT
};

struct bk_command_row {
    const char *name;
    const char *words; /* how the words after it are written, for help */
    bool is_operators; /* refused at the worker endpoint */
    bool is_silent;    /* never answered */
};
extern const struct bk_command_row bk_command_rows[BK_CMD_COUNT];

/* A word of the line; NULL when it was not given. Points into the line. */
struct bk_word {
    const char *at;
    size_t len;
};

/* A request. Fields a command does not have are zero. */
struct bk_request {
    enum bk_command command;
    struct bk_word service; /* or a route, or "*" where allowed */
    struct bk_word text;    /* reason, error text */
    struct bk_word key;     /* SET, UNSET; HELLO: worker's name */
    struct bk_word value;   /* SET; TALLYQ: reason */
    uint64_t id;            /* permit or token */
    uint64_t generation;
    uint64_t attempt;     /* ACQUIRE: 1 when not given; REPORT: 0 unknown */
    uint64_t latency_us;  /* valid when has_latency */
    uint64_t duration_ms; /* ttl (0: not given), retry_after (0: none),
                                operator's duration when has_duration */
    uint64_t count;       /* TALLYQ, HISTORY limit, HELLO: pid or protocol */
    uint64_t protocol;    /* HELLO */
    int outcome;          /* enum bk_outcome */
    bool is_current;      /* generation was "-" */
    bool has_latency;
    bool has_duration;
    bool will_retry; /* attempt had a + */
    bool is_all;     /* service was "*" (RESET, AUTO, HISTORY) or, for
                                STATUS and CONFIG, not given */
    bool is_allowed; /* TALLYQ */
};

/* Reads one request line. On failure returns the error's code and *why is one
 * static clause about it; `out->command` is set when the command was known. A
 * service's name is checked here (BK_ERR_BAD_SERVICE). */
enum bk_error bk_request_parse(const char *line, size_t len,
                               struct bk_request *out, const char **why);

/* Writers of answer lines; each appends one line without an end mark. */
void bk_write_error(struct bk_text *out, enum bk_error code, const char *text);
void bk_write_allow(struct bk_text *out, const char *service, uint64_t permit,
                    uint64_t generation, enum bk_state state);
void bk_write_deny(struct bk_text *out, const char *service,
                   enum bk_deny reason, uint64_t retry_after_ms);
void bk_write_grant(struct bk_text *out, const char *service, uint64_t token,
                    uint64_t delay_ms);
void bk_write_applied(struct bk_text *out, enum bk_applied applied);
void bk_write_pong(struct bk_text *out, uint64_t epoch);

/* Writers of request lines, for clients. `service` must be valid. */
void bk_write_acquire(struct bk_text *out, const char *service,
                      uint64_t attempt, uint64_t token, uint64_t ttl_ms);
void bk_write_report(struct bk_text *out, bool is_silent, const char *service,
                     uint64_t permit, bool is_current, uint64_t generation,
                     enum bk_outcome outcome, int64_t latency_us,
                     uint64_t attempt, bool will_retry, uint64_t retry_after_ms,
                     const char *text);
void bk_write_retry(struct bk_text *out, const char *service,
                    uint64_t failed_attempt, enum bk_outcome outcome,
                    uint64_t retry_after_ms);
void bk_write_release(struct bk_text *out, uint64_t id);
void bk_write_renew(struct bk_text *out, uint64_t permit, uint64_t ttl_ms);
void bk_write_tally(struct bk_text *out, const char *service, bool is_allowed,
                    uint64_t count, enum bk_deny reason);

enum bk_reply_kind {
    BK_REPLY_OK,
    BK_REPLY_ALLOW,
    BK_REPLY_DENY,
    BK_REPLY_GRANT,
    BK_REPLY_PONG,
    BK_REPLY_ERR
};
struct bk_reply {
    enum bk_reply_kind kind;
    struct bk_word service;
    struct bk_word text; /* OK: the rest of the line; ERR: the sentence */
    uint64_t id;         /* permit, token, or PONG's epoch */
    uint64_t generation;
    uint64_t wait_ms; /* DENY: retry_after; GRANT: delay */
    int state;        /* ALLOW: enum bk_state */
    int deny;         /* DENY: enum bk_deny */
    int error;        /* ERR: enum bk_error */
    int applied;      /* OK applied|stale|unknown: enum bk_applied, else -1 */
};
/* Reads an answer line; false for anything that is none. Hostile input is fine. */
bool bk_reply_parse(const char *line, size_t len, struct bk_reply *out);

#endif
