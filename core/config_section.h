#ifndef BK_CONFIG_SECTION_H
#define BK_CONFIG_SECTION_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Sections of the configuration file and the keys that may stand in each. Only
 * the config_*.c files use this. */
#include "core/config_file.h"
#include "core/ini.h"

/* Keys of a layer are bits of 64. */
#define BK_CONFIG_KEYS_MAX 64

enum bk_config_section {
    BK_CONFIG_NOWHERE,
    BK_CONFIG_DEFAULTS,
    BK_CONFIG_DAEMON,
    BK_CONFIG_SERVICE,
    BK_CONFIG_ROUTE,
    BK_CONFIG_WEBHOOK,
    BK_CONFIG_SECTION_COUNT
};

/* Where the reader is. */
struct bk_config_reader {
    struct bk_config_file *file;
    const char *path;
    struct bk_text *error;
    uint32_t line;
    enum bk_config_section section;
    struct bk_layer *layer; /* defaults, service: what the keys go into */
    const char *service;    /* service: its name */
    uint32_t
        section_lines[BK_CONFIG_SECTION_COUNT]; /* of those without a name */
    uint32_t key_lines[BK_CONFIG_KEYS_MAX]; /* of this section's keys so far */
};

/* Writes "FILE:LINE: words" (no line when it is 0); always false, so that it can
 * be returned. */
__attribute__((format(printf, 3, 4))) bool
bk_config_refuse(struct bk_config_reader *r, uint32_t line, const char *format,
                 ...);
/* A name, key or value quoted in a sentence: "%.*s", at most this much of it. */
#define BK_CONFIG_QUOTED 64
#define BK_CONFIG_QUOTE(word)                                             \
    (int)((word).len < BK_CONFIG_QUOTED ? (word).len : BK_CONFIG_QUOTED), \
        (word).at
/* A key, by its number among those of its section, may stand there once. */
bool bk_config_is_first(struct bk_config_reader *r, size_t key,
                        const char *name);
/* Reads "a, b, c" into at most `most` names; `what` has them, for sentences. */
bool bk_config_names(struct bk_config_reader *r, struct bk_word list,
                     const char *what, char (*names)[BK_NAME_SIZE],
                     uint32_t most, uint32_t *count);
/* A section's line, a key's line, and the end of the last section. */
bool bk_config_section_enter(struct bk_config_reader *r,
                             const struct bk_ini_line *line);
bool bk_config_section_pair(struct bk_config_reader *r,
                            const struct bk_ini_line *line);
bool bk_config_section_leave(struct bk_config_reader *r);

#endif
