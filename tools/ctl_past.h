#ifndef CTL_PAST_H
#define CTL_PAST_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The lines of history that are published: everybody who may read the shared
 * memory may read them, also while the daemon is down. */
#include "tools/ctl_view.h"

/* The newest lines, oldest first; their number. */
size_t past_read(const struct view *v, struct bk_past out[BK_PAST_COUNT]);
/* Which lines: the newest, or those before a line that is known. */
struct history_page {
    const char *service; /* NULL: of all */
    uint64_t limit;
    uint64_t before; /* the number (seq) of a line; 0: the newest */
};
/* As the document {"history":[...]}, newest last (`*len` octets, NUL-terminated);
 * the caller frees. */
char *past_document(const struct view *v, const struct history_page *page,
                    size_t *len);

#endif
