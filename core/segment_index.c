/* SPDX-License-Identifier: Apache-2.0 */
#include "core/segment_index.h"
#include "core/bug.h"
#include <string.h>

/* A name as the segment holds it: zeros behind it, and a hash of its words. */
struct key {
    uint64_t words[BK_NAME_WORDS];
    size_t used; /* words up to the one that holds its first zero octet */
    uint64_t hash;
};

static uint64_t
add_word(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static struct key
key_of(const char *name, size_t len)
{
    struct key key = {.used = len / sizeof(uint64_t) + 1, .hash = len};

    memcpy(key.words, name, len);
    for (size_t i = 0; i < key.used; i++)
        key.hash = add_word(key.hash, key.words[i]);
    return key;
}

/* The same of a name with zeros behind it, word by word: octets that were just stored
 * cannot be loaded as words before the memory has all that was stored till then. */
static struct key
key_of_field(const char name[BK_NAME_SIZE], size_t len)
{
    struct key key = {.used = len / sizeof(uint64_t) + 1, .hash = len};

    for (size_t i = 0; i < key.used; i++) {
        memcpy(&key.words[i], name + i * sizeof(uint64_t), sizeof(uint64_t));
        key.hash = add_word(key.hash, key.words[i]);
    }
    return key;
}

static _Atomic uint64_t *
name_words(const struct bk_segment *s, uint32_t slot)
{
    return s->names + (size_t)slot * BK_NAME_WORDS;
}

static bool
slot_has(const struct bk_segment *s, uint32_t slot, const struct key *key)
{
    _Atomic uint64_t *at = name_words(s, slot);

    for (size_t i = 0; i < key->used; i++) {
        if (atomic_load_explicit(&at[i], memory_order_acquire) != key->words[i])
            return false;
    }
    return true;
}

/* The bucket that leads to `key`, or BK_NO_SLOT. A slot's name changes only
 * while no bucket leads to it, and the acquire loads here pair with the release
 * stores of the writer: who saw a word of a new name also sees its bucket
 * cleared, or filled again with all of the name in place. Hence the second
 * look at both, without which two names could be read as a third. */
static uint32_t
bucket_of(const struct bk_segment *s, const struct key *key, uint32_t *slot)
{
    uint32_t mask = s->bucket_count - 1;

    for (uint32_t i = 0; i < s->bucket_count; i++) {
        uint32_t at = ((uint32_t)key->hash + i) & mask;
        uint64_t value =
            atomic_load_explicit(&s->buckets[at], memory_order_acquire);

        if (value == 0)
            break;
        if (value > s->limits.services)
            continue;
        *slot = (uint32_t)value - 1;
        if (slot_has(s, *slot, key) &&
            atomic_load_explicit(&s->buckets[at], memory_order_acquire) ==
                value &&
            slot_has(s, *slot, key))
            return at;
    }
    return BK_NO_SLOT;
}

uint32_t
bk_segment_find(const struct bk_segment *s, const char *name, size_t len)
{
    struct key key;
    uint32_t slot;

    if (len == 0 || len >= BK_NAME_SIZE)
        return BK_NO_SLOT;
    key = key_of(name, len);
    return bucket_of(s, &key, &slot) == BK_NO_SLOT ? BK_NO_SLOT : slot;
}

bool
bk_segment_leads(const struct bk_segment *s, const char name[BK_NAME_SIZE],
                 uint32_t slot)
{
    const char *end = memchr(name, '\0', BK_NAME_SIZE);
    struct key key;
    uint32_t found;

    if (end == NULL || end == name)
        return false;
    key = key_of_field(name, (size_t)(end - name));
    return bucket_of(s, &key, &found) != BK_NO_SLOT && found == slot;
}

static void
load_name(const struct bk_segment *s, uint32_t slot, char name[BK_NAME_SIZE])
{
    _Atomic uint64_t *at = name_words(s, slot);

    for (size_t i = 0; i < BK_NAME_WORDS; i++) {
        uint64_t word = atomic_load_explicit(&at[i], memory_order_acquire);

        memcpy(name + i * sizeof word, &word, sizeof word);
    }
    name[BK_NAME_SIZE - 1] = '\0';
}

/* A name has no check word: it is whole when it reads the same twice. */
bool
bk_segment_name(const struct bk_segment *s, uint32_t slot,
                char name[BK_NAME_SIZE])
{
    if (slot >= s->limits.services)
        return false;
    for (int tries = 0; tries < BK_READ_TRIES; tries++) {
        struct key key;

        load_name(s, slot, name);
        key = key_of(name, strlen(name));
        if (slot_has(s, slot, &key))
            return bk_name_is_valid(name, strlen(name));
    }
    return false;
}

static void
store_name(struct bk_segment *s, uint32_t slot, const char *name)
{
    struct key key = key_of(name, strlen(name));
    _Atomic uint64_t *at = name_words(s, slot);

    for (size_t i = 0; i < BK_NAME_WORDS; i++)
        atomic_store_explicit(&at[i], key.words[i], memory_order_release);
}

/* False when there is no room, which a sound index always has. */
static bool
insert(struct bk_segment *s, uint32_t slot, const char *name)
{
    struct key key = key_of(name, strlen(name));
    uint32_t mask = s->bucket_count - 1;

    for (uint32_t i = 0; i < s->bucket_count; i++) {
        _Atomic uint64_t *at = &s->buckets[((uint32_t)key.hash + i) & mask];

        if (atomic_load_explicit(at, memory_order_relaxed) == 0) {
            atomic_store_explicit(at, (uint64_t)slot + 1, memory_order_release);
            return true;
        }
    }
    return false;
}

/* The bucket where the search for what lies in bucket `at` begins. */
static uint32_t
home_of(const struct bk_segment *s, uint32_t at)
{
    uint64_t value =
        atomic_load_explicit(&s->buckets[at], memory_order_relaxed);
    char name[BK_NAME_SIZE];
    struct key key;

    if (value > s->limits.services)
        return at;
    load_name(s, (uint32_t)value - 1, name);
    key = key_of(name, strlen(name));
    return (uint32_t)key.hash & (s->bucket_count - 1);
}

/* Closes the hole at `hole`, so that a search may go on stopping at the first
 * empty bucket: whatever may move back to it does. An entry is stored at its new
 * place before its old one is overwritten; a reader may miss it in between, and
 * asks the daemon then. */
static void
close_hole(struct bk_segment *s, uint32_t hole)
{
    uint32_t mask = s->bucket_count - 1;
    uint32_t at = hole;

    for (uint32_t i = 0; i < s->bucket_count; i++) {
        uint64_t value;

        at = (at + 1) & mask;
        value = atomic_load_explicit(&s->buckets[at], memory_order_relaxed);
        if (value == 0)
            break;
        /* It may move when its home is not behind the hole. */
        if (((at - home_of(s, at)) & mask) >= ((at - hole) & mask)) {
            atomic_store_explicit(&s->buckets[hole], value,
                                  memory_order_release);
            hole = at;
        }
    }
    atomic_store_explicit(&s->buckets[hole], 0, memory_order_release);
}

static void
remove_name(struct bk_segment *s, const char *name)
{
    struct key key = key_of(name, strlen(name));
    uint32_t slot;
    uint32_t at = bucket_of(s, &key, &slot);

    if (at != BK_NO_SLOT)
        close_hole(s, at);
}

/* The fleet's names, all anew: what an adopted file had is not to be trusted
 * once it was seen to be wrong. */
static void
rebuild(struct bk_segment *s, const struct bk_fleet *f)
{
    for (uint32_t i = 0; i < s->bucket_count; i++)
        atomic_store_explicit(&s->buckets[i], 0, memory_order_release);
    for (uint32_t slot = 0; slot < s->limits.services; slot++) {
        const struct bk_service *service = bk_fleet_service(f, slot);
        const char *name = service != NULL ? service->name : "";
        bool has_room = true;

        store_name(s, slot, name);
        if (name[0] != '\0')
            has_room = insert(s, slot, name);
        BK_ASSERT(has_room);
    }
}

void
bk_index_put(struct bk_segment *s, const struct bk_fleet *f, uint32_t slot,
             const char *name)
{
    char old[BK_NAME_SIZE];
    bool has_room = true;

    load_name(s, slot, old);
    if (strcmp(old, name) != 0) {
        if (old[0] != '\0')
            remove_name(s, old);
        store_name(s, slot, name);
        if (name[0] != '\0')
            has_room = insert(s, slot, name);
    }
    if (!has_room ||
        (name[0] != '\0' && bk_segment_find(s, name, strlen(name)) != slot))
        rebuild(s, f);
}
