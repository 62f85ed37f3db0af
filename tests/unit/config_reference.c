/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints docs/config.md from the table of keys. A test compares the two, the
 * target docs_config writes the file anew. */
#include "core/config_file.h"
#include "core/fleet.h"
#include <stdio.h>
#include <string.h>

/* Chapters, each named after the key it starts with. */
static const struct {
    const char *key;
    const char *title;
} chapters[] = {
    {"failure_threshold", "When a circuit opens"},
    {"recovery_timeout", "How it recovers"},
    {"permit_ttl", "Permits and limits"},
    {"on_critical", "What an outcome counts"},
    {"retry_ratio", "Retries"},
    {"mode", "Mode, neighbours, probes"},
};

static void
print_start(void)
{
    printf(
        "# Configuration\n\n"
        "<!-- Printed from the table in core/policy.c; to change it, change "
        "the table\n     and build the target docs_config. -->\n\n"
        "Everything has a default: `breakerd` starts and serves without a "
        "file. With one\n(`breakerd -c FILE`), the file is made of sections "
        "of lines `key = value`. Lines\nthat start with `#` or `;` are "
        "comments; a value goes to the end of its line.\n\n"
        "    [defaults]\n"
        "    failure_threshold = 10\n\n"
        "    [service gpt-4]\n"
        "    recovery_timeout = 30s\n"
        "    on_rate_limit = hold\n\n"
        "    [route chat]\n"
        "    services = gpt-4, claude\n\n"
        "    [webhook ops]\n"
        "    url = https://example.org/hook\n\n"
        "    [daemon]\n"
        "    max_services = %d\n\n"
        "| section | holds |\n|---|---|\n"
        "| `[defaults]` | values for all services |\n"
        "| `[service NAME]` | values for one service |\n"
        "| `[route NAME]` | `services`, a list of at most %d names, the "
        "first preferred; a route's name may not be a service's |\n"
        "| `[webhook NAME]` | where changes are told to, at most %d of them; "
        "see below |\n"
        "| `[daemon]` | `max_services`, from 1 to %d (default %d), read at "
        "start only: services made by use, closed and idle for an hour "
        "without an override make room |\n\n"
        "An unknown key, a bad value or one out of bounds is refused with "
        "file, line and\nwhat would be right; `breakerd -n -c FILE` checks a "
        "file and does nothing else.\n\n",
        BK_CONFIG_SERVICES_DEFAULT, BK_ROUTE_MEMBERS, BK_WEBHOOKS_MAX,
        BK_CONFIG_SERVICES_MAX, BK_CONFIG_SERVICES_DEFAULT);
}

static void
print_precedence(void)
{
    printf("## Where a value comes from\n\nThe strongest that has it: ");
    for (int i = 0; i < BK_ORIGIN_COUNT; i++)
        printf("%s%s", i > 0 ? " < " : "", bk_origin_name((enum bk_origin)i));
    printf(".\n`set` is what `breakerctl set SERVICE KEY=VALUE` ordered; it is "
           "kept over restarts\nuntil `breakerctl unset`. `breakerctl config "
           "SERVICE` shows every value with its\norigin.\n\n"
           "A changed value applies to what begins after it: an open time, "
           "hold, lease, retry\ntoken or ramp step that runs keeps its own. A "
           "changed `window` starts empty, a\nchanged `retry_ttl` empties the "
           "budget. Nothing trips before the next outcome.\n\n"
           "## Environment\n\n"
           "Read at start. Times are seconds and may be "
           "fractional. Of two\nvariables for one key the upper wins; one set "
           "to nothing is not set.\n\n"
           "| variable | key |\n|---|---|\n");
    for (size_t row = 0; row < bk_env_count(); row++)
        printf("| `%s` | `%s` |\n", bk_env_name(row),
               bk_key_name(bk_env_key(row)));
}

static void
print_key(size_t key)
{
    char room[2][512];
    struct bk_text standard;
    struct bk_text accepts;
    bk_text_init(&standard, room[0], sizeof(room[0]));
    bk_text_init(&accepts, room[1], sizeof(room[1]));
    bk_key_describe(key, &standard, &accepts);
    const char *quote = standard.len > 0 ? "`" : "";
    printf("| `%s` | %s%s%s | %s | %s |\n", bk_key_name(key), quote,
           standard.len > 0 ? standard.at : "none", quote, bk_key_help(key),
           accepts.at);
}

static void
print_keys(void)
{
    for (size_t key = 0; key < bk_key_count(); key++) {
        for (size_t i = 0; i < sizeof(chapters) / sizeof(chapters[0]); i++)
            if (strcmp(chapters[i].key, bk_key_name(key)) == 0)
                printf("\n## %s\n\n| key | default | meaning | accepts |\n"
                       "|---|---|---|---|\n",
                       chapters[i].title);
        print_key(key);
    }
    printf("\nDurations are a number with `us`, `ms`, `s`, `m` or `h`, rates "
           "a percentage or a\nfraction; both take up to six digits behind "
           "the point.\n");
}

static void
print_webhooks(void)
{
    printf("\n## Webhooks\n\n"
           "A `[webhook NAME]` section has these keys and no value of its own "
           "in `breakerctl\nconfig`; see [webhooks.md](webhooks.md).\n\n"
           "| key | meaning |\n|---|---|\n");
    for (size_t key = 0; key < bk_webhook_key_count(); key++)
        printf("| `%s` | %s |\n", bk_webhook_key_name(key),
               bk_webhook_key_help(key));
}

int
main(void)
{
    print_start();
    print_precedence();
    print_keys();
    print_webhooks();
    return ferror(stdout) != 0 || fflush(stdout) != 0;
}
