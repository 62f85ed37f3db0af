#ifndef WEB_LIVE_H
#define WEB_LIVE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The document the page lives on: the status and, for each service, what is drawn
 * besides. Whole, or what changed since the last one, so that a thousand quiet
 * services cost nothing. */
#include "tools/web_view.h"

/* What was told of each service last. */
struct web_live {
    uint64_t *seen; /* a hash of what was told, one a slot; 0: nothing */
    char (*names)[BK_NAME_SIZE];
    uint32_t slots;
};

/* Everything, as one line of JSON; the caller frees it. */
char *web_live_all(struct web_view *w, size_t *len);
/* What changed since the last call. `*has_news` is false when that is nothing but
 * the heartbeat's age. */
char *web_live_changes(struct web_live *l, struct web_view *w, size_t *len,
                       bool *has_news);
void web_live_free(struct web_live *l);

#endif
