#ifndef CTL_DOCUMENT_H
#define CTL_DOCUMENT_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON on the heap that grows row by row, and the status document of a view
 * written with it. */
#include "core/json.h"
#include "tools/ctl_view.h"

/* A service's row with every field full and every octet escaped fits. */
#define DOCUMENT_ROW_SIZE 16384

struct document {
    char *at;
    size_t len;
    char row[DOCUMENT_ROW_SIZE];
    struct bk_text text;
    struct bk_json json; /* writes into `row` */
};

struct document *document_new(void);
/* Takes over what the writer has put into the row. After every row. */
void document_take(struct document *d);
/* Ends it: the text (`*len` octets, NUL-terminated), for the caller to free. */
char *document_text(struct document *d, size_t *len);

/* The status document: the daemon's part, a row a service, the end. */
struct document *document_begin(const struct view *v);
void document_service(struct document *d, const struct view *v,
                      const struct view_service *s, bool has_evidence);
char *document_end(struct document *d);

#endif
