/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store_numbers.h"
#include "core/json.h"
#include <string.h>

_Static_assert(2 * STORE_NAMES <= STORE_NAME_PLACES, "half of them stay empty");
_Static_assert(STORE_NAMES < UINT16_MAX, "a number and one fit a place");

/* Among what is counted for metrics: the time open, in microseconds. */
#define OPEN_KEY "open_us"
/* The longest that is believed; its nanoseconds still fit. */
#define OPEN_US_MAX (UINT64_C(1) << 52)

/* ---- writing ---- */

void
store_numbers_put_counters(const struct bk_saved *saved, struct bk_text *out)
{
    struct bk_json json;

    bk_json_init(&json, out);
    bk_json_open(&json, NULL, '{');
    for (size_t i = 0; i < BK_COUNTER_COUNT; i++) {
        uint64_t value;

        memcpy(&value,
               (const char *)&saved->counters + bk_counter_rows[i].offset,
               sizeof value);
        bk_json_u64(&json, bk_counter_rows[i].name, value);
    }
    bk_json_close(&json, '}');
}

void
store_numbers_put_stats(const struct bk_saved *saved, struct bk_text *out)
{
    struct bk_json json;

    bk_json_init(&json, out);
    bk_json_open(&json, NULL, '{');
    for (size_t i = 0; i < BK_STAT_WORDS; i++) {
        char room[BK_STAT_KEY_SIZE];
        struct bk_text key;
        uint64_t value = bk_stats_word(&saved->stats, i);

        if (value == 0)
            continue;
        bk_text_init(&key, room, sizeof room);
        bk_stat_key(i, &key);
        bk_json_u64(&json, room, value);
    }
    bk_json_u64(&json, OPEN_KEY, (uint64_t)(saved->open_ns / BK_NS_PER_US));
    bk_json_close(&json, '}');
}

/* ---- names ---- */

/* Of a name, octet by octet as it is read. */
#define HASH_START UINT32_C(2166136261)

static uint32_t
hash_on(uint32_t hash, char octet)
{
    return (hash ^ (unsigned char)octet) * UINT32_C(16777619);
}

static uint32_t
hash_of(const char *name)
{
    uint32_t hash = HASH_START;

    while (*name != '\0')
        hash = hash_on(hash, *name++);
    return hash;
}

static size_t
place_of(uint32_t hash)
{
    return (hash ^ (hash >> 16)) % STORE_NAME_PLACES;
}

static void
add(struct store_names *n, enum store_column column, const char *text,
    size_t offset)
{
    struct store_name *name = &n->names[n->count++];
    size_t at = place_of(hash_of(text));

    name->len = bk_copy_text(name->text, sizeof name->text, text, strlen(text));
    name->column = column;
    name->offset = offset;
    while (n->places[at] != 0)
        at = (at + 1) % STORE_NAME_PLACES;
    n->places[at] = (uint16_t)n->count;
}

void
store_names_init(struct store_names *n)
{
    memset(n, 0, sizeof *n);
    for (size_t i = 0; i < BK_COUNTER_COUNT; i++)
        add(n, STORE_COUNTERS, bk_counter_rows[i].name,
            offsetof(struct bk_saved, counters) + bk_counter_rows[i].offset);
    for (size_t i = 0; i < BK_STAT_WORDS; i++) {
        char room[BK_STAT_KEY_SIZE];
        struct bk_text key;

        bk_text_init(&key, room, sizeof room);
        bk_stat_key(i, &key);
        add(n, STORE_STATS, room,
            offsetof(struct bk_saved, stats) + i * sizeof(uint64_t));
    }
    add(n, STORE_STATS, OPEN_KEY, offsetof(struct bk_saved, open_ns));
}

/* ---- reading ---- */

static const struct store_name *
find(const struct store_names *n, enum store_column column, const char *text,
     uint32_t hash)
{
    size_t at = place_of(hash);

    for (; n->places[at] != 0; at = (at + 1) % STORE_NAME_PLACES) {
        const struct store_name *name = &n->names[n->places[at] - 1];

        if (name->column == column && strcmp(name->text, text) == 0)
            return name;
    }
    return NULL;
}

static void
set(const struct store_name *name, uint64_t value, struct bk_saved *out)
{
    if (name == NULL)
        return;
    if (name->offset == offsetof(struct bk_saved, open_ns))
        value = (value < OPEN_US_MAX ? value : OPEN_US_MAX) *
                (uint64_t)BK_NS_PER_US;
    memcpy((char *)out + name->offset, &value, sizeof value);
}

void
store_numbers_set(const struct store_names *n, enum store_column column,
                  const char *name, uint64_t value, struct bk_saved *out)
{
    set(find(n, column, name, hash_of(name)), value, out);
}

/* Takes `"name":` from *at; false for what we never write. *out is NULL when it is
 * none of the column's. */
static bool
take_name(const struct store_names *n, enum store_column column,
          const char **at, const struct store_name **out)
{
    const char *from = *at + 1;
    char name[BK_STAT_KEY_SIZE];
    uint32_t hash = HASH_START;
    size_t len = 0;

    if (**at != '"')
        return false;
    for (; from[len] != '"'; len++) {
        if (len == BK_STAT_KEY_SIZE - 1 || from[len] == '\0' ||
            from[len] == '\\')
            return false;
        name[len] = from[len];
        hash = hash_on(hash, from[len]);
    }
    name[len] = '\0';
    *out = find(n, column, name, hash);
    *at = from + len + 2;
    return from[len + 1] == ':';
}

/* Names come in the order of ours, some left out: mostly it is the next one. */
static const struct store_name *
expect(const struct store_names *n, enum store_column column, size_t next,
       const char *at)
{
    const struct store_name *name;

    if (next >= n->count || n->names[next].column != column || at[0] != '"')
        return NULL;
    name = &n->names[next];
    if (strncmp(at + 1, name->text, name->len) != 0 ||
        at[1 + name->len] != '"' || at[2 + name->len] != ':')
        return NULL;
    return name;
}

static bool
take_value(const char **at, uint64_t *value)
{
    size_t digits = 0;

    while ((*at)[digits] >= '0' && (*at)[digits] <= '9')
        digits++;
    if (!bk_read_number(*at, digits, value))
        return false;
    *at += digits;
    return true;
}

bool
store_numbers_take(const struct store_names *n, enum store_column column,
                   const char *json, struct bk_saved *out)
{
    const char *at = json;
    size_t next = column == STORE_COUNTERS ? 0 : BK_COUNTER_COUNT;

    if (strcmp(json, "{}") == 0)
        return true;
    do {
        const struct store_name *name;
        uint64_t value;

        if (*at != (at == json ? '{' : ','))
            return false;
        name = expect(n, column, next, ++at);
        if (name != NULL)
            at += name->len + 3; /* with quotes and colon */
        else if (!take_name(n, column, &at, &name))
            return false;
        if (!take_value(&at, &value))
            return false;
        set(name, value, out);
        next = name != NULL ? (size_t)(name - n->names) + 1 : next;
    } while (*at != '}');
    return at[1] == '\0';
}
