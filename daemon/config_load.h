#ifndef CONFIG_LOAD_H
#define CONFIG_LOAD_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the configuration file from the disk. */
#include "core/config_file.h"

/* Fills an initialised `f`; false with a sentence, as bk_config_file_read. */
bool config_load(struct bk_config_file *f, const char *path,
                 struct bk_text *error);

#endif
