#ifndef CTL_ASK_H
#define CTL_ASK_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions to the daemon: finding its endpoint, asking, and turning what comes
 * back, or does not, into a sentence and an exit status. */
#include "tools/ctl_args.h"
#include "tools/ctl_json.h"
#include "tools/ctl_place.h"
#include "tools/link.h"

enum ask_endpoint { ASK_WORKER, ASK_OPERATOR, ASK_EVENTS };

/* A line being written; at most what the protocol takes. */
struct ask_lines {
    char **lines;
    size_t count;
};
/* Adds the line "WORD SERVICE ..." of up to four words; NULL ends them early. */
void ask_add(struct ask_lines *l, const char *command, const char *a,
             const char *b, const char *c);
void ask_free(struct ask_lines *l);

/* Sends the lines as one message (several when they are many) and collects one
 * answer a line. Anything but CTL_DONE has been explained on stderr. */
enum ctl_exit ask_all(const struct ctl *c, enum ask_endpoint endpoint,
                      const struct ask_lines *l, struct link_reply *reply);
/* The same for one line; without words on stderr when `is_quiet`. */
enum ctl_exit ask_one(const struct ctl *c, enum ask_endpoint endpoint,
                      bool is_quiet, const char *line,
                      struct link_reply *reply);

/* Finds an endpoint's socket and sees that somebody listens there. */
enum ctl_exit ask_find(const struct ctl *c, enum ask_endpoint endpoint,
                       bool is_quiet, char path[PLACE_PATH_SIZE]);
/* For questions of another shape: the connection itself (and the socket's path),
 * and what to say of a result that is none. */
enum ctl_exit ask_connect(const struct ctl *c, enum ask_endpoint endpoint,
                          bool is_quiet, char path[PLACE_PATH_SIZE],
                          struct link **out);
enum ctl_exit ask_result(const struct link *l, enum link_result result,
                         bool is_quiet, const char *path);

/* Reads the answer `OK {json}`. The caller owns *out. Errors of the daemon are
 * said (with `about` before them when not NULL) and returned as an exit status. */
enum ctl_exit ask_json(const struct link_reply *reply, size_t at,
                       const char *about, json_t **out);
/* Says that this user may not do that with this file, and what helps. */
enum ctl_exit ask_forbidden(const char *what, const char *path);
/* Says that nothing answers, and every path tried. */
enum ctl_exit ask_unreachable(const struct place *p, const char *what);
/* Refuses what is no service's name. */
enum ctl_exit ask_check_name(const char *name);
enum ctl_exit ask_check_names(const char *const *names, size_t count);

#endif
