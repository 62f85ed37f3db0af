/* SPDX-License-Identifier: Apache-2.0
 *
 * quickstart_worker: a fleet of real processes that call a real server, and an
 * account of how that went. */
#define _GNU_SOURCE
#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/json.h"
#include "tools/quickstart_fleet.h"
#include "tools/quickstart_remote.h"

#define UPSTREAM_BYTES 16384
#define LOOK_NS (50 * BK_NS_PER_MS)

static volatile sig_atomic_t is_stopped;

static void
stop(int signal_number)
{
    (void)signal_number;
    is_stopped = 1;
}

/* "   7.0 s  down 503     upstream hits   123   calls   200  failed  12 ..." */
static void
print_live(const struct quickstart_options *options,
           const struct quickstart_tally *sum, int64_t elapsed_ns)
{
    char stats[UPSTREAM_BYTES] = "";
    const char *title = "";
    json_t *upstream = NULL;
    json_int_t hits = 0;

    if (options->control != NULL) {
        quickstart_remote_stats(options->control, stats, sizeof stats);
        upstream = json_loads(stats, 0, NULL);
        title = json_string_value(json_object_get(upstream, "title"));
        hits = json_integer_value(json_object_get(upstream, "hits"));
    }
    fprintf(stderr,
            "%6.1f s  upstream: %-16.16s hits %5lld | users: calls %4llu  "
            "answered %4llu  failed %4llu | denied %4llu\n",
            (double)elapsed_ns / 1e9, title != NULL ? title : "?",
            (long long)hits, (unsigned long long)quickstart_read(&sum->calls),
            (unsigned long long)quickstart_read(&sum->ok),
            (unsigned long long)quickstart_read(&sum->failed),
            (unsigned long long)quickstart_read(&sum->denied));
    json_decref(upstream);
}

/* Until all workers are done; true when they are. */
static bool
watch(struct quickstart_fleet *fleet, int64_t start_ns)
{
    const struct quickstart_options *options = fleet->options;
    const int64_t end_ns = start_ns + options->duration_ns +
                           quickstart_drain_ns(options) + BK_NS_PER_S;
    const struct timespec pause = {.tv_nsec = LOOK_NS};
    int64_t live_ns = start_ns + BK_NS_PER_S;

    while (quickstart_fleet_lives(fleet) && !is_stopped &&
           quickstart_clock() < end_ns) {
        (void)nanosleep(&pause, NULL);
        if (options->is_live && quickstart_clock() >= live_ns) {
            struct quickstart_tally sum = {0};
            quickstart_tally_sum(fleet->tallies, options->workers, &sum);
            print_live(options, &sum, quickstart_clock() - start_ns);
            live_ns += BK_NS_PER_S;
        }
    }
    return fleet->alive == 0 && fleet->failed == 0;
}

static bool
write_result(const struct quickstart_fleet *fleet)
{
    const struct quickstart_options *options = fleet->options;
    static char body[2 * UPSTREAM_BYTES];
    static char stats[UPSTREAM_BYTES];
    struct quickstart_tally sum = {0};
    struct bk_text text;
    struct bk_json json;

    quickstart_tally_sum(fleet->tallies, options->workers, &sum);
    bk_text_init(&text, body, sizeof body);
    bk_json_init(&json, &text);
    bk_json_open(&json, NULL, '{');
    bk_json_string(&json, "mode", quickstart_mode_name(options->mode));
    bk_json_string(&json, "service", options->service);
    bk_json_u64(&json, "workers", options->workers);
    bk_json_u64(&json, "seed", options->seed);
    bk_json_u64(&json, "rate", options->rate);
    bk_json_u64(&json, "duration_ms", bk_ms_up(options->duration_ns));
    quickstart_tally_print(&sum, &json);
    if (options->control != NULL) {
        quickstart_remote_stats(options->control, stats, sizeof stats);
    }
    if (stats[0] != '\0') {
        bk_json_raw(&json, "upstream", stats, strlen(stats));
    } else {
        bk_json_null(&json, "upstream");
    }
    bk_json_close(&json, '}');
    bk_text_put_char(&text, '\n');
    FILE *file =
        options->result != NULL ? fopen(options->result, "we") : stdout;
    bool is_good = file != NULL && fwrite(body, 1, text.len, file) == text.len;
    is_good = file != NULL &&
              (file == stdout ? fflush(file) : fclose(file)) == 0 && is_good;
    if (!is_good) {
        fprintf(stderr, "quickstart_worker: cannot write the result: %s\n",
                strerror(errno));
    }
    return is_good;
}

static bool
run(struct quickstart_fleet *fleet)
{
    const struct quickstart_options *options = fleet->options;

    if (options->control != NULL &&
        !quickstart_remote_start(options->control, options->script)) {
        return false;
    }
    const int64_t start_ns = quickstart_clock();
    if (!quickstart_fleet_start(fleet, start_ns)) {
        return false;
    }
    const bool is_done = watch(fleet, start_ns);
    if (!is_done && !is_stopped) {
        fputs("quickstart_worker: not every worker came to its end\n", stderr);
    }
    return write_result(fleet) && is_done;
}

int
main(int argc, char **argv)
{
    const struct sigaction on_stop = {.sa_handler = stop};
    struct quickstart_options options;
    struct quickstart_fleet fleet;

    const int end = quickstart_options_read(argc, argv, &options);
    if (end != 0) {
        return end - 1;
    }
    signal(SIGPIPE, SIG_IGN);
    bool is_good = quickstart_fleet_open(&fleet, &options);
    if (is_good) {
        /* Only here: the workers keep the default and end at once. */
        sigaction(SIGTERM, &on_stop, NULL);
        sigaction(SIGINT, &on_stop, NULL);
        is_good = curl_global_init(CURL_GLOBAL_ALL) == 0 && run(&fleet);
    }
    quickstart_fleet_close(&fleet);
    curl_global_cleanup();
    return is_good ? 0 : 1;
}
