/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of configuration keys: "key=value", or a value alone for every key and
 * environment variable. What is accepted prints as something that is accepted
 * and means the same; what is refused changes nothing and gets a plain sentence. */
#include "core/policy.h"
#include "target.h"
#include <string.h>

static char room[1024];
static struct bk_text error;

static void
check_error(void)
{
    PROMISE(error.len > 0 && !error.is_cut);
    for (size_t i = 0; i < error.len; i++)
        PROMISE((unsigned char)room[i] >= 0x20 && room[i] != 0x7f);
}

static void
check_accepted(const struct bk_layer *layer, size_t key)
{
    struct bk_policy first;
    struct bk_policy second;
    struct bk_layer again = {0};
    char printed[512];
    struct bk_text t;
    PROMISE(layer->has == UINT64_C(1) << key);
    bk_policy_defaults(&first);
    bk_policy_overlay(&first, layer, BK_FROM_SET, NULL);
    bk_text_init(&t, printed, sizeof(printed));
    bk_policy_print(&first, key, &t);
    PROMISE(!t.is_cut);
    const char *name = bk_key_name(key);
    PROMISE(bk_layer_set(&again, name, strlen(name), printed, t.len, &error));
    bk_policy_defaults(&second);
    bk_policy_overlay(&second, &again, BK_FROM_SET, NULL);
    PROMISE(memcmp(&first, &second, sizeof(first)) == 0);
}

static void
set_key(const char *key, size_t key_len, const char *value, size_t value_len)
{
    static const struct bk_layer empty;
    struct bk_layer layer = {0};
    bk_text_init(&error, room, sizeof(room));
    if (bk_layer_set(&layer, key, key_len, value, value_len, &error)) {
        check_accepted(&layer, (size_t)bk_key_find(key, key_len));
    } else {
        check_error();
        PROMISE(memcmp(&layer, &empty, sizeof(layer)) == 0);
    }
}

static void
set_variables(const char *value, size_t len)
{
    char copy[600];
    bk_copy_text(copy, sizeof(copy), value, len);
    for (size_t row = 0; row < bk_env_count(); row++) {
        struct bk_layer layer = {0};
        bk_text_init(&error, room, sizeof(room));
        if (!bk_layer_set_env(&layer, row, copy, &error)) {
            PROMISE(layer.has == 0);
            check_error();
        } else if (layer.has != 0) {
            size_t key = 0;
            while ((layer.has >> key & 1) == 0)
                key++;
            check_accepted(&layer, key);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *equals = size > 0 ? memchr(text, '=', size) : NULL;
    if (equals != NULL) {
        size_t key_len = (size_t)(equals - text);
        set_key(text, key_len, equals + 1, size - key_len - 1);
        return 0;
    }
    for (size_t key = 0; key < bk_key_count(); key++)
        set_key(bk_key_name(key), strlen(bk_key_name(key)), text, size);
    set_variables(text, size);
    return 0;
}
