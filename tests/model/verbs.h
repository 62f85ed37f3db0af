#ifndef VERBS_H
#define VERBS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Each kind of step as a command to the core and to the model, and the comparison
 * of their answers. */
#include "tests/model/play.h"

/* The service whose deadlines the command let pass in the core, or NULL. */
const char *verb_carry_out(struct play *p, const struct step *step);

/* The segment is lost: what was saved is restored in a new fleet. */
void survive_loss(struct play *p);
/* The daemon was killed: a new fleet adopts all there is; nothing changes. */
void survive_crash(struct play *p);

#endif
