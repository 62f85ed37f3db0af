/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/ctl_options.h"
#include "core/text.h"
#include <string.h>

/* More lines than anybody reads; also the bound of a question for history. */
#define LIMIT_MAX 10000
/* More attempts than any policy grants. */
#define ATTEMPTS_MAX 1000
#define INTERVAL_LEAST_NS (100 * BK_NS_PER_MS)
#define INTERVAL_MOST_NS (3600 * BK_NS_PER_S)

static bool
read_dir(struct ctl *c, const char *value)
{
    c->dir = value;
    return value[0] != '\0';
}

static bool
read_db(struct ctl *c, const char *value)
{
    c->db = value;
    return value[0] != '\0';
}

static bool
read_output(struct ctl *c, const char *value)
{
    c->is_json = strcmp(value, "json") == 0;
    return c->is_json || strcmp(value, "table") == 0;
}

static bool
read_json(struct ctl *c, const char *value)
{
    (void)value;
    c->is_json = true;
    return true;
}

static bool
read_help(struct ctl *c, const char *value)
{
    (void)value;
    c->wants_help = true;
    return true;
}

static bool
read_version(struct ctl *c, const char *value)
{
    (void)value;
    c->wants_version = true;
    return true;
}

static bool
read_reason(struct ctl *c, const char *value)
{
    c->reason = value[0] != '\0' ? value : NULL;
    for (; *value != '\0'; value++) {
        if ((unsigned char)*value < ' ' || *value == 0x7f)
            return false;
    }
    return true;
}

static bool
read_for(struct ctl *c, const char *value)
{
    return bk_read_duration(value, strlen(value), &c->for_ns) && c->for_ns > 0;
}

static bool
read_limit(struct ctl *c, const char *value)
{
    return bk_read_number(value, strlen(value), &c->limit) && c->limit > 0 &&
           c->limit <= LIMIT_MAX;
}

static bool
read_attempts(struct ctl *c, const char *value)
{
    return bk_read_number(value, strlen(value), &c->max_attempts) &&
           c->max_attempts > 0 && c->max_attempts <= ATTEMPTS_MAX;
}

static bool
read_timeout(struct ctl *c, const char *value)
{
    return bk_read_duration(value, strlen(value), &c->timeout_ns) &&
           c->timeout_ns > 0;
}

static bool
read_wait(struct ctl *c, const char *value)
{
    return bk_read_duration(value, strlen(value), &c->wait_ns);
}

static bool
read_retry_on(struct ctl *c, const char *value)
{
    c->retry_on = value;
    return true;
}

static bool
read_critical_on(struct ctl *c, const char *value)
{
    c->critical_on = value;
    return true;
}

static bool
read_reject_on(struct ctl *c, const char *value)
{
    c->reject_on = value;
    return true;
}

/* Between two looks: so seldom that nobody's machine feels it. */
static bool
is_interval(int64_t ns)
{
    return ns >= INTERVAL_LEAST_NS && ns <= INTERVAL_MOST_NS;
}

static bool
read_interval(struct ctl *c, const char *value)
{
    return bk_read_duration(value, strlen(value), &c->interval_ns) &&
           is_interval(c->interval_ns);
}

/* Bare seconds too, as watch(1) takes them. */
static bool
read_watch(struct ctl *c, const char *value)
{
    size_t len = strlen(value);

    return len == 0 || ((bk_read_seconds(value, len, &c->interval_ns) ||
                         bk_read_duration(value, len, &c->interval_ns)) &&
                        is_interval(c->interval_ns));
}

/* "closed,half_open" as bits. */
static bool
read_states(const char *value, unsigned *states)
{
    size_t len;

    for (*states = 0;; value += len + 1) {
        len = strcspn(value, ",");
        int state = bk_state_parse(value, len);

        if (state < 0)
            return false;
        *states |= 1U << (unsigned)state;
        if (value[len] == '\0')
            return true;
    }
}

static bool
read_state(struct ctl *c, const char *value)
{
    return read_states(value, &c->states);
}

static bool
read_from(struct ctl *c, const char *value)
{
    return read_states(value, &c->from_states);
}

static bool
read_to(struct ctl *c, const char *value)
{
    return read_states(value, &c->to_states);
}

static bool
read_since(struct ctl *c, const char *value)
{
    c->since = value;
    return value[0] != '\0';
}

/* Up to three numbers with colons between. */
static bool
read_actor(struct ctl *c, const char *value)
{
    int numbers = 0;

    c->actor = value;
    while (true) {
        size_t len = strspn(value, "0123456789");

        numbers++;
        if (len == 0 || numbers > 3)
            return false;
        value += len;
        if (*value == '\0')
            return true;
        if (*value++ != ':')
            return false;
    }
}

static bool
read_compat(struct ctl *c, const char *value)
{
    c->compat = value;
    return true;
}

static bool
read_file(struct ctl *c, const char *value)
{
    c->file = value;
    return value[0] != '\0';
}

static bool
read_flag(struct ctl *c, const char *value)
{
    (void)c;
    (void)value;
    return true;
}

const struct ctl_option_row ctl_option_rows[] = {
    {CTL_COMMON, 0, "dir", "DIR",
     "the instance's directory\n"
     "(else $BREAKERD_DIR, else the first there is of\n"
     "$XDG_RUNTIME_DIR/breakerd, /run/breakerd,\n"
     "/tmp/breakerd-$UID)",
     read_dir},
    {CTL_COMMON, 'o', "output", "table|json", "how data is printed",
     read_output},
    {CTL_COMMON, 0, "json", NULL, "the same as -o json", read_json},
    {CTL_REASON, 0, "reason", "TEXT",
     "why, in your words (one line); kept in the history\n"
     "(history: a reason's word, only its lines)",
     read_reason},
    {CTL_FOR, 0, "for", "DURATION",
     "ends by itself after this long (500ms 30s 10m 2h)", read_for},
    {CTL_ALL, 0, "all", NULL, "every service", read_flag},
    {CTL_OVERRIDES, 0, "overrides", NULL, "with --all: remove overrides too",
     read_flag},
    {CTL_YES, 'y', "yes", NULL, "do not ask", read_flag},
    {CTL_LIMIT, 'n', "limit", "N", "at most this many lines (1 to 10000)",
     read_limit},
    {CTL_DB, 0, "db", "FILE", "the daemon's database file", read_db},
    {CTL_OPERATOR, 0, "operator", NULL,
     "use the operators' endpoint, not the workers'", read_flag},
    {CTL_ATTEMPTS, 0, "max-attempts", "N",
     "at most N attempts (1 to 1000; the policy holds too)", read_attempts},
    {CTL_TIMEOUT, 0, "timeout", "DURATION",
     "run: end an attempt after this long (TERM, KILL 5 s\n"
     "later); wait: give up after this long (else 60s)",
     read_timeout},
    {CTL_WAIT, 0, "wait", "DURATION",
     "when denied, wait for the circuit, in all this long", read_wait},
    {CTL_RETRY_ON, 0, "retry-on", "STATUSES",
     "failures of the service; other statuses are then the\n"
     "command's own trouble (else every one not explained)",
     read_retry_on},
    {CTL_CRITICAL_ON, 0, "critical-on", "STATUSES",
     "bad credentials or account: never retried", read_critical_on},
    {CTL_REJECT_ON, 0, "reject-on", "STATUSES",
     "the service is well but refused this call", read_reject_on},
    {CTL_RETRY_OUTPUT, 0, "retry-output", NULL,
     "retry even when the command has written output", read_flag},
    {CTL_INTERVAL, 'd', "interval", "DURATION",
     "between two looks, 100ms to 1h (else 1s)", read_interval},
    {CTL_ONCE, 0, "once", NULL, "one look, as text, and the end", read_flag},
    {CTL_WATCH, 0, "watch", "[=SECONDS]",
     "again and again (every 2 s) until Ctrl-C", read_watch},
    {CTL_STATE, 0, "state", "STATES",
     "closed, open, half_open; several with commas", read_state},
    {CTL_SINCE, 0, "since", "DURATION|TIME",
     "not older than this: 90m, or 2026-01-31T12:00:00Z", read_since},
    {CTL_ACTOR, 0, "actor", "UID[:GID[:PID]]",
     "only what this user, group or process ordered", read_actor},
    {CTL_FROM, 0, "from", "STATES", "only changes from these states",
     read_from},
    {CTL_TO, 0, "to", "STATES", "only changes to these states", read_to},
    {CTL_FORCE, 0, "force", NULL, "replace FILE, an older copy", read_flag},
    {CTL_COMPAT, 0, "compat", "NAMES", "names of another library: resilience4j",
     read_compat},
    {CTL_FILE, 0, "file", "FILE", "into FILE, which is replaced as a whole",
     read_file},
    {CTL_COMMON, 'h', "help", NULL, "show this help", read_help},
    {CTL_COMMON, 0, "version", NULL, "show the version", read_version},
};
const size_t ctl_option_count =
    sizeof ctl_option_rows / sizeof ctl_option_rows[0];
