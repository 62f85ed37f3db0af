/* SPDX-License-Identifier: Apache-2.0
 *
 * Strings in JSON: whatever goes in, what comes out is one plain JSON string in
 * UTF-8, and octets that were fine are still there. */
#include "core/json.h"
#include "target.h"
#include <stdlib.h>

/* Length of the UTF-8 character at s, checked by decoding; 0: none. */
static size_t
character(const unsigned char *s, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (len > left || (s[0] >= 0x80 && s[0] < 0xc0) || s[0] >= 0xf8)
        return 0;
    uint32_t value = len == 1 ? s[0] : s[0] & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (s[i] & 0x3f);
    }
    bool is_one = value >= least[len] && value <= 0x10ffff &&
                  (value < 0xd800 || value > 0xdfff);
    return is_one ? len : 0;
}

static void
check_string(const unsigned char *s, size_t len)
{
    PROMISE(len >= 2 && s[0] == '"' && s[len - 1] == '"');
    for (size_t i = 1; i < len - 1;) {
        size_t step = character(s + i, len - 1 - i);
        PROMISE(step > 0);
        PROMISE(s[i] >= 0x20 && s[i] != '"' && s[i] != 0x7f);
        if (s[i] == '\\') {
            static const char letters[] = "\"\\nrtu";
            bool is_known = false;
            for (const char *l = letters; *l != '\0'; l++)
                is_known = is_known || s[i + 1] == (unsigned char)*l;
            PROMISE(is_known);
            step = s[i + 1] == 'u' ? 6 : 2;
        }
        i += step;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* At most six octets for one. */
    size_t cap = 6 * size + 3;
    char *room = malloc(cap);
    struct bk_text t;
    struct bk_json j;
    PROMISE(room != NULL);
    bk_text_init(&t, room, cap);
    bk_json_init(&j, &t);
    bk_json_string_n(&j, NULL, (const char *)data, size);
    PROMISE(!t.is_cut);
    check_string((const unsigned char *)room, t.len);
    free(room);
    return 0;
}
