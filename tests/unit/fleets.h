#ifndef FLEETS_H
#define FLEETS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A fleet under test, with commands short enough to tell a story. */
#include "core/fleet.h"

extern struct bk_fleet *fleet;
/* What the last command answered. */
extern struct bk_acquired got;
extern struct bk_granted granted;

/* A new fleet with these limits (services, leases, policies, routes). */
void begin_fleet(uint32_t services, uint32_t leases, uint32_t policies,
                 uint32_t routes);
/* cmocka's teardown: frees it. */
int end_fleet(void **state);
/* Settings (as in policy_with) of a name from now on; "" also configures it. */
void configure(const char *name, const char *settings);
void forget_configuration(void);
bool source(void *context, const char *name, struct bk_policy *out);

enum bk_error acquire_as(const char *name, uint64_t attempt, uint64_t token,
                         int64_t ttl_ns, uint32_t pid, int64_t now_ns);
/* The first attempt of process 100; must be answered. */
void acquire(const char *name, int64_t now_ns);
void expect_allowed(bool is_leased);
void expect_denied(enum bk_deny reason, uint64_t retry_after_ms);

/* Permit 0 of the current generation; what became of it. */
enum bk_applied report(const char *name, enum bk_outcome outcome,
                       int64_t now_ns);
enum bk_applied report_permit(const char *name, uint64_t permit,
                              uint64_t generation, enum bk_outcome outcome,
                              int64_t now_ns);
enum bk_error retry(const char *name, uint64_t failed_attempt,
                    enum bk_outcome outcome, int64_t retry_after_ns,
                    int64_t now_ns);
enum bk_error order(const char *name, enum bk_mode mode, int64_t now_ns);
/* A service that must be there. */
const struct bk_service *service(const char *name);
/* Notes in the outbox, which is empty afterwards; the last one in *last. */
int drain_notes(struct bk_note *last);

#endif
