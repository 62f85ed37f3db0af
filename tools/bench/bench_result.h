#ifndef BENCH_RESULT_H
#define BENCH_RESULT_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What came of a run: lines of a table, and curves. */
#include "tools/bench/bench_series.h"
#include <stdbool.h>
#include <stddef.h>

#define RESULT_LINES_MAX 128
#define RESULT_CURVES_MAX 32
#define RESULT_POINTS_MAX 8
#define RESULT_TEXT_SIZE 40
#define RESULT_SIDE_SIZE 80
#define RESULT_VALUE_SIZE 120
#define RESULT_NOTE_SIZE 200

struct bench;
struct side;

enum result_state {
    RESULT_TOLD, /* no goal */
    RESULT_HOLDS,
    RESULT_MISSED,
    RESULT_SKIPPED,
    RESULT_FAILED
};

enum result_goal { GOAL_NONE, GOAL_AT_MOST, GOAL_AT_LEAST };

enum result_unit {
    UNIT_NS,   /* printed as ns, us, ms */
    UNIT_RATE, /* a second */
    UNIT_RATIO,
    UNIT_COUNT,
    UNIT_KIB,
    UNIT_OCTETS,
    UNIT_PERCENT
};

struct line {
    const char *row;
    char what[96];
    char ours[RESULT_SIDE_SIZE]; /* name and figure */
    char peer[RESULT_SIDE_SIZE];
    enum result_unit unit; /* of what is compared with the goal */
    struct series value;   /* by repeat */
    enum result_goal kind;
    double goal;
    enum result_state state;
    char note[RESULT_NOTE_SIZE];
};

struct curve {
    const char *plot;
    const char *name;
    double x[RESULT_POINTS_MAX];
    double y[RESULT_POINTS_MAX];
    size_t count;
};

struct results {
    struct line lines[RESULT_LINES_MAX];
    size_t line_count;
    struct curve curves[RESULT_CURVES_MAX];
    size_t curve_count;
};

/* Which of a side's figures. */
enum figure {
    FIGURE_WALL,
    FIGURE_CPU,
    FIGURE_SERVER,
    FIGURE_LOOP, /* the server's first thread */
    FIGURE_RATE
};

struct claim {
    const char *what;
    const struct side *ours;
    const struct side *peer;
    enum figure figure;
    enum result_goal kind;
    double goal;
    const char *note;
};
/* ours / peer, repeat by repeat. */
void result_ratio(struct bench *b, const struct claim *claim);

struct fact {
    const char *what;
    struct series value;
    enum result_unit unit;
    enum result_goal kind;
    double goal;
    const char *peer; /* something to put beside it; NULL: nothing */
    const char *note;
};
void result_fact(struct bench *b, const struct fact *fact);
/* The same, measured once. */
void result_number(struct bench *b, const char *what, double value,
                   enum result_unit unit, enum result_goal kind, double goal,
                   const char *note);
/* Cannot be measured here, for want of what; or could not. */
void result_skip(struct bench *b, const char *what, const char *why);
void result_failure(struct bench *b, const char *why);

void result_point(struct bench *b, const char *plot, const char *curve,
                  double x, double y);

const struct series *result_figure(const struct side *s, enum figure figure);
/* As people write it: "6.2 ns", "1.4 M/s", "0.65". Into `text`, which is returned. */
const char *result_write(double value, enum result_unit unit,
                         char text[RESULT_TEXT_SIZE]);
const char *result_state_name(enum result_state state);

#endif
