#ifndef CTL_COMMANDS_H
#define CTL_COMMANDS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The subcommands, one file a family. Each gets its operands (checked in number
 * by the table) and returns what the shell sees. */
#include "tools/ctl_args.h"

enum ctl_exit ctl_status(const struct ctl *c, const char *const *words,
                         size_t count);
enum ctl_exit ctl_top(const struct ctl *c, const char *const *words,
                      size_t count);
enum ctl_exit ctl_wait(const struct ctl *c, const char *const *words,
                       size_t count);
enum ctl_exit ctl_check(const struct ctl *c, const char *const *words,
                        size_t count);
enum ctl_exit ctl_explain(const struct ctl *c, const char *const *words,
                          size_t count);
enum ctl_exit ctl_history(const struct ctl *c, const char *const *words,
                          size_t count);
enum ctl_exit ctl_events(const struct ctl *c, const char *const *words,
                         size_t count);
enum ctl_exit ctl_backup(const struct ctl *c, const char *const *words,
                         size_t count);
enum ctl_exit ctl_reset(const struct ctl *c, const char *const *words,
                        size_t count);
enum ctl_exit ctl_trip(const struct ctl *c, const char *const *words,
                       size_t count);
enum ctl_exit ctl_bypass(const struct ctl *c, const char *const *words,
                         size_t count);
enum ctl_exit ctl_observe(const struct ctl *c, const char *const *words,
                          size_t count);
enum ctl_exit ctl_auto(const struct ctl *c, const char *const *words,
                       size_t count);
enum ctl_exit ctl_set(const struct ctl *c, const char *const *words,
                      size_t count);
enum ctl_exit ctl_unset(const struct ctl *c, const char *const *words,
                        size_t count);
enum ctl_exit ctl_config(const struct ctl *c, const char *const *words,
                         size_t count);
enum ctl_exit ctl_reload(const struct ctl *c, const char *const *words,
                         size_t count);
enum ctl_exit ctl_raw(const struct ctl *c, const char *const *words,
                      size_t count);
enum ctl_exit ctl_run(const struct ctl *c, const char *const *words,
                      size_t count);
enum ctl_exit ctl_metrics(const struct ctl *c, const char *const *words,
                          size_t count);
enum ctl_exit ctl_keygen(const struct ctl *c, const char *const *words,
                         size_t count);
enum ctl_exit ctl_completion(const struct ctl *c, const char *const *words,
                             size_t count);
enum ctl_exit ctl_doctor(const struct ctl *c, const char *const *words,
                         size_t count);

#endif
