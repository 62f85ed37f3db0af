/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/web_paths.h"
#include "tools/ctl_out.h"
#include "tools/web_answer.h"
#include "tools/web_api.h"
#include <stdlib.h>
#include <string.h>

#define TEXT "text/plain; charset=utf-8"

static void
tell_alive(struct web *web, const struct web_target *target,
           struct web_answer *out)
{
    (void)web;
    (void)target;
    web_answer_text(out, 200, TEXT, "ok\n");
}

static void
tell_ready(struct web *web, const struct web_target *target,
           struct web_answer *out)
{
    char *sentence = ctl_memory(NULL, WEB_TROUBLE_SIZE + 1);
    struct bk_text text;

    (void)target;
    bk_text_init(&text, sentence, WEB_TROUBLE_SIZE);
    if (web_view_is_ready(&web->view, &text)) {
        free(sentence);
        web_answer_text(out, 200, TEXT, "ready\n");
        return;
    }
    sentence[text.len] = '\n';
    web_answer_heap(out, TEXT, sentence, text.len + 1);
    out->status = 503;
}

const struct web_path web_paths[] = {
    {"/healthz", "200 while this process lives", {NULL}, tell_alive},
    {"/readyz", "200 while breakerd serves, else 503", {NULL}, tell_ready},
    {"/api/v1/status",
     "the status JSON; ?service=NAME: one service, with evidence",
     {"service", NULL},
     web_api_status},
    {"/api/v1/live",
     "status and what the page draws besides",
     {NULL},
     web_api_live},
    {"/api/v1/events",
     "the same and then its changes, as server-sent events",
     {NULL},
     web_api_events},
    {NULL, NULL, {NULL}, NULL},
};

void
web_paths_answer(struct web *web, const struct web_target *target,
                 struct web_answer *out)
{
    const struct web_path *p = web_paths;

    while (p->path != NULL && !web_target_is(target, p->path))
        p++;
    if (p->path == NULL)
        web_answer_error(out, 404, "not_found",
                         "nothing is here; breakerweb --help lists the paths");
    else if (!web_target_knows(target, p->keys))
        web_answer_error(out, 400, "bad_request",
                         "an unknown parameter; see /openapi.yaml");
    else
        p->answer(web, target, out);
}
