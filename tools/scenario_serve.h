#ifndef SCENARIO_SERVE_H
#define SCENARIO_SERVE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * BRK/1 lines answered by a bare fleet, at an instant that is passed in. */
#include "tools/scenario_values.h"

/* A fleet with what it needs to answer. */
struct scenario_fleet {
    struct bk_fleet *fleet;
    struct scenario_values values;
};

/* Who asks. */
struct scenario_peer {
    struct bk_caller caller;
    bool is_operator;
};

/* Answers one line; the answer is appended to `out`. */
void scenario_serve(struct scenario_fleet *f, int64_t now_ns,
                    const struct scenario_peer *peer, const char *line,
                    size_t len, struct bk_text *out);

#endif
