/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/ctl_past.h"
#include "tools/ctl_document.h"
#include <stdlib.h>
#include <string.h>

static int
compare(const void *a, const void *b)
{
    const struct bk_past *x = a;
    const struct bk_past *y = b;

    return (x->seq > y->seq) - (x->seq < y->seq);
}

size_t
past_read(const struct view *v, struct bk_past out[BK_PAST_COUNT])
{
    size_t count = 0;

    for (uint32_t i = 0; i < BK_PAST_COUNT; i++)
        count += bk_segment_read_past(&v->segment, i, &out[count]);
    qsort(out, count, sizeof *out, compare);
    return count;
}

static bool
is_asked(const struct history_page *page, const struct bk_past *line)
{
    return (page->before == 0 || line->seq < page->before) &&
           (page->service == NULL || strcmp(line->service, page->service) == 0);
}

char *
past_document(const struct view *v, const struct history_page *page,
              size_t *len)
{
    struct bk_past lines[BK_PAST_COUNT];
    size_t count = past_read(v, lines);
    struct document *d = document_new();
    size_t first = count;

    for (uint64_t left = page->limit; first > 0 && left > 0; first--) {
        if (is_asked(page, &lines[first - 1]))
            left--;
    }
    bk_json_open(&d->json, NULL, '{');
    bk_json_open(&d->json, "history", '[');
    for (size_t i = first; i < count; i++) {
        if (!is_asked(page, &lines[i]))
            continue;
        bk_past_row(&d->json, &lines[i]);
        document_take(d);
    }
    bk_json_close(&d->json, ']');
    bk_json_close(&d->json, '}');
    return document_text(d, len);
}
