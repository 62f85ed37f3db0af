/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/web_paths.h"
#include "tools/ctl_out.h"
#include "tools/metrics.h"
#include "tools/web_answer.h"
#include "tools/web_api.h"
#include "tools/web_files.h"
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

static void
tell_metrics(struct web *web, const struct web_target *target,
             struct web_answer *out)
{
    enum metrics_dialect dialect = METRICS_NATIVE;
    char name[WEB_VALUE_SIZE];
    enum web_value value = web_target_value(target, "compat", name);
    size_t len;
    char *text;

    if (value == WEB_VALUE_BAD ||
        (value == WEB_VALUE_GIVEN && !metrics_dialect_parse(name, &dialect))) {
        web_answer_error(out, 400, "bad_request",
                         "compat is resilience4j, once");
        return;
    }
    text = metrics_text(web_view_now(&web->view), dialect, &len);
    web_answer_heap(out, METRICS_TYPE, text, len);
}

#define FILE_AT(path, help, text, type)      \
    {                                        \
        path, help, {NULL}, NULL, text, type \
    }
#define MADE_AT(path, help, answer, ...)              \
    {                                                 \
        path, help, {__VA_ARGS__}, answer, NULL, NULL \
    }

const struct web_path web_paths[] = {
    FILE_AT("/", "the page", web_index_html, "text/html; charset=utf-8"),
    FILE_AT("/style.css", "its looks", web_style_css,
            "text/css; charset=utf-8"),
    FILE_AT("/app.js", "its program", web_app_js,
            "text/javascript; charset=utf-8"),
    FILE_AT("/icon.svg", "its icon", web_icon_svg, "image/svg+xml"),
    FILE_AT("/openapi.yaml", "this interface, described", web_openapi_yaml,
            "application/yaml; charset=utf-8"),
    MADE_AT("/healthz", "200 while this process lives", tell_alive, NULL),
    MADE_AT("/readyz", "200 while breakerd serves, else 503", tell_ready, NULL),
    MADE_AT("/metrics",
            "for Prometheus; ?compat=resilience4j: under that one's names",
            tell_metrics, "compat", NULL),
    MADE_AT("/api/v1/status",
            "the status JSON; ?service=NAME: one, with evidence",
            web_api_status, "service", NULL),
    MADE_AT("/api/v1/history",
            "the newest transitions and operators' actions; ?service=, ?limit=",
            web_api_history, "service", "limit", NULL),
    MADE_AT("/api/v1/live", "the status and what the page draws besides",
            web_api_live, NULL),
    MADE_AT("/api/v1/events", "the same, then its changes, as they happen",
            web_api_events, NULL),
    {NULL, NULL, {NULL}, NULL, NULL, NULL},
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
    else if (p->answer != NULL)
        p->answer(web, target, out);
    else
        web_answer_text(out, 200, p->type, p->text);
}
