/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/ctl_document.h"
#include "tools/ctl_out.h"
#include <stdlib.h>
#include <string.h>

struct document *
document_new(void)
{
    struct document *d = ctl_memory(NULL, sizeof *d);

    *d = (struct document){0};
    bk_text_init(&d->text, d->row, sizeof d->row);
    bk_json_init(&d->json, &d->text);
    return d;
}

void
document_take(struct document *d)
{
    d->at = ctl_memory(d->at, d->len + d->text.len + 1);
    memcpy(d->at + d->len, d->row, d->text.len);
    d->len += d->text.len;
    d->at[d->len] = '\0';
    bk_text_init(&d->text, d->row, sizeof d->row);
}

char *
document_text(struct document *d, size_t *len)
{
    char *text;

    document_take(d);
    text = d->at;
    *len = d->len;
    free(d);
    return text;
}

struct document *
document_begin(const struct view *v)
{
    struct document *d = document_new();
    struct bk_status_daemon daemon;

    view_daemon(v, &daemon);
    bk_status_begin(&d->json, &daemon);
    document_take(d);
    return d;
}

void
document_service(struct document *d, const struct view *v,
                 const struct view_service *s, bool has_evidence)
{
    struct bk_evidence evidence[BK_EVIDENCE_COUNT];
    struct bk_status_service row = {.name = s->record.name,
                                    .breaker = &s->record.breaker,
                                    .policy = &s->policy,
                                    .now_ns = v->now_ns};

    if (has_evidence) {
        bk_segment_read_evidence(&v->segment, s->slot, evidence);
        row.evidence = evidence;
    }
    bk_status_row(&d->json, &row);
    document_take(d);
}

char *
document_end(struct document *d)
{
    size_t len;

    bk_status_end(&d->json);
    return document_text(d, &len);
}
