#ifndef BK_INI_H
#define BK_INI_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * One line of an INI file. Ours, because the packaged parser silently cuts
 * section names at 49 octets and lines at 200. */
#include "core/wire.h"

enum bk_ini_kind { BK_INI_BLANK, BK_INI_SECTION, BK_INI_PAIR, BK_INI_BAD };

struct bk_ini_line {
    enum bk_ini_kind kind;
    struct bk_word section; /* first word within the brackets */
    struct bk_word name;    /* second word, NULL when there is none */
    struct bk_word key;
    struct bk_word value;
    const char *why; /* BAD: one static clause */
};
struct bk_ini_line bk_ini_read(const char *line, size_t len);

#endif
