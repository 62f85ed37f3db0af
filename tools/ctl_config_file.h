#ifndef CTL_CONFIG_FILE_H
#define CTL_CONFIG_FILE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * config check and config diff: a configuration file before it is in force. */
#include "tools/ctl_args.h"

enum ctl_exit config_file_check(const struct ctl *c, const char *path);
enum ctl_exit config_file_diff(const struct ctl *c, const char *path);

#endif
