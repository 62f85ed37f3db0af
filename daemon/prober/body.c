/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/prober/body.h"
#include "core/json.h"
#include "core/past.h"
#include <string.h>

/* Colours as Discord takes them. */
static const uint64_t colours[BK_STATE_COUNT] = {
    [BK_CLOSED] = 0x2ecc71, [BK_OPEN] = 0xe74c3c, [BK_HALF_OPEN] = 0xe67e22};

static const char *const causes[BK_CAUSE_COUNT] = {
    [BK_CAUSE_NONE] = "no reason was given",
    [BK_CAUSE_CONSECUTIVE_FAILURES] = "failures in a row",
    [BK_CAUSE_FAILURE_RATE] = "too large a share of calls failed",
    [BK_CAUSE_SLOW_RATE] = "too large a share of calls was slow",
    [BK_CAUSE_CRITICAL] = "a critical outcome: credentials or account",
    [BK_CAUSE_PROBE_FAILED] = "a probe failed",
    [BK_CAUSE_PROBE_SUCCEEDED] = "probing succeeded",
    [BK_CAUSE_RECOVERY_TIMEOUT] = "the open time is over, probes may try",
    [BK_CAUSE_OPERATOR] = "an operator ordered it",
    [BK_CAUSE_OVERRIDE_EXPIRED] = "an operator's override has ended",
    [BK_CAUSE_RESTORED] = "restored after a restart"};

/* "gpt-4: closed -> open"; "gpt-4: closed, mode bypass" when the mode is the news. */
static void
put_title(struct bk_text *t, const struct body_change *c)
{
    bk_text_put(t, c->service);
    bk_text_put(t, ": ");
    bk_text_put(t, bk_state_name(c->from));
    if (c->to != c->from) {
        bk_text_put(t, " -> ");
        bk_text_put(t, bk_state_name(c->to));
    }
    if (c->to == c->from || c->mode != BK_AUTO) {
        bk_text_put(t, ", mode ");
        bk_text_put(t, bk_mode_name(c->mode));
    }
}

static void
put_why(struct bk_text *t, const struct body_change *c)
{
    bk_text_put(t, causes[c->cause]);
    if (c->text[0] != '\0') {
        bk_text_put(t, ": ");
        bk_text_put(t, c->text);
    }
}

/* ---- CloudEvents 1.0 ---- */

static void
write_data(struct bk_json *j, const struct body_change *c, const char *at)
{
    char until[BK_INSTANT_SIZE];
    bk_json_open(j, "data", '{');
    bk_json_string(j, "service", c->service);
    bk_json_string(j, "from", bk_state_name(c->from));
    bk_json_string(j, "to", bk_state_name(c->to));
    bk_json_string(j, "mode", bk_mode_name(c->mode));
    bk_json_string(j, "reason", bk_cause_name(c->cause));
    bk_json_u64(j, "generation", c->generation);
    bk_json_string(j, "actor", c->actor);
    bk_json_string(j, "text", c->text);
    bk_json_string(j, "at", at);
    if (c->until_ms > 0) {
        bk_instant_format((int64_t)c->until_ms, until);
        bk_json_string(j, "until", until);
    } else {
        bk_json_null(j, "until");
    }
    bk_json_u64(j, "seq", c->seq);
    bk_json_u64(j, "count", c->count);
    bk_json_close(j, '}');
}

static void
write_generic(struct bk_json *j, const struct body_change *c, const char *host)
{
    char at[BK_INSTANT_SIZE];
    char id[48];
    char source[128];
    struct bk_text t;
    bk_instant_format((int64_t)c->at_ms, at);
    /* A new database counts from 1 again, the clock does not. */
    bk_text_init(&t, id, sizeof(id));
    bk_text_put_u64(&t, c->at_ms);
    bk_text_put_char(&t, '-');
    bk_text_put_u64(&t, c->seq);
    bk_text_init(&t, source, sizeof(source));
    bk_text_put(&t, "//");
    bk_text_put(&t, host);
    bk_text_put(&t, "/breakerd");
    bk_json_open(j, NULL, '{');
    bk_json_string(j, "specversion", "1.0");
    bk_json_string(j, "id", id);
    bk_json_string(j, "source", source);
    bk_json_string(j, "type", "io.breakerd.circuit.transition");
    bk_json_string(j, "subject", c->service);
    bk_json_string(j, "time", at);
    bk_json_string(j, "datacontenttype", "application/json");
    write_data(j, c, at);
    bk_json_close(j, '}');
}

/* ---- Discord ---- */

static void
write_discord_field(struct bk_json *j, const char *name, const char *value)
{
    bk_json_open(j, NULL, '{');
    bk_json_string(j, "name", name);
    bk_json_string(j, "value", value);
    bk_json_bool(j, "inline", true);
    bk_json_close(j, '}');
}

static void
write_discord_fields(struct bk_json *j, const struct body_change *c,
                     const char *host)
{
    char value[64];
    struct bk_text t;
    bk_json_open(j, "fields", '[');
    write_discord_field(j, "host", host);
    if (c->mode != BK_AUTO) {
        write_discord_field(j, "mode", bk_mode_name(c->mode));
    }
    if (c->until_ms > 0) {
        bk_text_init(&t, value, sizeof(value));
        bk_text_put(&t, "<t:");
        bk_text_put_u64(&t, (c->until_ms + 999) / 1000);
        bk_text_put(&t, ":R>");
        write_discord_field(j, "until", value);
    }
    if (c->count > 1) {
        bk_text_init(&t, value, sizeof(value));
        bk_text_put_u64(&t, c->count);
        write_discord_field(j, "changes", value);
    }
    bk_json_close(j, ']');
}

/* Nobody is to be called by what a name or a text happens to say. */
static void
write_discord(struct bk_json *j, const struct body_change *c, const char *host)
{
    char at[BK_INSTANT_SIZE];
    char words[256];
    struct bk_text t;
    bk_instant_format((int64_t)c->at_ms, at);
    bk_json_open(j, NULL, '{');
    bk_json_string(j, "username", "breakerd");
    bk_json_open(j, "allowed_mentions", '{');
    bk_json_open(j, "parse", '[');
    bk_json_close(j, ']');
    bk_json_close(j, '}');
    bk_json_open(j, "embeds", '[');
    bk_json_open(j, NULL, '{');
    bk_text_init(&t, words, sizeof(words));
    put_title(&t, c);
    bk_json_string(j, "title", words);
    bk_json_u64(j, "color", colours[c->to]);
    bk_text_init(&t, words, sizeof(words));
    put_why(&t, c);
    bk_json_string(j, "description", words);
    write_discord_fields(j, c, host);
    bk_json_string(j, "timestamp", at);
    bk_json_close(j, '}');
    bk_json_close(j, ']');
    bk_json_close(j, '}');
}

/* ---- Slack ---- */

/* Its own markup begins with these. */
static void
put_escaped(struct bk_text *t, const char *words)
{
    for (const char *c = words; *c != '\0'; c++) {
        if (*c == '&') {
            bk_text_put(t, "&amp;");
        } else if (*c == '<') {
            bk_text_put(t, "&lt;");
        } else if (*c == '>') {
            bk_text_put(t, "&gt;");
        } else {
            bk_text_put_char(t, *c);
        }
    }
}

static void
write_slack_field(struct bk_json *j, const char *name, const char *value)
{
    char words[768];
    struct bk_text t;
    bk_text_init(&t, words, sizeof(words));
    bk_text_put_char(&t, '*');
    bk_text_put(&t, name);
    bk_text_put(&t, "*\n");
    put_escaped(&t, value);
    bk_json_open(j, NULL, '{');
    bk_json_string(j, "type", "mrkdwn");
    bk_json_string(j, "text", words);
    bk_json_close(j, '}');
}

static void
write_slack_fields(struct bk_json *j, const struct body_change *c,
                   const char *host, const char *why)
{
    char value[64];
    struct bk_text t;
    bk_json_open(j, "fields", '[');
    write_slack_field(j, "reason", why);
    write_slack_field(j, "host", host);
    if (c->mode != BK_AUTO) {
        write_slack_field(j, "mode", bk_mode_name(c->mode));
    }
    if (c->until_ms > 0) {
        char until[BK_INSTANT_SIZE];
        bk_instant_format((int64_t)c->until_ms, until);
        write_slack_field(j, "until", until);
    }
    if (c->count > 1) {
        bk_text_init(&t, value, sizeof(value));
        bk_text_put_u64(&t, c->count);
        write_slack_field(j, "changes", value);
    }
    bk_json_close(j, ']');
}

static void
write_slack(struct bk_json *j, const struct body_change *c, const char *host)
{
    char title[128];
    char why[256];
    char plain[1024];
    struct bk_text t;
    bk_text_init(&t, title, sizeof(title));
    put_title(&t, c);
    bk_text_init(&t, why, sizeof(why));
    put_why(&t, c);
    bk_text_init(&t, plain, sizeof(plain));
    put_escaped(&t, title);
    bk_text_put(&t, " (");
    put_escaped(&t, why);
    bk_text_put_char(&t, ')');
    bk_json_open(j, NULL, '{');
    bk_json_string(j, "text", plain);
    bk_json_open(j, "blocks", '[');
    bk_json_open(j, NULL, '{');
    bk_json_string(j, "type", "header");
    bk_json_open(j, "text", '{');
    bk_json_string(j, "type", "plain_text");
    bk_json_string(j, "text", title);
    bk_json_close(j, '}');
    bk_json_close(j, '}');
    bk_json_open(j, NULL, '{');
    bk_json_string(j, "type", "section");
    write_slack_fields(j, c, host, why);
    bk_json_close(j, '}');
    bk_json_close(j, ']');
    bk_json_close(j, '}');
}

static const struct {
    void (*write)(struct bk_json *j, const struct body_change *c,
                  const char *host);
    const char *content_type;
} rows[BK_WEBHOOK_FORMAT_COUNT] = {
    [BK_WEBHOOK_GENERIC] = {write_generic, "application/cloudevents+json"},
    [BK_WEBHOOK_DISCORD] = {write_discord, "application/json"},
    [BK_WEBHOOK_SLACK] = {write_slack, "application/json"},
};

void
body_write(enum bk_webhook_format format, const struct body_change *change,
           const char *host, char *out)
{
    struct bk_text t;
    struct bk_json j;
    bk_text_init(&t, out, BODY_SIZE);
    bk_json_init(&j, &t);
    rows[format].write(&j, change, host);
}

const char *
body_content_type(enum bk_webhook_format format)
{
    return rows[format].content_type;
}
