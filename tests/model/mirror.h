#ifndef MIRROR_H
#define MIRROR_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared segment beside a fleet under test, published after each step just as
 * a daemon does: what is not marked as changed is not published, and is missed. */
#include "tests/model/play.h"

/* False when there is no memory. */
bool mirror_open(struct play *p, const struct bk_limits *limits);
void mirror_close(struct play *p);
/* An empty segment. */
void mirror_format(struct play *p);
/* Publishes what changed. */
void mirror_sync(struct play *p);
/* Everything in the segment, slot for slot, into a new fleet. */
void mirror_adopt(struct play *p, struct bk_fleet *fleet);
/* The published verdict word must say what the model would answer. */
void mirror_compare_word(struct play *p, uint32_t slot,
                         const struct model_service *m);

#endif
