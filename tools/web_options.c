/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/web_options.h"
#include "tools/ctl_out.h"
#include "tools/web_paths.h"
#include <string.h>

/* Names that the server knows of itself are added to those given. */
#define HOSTS_GIVEN_MAX (WEB_HOSTS_MAX - WEB_LISTEN_MAX)

/* A name or a bracketed address: what a browser may send before the port. */
static bool
is_host(const char *text)
{
    size_t len = strlen(text);

    return len > 0 && len < 254 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789.-_") == len;
}

static bool
take_host(struct web_options *o, const char *value)
{
    if (!is_host(value)) {
        ctl_say("--allow-host %s: give a host's name without a port, as "
                "browsers send it",
                value);
        return false;
    }
    if (o->host_count == HOSTS_GIVEN_MAX) {
        ctl_say("--allow-host may be given %d times", HOSTS_GIVEN_MAX);
        return false;
    }
    o->hosts[o->host_count++] = value;
    return true;
}

static bool
take_listen(struct web_options *o, const char *value)
{
    if (o->listen_count == WEB_LISTEN_MAX) {
        ctl_say("--listen may be given %d times", WEB_LISTEN_MAX);
        return false;
    }
    o->listen[o->listen_count++] = value;
    return true;
}

/* The value of an option that is "NAME VALUE" or "NAME=VALUE" in argv; NULL when
 * argv[*at] is another word, "" when the value is missing. */
static const char *
value_of(const char *name, int argc, char **argv, int *at)
{
    const char *word = argv[*at]; /* never argv's closing NULL */
    size_t len = strlen(name);

    if (word == NULL || strncmp(word, name, len) != 0)
        return NULL;
    if (word[len] == '=')
        return word + len + 1;
    if (word[len] != '\0')
        return NULL;
    if (*at + 1 == argc)
        return "";
    return argv[++*at];
}

/* One option with a value. False: told, or `*is_known` says it is none. */
static bool
take(struct web_options *o, int argc, char **argv, int *at, bool *is_known)
{
    static const char *const names[] = {"--dir", "--listen", "--allow-host"};
    const char *value = NULL;
    size_t i;

    for (i = 0; i < sizeof names / sizeof names[0] && value == NULL; i++)
        value = value_of(names[i], argc, argv, at);
    *is_known = value != NULL;
    if (value == NULL)
        return false;
    if (value[0] == '\0') {
        ctl_say("%s needs a value; see breakerweb --help", names[i - 1]);
        return false;
    }
    if (i == 1)
        o->dir = value;
    return i == 1 || (i == 2 ? take_listen(o, value) : take_host(o, value));
}

bool
web_options_read(struct web_options *o, int argc, char **argv)
{
    *o = (struct web_options){0};
    for (int i = 1; i < argc; i++) {
        bool is_known;

        if (strcmp(argv[i], "--help") == 0) {
            o->wants_help = true;
        } else if (strcmp(argv[i], "--version") == 0) {
            o->wants_version = true;
        } else if (!take(o, argc, argv, &i, &is_known)) {
            if (!is_known)
                ctl_say("there is no option %s; see breakerweb --help",
                        argv[i]);
            return false;
        }
    }
    return true;
}

void
web_options_help(void)
{
    puts(
        "usage: breakerweb [--dir DIR] [--listen WHERE]... "
        "[--allow-host NAME]...\n"
        "\n"
        "Serves what breakerd publishes as a page, as JSON and as metrics. It\n"
        "reads the shared memory alone and changes nothing, whatever is asked.\n"
        "\n"
        "  --dir DIR          the instance; found as breakerctl finds it\n"
        "  --listen WHERE     ADDRESS:PORT, [ADDRESS]:PORT or unix:/PATH;\n"
        "                     " WEB_LISTEN_DEFAULT
        " when nothing else is given\n"
        "  --allow-host NAME  answer to this name too (a reverse proxy's);\n"
        "                     else to 127.0.0.1, [::1], localhost alone\n"
        "  --help, --version\n"
        "\n"
        "Paths:");
    for (const struct web_path *p = web_paths; p->path != NULL; p++)
        printf("  %-18s %s\n", p->path, p->help);
}
