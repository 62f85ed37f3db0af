#ifndef UPSTREAM_PLAY_H
#define UPSTREAM_PLAY_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A script being played: which phase it is, what a request meets in it, and what
 * was counted. */
#include "tools/upstream_conn.h"

struct upstream_play {
    struct upstream_script script;
    struct upstream_tally tally;
    size_t phase;
    int64_t started_ns;
    int64_t phase_ends_ns;  /* after the start */
    int64_t latency_ns;     /* of phases that do not say */
    uint64_t share_sum_ppm; /* what `share` has left over */
    const char *stats_path; /* NULL: none */
    bool has_complained;    /* that it cannot be written: once is enough */
};

/* Begins at the first phase with nothing counted. */
void upstream_play_start(struct upstream_play *play, int64_t now_ns);
/* Moves to the phase of `now_ns`; true when it is another one. */
bool upstream_play_follow(struct upstream_play *play, int64_t now_ns);
bool upstream_play_refuses(const struct upstream_play *play);
/* Writes the statistics to stats_path, whole or not at all. */
void upstream_play_save(struct upstream_play *play, int64_t now_ns);

/* Answers (or hangs, or breaks) a connection of the main port that is READY. */
void upstream_play_answer(struct upstream_play *play,
                          struct upstream_conn *conn, int64_t now_ns);
/* The same for the control port. True when the script began anew. */
bool upstream_play_control(struct upstream_play *play,
                           struct upstream_conn *conn, int64_t now_ns);

#endif
