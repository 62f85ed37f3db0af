#ifndef BK_FORMAT_H
#define BK_FORMAT_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Sentences with words and numbers in them, for those parts of the core that
 * explain what is wrong. */
#include "core/text.h"
#include <stdarg.h>

/* As printf's, of which it knows %s, %.*s, %d, %u and %zu; any other is a
 * broken promise. */
__attribute__((format(printf, 2, 0))) void
bk_text_format(struct bk_text *t, const char *format, va_list args);

#endif
