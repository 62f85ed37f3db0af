/* SPDX-License-Identifier: Apache-2.0
 *
 * set, unset, config, reload: the configuration in force. */
#include "core/policy.h"
#include "core/wire.h"
#include "tools/ctl_ask.h"
#include "tools/ctl_commands.h"
#include "tools/ctl_config_file.h"
#include "tools/ctl_out.h"
#include <stdio.h>
#include <string.h>

/* "SET ", the name and two spaces beside key and value. */
#define LINE_OVERHEAD (4 + BK_NAME_SIZE + 2)

/* Checks "KEY=VALUE" against the table the daemon uses too, so that a typing
 * error in the third pair does not leave the first two in force. */
static enum ctl_exit
check_pair(const char *pair)
{
    struct bk_layer layer = {0};
    const char *equals = strchr(pair, '=');
    char sentence[512];
    struct bk_text error;

    if (equals == NULL || equals == pair) {
        ctl_say("\"%s\" is not KEY=VALUE", pair);
        return CTL_USAGE;
    }
    if (strlen(pair) > BK_LINE_MAX - LINE_OVERHEAD) {
        ctl_say("%.*s: the value is too long", (int)(equals - pair), pair);
        return CTL_USAGE;
    }
    bk_text_init(&error, sentence, sizeof sentence);
    if (!bk_layer_set(&layer, pair, (size_t)(equals - pair), equals + 1,
                      strlen(equals + 1), &error)) {
        ctl_say("%s", sentence);
        return CTL_USAGE;
    }
    return CTL_DONE;
}

static enum ctl_exit
check_key(const char *key)
{
    if (bk_key_find(key, strlen(key)) >= 0)
        return CTL_DONE;
    ctl_say("unknown key %s; did you mean %s?", key,
            bk_key_nearest(key, strlen(key)));
    return CTL_USAGE;
}

static const char *
text_of(const json_t *json, const char *key)
{
    const char *text = ctl_json_word(json, key, "");

    return text[0] != '\0' ? text : "-";
}

/* Prints what is in force after each line; the worst that happened is returned. */
static enum ctl_exit
print_answers(const struct ctl *c, const struct link_reply *reply,
              const char *service)
{
    enum ctl_exit exit = CTL_DONE;

    for (size_t i = 0; i < reply->count; i++) {
        json_t *json;
        enum ctl_exit one = ask_json(reply, i, service, &json);

        if (one != CTL_DONE) {
            exit = one;
            continue;
        }
        if (c->is_json)
            ctl_json_print(json);
        else
            printf("%s %s = %s (%s)\n", service, text_of(json, "key"),
                   text_of(json, "value"), text_of(json, "origin"));
        json_decref(json);
    }
    return exit;
}

static enum ctl_exit
send_lines(const struct ctl *c, struct ask_lines *lines, const char *service)
{
    struct link_reply reply;
    enum ctl_exit exit = ask_all(c, ASK_OPERATOR, lines, &reply);

    ask_free(lines);
    if (exit != CTL_DONE)
        return exit;
    exit = print_answers(c, &reply, service);
    link_reply_free(&reply);
    return exit;
}

/* "KEY=VALUE" as the protocol's two words; nothing behind the sign is "-". */
/* The value goes as it would be printed: one word, whatever blanks a person put
 * between the parts of a list. The pair has been checked. */
static void
add_pair(struct ask_lines *lines, const char *service, const char *pair)
{
    size_t key_len = strcspn(pair, "=");
    const char *text = pair + key_len + 1;
    struct bk_layer layer = {0};
    char key[64];
    char sentence[512];
    char value[BK_LINE_MAX];
    struct bk_text error;
    struct bk_text printed;

    bk_copy_text(key, sizeof key, pair, key_len);
    bk_text_init(&error, sentence, sizeof sentence);
    bk_text_init(&printed, value, sizeof value);
    if (bk_layer_set(&layer, key, key_len, text, strlen(text), &error))
        bk_policy_print(&layer.values, (size_t)bk_key_find(key, key_len),
                        &printed);
    ask_add(lines, "SET", service, key, printed.len > 0 ? value : "-");
}

enum ctl_exit
ctl_set(const struct ctl *c, const char *const *words, size_t count)
{
    struct ask_lines lines = {0};

    if (ask_check_name(words[0]) != CTL_DONE)
        return CTL_USAGE;
    for (size_t i = 1; i < count; i++) {
        if (check_pair(words[i]) != CTL_DONE)
            return CTL_USAGE;
    }
    for (size_t i = 1; i < count; i++)
        add_pair(&lines, words[0], words[i]);
    return send_lines(c, &lines, words[0]);
}

enum ctl_exit
ctl_unset(const struct ctl *c, const char *const *words, size_t count)
{
    struct ask_lines lines = {0};

    if (ask_check_name(words[0]) != CTL_DONE)
        return CTL_USAGE;
    for (size_t i = 1; i < count; i++) {
        if (check_key(words[i]) != CTL_DONE)
            return CTL_USAGE;
    }
    for (size_t i = 1; i < count; i++)
        ask_add(&lines, "UNSET", words[0], words[i], NULL);
    return send_lines(c, &lines, words[0]);
}

static void
print_config(json_t *config)
{
    static const char *const headings[] = {"KEY", "VALUE", "ORIGIN", NULL};
    struct ctl_table table;
    const char *key;
    json_t *row;

    ctl_table_init(&table, headings, 2);
    json_object_foreach(config, key, row)
    {
        const char *origin = text_of(row, "origin");
        bool is_builtin = strcmp(origin, bk_origin_name(BK_FROM_BUILTIN)) == 0;
        const char *const cells[] = {key, text_of(row, "value"), origin};

        ctl_table_add(&table, is_builtin ? CTL_FAINT : CTL_CAUTION, cells);
    }
    ctl_table_end(&table);
}

static enum ctl_exit
of_file(const struct ctl *c, const char *what, const char *path)
{
    if (strcmp(what, "check") == 0)
        return config_file_check(c, path);
    if (strcmp(what, "diff") == 0)
        return config_file_diff(c, path);
    ctl_say("usage: breakerctl config [SERVICE] | check FILE | diff FILE");
    return CTL_USAGE;
}

enum ctl_exit
ctl_config(const struct ctl *c, const char *const *words, size_t count)
{
    struct ask_lines lines = {0};
    struct link_reply reply;
    enum ctl_exit exit;
    json_t *json;

    if (count == 2)
        return of_file(c, words[0], words[1]);
    if (ask_check_names(words, count) != CTL_DONE)
        return CTL_USAGE;
    ask_add(&lines, "CONFIG", count > 0 ? words[0] : NULL, NULL, NULL);
    exit = ask_all(c, ASK_WORKER, &lines, &reply);
    ask_free(&lines);
    if (exit != CTL_DONE)
        return exit;
    exit = ask_json(&reply, 0, count > 0 ? words[0] : NULL, &json);
    link_reply_free(&reply);
    if (exit != CTL_DONE)
        return exit;
    if (c->is_json)
        ctl_json_print(json);
    else
        print_config(json_object_get(json, "config"));
    json_decref(json);
    return CTL_DONE;
}

enum ctl_exit
ctl_reload(const struct ctl *c, const char *const *words, size_t count)
{
    struct link_reply reply;
    json_t *json;
    long long services;
    enum ctl_exit exit = ask_one(c, ASK_OPERATOR, false, "RELOAD", &reply);

    (void)words;
    (void)count;
    if (exit != CTL_DONE)
        return exit;
    exit = ask_json(&reply, 0, NULL, &json);
    link_reply_free(&reply);
    if (exit != CTL_DONE)
        return exit;
    services = json_integer_value(json_object_get(json, "services"));
    if (c->is_json)
        ctl_json_print(json);
    else
        printf("configuration read again; it holds for %lld %s\n", services,
               services == 1 ? "service" : "services");
    json_decref(json);
    return CTL_DONE;
}
