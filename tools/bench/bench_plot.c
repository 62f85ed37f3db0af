/* SPDX-License-Identifier: Apache-2.0
 *
 * A plot as SVG: logarithmic both ways, each curve named where it ends, legible on
 * light and on dark. */
#define _GNU_SOURCE
#include "tools/bench/bench_tell.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 720
#define HEIGHT 360
#define LEFT 84
#define RIGHT 580 /* names of curves stand to the right of it */
#define TOP 64
#define BOTTOM 304
#define LABEL_GAP 16
#define CURVES_MAX 6

struct frame {
    double x_low, x_high; /* logarithms */
    double y_low, y_high;
};

static double
place_x(const struct frame *f, double x)
{
    double share = (log10(x) - f->x_low) / (f->x_high - f->x_low);

    return LEFT + share * (RIGHT - LEFT);
}

static double
place_y(const struct frame *f, double y)
{
    double share = (log10(y) - f->y_low) / (f->y_high - f->y_low);

    return BOTTOM - share * (BOTTOM - TOP);
}

/* What the curves span, to whole steps of 1, 2, 5 upwards and downwards. */
static double
step_at(double value, bool is_up)
{
    double decade = pow(10, floor(log10(value)));
    static const double steps[] = {1, 2, 5, 10};
    double below = decade;

    for (size_t i = 0; i < 4; i++) {
        if (is_up && steps[i] * decade >= value * 0.999)
            return steps[i] * decade;
        if (steps[i] * decade <= value * 1.001)
            below = steps[i] * decade;
    }
    return below;
}

static size_t
find_curves(const struct bench *b, const struct plot *plot,
            const struct curve *found[CURVES_MAX], struct frame *f)
{
    double x_low = HUGE_VAL;
    double x_high = 0;
    double y_low = HUGE_VAL;
    double y_high = 0;
    size_t count = 0;

    for (size_t i = 0; i < b->results.curve_count && count < CURVES_MAX; i++) {
        const struct curve *c = &b->results.curves[i];

        if (strcmp(c->plot, plot->name) != 0)
            continue;
        found[count++] = c;
        for (size_t k = 0; k < c->count; k++) {
            x_low = fmin(x_low, c->x[k]);
            x_high = fmax(x_high, c->x[k]);
            y_low = fmin(y_low, c->y[k]);
            y_high = fmax(y_high, c->y[k]);
        }
    }
    if (count == 0 || y_low <= 0 || x_low <= 0)
        return 0;
    f->x_low = log10(x_low);
    f->x_high = x_high > x_low ? log10(x_high) : f->x_low + 1;
    f->y_low = log10(step_at(y_low * 0.95, false));
    f->y_high = log10(step_at(y_high * 1.05, true));
    return count;
}

/* ---- drawing ---- */

static void
put_style(FILE *out)
{
    static const char *const light[] = {"#1f6fd0", "#c2571a", "#23824b",
                                        "#8a4fb8", "#a8761a", "#b03060"};
    static const char *const dark[] = {"#6aa9ff", "#ff9a5c", "#5ecb8a",
                                       "#c79bf2", "#e0b354", "#f285ab"};

    fprintf(out, "<style>\n"
                 "text { font: 13px system-ui, sans-serif; fill: #24292f }\n"
                 ".title { font-weight: 600; font-size: 15px }\n"
                 ".grid { stroke: #d0d7de; stroke-width: 1 }\n"
                 ".curve { fill: none; stroke-width: 2 }\n");
    for (int i = 0; i < CURVES_MAX; i++)
        fprintf(out,
                ".c%d { stroke: %s } circle.c%d, text.c%d { fill: %s; stroke: "
                "none }\n",
                i, light[i], i, i, light[i]);
    fprintf(out, "@media (prefers-color-scheme: dark) {\n"
                 "text { fill: #d1d7de } .grid { stroke: #3d444d }\n");
    for (int i = 0; i < CURVES_MAX; i++)
        fprintf(out, ".c%d { stroke: %s } circle.c%d, text.c%d { fill: %s }\n",
                i, dark[i], i, i, dark[i]);
    fprintf(out, "}\n</style>\n");
}

static void
put_grid(const struct plot *plot, const struct frame *f,
         const struct curve *first, FILE *out)
{
    static const double steps[] = {1, 2, 5};
    bool is_wide = f->y_high - f->y_low > 2.5;
    char text[RESULT_TEXT_SIZE];

    for (int decade = (int)floor(f->y_low); decade <= (int)ceil(f->y_high);
         decade++) {
        for (int i = 0; i < (is_wide ? 1 : 3); i++) {
            double value = steps[i] * pow(10, decade);
            double y = place_y(f, value);

            if (y < TOP - 1 || y > BOTTOM + 1)
                continue;
            fprintf(out,
                    "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" "
                    "y2=\"%.1f\"/>\n"
                    "<text x=\"%d\" y=\"%.1f\" "
                    "text-anchor=\"end\">%s</text>\n",
                    LEFT, RIGHT, y, y, LEFT - 8, y + 4,
                    result_write(value, plot->unit, text));
        }
    }
    for (size_t i = 0; i < first->count; i++)
        fprintf(
            out,
            "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f</text>\n",
            place_x(f, first->x[i]), BOTTOM + 20, first->x[i]);
}

static void
put_curve(const struct frame *f, const struct curve *c, int number, FILE *out)
{
    fprintf(out, "<polyline class=\"curve c%d\" points=\"", number);
    for (size_t i = 0; i < c->count; i++)
        fprintf(out, "%.1f,%.1f ", place_x(f, c->x[i]), place_y(f, c->y[i]));
    fprintf(out, "\"/>\n");
    for (size_t i = 0; i < c->count; i++)
        fprintf(out,
                "<circle class=\"c%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"/>\n",
                number, place_x(f, c->x[i]), place_y(f, c->y[i]));
}

/* Names where the curves end, moved apart where they would meet. */
static void
put_names(const struct frame *f, const struct curve *const *curves,
          size_t count, FILE *out)
{
    bool is_put[CURVES_MAX] = {false};
    double last = -LABEL_GAP;

    for (size_t done = 0; done < count; done++) {
        size_t next = count;
        double y = HUGE_VAL;

        for (size_t i = 0; i < count; i++) {
            double at = place_y(f, curves[i]->y[curves[i]->count - 1]);

            if (!is_put[i] && at < y) {
                y = at;
                next = i;
            }
        }
        if (next == count)
            return;
        is_put[next] = true;
        y = fmax(y, last + LABEL_GAP);
        last = y;
        fprintf(out, "<text class=\"c%zu\" x=\"%d\" y=\"%.1f\">%s</text>\n",
                next, RIGHT + 10, y + 4, curves[next]->name);
    }
}

bool
plot_write(const struct bench *b, const struct plot *plot, FILE *out)
{
    const struct curve *curves[CURVES_MAX];
    struct frame f = {0};
    size_t count = find_curves(b, plot, curves, &f);

    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
            "height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\" "
            "aria-label=\"%s\">\n",
            WIDTH, HEIGHT, WIDTH, HEIGHT, plot->title);
    put_style(out);
    fprintf(out, "<text class=\"title\" x=\"%d\" y=\"22\">%s</text>\n", LEFT,
            plot->title);
    if (count > 0) {
        put_grid(plot, &f, curves[0], out);
        for (size_t i = 0; i < count; i++)
            put_curve(&f, curves[i], (int)i, out);
        put_names(&f, curves, count, out);
    }
    fprintf(out,
            "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n"
            "<text x=\"%d\" y=\"%d\">%s</text>\n"
            "</svg>\n",
            (LEFT + RIGHT) / 2, BOTTOM + 44, plot->x_label, LEFT, 42,
            plot->y_label);
    return ferror(out) == 0;
}
