/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config_webhook.h"
#include "core/url.h"
#include <limits.h>
#include <string.h>

static const char *const formats[BK_WEBHOOK_FORMAT_COUNT] = {
    [BK_WEBHOOK_GENERIC] = "generic",
    [BK_WEBHOOK_DISCORD] = "discord",
    [BK_WEBHOOK_SLACK] = "slack"};

const char *
bk_webhook_format_name(enum bk_webhook_format format)
{
    return formats[format];
}

int
bk_webhook_format_parse(const char *text, size_t len)
{
    for (int i = 0; i < BK_WEBHOOK_FORMAT_COUNT; i++) {
        if (bk_is(text, len, formats[i]))
            return i;
    }
    return -1;
}

bool
bk_webhook_takes_url(const char *text, size_t len)
{
    return len < BK_WEBHOOK_URL_SIZE && bk_url_is_valid(text, len);
}

/* ---- keys ---- */

static struct bk_webhook *
current(struct bk_config_reader *r)
{
    return &r->file->webhooks[r->file->webhook_count - 1];
}

/* An address is a secret: it is not repeated in a sentence that will be logged. */
static bool
read_url(struct bk_config_reader *r, struct bk_word value)
{
    if (!bk_webhook_takes_url(value.at, value.len))
        return bk_config_refuse(r, r->line,
                                "url is not an http:// or https:// address of "
                                "at most %d octets",
                                BK_WEBHOOK_URL_SIZE - 1);
    bk_copy_text(current(r)->url, BK_WEBHOOK_URL_SIZE, value.at, value.len);
    return true;
}

static bool
read_url_file(struct bk_config_reader *r, struct bk_word value)
{
    if (value.len == 0 || value.at[0] != '/' ||
        value.len >= BK_WEBHOOK_URL_SIZE)
        return bk_config_refuse(
            r, r->line, "url_file is not the whole path of a file: /path/name");
    bk_copy_text(current(r)->url_file, BK_WEBHOOK_URL_SIZE, value.at,
                 value.len);
    return true;
}

static bool
read_format(struct bk_config_reader *r, struct bk_word value)
{
    int format = bk_webhook_format_parse(value.at, value.len);

    if (format < 0)
        return bk_config_refuse(
            r, r->line, "format: \"%.*s\" is not generic, discord or slack",
            BK_CONFIG_QUOTE(value));
    current(r)->format = (uint32_t)format;
    return true;
}

static bool
read_services(struct bk_config_reader *r, struct bk_word value)
{
    struct bk_webhook *w = current(r);

    if (bk_is(value.at, value.len, "*"))
        return true;
    return bk_config_names(r, value, "webhook", w->services,
                           BK_WEBHOOK_SERVICES_MAX, &w->count);
}

static const struct {
    const char *name;
    const char *help;
    bool (*read)(struct bk_config_reader *r, struct bk_word value);
} keys[] = {
    {"url", "where messages are posted to; a secret, shown nowhere", read_url},
    {"url_file", "a file that holds the url and nothing else, instead of url",
     read_url_file},
    {"format", "generic (the default, CloudEvents 1.0), discord or slack",
     read_format},
    {"services", "the services it is told of, or * (the default) for all",
     read_services},
};
#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

size_t
bk_webhook_key_count(void)
{
    return KEY_COUNT;
}

const char *
bk_webhook_key_name(size_t key)
{
    return keys[key].name;
}

const char *
bk_webhook_key_help(size_t key)
{
    return keys[key].help;
}

static const char *
nearest_key(struct bk_word word)
{
    unsigned best = UINT_MAX;
    const char *found = keys[0].name;

    for (size_t i = 0; i < KEY_COUNT; i++) {
        unsigned far = bk_edit_distance(word.at, word.len, keys[i].name);

        if (far < best) {
            best = far;
            found = keys[i].name;
        }
    }
    return found;
}

/* ---- the section ---- */

bool
bk_config_webhook_enter(struct bk_config_reader *r, const char *name)
{
    struct bk_config_file *f = r->file;
    struct bk_webhook *w;

    for (uint32_t i = 0; i < f->webhook_count; i++) {
        if (strcmp(f->webhooks[i].name, name) == 0)
            return bk_config_refuse(r, r->line,
                                    "[webhook %s] is already at line %u", name,
                                    f->webhooks[i].line);
    }
    if (f->webhook_count >= BK_WEBHOOKS_MAX)
        return bk_config_refuse(r, r->line, "there are more than %d webhooks",
                                BK_WEBHOOKS_MAX);
    w = &f->webhooks[f->webhook_count++];
    bk_copy_text(w->name, sizeof w->name, name, strlen(name));
    w->line = r->line;
    return true;
}

bool
bk_config_webhook_pair(struct bk_config_reader *r,
                       const struct bk_ini_line *line)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (bk_is(line->key.at, line->key.len, keys[i].name))
            return bk_config_is_first(r, i, keys[i].name) &&
                   keys[i].read(r, line->value);
    }
    return bk_config_refuse(r, r->line,
                            "unknown key \"%.*s\", the nearest for [webhook "
                            "NAME] is %s",
                            BK_CONFIG_QUOTE(line->key), nearest_key(line->key));
}

bool
bk_config_webhook_leave(struct bk_config_reader *r)
{
    const struct bk_webhook *w = current(r);

    if ((w->url[0] == '\0') == (w->url_file[0] == '\0'))
        return bk_config_refuse(
            r, w->line,
            "[webhook %s] needs either url = https://... or url_file = /path",
            w->name);
    return true;
}
