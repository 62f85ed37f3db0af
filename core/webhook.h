#ifndef BK_WEBHOOK_H
#define BK_WEBHOOK_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Webhooks as the configuration names them: a [webhook NAME] section each. */
#include "core/fleet.h"

#define BK_WEBHOOKS_MAX 16
#define BK_WEBHOOK_SERVICES_MAX 16
#define BK_WEBHOOK_URL_SIZE 512

enum bk_webhook_format {
    BK_WEBHOOK_GENERIC,
    BK_WEBHOOK_DISCORD,
    BK_WEBHOOK_SLACK,
    BK_WEBHOOK_FORMAT_COUNT
};
const char *bk_webhook_format_name(enum bk_webhook_format format);
int bk_webhook_format_parse(const char *text, size_t len); /* -1: none */

struct bk_webhook {
    char name[BK_NAME_SIZE];
    char url[BK_WEBHOOK_URL_SIZE];      /* a secret: whoever has it may post */
    char url_file[BK_WEBHOOK_URL_SIZE]; /* where it is to be read; "": url is
                                           there already */
    uint32_t format;                    /* enum bk_webhook_format */
    uint32_t line;                      /* of its section */
    uint32_t count;                     /* of services; 0: all */
    char services[BK_WEBHOOK_SERVICES_MAX][BK_NAME_SIZE];
};

/* True for an address that may stand there. */
bool bk_webhook_takes_url(const char *text, size_t len);

/* The keys of a section, for the reference page. */
size_t bk_webhook_key_count(void);
const char *bk_webhook_key_name(size_t key);
const char *bk_webhook_key_help(size_t key);

#endif
