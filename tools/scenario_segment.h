#ifndef SCENARIO_SEGMENT_H
#define SCENARIO_SEGMENT_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared memory of a scenario's daemon, for a look at what no answer tells. */
#include "core/segment.h"

struct scenario_segment {
    struct bk_segment map;
    void *base;
    size_t bytes;
};

/* Maps the file that is in `dir` now; false when there is none to be read. */
bool scenario_segment_open(struct scenario_segment *s, const char *dir);
void scenario_segment_close(struct scenario_segment *s);

#endif
