/* SPDX-License-Identifier: Apache-2.0
 *
 * status: the table is a view of the very document that --json prints. */
#include "tools/ctl_commands.h"
#include "tools/ctl_evidence.h"
#include "tools/ctl_fetch.h"
#include "tools/ctl_out.h"
#include "tools/ctl_signal.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOTE_SIZE 256
/* Between two tables of --watch. */
#define WATCH_NS (2 * BK_NS_PER_S)

static void
put_wait(char out[CTL_DURATION_SIZE], uint64_t ms)
{
    if (ms > 0)
        ctl_duration(out, ms);
    else
        bk_copy_text(out, CTL_DURATION_SIZE, "-", 1);
}

/* "12 (60%)", of the calls in the window. */
static void
put_failures(struct bk_text *out, const json_t *window)
{
    uint64_t calls = ctl_json_number(window, "calls");
    uint64_t failures = ctl_json_number(window, "failures");

    bk_text_put_u64(out, failures);
    if (calls > 0 && failures > 0) {
        bk_text_put(out, " (");
        bk_text_put_u64(out, (failures * 100 + calls / 2) / calls);
        bk_text_put(out, "%)");
    }
}

static void
put_override(struct bk_text *out, const json_t *override)
{
    char left[CTL_DURATION_SIZE];
    const json_t *expires = json_object_get(override, "expires_ms");
    const char *reason = ctl_json_word(override, "reason", "-");

    bk_text_put(out, "by ");
    bk_text_put(out, ctl_json_word(override, "actor", "-"));
    if (json_is_number(expires)) {
        ctl_duration(left, ctl_json_number(override, "expires_ms"));
        bk_text_put(out, " for another ");
        bk_text_put(out, left);
    }
    if (reason[0] != '\0') {
        bk_text_put(out, ": ");
        bk_text_put(out, reason);
    }
}

static void
next_part(struct bk_text *out)
{
    if (out->len > 0)
        bk_text_put(out, "; ");
}

/* What else is going on, in few words. */
static void
put_note(struct bk_text *out, const json_t *row)
{
    const json_t *override = json_object_get(row, "override");
    const json_t *permits = json_object_get(row, "permits");
    uint64_t hold_ms = ctl_json_number(row, "hold_ms");
    uint64_t step = ctl_json_number(row, "ramp_step");
    uint64_t would_deny =
        ctl_json_number(json_object_get(row, "counters"), "would_deny");
    char left[CTL_DURATION_SIZE];

    if (hold_ms > 0) {
        ctl_duration(left, hold_ms);
        bk_text_put(out, "held for ");
        bk_text_put(out, left);
    }
    if (step > 0) {
        next_part(out);
        bk_text_put(out, "ramp step ");
        bk_text_put_u64(out, step);
        bk_text_put(out, " of 10");
    }
    if (ctl_json_number(permits, "limit") > 0 &&
        ctl_json_number(permits, "in_use") > 0) {
        next_part(out);
        bk_text_put_u64(out, ctl_json_number(permits, "in_use"));
        bk_text_put(out, " of ");
        bk_text_put_u64(out, ctl_json_number(permits, "limit"));
        bk_text_put(out, " permits out");
    }
    if (strcmp(ctl_json_word(row, "mode", ""), "observe") == 0 &&
        would_deny > 0) {
        next_part(out);
        bk_text_put(out, "would have denied ");
        bk_text_put_u64(out, would_deny);
    }
    if (json_is_object(override)) {
        next_part(out);
        put_override(out, override);
    }
}

static void
add_row(struct ctl_table *table, const json_t *row)
{
    const json_t *window = json_object_get(row, "window");
    char since[CTL_DURATION_SIZE];
    char wait[CTL_DURATION_SIZE];
    char calls[24];
    char failures[48];
    char note[NOTE_SIZE];
    const char *const cells[] = {ctl_json_word(row, "name", "-"),
                                 ctl_json_word(row, "state", "-"),
                                 ctl_json_word(row, "mode", "-"),
                                 since,
                                 wait,
                                 calls,
                                 failures,
                                 ctl_json_word(row, "reason", "-"),
                                 note};
    struct bk_text text;

    ctl_duration(since, ctl_json_number(row, "since_ms"));
    put_wait(wait, ctl_json_number(row, "retry_after_ms"));
    bk_text_init(&text, calls, sizeof calls);
    bk_text_put_u64(&text, ctl_json_number(window, "calls"));
    bk_text_init(&text, failures, sizeof failures);
    put_failures(&text, window);
    bk_text_init(&text, note, sizeof note);
    put_note(&text, row);
    ctl_table_add(table, ctl_state_paint(cells[1]), cells);
}

static void
print_table(const json_t *document)
{
    static const char *const headings[] = {
        "SERVICE", "STATE",    "MODE",   "SINCE", "WAIT",
        "CALLS",   "FAILURES", "REASON", "NOTE",  NULL};
    const json_t *services = json_object_get(document, "services");
    struct ctl_table table;
    size_t count = json_array_size(services);

    if (count == 0) {
        ctl_say("no service has been used or configured yet");
        return;
    }
    ctl_table_init(&table, headings, 1);
    for (size_t i = 0; i < count; i++)
        add_row(&table, json_array_get(services, i));
    ctl_table_end(&table);
    if (count == 1)
        evidence_print(json_object_get(json_array_get(services, 0), "evidence"),
                       true);
}

static enum ctl_exit
show(const struct ctl *c, const char *const *words, size_t count)
{
    char *document;
    enum ctl_exit exit;
    json_t *json;

    exit = fetch_status(c, words, count, &document);
    if (document == NULL)
        return exit;
    json = json_loads(document, 0, NULL);
    if (c->is_json)
        puts(document);
    else if (json_array_size(json_object_get(json, "services")) > 0 ||
             exit == CTL_DONE)
        print_table(json);
    json_decref(json);
    free(document);
    return exit;
}

/* Before the next table: an empty screen, or a line that keeps the two apart. */
static void
part(const struct ctl *c)
{
    if (isatty(STDOUT_FILENO) == 1)
        fputs("\033[H\033[J", stdout);
    else if (!c->is_json)
        putchar('\n');
}

/* Until Ctrl-C. What cannot be shown the first time is the end; later it may be
 * back in a moment. */
static enum ctl_exit
watch(const struct ctl *c, const char *const *words, size_t count)
{
    int64_t pause_ns = c->interval_ns > 0 ? c->interval_ns : WATCH_NS;
    int bell = ctl_signal_watch();
    struct pollfd came = {.fd = bell, .events = POLLIN};
    enum ctl_exit exit;

    if (bell < 0) {
        ctl_say("cannot catch Ctrl-C: %s", strerror(errno));
        return CTL_FAILED;
    }
    if (isatty(STDOUT_FILENO) == 1)
        part(c);
    exit = show(c, words, count);
    while (exit == CTL_DONE && !ctl_signal_came()) {
        if (fflush(stdout) != 0)
            return CTL_FAILED;
        if (poll(&came, 1, (int)bk_ms_up(pause_ns)) != 0)
            break;
        part(c);
        (void)show(c, words, count);
    }
    return exit;
}

enum ctl_exit
ctl_status(const struct ctl *c, const char *const *words, size_t count)
{
    if (ask_check_names(words, count) != CTL_DONE)
        return CTL_USAGE;
    return (c->given & CTL_WATCH) != 0 ? watch(c, words, count)
                                       : show(c, words, count);
}
