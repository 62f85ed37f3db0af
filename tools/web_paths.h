#ifndef WEB_PATHS_H
#define WEB_PATHS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What is served: every path is a row of one table, with the parameters it takes
 * and the function that answers. There is no other way to anything. */
#include "tools/web_request.h"
#include "tools/web_view.h"

/* What all answers are made from. */
struct web {
    struct web_view view;
    struct web_hosts hosts;
};

/* An answer on its way out. */
struct web_answer {
    unsigned status;
    const char *type;
    const char *body;
    size_t len;
    bool is_owned;  /* `body` is on the heap and goes with the answer */
    bool is_stream; /* no body: events, for as long as somebody listens */
};

typedef void (*web_path_fn)(struct web *web, const struct web_target *target,
                            struct web_answer *out);

#define WEB_KEYS_MAX 3

struct web_path {
    const char *path;
    const char *help;
    const char *keys[WEB_KEYS_MAX]; /* parameters, ended by NULL */
    web_path_fn answer;             /* or NULL: `text` of `type` */
    const char *text;
    const char *type;
};
/* Ends with a row whose path is NULL. */
extern const struct web_path web_paths[];

/* Finds the row and lets it answer; 404 and 400 are answers too. */
void web_paths_answer(struct web *web, const struct web_target *target,
                      struct web_answer *out);

#endif
