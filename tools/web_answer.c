/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/web_answer.h"
#include "tools/ctl_document.h"
#include <string.h>

void
web_answer_text(struct web_answer *out, unsigned status, const char *type,
                const char *text)
{
    *out = (struct web_answer){
        .status = status, .type = type, .body = text, .len = strlen(text)};
}

void
web_answer_heap(struct web_answer *out, const char *type,
                char *text, /* NOLINT(readability-non-const-parameter): owned */
                size_t len)
{
    *out = (struct web_answer){.status = 200,
                               .type = type,
                               .body = text,
                               .len = len,
                               .is_owned = true};
}

void
web_answer_error(struct web_answer *out, unsigned status, const char *code,
                 const char *text)
{
    struct document *d = document_new();
    size_t len;
    char *json;

    bk_json_open(&d->json, NULL, '{');
    bk_json_open(&d->json, "error", '{');
    bk_json_string(&d->json, "code", code);
    bk_json_string(&d->json, "text", text);
    bk_json_close(&d->json, '}');
    bk_json_close(&d->json, '}');
    bk_text_put_char(&d->text, '\n');
    json = document_text(d, &len);
    web_answer_heap(out, "application/json", json, len);
    out->status = status;
}
