#ifndef CTL_DOCTOR_H
#define CTL_DOCTOR_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The doctor's findings. Each check looks at one thing and adds what it found,
 * with the remedy when it is not well. */
#include "tools/ctl_ask.h"
#include "tools/ctl_view.h"

#define DOCTOR_FINDINGS 32
#define DOCTOR_TEXT_SIZE 768

enum doctor_result { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

struct doctor_finding {
    const char *name;
    enum doctor_result result;
    char text[DOCTOR_TEXT_SIZE];
    char remedy[DOCTOR_TEXT_SIZE]; /* "" when it is well */
};

struct doctor {
    const struct ctl *c;
    struct place place;
    struct view view;
    enum view_result seen; /* what came of opening the view */
    char why[160];         /* the clause with it */
    struct doctor_finding findings[DOCTOR_FINDINGS];
    size_t count;
};

/* Adds a finding; its text and remedy are filled in by the two that follow. */
struct doctor_finding *doctor_add(struct doctor *d, const char *name,
                                  enum doctor_result result);
__attribute__((format(printf, 2, 3))) void doctor_text(struct doctor_finding *f,
                                                       const char *format, ...);
__attribute__((format(printf, 2, 3))) void
doctor_remedy(struct doctor_finding *f, const char *format, ...);

/* Checks of files; each needs a directory to be there. */
void doctor_directory(struct doctor *d);
void doctor_tmpfs(struct doctor *d);
void doctor_lock(struct doctor *d);
void doctor_sockets(struct doctor *d);
void doctor_group(struct doctor *d);
/* Checks of the daemon and what it publishes. */
void doctor_process(struct doctor *d);
void doctor_segment(struct doctor *d);
void doctor_heartbeat(struct doctor *d);
void doctor_protocol(struct doctor *d);
void doctor_database(struct doctor *d);

#endif
