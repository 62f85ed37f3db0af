/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/bench_series.h"
#include <stdlib.h>

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

void
series_add(struct series *s, double value)
{
    if (s->count < SERIES_MAX)
        s->at[s->count++] = value;
}

double
series_share(const struct series *s, double share)
{
    struct series sorted = *s;
    double place;
    size_t below;

    if (s->count == 0)
        return 0;
    qsort(sorted.at, sorted.count, sizeof sorted.at[0], by_value);
    place = share * (double)(sorted.count - 1);
    below = (size_t)place;
    if (below + 1 >= sorted.count)
        return sorted.at[sorted.count - 1];
    return sorted.at[below] +
           (place - (double)below) * (sorted.at[below + 1] - sorted.at[below]);
}

double
series_median(const struct series *s)
{
    return series_share(s, 0.5);
}

struct series
series_divide(const struct series *a, const struct series *b)
{
    struct series ratio = {.count = a->count < b->count ? a->count : b->count};

    for (size_t i = 0; i < ratio.count; i++)
        ratio.at[i] = b->at[i] != 0 ? a->at[i] / b->at[i] : 0;
    return ratio;
}

struct series
series_scale(const struct series *s, double factor)
{
    struct series scaled = *s;

    for (size_t i = 0; i < scaled.count; i++)
        scaled.at[i] *= factor;
    return scaled;
}

struct series
series_invert(const struct series *s, double factor)
{
    struct series inverse = *s;

    for (size_t i = 0; i < inverse.count; i++)
        inverse.at[i] = inverse.at[i] != 0 ? factor / inverse.at[i] : 0;
    return inverse;
}
