#ifndef CTL_HISTORY_H
#define CTL_HISTORY_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The history: asked of the daemon, or read from its database while it is down. */
#include "tools/ctl_ask.h"
#include "tools/ctl_past.h"

/* The lines as the document {"history":[...]}, newest last; the caller owns it.
 * `is_quiet`: no words on stderr, and NULL is a fine answer. */
enum ctl_exit history_fetch(const struct ctl *c,
                            const struct history_page *page, bool is_quiet,
                            json_t **out);

enum history_result {
    HISTORY_READ,
    HISTORY_ABSENT, /* no such file */
    HISTORY_FORBIDDEN,
    HISTORY_BUSY, /* a daemon has it for itself */
    HISTORY_NO_SERVICE,
    HISTORY_FAILED /* damaged, or of another layout */
};
/* The same from the database file alone. Anything but HISTORY_READ comes with a
 * clause in `why`. */
enum history_result history_read(const char *path,
                                 const struct history_page *page,
                                 struct bk_text *why, json_t **out);
/* Lets SQLite look the whole file over. HISTORY_READ when it is sound. */
enum history_result history_examine(const char *path, struct bk_text *why);
/* One line of a history or an event, for people. */
void history_print_line(const json_t *row);

#endif
