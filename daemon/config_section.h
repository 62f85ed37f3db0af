#ifndef CONFIG_SECTION_H
#define CONFIG_SECTION_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Sections of the configuration file and the keys that may stand in each. Only
 * config_file.c uses this. */
#include "core/ini.h"
#include "daemon/config_file.h"

/* Keys of a layer are bits of 64. */
#define CONFIG_KEYS_MAX 64

enum config_section {
    CONFIG_NOWHERE,
    CONFIG_DEFAULTS,
    CONFIG_DAEMON,
    CONFIG_SERVICE,
    CONFIG_ROUTE,
    CONFIG_SECTION_COUNT
};

/* Where the reader is. */
struct config_reader {
    struct config_file *file;
    const char *path;
    struct bk_text *error;
    uint32_t line;
    enum config_section section;
    struct bk_layer *layer; /* defaults, service: what the keys go into */
    const char *service;    /* service: its name */
    uint32_t section_lines[CONFIG_SECTION_COUNT]; /* of those without a name */
    uint32_t key_lines[CONFIG_KEYS_MAX]; /* of this section's keys so far */
};

/* Writes "FILE:LINE: words" (no line when it is 0); always false, so that it can
 * be returned. */
__attribute__((format(printf, 3, 4))) bool
config_refuse(struct config_reader *r, uint32_t line, const char *format, ...);
/* A section's line, a key's line, and the end of the last section. */
bool config_section_enter(struct config_reader *r,
                          const struct bk_ini_line *line);
bool config_section_pair(struct config_reader *r,
                         const struct bk_ini_line *line);
bool config_section_leave(struct config_reader *r);

#endif
