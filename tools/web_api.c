/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/web_api.h"
#include "tools/ctl_document.h"
#include "tools/ctl_past.h"
#include "tools/web_answer.h"
#include "tools/web_live.h"
#include <stdlib.h>
#include <string.h>

#define JSON "application/json"
#define HISTORY_DEFAULT 50

/* The view, or an answer that says why there is none. */
static const struct view *
see(struct web *web, struct web_answer *out)
{
    const struct view *v = web_view_now(&web->view);

    if (v == NULL)
        web_answer_error(out, 503, "unavailable", web->view.trouble);
    return v;
}

/* The service that ?service= names, NULL in *name without one. False: answered. */
static bool
read_service(const struct web_target *target, char name[WEB_VALUE_SIZE],
             bool *is_given, struct web_answer *out)
{
    enum web_value value = web_target_value(target, "service", name);

    *is_given = value == WEB_VALUE_GIVEN;
    if (value == WEB_VALUE_ABSENT ||
        (*is_given && bk_name_is_valid(name, strlen(name))))
        return true;
    web_answer_error(out, 400, "bad_service",
                     "service is 1 to 63 characters of A-Z a-z 0-9 . _ : / @ "
                     "-, once");
    return false;
}

static void
put_all(struct document *d, const struct view *v)
{
    size_t count;
    uint32_t *slots = view_slots(v, &count);
    struct view_service service;

    for (size_t i = 0; i < count; i++) {
        if (view_read(v, slots[i], &service))
            document_service(d, v, &service, false);
    }
    free(slots);
}

void
web_api_status(struct web *web, const struct web_target *target,
               struct web_answer *out)
{
    char name[WEB_VALUE_SIZE];
    struct view_service service;
    const struct view *v;
    struct document *d;
    bool is_one;
    char *text;

    if (!read_service(target, name, &is_one, out))
        return;
    v = see(web, out);
    if (v == NULL)
        return;
    if (is_one && !view_find(v, name, &service)) {
        web_answer_error(out, 404, "unknown_service",
                         "no such service; /api/v1/status lists all");
        return;
    }
    d = document_begin(v);
    if (is_one)
        document_service(d, v, &service, true);
    else
        put_all(d, v);
    text = document_end(d);
    web_answer_heap(out, JSON, text, strlen(text));
}

/* How many lines ?limit= asks for. False: answered. */
static bool
read_limit(const struct web_target *target, uint64_t *limit,
           struct web_answer *out)
{
    char text[WEB_VALUE_SIZE];
    enum web_value value = web_target_value(target, "limit", text);

    *limit = HISTORY_DEFAULT;
    if (value == WEB_VALUE_ABSENT ||
        (value == WEB_VALUE_GIVEN &&
         bk_read_number(text, strlen(text), limit) && *limit >= 1 &&
         *limit <= BK_PAST_COUNT))
        return true;
    web_answer_error(out, 400, "bad_request", "limit is 1 to 256, once");
    return false;
}

void
web_api_history(struct web *web, const struct web_target *target,
                struct web_answer *out)
{
    char name[WEB_VALUE_SIZE];
    struct history_page page = {0};
    const struct view *v;
    size_t len;
    bool is_one;
    char *text;

    if (!read_service(target, name, &is_one, out) ||
        !read_limit(target, &page.limit, out))
        return;
    page.service = is_one ? name : NULL;
    v = see(web, out);
    if (v == NULL)
        return;
    text = past_document(v, &page, &len);
    web_answer_heap(out, JSON, text, len);
}

void
web_api_live(struct web *web, const struct web_target *target,
             struct web_answer *out)
{
    size_t len;
    char *text = web_live_all(&web->view, &len);

    (void)target;
    web_answer_heap(out, JSON, text, len);
}

void
web_api_events(struct web *web, const struct web_target *target,
               struct web_answer *out)
{
    (void)web;
    (void)target;
    *out = (struct web_answer){
        .status = 200, .type = "text/event-stream", .is_stream = true};
}
