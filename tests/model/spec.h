#ifndef SPEC_H
#define SPEC_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Configurations a stream may use: for every key that means something to the
 * machine a few ordinary and extreme values, written as a person would. */
#include "core/policy.h"

#define SPEC_KEYS 33

/* One choice a key; 0 is the built-in default. */
struct spec {
    uint8_t value[SPEC_KEYS];
};

const char *spec_key(size_t key);
const char *spec_text(size_t key, uint8_t value);
void spec_policy(const struct spec *spec, struct bk_policy *out);

/* `is_exact`: only values that leave open times nothing to chance or rounding. */
void spec_random(struct spec *spec, bool is_exact, uint64_t *random);
/* This key gets a value other than its default. */
void spec_force(struct spec *spec, const char *key, bool is_exact,
                uint64_t *random);
/* One key and one value (may be the default) for a change on the way. */
void spec_random_change(bool is_exact, uint64_t *random, uint8_t *key,
                        uint8_t *value);

#endif
