#ifndef ADOPT_H
#define ADOPT_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared memory that an earlier daemon left: whether it is to be believed, and
 * what of it goes on in this one. */
#include "daemon/publish.h"

struct adopt {
    struct bk_segment segment;
    void *map;
    size_t bytes;
    int fd; /* -1: none */
};

/* Maps what lies there. Only a file of our own that nobody else may write, of this boot
 * and time namespace, is believed. NULL when it is, "" when there is none, else one clause
 * why not; it is to be unmapped whatever came of it. */
const char *adopt_map(struct adopt *old, const char *path, const char *boot_id,
                      uint64_t time_namespace);
void adopt_unmap(struct adopt *old);
/* Takes services and leases over. Slots stay where they are, so that a worker's
 * cached handle goes on being right. */
void adopt_all(const struct adopt *old, struct bk_fleet *fleet, int64_t now_ns,
               struct publish_found *found);
/* A file that goes on in use: what the fleet did not take over is cleared, blocks that
 * nobody has are free again. False: no memory. */
bool adopt_tidy(struct bk_segment *s, struct bk_fleet *fleet);

#endif
