/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"
#include <stdio.h>
#include <stdlib.h>

void
broken(const char *promise, const char *file, int line)
{
    fprintf(stderr, "%s:%d: broken: %s\n", file, line, promise);
    abort();
}
