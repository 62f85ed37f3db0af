#ifndef CONFIG_FILE_H
#define CONFIG_FILE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration file, read and checked as a whole: either all of it is good
 * or one sentence says where it is not. */
#include "daemon/config.h"
#include "daemon/layers.h"

#define CONFIG_FILE_MAX 1048576 /* octets */
#define CONFIG_LINE_MAX 4096    /* octets of a line, its end aside */
#define CONFIG_ROUTES_MAX 64
#define CONFIG_SERVICES_MAX 100000 /* the most max_services may say */
#define CONFIG_SERVICES_DEFAULT 4096

/* All zero is an empty file but for `daemon`; see config_file_init. */
struct config_file {
    struct bk_layer defaults;
    struct layers services;
    struct config_daemon daemon;
    struct bk_route routes[CONFIG_ROUTES_MAX];
    uint32_t route_lines[CONFIG_ROUTES_MAX]; /* of their sections */
    uint32_t route_count;
};

void config_file_init(struct config_file *f);
void config_file_fini(struct config_file *f);
/* Fills an initialised `f`. False with "FILE:LINE: sentence" in `error`; `f` is
 * then only good for config_file_fini. */
bool config_file_read(struct config_file *f, const char *path,
                      struct bk_text *error);
/* The index of the route of this name, or route_count. */
uint32_t config_file_route_index(const struct config_file *f, const char *name);
/* The route of this name, or NULL. */
const struct bk_route *config_file_route(const struct config_file *f,
                                         const char *name);

#endif
