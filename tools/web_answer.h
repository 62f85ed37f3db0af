#ifndef WEB_ANSWER_H
#define WEB_ANSWER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Ways to fill in an answer. */
#include "tools/web_paths.h"

/* A static text, as it is. */
void web_answer_text(struct web_answer *out, unsigned status, const char *type,
                     const char *text);
/* A text on the heap, which goes with the answer. */
void web_answer_heap(struct web_answer *out, const char *type, char *text,
                     size_t len);
/* {"error":{"code":CODE,"text":TEXT}}: what was wrong and what helps. */
void web_answer_error(struct web_answer *out, unsigned status, const char *code,
                      const char *text);

#endif
