/* SPDX-License-Identifier: Apache-2.0
 *
 * From the tables to the text. A family's samples stand together, so the services
 * are read once and walked once a family. */
#define _GNU_SOURCE
#include "tools/ctl_out.h"
#include "tools/metrics_axis.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Labels of an axis, as they are printed. */
#define LABELS_MAX 16
#define LABEL_SIZE 64
/* Longer than any sample's line. */
#define LINE_ROOM 512
#define FIRST_ROOM 65536

static const struct metrics_table *const tables[METRICS_DIALECTS] = {
    [METRICS_NATIVE] = &metrics_native,
    [METRICS_RESILIENCE4J] = &metrics_resilience4j,
};

bool
metrics_dialect_parse(const char *name, enum metrics_dialect *out)
{
    for (int i = 0; i < METRICS_DIALECTS; i++) {
        if (strcmp(tables[i]->name, name) == 0) {
            *out = (enum metrics_dialect)i;
            return true;
        }
    }
    return false;
}

/* ---- a text that grows ---- */

struct sheet {
    char *at;
    size_t len;
    size_t room;
};

/* The end of what is written, with room for a line, as a bounded text. */
static struct bk_text
begin_line(struct sheet *s)
{
    struct bk_text line;

    if (s->room - s->len < LINE_ROOM) {
        s->room = s->room > 0 ? 2 * s->room : FIRST_ROOM;
        s->at = ctl_memory(s->at, s->room);
    }
    bk_text_init(&line, s->at + s->len, LINE_ROOM);
    return line;
}

static void
end_line(struct sheet *s, struct bk_text *line)
{
    bk_text_put_char(line, '\n');
    s->len += line->len;
}

/* ---- samples ---- */

/* The labels of a sample in two parts: the service's, and the axis's. */
struct labels {
    const char *subject;
    size_t subject_len;
    const char *axis;
};

static void
put_name(struct bk_text *line, const struct metrics_family *f,
         const char *suffix, const struct labels *labels)
{
    bool has_axis = labels->axis[0] != '\0';

    bk_text_put(line, f->name);
    bk_text_put(line, suffix);
    if (labels->subject_len > 0)
        bk_text_put_n(line, labels->subject, labels->subject_len);
    if (has_axis)
        bk_text_put_char(line, labels->subject_len > 0 ? ',' : '{');
    bk_text_put(line, labels->axis);
    if (has_axis || labels->subject_len > 0)
        bk_text_put_char(line, '}');
    bk_text_put_char(line, ' ');
}

static void
put_value(struct bk_text *line, int64_t value, bool is_millionths)
{
    if (value == METRICS_ENDLESS)
        bk_text_put(line, "+Inf");
    else if (is_millionths)
        bk_text_put_ppm(line, value, 0);
    else
        bk_text_put_i64(line, value);
}

static void
put_sample(struct sheet *s, const struct metrics_family *f, const char *suffix,
           const struct labels *labels, int64_t value, bool is_millionths)
{
    struct bk_text line;

    if (value == METRICS_NONE)
        return;
    line = begin_line(s);
    put_name(&line, f, suffix, labels);
    put_value(&line, value, is_millionths);
    end_line(s, &line);
}

/* The labels of a family's axis; "" for what it does not have. */
struct axis_text {
    char at[LABELS_MAX][LABEL_SIZE];
    size_t count;
};

static void
write_axis(const struct metrics_axis *axis, const struct metrics_scene *scene,
           struct axis_text *out)
{
    out->count = axis != NULL ? axis->count : 1;
    out->at[0][0] = '\0';
    for (size_t i = 0; axis != NULL && i < axis->count; i++) {
        struct bk_text text;

        bk_text_init(&text, out->at[i], LABEL_SIZE);
        if (axis->tell != NULL)
            axis->tell(&text, scene);
        else if (axis->has == NULL || axis->has(i))
            axis->put(&text, i);
    }
}

static bool
is_left_out(const struct metrics_family *f, const struct axis_text *axis,
            size_t index)
{
    return f->axis != NULL && axis->at[index][0] == '\0';
}

/* Buckets count what is below their end, so each adds those before it. */
static void
put_histogram(struct sheet *s, const struct metrics_family *f,
              const struct axis_text *axis, const struct metrics_scene *scene,
              const struct metrics_subject *subject, struct labels *labels)
{
    int64_t count = 0;

    for (size_t i = 0; i < axis->count; i++) {
        count += f->value(scene, subject, i);
        labels->axis = axis->at[i];
        put_sample(s, f, "_bucket", labels, count, false);
    }
    labels->axis = "";
    put_sample(s, f, "_sum", labels, f->sum(scene, subject, 0), true);
    put_sample(s, f, "_count", labels, count, false);
}

static void
put_subject(struct sheet *s, const struct metrics_family *f,
            const struct axis_text *axis, const struct metrics_scene *scene,
            const struct metrics_subject *subject)
{
    struct labels labels = {0};

    if (subject != NULL) {
        labels.subject = subject->label;
        labels.subject_len = subject->label_len;
    }
    if (f->type == METRICS_HISTOGRAM) {
        put_histogram(s, f, axis, scene, subject, &labels);
        return;
    }
    for (size_t i = 0; i < axis->count; i++) {
        if (is_left_out(f, axis, i))
            continue;
        labels.axis = axis->at[i];
        if (f->type == METRICS_SUMMARY) {
            put_sample(s, f, "_sum", &labels, f->sum(scene, subject, i), true);
            put_sample(s, f, "_count", &labels, f->value(scene, subject, i),
                       false);
        } else {
            put_sample(s, f, "", &labels, f->value(scene, subject, i),
                       f->is_millionths);
        }
    }
}

static void
put_head(struct sheet *s, const struct metrics_family *f)
{
    struct bk_text line = begin_line(s);

    bk_text_put(&line, "# HELP ");
    bk_text_put(&line, f->name);
    bk_text_put_char(&line, ' ');
    bk_text_put(&line, f->help);
    bk_text_put(&line, "\n# TYPE ");
    bk_text_put(&line, f->name);
    bk_text_put_char(&line, ' ');
    bk_text_put(&line, metrics_type_name(f->type));
    end_line(s, &line);
}

static bool
is_told(const struct metrics_family *f, const struct metrics_scene *scene)
{
    switch (f->of) {
    case METRICS_OF_ALL:
        return true;
    case METRICS_OF_LIFE:
        return scene->v != NULL && scene->v->is_running;
    case METRICS_OF_DAEMON:
    case METRICS_OF_SERVICE:
        break;
    }
    return scene->v != NULL;
}

static void
put_family(struct sheet *s, const struct metrics_family *f,
           const struct metrics_scene *scene)
{
    struct axis_text axis;

    if (!is_told(f, scene))
        return;
    put_head(s, f);
    write_axis(f->axis, scene, &axis);
    if (f->of != METRICS_OF_SERVICE)
        put_subject(s, f, &axis, scene, NULL);
    for (size_t i = 0; f->of == METRICS_OF_SERVICE && i < scene->count; i++)
        put_subject(s, f, &axis, scene, &scene->subjects[i]);
}

/* ---- the scene ---- */

static int64_t
clock_us(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
read_subject(const struct metrics_table *table, const struct view *v,
             struct metrics_subject *s)
{
    struct bk_text label;

    bk_segment_read_stats(&v->segment, s->service.slot, &s->stats);
    s->window = bk_window_totals(&s->service.record.breaker.window,
                                 &s->service.policy, v->now_ns);
    bk_text_init(&label, s->label, sizeof s->label);
    bk_text_put_char(&label, '{');
    metrics_put_label(&label, table->service_label, s->service.record.name);
    s->label_len = label.len;
}

static void
read_subjects(struct metrics_scene *scene, const struct metrics_table *table)
{
    size_t count;
    uint32_t *slots = view_slots(scene->v, &count);

    scene->subjects = ctl_memory(NULL, (count + 1) * sizeof *scene->subjects);
    for (size_t i = 0; i < count; i++) {
        struct metrics_subject *s = &scene->subjects[scene->count];

        if (view_read(scene->v, slots[i], &s->service)) {
            read_subject(table, scene->v, s);
            scene->count++;
        }
    }
    free(slots);
}

static void
read_scene(struct metrics_scene *scene, const struct view *v,
           const struct metrics_table *table)
{
    *scene = (struct metrics_scene){.v = v};
    if (v == NULL)
        return;
    scene->wall_us = clock_us(CLOCK_REALTIME) - clock_us(CLOCK_BOOTTIME);
    view_daemon(v, &scene->daemon);
    bk_segment_read_totals(&v->segment, &scene->totals);
    if (v->is_running)
        metrics_process_read(v->pid, &scene->process);
    read_subjects(scene, table);
}

char *
metrics_text(const struct view *v, enum metrics_dialect dialect, size_t *len)
{
    const struct metrics_table *table = tables[dialect];
    struct metrics_scene scene;
    struct sheet s = {0};

    read_scene(&scene, v, table);
    for (size_t i = 0; i < table->count; i++)
        put_family(&s, &table->families[i], &scene);
    free(scene.subjects);
    (void)begin_line(&s); /* ends it with a NUL, and has room for it */
    *len = s.len;
    return s.at;
}
