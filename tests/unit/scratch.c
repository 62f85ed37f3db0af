/* SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"
#include "unit.h"
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static int
drop(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void
scratch_make(char *path, size_t size)
{
    snprintf(path, size, "/tmp/breakerd-test-XXXXXX");
    assert_non_null(mkdtemp(path));
}

void
scratch_remove(const char *path)
{
    assert_int_equal(nftw(path, drop, 8, FTW_DEPTH | FTW_PHYS), 0);
}
