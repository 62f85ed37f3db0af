#ifndef COMMANDS_H
#define COMMANDS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What each command of the protocol does: one function a row. */
#include "core/json.h"
#include "daemon/observe.h"
#include "daemon/peer.h"
#include "daemon/registry.h"
#include "daemon/reply.h"
#include "daemon/watch.h"

/* A big answer that is written a piece a turn. */
struct commands_slice {
    struct reply *reply;
    size_t index;
    uint32_t slot;
    char *at;
    struct bk_text text;
    struct bk_json json;
};
#define COMMANDS_SLICES 64

struct commands {
    struct registry *registry;
    struct watch *watch;
    struct rings *rings;
    const struct rundir *dir;
    struct commands_slice slices[COMMANDS_SLICES];
    unsigned slice_count;
    uint64_t tickets; /* of questions for the store */
    uint64_t malformed;
    uint64_t refused;
    uint64_t reports_dropped;
    bool
        has_promised; /* an answer was written that a killed daemon is held to */
    struct observe observe;
};

/* Carries out one line and adds its answer to `reply` (none for a silent
 * command). */
void commands_run(struct commands *c, struct peer *peer, int64_t now_ns,
                  const char *line, size_t len, struct reply *reply);
/* A line that will be carried out in a moment. */
void commands_foresee(const struct commands *c, const char *line, size_t len);
/* Writes a piece of what is being written; true while more is to do. A reply
 * that became whole is found by asking it. */
bool commands_slice(struct commands *c, int64_t now_ns);
/* A reply is going away: nothing may be written into it any more. */
void commands_drop(struct commands *c, const struct reply *reply);

#endif
