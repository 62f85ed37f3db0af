#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The options of breakerctl, a row each. */
#include "tools/ctl_args.h"
#include <stddef.h>

struct ctl_option_row {
    enum ctl_option option;
    char letter;       /* 0: none */
    const char *name;  /* without the dashes */
    const char *value; /* what follows; NULL: nothing; "[=...": may follow */
    const char *help;
    bool (*read)(struct ctl *c, const char *value);
};
extern const struct ctl_option_row ctl_option_rows[];
extern const size_t ctl_option_count;

#endif
