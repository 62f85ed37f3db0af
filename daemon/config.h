#ifndef CONFIG_H
#define CONFIG_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration in force: file, environment and what operators SET, kept
 * apart so that every value can tell its origin. */
#include "core/config_file.h"

struct config;

/* Reads the environment and, when `path` is not NULL, the file. NULL with one
 * sentence ("FILE:LINE: what is wrong, what would be right") on bad input. */
struct config *config_open(const char *path, struct bk_text *error);
void config_close(struct config **c);
/* Reads the file again. On bad input nothing changes, false and the sentence. */
bool config_reload(struct config *c, struct bk_text *error);
const struct bk_config_daemon *config_of_daemon(const struct config *c);

/* Effective values for a name; `origins` may be NULL (one octet a key). True
 * when a [service] section or a SET names it. Fits bk_policy_source with the
 * config as context through config_source. */
bool config_effective(const struct config *c, const char *name,
                      struct bk_policy *out, uint8_t *origins);
bool config_source(void *config, const char *name, struct bk_policy *out);

/* SET and UNSET; false and a sentence for an unknown key or a bad value. UNSET of
 * what was not set is true. */
bool config_set(struct config *c, const char *service, const char *key,
                size_t key_len, const char *value, size_t value_len,
                struct bk_text *error);
bool config_unset(struct config *c, const char *service, const char *key,
                  size_t key_len, struct bk_text *error);
void config_forget(struct config *c, const char *service);

/* Names with a [service] section, and those with a SET value. The visitor may not
 * change the configuration. */
void config_each_service(const struct config *c,
                         void (*visit)(void *context, const char *name),
                         void *context);
/* Every SET value of every service, for the store. */
void config_each_setting(const struct config *c,
                         void (*visit)(void *context, const char *service,
                                       const char *key, const char *value),
                         void *context);
const struct bk_webhook *config_webhooks(const struct config *c,
                                         uint32_t *count);
const struct bk_route *config_routes(const struct config *c, uint32_t *count);

#endif
