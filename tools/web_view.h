#ifndef WEB_VIEW_H
#define WEB_VIEW_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared memory as the server sees it: opened anew now and then, so a daemon
 * that comes, goes or puts another file in place is seen without being told. In
 * between the mapping is kept, and however many ask, nobody else is bothered. */
#include "tools/ctl_view.h"

#define WEB_TROUBLE_SIZE 640

struct web_view {
    const char *dir; /* --dir, NULL: found as clients find it */
    struct view view;
    bool is_open;
    int64_t looked_ns; /* when it was opened, CLOCK_MONOTONIC; 0: never */
    char trouble[WEB_TROUBLE_SIZE];
};

/* What is there now; NULL with a sentence in `trouble` when nothing can be read.
 * Good until the next call. */
const struct view *web_view_now(struct web_view *w);
/* Whether a daemon serves; else one sentence why not in `out`. */
bool web_view_is_ready(struct web_view *w, struct bk_text *out);
void web_view_close(struct web_view *w);

#endif
