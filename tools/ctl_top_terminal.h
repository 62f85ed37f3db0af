#ifndef CTL_TOP_TERMINAL_H
#define CTL_TOP_TERMINAL_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The terminal of `top`: raw, on its alternate screen, and given back as it was on
 * every way out. One of a process. */
#include "tools/ctl_top_page.h"
#include <stdint.h>

/* Takes the terminal of stdin and stdout. False with errno when there is none. */
bool terminal_open(void);
void terminal_close(void);
/* Its size; 80 by 24 when it does not say. */
void terminal_size(size_t *lines, size_t *columns);
void terminal_show(const struct top_page *page);

enum terminal_news {
    TERMINAL_QUIET,   /* the time is over */
    TERMINAL_KEYS,    /* something was typed */
    TERMINAL_CHANGED, /* another size, or we are back from a stop: draw anew */
    TERMINAL_END,     /* Ctrl-C */
    TERMINAL_GONE     /* the terminal is, or a signal wants us to end */
};
/* Waits at most so long. Stops with the terminal given back when that is asked. */
enum terminal_news terminal_wait(int64_t wait_ns, char *octets, size_t size,
                                 size_t *len);
/* Ends the process by the signal that asked for it, if one did. */
void terminal_obey(void);

#endif
