/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/ctl_ask.h"
#include "tools/ctl_commands.h"
#include "tools/ctl_order.h"
#include "tools/ctl_out.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Asks on the terminal. Without one --yes must have been given. */
static enum ctl_exit
confirm(const struct ctl *c)
{
    int answer;
    int rest;

    if ((c->given & CTL_YES) != 0)
        return CTL_DONE;
    if (!isatty(STDIN_FILENO)) {
        ctl_say("reset --all needs --yes when nobody can be asked");
        return CTL_USAGE;
    }
    fprintf(stderr, "Reset every service%s? [y/N] ",
            (c->given & CTL_OVERRIDES) != 0 ? " and remove all overrides" : "");
    answer = getchar();
    for (rest = answer; rest != '\n' && rest != EOF;)
        rest = getchar();
    if (answer == 'y' || answer == 'Y')
        return CTL_DONE;
    ctl_say("nothing was reset");
    return CTL_FAILED;
}

/* Prints one line a service and returns the worst that happened. */
static enum ctl_exit
reset_names(const struct ctl *c, const char *const *names, size_t count)
{
    struct ask_lines lines = {0};
    struct link_reply reply;
    enum ctl_exit exit;

    for (size_t i = 0; i < count; i++)
        ask_add(&lines, "RESET", names[i], c->reason, NULL);
    exit = ask_all(c, ASK_OPERATOR, &lines, &reply);
    ask_free(&lines);
    if (exit != CTL_DONE)
        return exit;
    for (size_t i = 0; i < count; i++) {
        enum ctl_exit one = order_print(c, &reply, i, names[i], "reset");

        if (one != CTL_DONE)
            exit = one;
    }
    link_reply_free(&reply);
    return exit;
}

static void
print_kept(const json_t *overrides)
{
    size_t count = json_array_size(overrides);

    if (count == 0)
        return;
    ctl_say("overrides of these stay in place (--overrides removes them):");
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(overrides, i));

        if (name != NULL)
            fprintf(stderr, "  %s\n", name);
    }
}

static void
print_all(const struct ctl *c, const json_t *json)
{
    long long count = json_integer_value(json_object_get(json, "reset"));

    if (c->is_json)
        ctl_json_print(json);
    else
        printf(
            "%lld %s reset: closed, nothing counted, calls are let through\n",
            count, count == 1 ? "service" : "services");
    print_kept(json_object_get(json, "overrides"));
}

/* One message: with --overrides those are removed first, so that nothing can come
 * between the two. */
static enum ctl_exit
reset_all(const struct ctl *c)
{
    bool with_overrides = (c->given & CTL_OVERRIDES) != 0;
    struct ask_lines lines = {0};
    struct link_reply reply;
    json_t *json = NULL;
    json_t *removed = NULL;
    enum ctl_exit exit = confirm(c);

    if (exit != CTL_DONE)
        return exit;
    if (with_overrides)
        ask_add(&lines, "AUTO", "*", c->reason, NULL);
    ask_add(&lines, "RESET", "*", c->reason, NULL);
    exit = ask_all(c, ASK_OPERATOR, &lines, &reply);
    ask_free(&lines);
    if (exit != CTL_DONE)
        return exit;
    if (with_overrides)
        exit = ask_json(&reply, 0, NULL, &removed);
    if (exit == CTL_DONE)
        exit = ask_json(&reply, reply.count - 1, NULL, &json);
    if (exit == CTL_DONE)
        print_all(c, json);
    link_reply_free(&reply);
    json_decref(removed);
    json_decref(json);
    return exit;
}

enum ctl_exit
ctl_reset(const struct ctl *c, const char *const *words, size_t count)
{
    bool is_all = (c->given & CTL_ALL) != 0;

    if (is_all && count > 0) {
        ctl_say("reset takes names or --all, not both");
        return CTL_USAGE;
    }
    if (!is_all && count == 0) {
        ctl_say("reset what? Name services, or say --all");
        return CTL_USAGE;
    }
    if (!is_all && (c->given & CTL_OVERRIDES) != 0) {
        ctl_say("--overrides goes with --all: resetting a service by name "
                "removes its override anyway");
        return CTL_USAGE;
    }
    if (order_check_reason(c) != CTL_DONE)
        return CTL_USAGE;
    if (is_all)
        return reset_all(c);
    if (ask_check_names(words, count) != CTL_DONE)
        return CTL_USAGE;
    return reset_names(c, words, count);
}
