#ifndef WEB_API_H
#define WEB_API_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What lies below /api/v1: the documents of breakerctl, over HTTP. */
#include "tools/web_paths.h"

void web_api_status(struct web *web, const struct web_target *target,
                    struct web_answer *out);
void web_api_history(struct web *web, const struct web_target *target,
                     struct web_answer *out);
void web_api_live(struct web *web, const struct web_target *target,
                  struct web_answer *out);
void web_api_events(struct web *web, const struct web_target *target,
                    struct web_answer *out);

#endif
