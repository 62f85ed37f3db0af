/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor: all checks in the order in which a person would look. */
#include "tools/ctl_doctor.h"
#include "tools/ctl_commands.h"
#include "tools/ctl_out.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const result_words[] = {
    [DOCTOR_OK] = "ok",
    [DOCTOR_WARN] = "warn",
    [DOCTOR_FAIL] = "fail",
};
static const enum ctl_paint result_paints[] = {
    [DOCTOR_OK] = CTL_GOOD,
    [DOCTOR_WARN] = CTL_CAUTION,
    [DOCTOR_FAIL] = CTL_BAD,
};

/* `needs_place`: says nothing when there is no directory to look at. */
static const struct {
    void (*look)(struct doctor *d);
    bool needs_place;
} checks[] = {
    {doctor_directory, false}, {doctor_tmpfs, true},   {doctor_lock, true},
    {doctor_process, true},    {doctor_segment, true}, {doctor_heartbeat, true},
    {doctor_sockets, true},    {doctor_group, true},   {doctor_protocol, true},
    {doctor_database, false},
};
#define CHECK_COUNT (sizeof checks / sizeof checks[0])

struct doctor_finding *
doctor_add(struct doctor *d, const char *name, enum doctor_result result)
{
    struct doctor_finding *f = &d->findings[d->count];

    assert(d->count < DOCTOR_FINDINGS);
    d->count++;
    *f = (struct doctor_finding){.name = name, .result = result};
    return f;
}

void
doctor_text(struct doctor_finding *f, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(f->text, sizeof f->text, format, arguments);
    va_end(arguments);
}

void
doctor_remedy(struct doctor_finding *f, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(f->remedy, sizeof f->remedy, format, arguments);
    va_end(arguments);
}

static size_t
count_of(const struct doctor *d, enum doctor_result result)
{
    size_t count = 0;

    for (size_t i = 0; i < d->count; i++)
        count += d->findings[i].result == result;
    return count;
}

static void
print_words(const struct doctor *d)
{
    for (size_t i = 0; i < d->count; i++) {
        const struct doctor_finding *f = &d->findings[i];

        ctl_print(result_paints[f->result], result_words[f->result]);
        printf("%*s%-11s ", f->result == DOCTOR_OK ? 4 : 2, "", f->name);
        ctl_print(CTL_PLAIN, f->text);
        putchar('\n');
        if (f->remedy[0] != '\0') {
            printf("%18s-> ", "");
            ctl_print(CTL_PLAIN, f->remedy);
            putchar('\n');
        }
    }
    printf("%zu ok, %zu warn, %zu fail\n", count_of(d, DOCTOR_OK),
           count_of(d, DOCTOR_WARN), count_of(d, DOCTOR_FAIL));
}

static void
print_json(const struct doctor *d)
{
    json_t *rows = json_array();
    json_t *json;

    for (size_t i = 0; i < d->count; i++) {
        const struct doctor_finding *f = &d->findings[i];

        json_array_append_new(
            rows, json_pack("{s:s, s:s, s:s, s:s?}", "name", f->name, "result",
                            result_words[f->result], "text", f->text, "remedy",
                            f->remedy[0] != '\0' ? f->remedy : NULL));
    }
    json = json_pack("{s:o, s:I, s:I, s:I}", "checks", rows, "ok",
                     (json_int_t)count_of(d, DOCTOR_OK), "warn",
                     (json_int_t)count_of(d, DOCTOR_WARN), "fail",
                     (json_int_t)count_of(d, DOCTOR_FAIL));
    ctl_json_print(json);
    json_decref(json);
}

enum ctl_exit
ctl_doctor(const struct ctl *c, const char *const *words, size_t count)
{
    struct doctor *d = ctl_memory(NULL, sizeof *d);
    enum ctl_exit exit;
    struct bk_text why;

    (void)words;
    (void)count;
    *d = (struct doctor){.c = c, .seen = VIEW_ABSENT};
    place_find(&d->place, c->dir);
    bk_text_init(&why, d->why, sizeof d->why);
    if (d->place.dir != NULL)
        d->seen = view_open(&d->view, &d->place, &why);
    for (size_t i = 0; i < CHECK_COUNT; i++) {
        if (d->place.dir != NULL || !checks[i].needs_place)
            checks[i].look(d);
    }
    if (d->seen == VIEW_OPEN)
        view_close(&d->view);
    if (c->is_json)
        print_json(d);
    else
        print_words(d);
    exit = count_of(d, DOCTOR_FAIL) > 0 ? CTL_FAILED : CTL_DONE;
    free(d);
    return exit;
}
