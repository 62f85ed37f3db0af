/* SPDX-License-Identifier: Apache-2.0 */
#include "policies.h"
#include "unit.h"

static size_t
word_len(const char *s, char end)
{
    size_t len = 0;
    while (s[len] != '\0' && s[len] != ' ' && s[len] != end)
        len++;
    return len;
}

struct bk_policy
policy_with(const char *settings)
{
    struct bk_layer layer = {0};
    struct bk_policy policy;
    while (*settings != '\0') {
        char room[256];
        struct bk_text error;
        size_t key_len = word_len(settings, '=');
        const char *value = settings + key_len + 1;
        size_t value_len = word_len(value, ' ');
        bk_text_init(&error, room, sizeof(room));
        if (!bk_layer_set(&layer, settings, key_len, value, value_len, &error))
            fail_msg("%s", room);
        settings = value + value_len;
        settings += *settings == ' ' ? 1 : 0;
    }
    bk_policy_defaults(&policy);
    bk_policy_overlay(&policy, &layer, BK_FROM_SERVICE, NULL);
    return policy;
}
