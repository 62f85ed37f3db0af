#ifndef ORDERS_H
#define ORDERS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands of operators, and CONFIG. Each is carried out at once, written to
 * history with its actor, and answered when that is on disk. */
#include "daemon/commands.h"

/* One line being answered. */
struct answer {
    struct commands *commands;
    struct peer *peer;
    int64_t now_ns;
    struct bk_text *out;
    struct reply *reply;
    bool is_later;   /* the answer's place is taken, its text comes later */
    bool needs_disk; /* to be sent when the registry's last job is saved */
};

void answer_error(struct answer *a, enum bk_error code);
/* "OK {": the caller writes the members and closes the brace. */
struct bk_json orders_begin(struct answer *a);

void orders_config(struct answer *a, const struct bk_request *q);
void orders_reset(struct answer *a, const struct bk_request *q);
void orders_mode(struct answer *a, const struct bk_request *q);
void orders_auto(struct answer *a, const struct bk_request *q);
void orders_set(struct answer *a, const struct bk_request *q);
void orders_unset(struct answer *a, const struct bk_request *q);
void orders_reload(struct answer *a, const struct bk_request *q);
void orders_history(struct answer *a, const struct bk_request *q);
void orders_backup(struct answer *a, const struct bk_request *q);
void orders_forget(struct answer *a, const struct bk_request *q);
/* The store's answer to HISTORY or BACKUP, put where it belongs in those that
 * wait. */
void orders_fill(struct reply *waiting, const struct store_done *done);

#endif
