#ifndef SCENARIO_LINES_H
#define SCENARIO_LINES_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * From a step to BRK/1 lines: both stages speak the protocol, so a scenario
 * means the same on each. Here live the names a file gives to permits and
 * tokens. */
#include "core/wire.h"
#include "tools/scenario_file.h"

/* What a NAME stands for at the moment. */
struct scenario_named {
    const char *name;
    const char *service; /* the one chosen; text of this table */
    uint64_t id;
    uint64_t generation;
    bool is_held; /* false: what it was to name was denied */
    char service_text[BK_NAME_SIZE];
};

struct scenario_names {
    struct scenario_named *all;
    size_t count;
};

bool scenario_names_init(struct scenario_names *names,
                         const struct scenario *s);
void scenario_names_free(struct scenario_names *names);
/* NULL only for a name that no `as` of the file gives. */
struct scenario_named *scenario_names_find(const struct scenario_names *names,
                                           const char *name);
/* Binds the step's name, if it gives one, to what the answer granted. */
void scenario_names_bind(struct scenario_names *names,
                         const struct scenario_step *step,
                         const struct bk_reply *reply);

/* The line of a step, once; set and unset give a line a pair, separated by \n.
 * False with one clause when a NAME it needs holds nothing. */
bool scenario_write_lines(const struct scenario_step *step,
                          const struct scenario_names *names,
                          struct bk_text *out, struct bk_text *why);
/* The service whose status belongs to the step, or NULL: of a route, of * or of
 * a bare number. */
const char *scenario_subject(const struct scenario *s,
                             const struct scenario_step *step,
                             const struct scenario_names *names);

#endif
