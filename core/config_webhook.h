#ifndef BK_CONFIG_WEBHOOK_H
#define BK_CONFIG_WEBHOOK_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a [webhook NAME] section. Only config_section.c uses this. */
#include "core/config_section.h"

bool bk_config_webhook_enter(struct bk_config_reader *r, const char *name);
bool bk_config_webhook_pair(struct bk_config_reader *r,
                            const struct bk_ini_line *line);
/* The section ends: it must have said where to. */
bool bk_config_webhook_leave(struct bk_config_reader *r);

#endif
