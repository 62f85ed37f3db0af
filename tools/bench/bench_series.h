#ifndef BENCH_SERIES_H
#define BENCH_SERIES_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What a figure was in each repeat. */
#include <stddef.h>

#define SERIES_MAX 99

struct series {
    double at[SERIES_MAX];
    size_t count;
};

void series_add(struct series *s, double value);
/* A value below which that share of them lie, between neighbours; 0 for none. */
double series_share(const struct series *s, double share);
double series_median(const struct series *s);
/* Repeat by repeat: what was measured one after the other is compared. */
struct series series_divide(const struct series *a, const struct series *b);
struct series series_scale(const struct series *s, double factor);
/* `factor` divided by each. */
struct series series_invert(const struct series *s, double factor);

#endif
