#ifndef MACHINE_H
#define MACHINE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the model: changes of state and mode, shared by what time, workers and
 * operators do to a service. */
#include "tests/model/ledger.h"

/* A service of this name, made when there is none; NULL for a bad name or no
 * room, and machine_refusal says which. */
struct model_service *machine_make(struct model *m, int64_t now_ns,
                                   const char *name);
enum bk_error machine_refusal(const struct model *m, const char *name);
/* The generation grows, permits are void, the change is noted. */
void machine_change(struct model *m, struct model_service *s, int64_t at_ns,
                    enum bk_state to, enum bk_cause cause);
/* To open, with n as it is: reckons the open time. */
void machine_open(struct model *m, struct model_service *s, int64_t at_ns,
                  enum bk_cause cause);
/* Windows, consecutive failures and n start empty. */
void machine_empty(struct model_service *s);
/* A step of the ramp has lasted long enough and seen a success: the next. */
void machine_end_step(struct model *m, struct model_service *s, int64_t at_ns);
/* What follows from another mode being in force than `before`. */
void machine_mode_changed(struct model *m, struct model_service *s,
                          int64_t at_ns, enum bk_mode before,
                          enum bk_cause cause);

/* A verdict on a call while closed or half open. */
struct machine_verdict {
    bool is_failure;
    bool is_slow;
    bool is_critical_trip;
    bool is_entered;   /* windows, consecutive count and ramp hear of it */
    uint64_t ramp_run; /* that admitted the call; 0: no lease, or no ramp */
    bool is_leased;
};
/* Remembers an outcome that counts against the service. */
void machine_witness(struct model_service *s,
                     const struct bk_evidence *evidence);
void machine_judge(struct model *m, struct model_service *s, int64_t at_ns,
                   const struct machine_verdict *v);

/* A health probe of a service whose machine runs. */
void machine_hear_health(struct model *m, struct model_service *s,
                         int64_t at_ns, const struct bk_health *health);

void machine_remove_lease(struct model *m, size_t index);
/* Every lease of a service; its permits only, when it keeps its tokens. */
void machine_void(struct model *m, uint32_t service, bool keeps_tokens);

#endif
