#ifndef WEB_REQUEST_H
#define WEB_REQUEST_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What a request says, judged before anything is done about it: pure functions
 * over octets that anybody may send. */
#include "core/text.h"

/* Longer targets are refused. */
#define WEB_TARGET_MAX 1024
#define WEB_HOSTS_MAX 16
#define WEB_PORTS_MAX 4
/* Every answer there is to a parameter, on the stack. */
#define WEB_VALUE_SIZE 128

/* The names this server answers to. A page of a stranger that lets its own name
 * point here (DNS rebinding) has the browser send that name. */
struct web_hosts {
    const char *names[WEB_HOSTS_MAX]; /* allowed with any port */
    size_t count;
    uint16_t ports[WEB_PORTS_MAX]; /* allowed with the loopback's names */
    size_t port_count;
    bool takes_no_port; /* the loopback's names alone will do, too */
};

/* "127.0.0.1:9465", "[::1]:9465", "localhost:9465", or one of the names. Case
 * does not matter. */
bool web_host_is_allowed(const struct web_hosts *hosts, const char *host,
                         size_t len);

/* A request's target as it came, percent signs and all. Points into it. */
struct web_target {
    const char *path;
    size_t path_len;
    const char *query; /* behind the question mark; NULL without one */
    size_t query_len;
};

/* False for what is no plain "/path?query" of printable ASCII. */
bool web_target_read(const char *text, size_t len, struct web_target *out);
/* The path is compared octet by octet: no decoding, no dots, no second slash. */
bool web_target_is(const struct web_target *t, const char *path);

enum web_value {
    WEB_VALUE_ABSENT,
    WEB_VALUE_GIVEN,
    WEB_VALUE_BAD /* twice, a broken escape, a control character, too long */
};
/* Value of one parameter, percent signs decoded, NUL-terminated. */
enum web_value web_target_value(const struct web_target *t, const char *key,
                                char out[WEB_VALUE_SIZE]);
/* Whether each parameter is one of `keys` (ended by NULL). */
bool web_target_knows(const struct web_target *t, const char *const *keys);

#endif
