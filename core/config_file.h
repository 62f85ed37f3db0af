#ifndef BK_CONFIG_FILE_H
#define BK_CONFIG_FILE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of a configuration file, read and checked as a whole: either all of it
 * is good or one sentence says where it is not. */
#include "core/fleet.h"
#include "core/layers.h"
#include "core/webhook.h"

#define BK_CONFIG_FILE_MAX 1048576 /* octets */
#define BK_CONFIG_LINE_MAX 4096    /* octets of a line, its end aside */
#define BK_CONFIG_ROUTES_MAX 64
#define BK_CONFIG_SERVICES_MAX 100000 /* the most max_services may say */
#define BK_CONFIG_SERVICES_DEFAULT 4096

/* What the file says of the daemon itself. */
struct bk_config_daemon {
    uint32_t max_services;
};

struct bk_config_file {
    struct bk_layer defaults;
    struct bk_layers services;
    struct bk_config_daemon daemon;
    struct bk_route routes[BK_CONFIG_ROUTES_MAX];
    uint32_t route_lines[BK_CONFIG_ROUTES_MAX]; /* of their sections */
    uint32_t route_count;
    uint32_t webhook_count;
    struct bk_webhook webhooks[BK_WEBHOOKS_MAX];
};

/* An empty file. */
void bk_config_file_init(struct bk_config_file *f, struct bk_memory memory);
void bk_config_file_fini(struct bk_config_file *f);
/* Fills an initialised `f` from the `len` octets of the file `path`, which is for
 * the sentences. False with "FILE:LINE: sentence" in `error`; `f` is then only
 * good for bk_config_file_fini. */
bool bk_config_file_read(struct bk_config_file *f, const char *path,
                         const char *text, size_t len, struct bk_text *error);
/* The index of the route of this name, or route_count. */
uint32_t bk_config_file_route_index(const struct bk_config_file *f,
                                    const char *name);
/* The route of this name, or NULL. */
const struct bk_route *bk_config_file_route(const struct bk_config_file *f,
                                            const char *name);

#endif
