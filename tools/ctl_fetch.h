#ifndef CTL_FETCH_H
#define CTL_FETCH_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Where looking commands get what they show: the shared memory first, the daemon
 * when the memory cannot be used. */
#include "tools/ctl_ask.h"
#include "tools/ctl_view.h"

/* The status document (its text on the heap, NULL when there is none) of the
 * services named, or of all. Evidence is in it when one is asked for. Whatever
 * is missing has been explained on stderr; a service that is not known makes the
 * result CTL_NO_SERVICE, with the others still in the document. */
enum ctl_exit fetch_status(const struct ctl *c, const char *const *names,
                           size_t count, char **document);
/* Opens the shared memory, or explains why it cannot be used. Says so when the
 * daemon is down. */
enum ctl_exit fetch_view(const struct ctl *c, struct view *v);
/* Finds a service in the view; explains with the nearest name when it is not
 * there. */
enum ctl_exit fetch_service(const struct view *v, const char *name,
                            struct view_service *out);

#endif
