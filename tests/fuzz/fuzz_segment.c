/* SPDX-License-Identifier: Apache-2.0
 *
 * A segment somebody has written into. The input is a list of pokes; they land in
 * a sound segment, which is then read and adopted as a starting daemon would. The
 * first octet says whether images are sealed again afterwards, so that nonsense
 * with a right check word gets past the first door. */
#include "core/image.h"
#include "core/segment_blocks.h"
#include "target.h"
#include <stdlib.h>
#include <string.h>

enum { SERVICES = 3, LEASES = 4, POLICIES = 3, ROUTES = 2 };
static const struct bk_limits limits = {SERVICES, LEASES, POLICIES, ROUTES};

static uint64_t *original; /* a segment as a daemon leaves it */
static uint64_t *map;
static size_t bytes;
static void *fleet_memory;

static bool
source(void *context, const char *name, struct bk_policy *out)
{
    (void)context;
    bk_policy_defaults(out);
    out->max_concurrent = name[0] == 'l' ? 2 : 0;
    out->ramp_ns = BK_NS_PER_S;
    return false;
}

static struct bk_fleet *
new_fleet(void)
{
    memset(fleet_memory, 0, bk_fleet_bytes(&limits));
    return bk_fleet_init(fleet_memory, &limits, source, NULL, 1);
}

static void
use(struct bk_fleet *f, const char *name, int64_t now_ns)
{
    struct bk_acquire ask = {.name = name,
                             .name_len = strlen(name),
                             .attempt = 1,
                             .caller = {9, ""}};
    struct bk_acquired answer;
    struct bk_report report = {.name = name,
                               .name_len = strlen(name),
                               .is_current = true,
                               .outcome = BK_FAILURE,
                               .latency_ns = BK_NS_PER_MS,
                               .attempt = 1,
                               .caller = {9, ""}};
    enum bk_applied applied;
    struct bk_note note;
    bk_fleet_acquire(f, now_ns, &ask, &answer);
    bk_fleet_report(f, now_ns, &report, &applied);
    while (bk_fleet_next_note(f, &note))
        PROMISE(note.service < SERVICES);
}

static void
trip(struct bk_fleet *f, const char *name, int64_t now_ns)
{
    struct bk_order order = {.name = name,
                             .name_len = strlen(name),
                             .mode = BK_FORCED_OPEN,
                             .duration_ns = 60 * BK_NS_PER_S,
                             .reason = "maintenance",
                             .reason_len = strlen("maintenance"),
                             .actor = "0:0:1"};
    struct bk_note note;
    uint32_t slot;
    bool was_override;
    bk_fleet_order(f, now_ns, &order, &slot, &was_override);
    while (bk_fleet_next_note(f, &note))
        PROMISE(note.service < SERVICES);
}

static void
publish(struct bk_segment *s, struct bk_fleet *f)
{
    uint32_t slot;
    while ((slot = bk_fleet_next_dirty(f)) != BK_NO_SLOT) {
        bk_segment_put_service(s, f, slot);
        bk_segment_put_word(s, slot, bk_fleet_verdict(f, slot));
    }
    while ((slot = bk_fleet_next_dirty_lease(f)) != BK_NO_SLOT)
        bk_segment_put_lease(s, f, slot);
    bk_segment_put_policies(s, f);
    bk_segment_put_routes(s, f);
    for (uint64_t seq = 300; seq < 303; seq++) {
        struct bk_past line = {
            .seq = seq, .to = BK_OPEN, .service = "llm", .actor = "-"};
        bk_segment_put_past(s, &line);
    }
    atomic_store(&s->header->next_id, bk_fleet_next_id(f));
}

/* Once: the memory, and a segment with a little of everything in it. */
static void
prepare(void)
{
    struct bk_segment s;
    struct bk_route route = {.name = "any", .count = 1, .members = {"llm"}};
    bytes = bk_segment_bytes(&limits);
    original = calloc(1, bytes);
    map = calloc(1, bytes);
    fleet_memory = malloc(bk_fleet_bytes(&limits));
    PROMISE(original != NULL && map != NULL && fleet_memory != NULL);
    struct bk_fleet *f = new_fleet();
    PROMISE(bk_fleet_set_routes(f, &route, 1));
    use(f, "llm", BK_NS_PER_S);
    use(f, "bot", BK_NS_PER_S);
    for (int i = 0; i < 5; i++)
        use(f, "bot", 2 * BK_NS_PER_S);
    trip(f, "llm", BK_NS_PER_S);
    bk_segment_format(original, &limits, "boot", 1);
    PROMISE(bk_segment_attach(&s, original, bytes) == NULL);
    publish(&s, f);
}

/* Gives the image at `at` the check its words have now. */
static void
seal(_Atomic uint64_t *at, size_t words)
{
    uint64_t copy[BK_IMAGE_WORDS(struct bk_record) +
                  BK_IMAGE_WORDS(struct bk_route)];
    for (size_t i = 0; i + 1 < words; i++)
        copy[i] = atomic_load(&at[i]);
    bk_image_store(at, copy, (words - 1) * sizeof(uint64_t));
}

/* The same of the images that lie in a service's blocks, as they are put together. */
static void
seal_blocks(struct bk_segment *s, uint32_t slot)
{
    uint64_t words[BK_BLOCK_KINDS * BK_BLOCK_ROOM] = {0};
    _Atomic uint64_t *at[BK_BLOCK_KINDS] = {NULL};
    struct bk_chain c;
    bk_chain_begin(&c, s, slot);
    while (bk_chain_next(&c)) {
        memcpy(words + c.what * BK_BLOCK_ROOM, c.words, sizeof(c.words));
        at[c.what] = s->blocks + (size_t)c.at * BK_BLOCK_WORDS;
    }
    for (size_t what = BK_BLOCK_EVIDENCE; what < BK_BLOCK_KINDS;) {
        bool is_words = what >= BK_BLOCK_WORDS_OF;
        size_t parts = is_words ? BK_WORDS_PARTS : BK_EVIDENCE_PARTS;
        size_t count =
            (is_words ? BK_WORDS_BYTES : sizeof(struct bk_evidence)) /
            sizeof(uint64_t);
        _Atomic uint64_t *end = at[what + count / BK_BLOCK_ROOM];
        if (end != NULL)
            atomic_store(&end[1 + count % BK_BLOCK_ROOM],
                         bk_image_check(words + what * BK_BLOCK_ROOM,
                                        count * sizeof(uint64_t)));
        what += parts;
    }
}

static void
seal_all(struct bk_segment *s)
{
    const size_t record = BK_RECORD_WORDS - 1;
    for (size_t i = 0; i < SERVICES; i++) {
        seal(s->records + i * BK_RECORD_WORDS + 1, record);
    }
    for (uint32_t i = 0; i < SERVICES; i++)
        seal_blocks(s, i);
    for (size_t i = 0; i < POLICIES; i++)
        seal(s->policies + i * BK_IMAGE_WORDS(struct bk_policy),
             BK_IMAGE_WORDS(struct bk_policy));
    for (size_t i = 0; i < LEASES; i++)
        seal(s->leases + i * BK_IMAGE_WORDS(struct bk_lease),
             BK_IMAGE_WORDS(struct bk_lease));
    for (size_t i = 0; i < BK_PAST_COUNT; i++)
        seal(s->past + i * BK_IMAGE_WORDS(struct bk_past),
             BK_IMAGE_WORDS(struct bk_past));
    for (size_t i = 0; i < ROUTES; i++)
        seal(s->routes + i * BK_IMAGE_WORDS(struct bk_route),
             BK_IMAGE_WORDS(struct bk_route));
}

/* Four octets a poke: two for the place, one for how, one for what. */
static void
poke(const uint8_t *data, size_t size)
{
    static const uint64_t numbers[] = {
        0, 1, UINT64_MAX, INT64_MAX, UINT64_C(1) << 63, UINT32_MAX, 1000, 4096};
    for (; size >= 4; data += 4, size -= 4) {
        size_t place = ((size_t)data[0] << 8 | data[1]) % (bytes / 8);
        uint64_t *word = &map[place];
        if (data[2] < 8)
            *word = (*word & ~(UINT64_C(0xff) << 8 * data[2])) |
                    (uint64_t)data[3] << 8 * data[2];
        else if (data[2] < 128)
            *word = numbers[data[3] % 8];
        else
            *word += (uint64_t)(int64_t)(int8_t)data[3];
    }
}

static void
read_past(const struct bk_segment *s)
{
    struct bk_past line;
    for (uint32_t i = 0; i <= BK_PAST_COUNT; i++) {
        char room[4096];
        struct bk_text text;
        struct bk_json json;
        if (!bk_segment_read_past(s, i, &line))
            continue;
        PROMISE(line.seq % BK_PAST_COUNT == i);
        bk_text_init(&text, room, sizeof(room));
        bk_json_init(&json, &text);
        bk_past_row(&json, &line);
        PROMISE(!text.is_cut);
    }
}

static void
read_rest(const struct bk_segment *s)
{
    struct bk_route route;
    char version[BK_VERSION_SIZE];
    char name[BK_NAME_SIZE];
    for (uint32_t i = 0; i <= ROUTES; i++) {
        if (bk_segment_read_route(s, i, &route)) {
            PROMISE(route.count <= BK_ROUTE_MEMBERS);
            PROMISE(bk_name_is_valid(route.name, strlen(route.name)));
        }
    }
    for (uint32_t i = 0; i <= SERVICES; i++)
        if (bk_segment_name(s, i, name))
            PROMISE(bk_name_is_valid(name, strlen(name)));
    read_past(s);
    struct bk_totals totals;
    bk_segment_read_totals(s, &totals);
    PROMISE(totals.messages < BK_NUMBER_END);
    bk_segment_read_version(s, version);
    PROMISE(memchr(version, '\0', sizeof(version)) != NULL);
    uint32_t slot = bk_segment_find(s, "llm", 3);
    PROMISE(slot == BK_NO_SLOT || slot < SERVICES);
}

static void
adopt(const struct bk_segment *s, struct bk_fleet *f)
{
    for (uint32_t i = 0; i < s->limits.services; i++) {
        struct bk_record record;
        struct bk_policy policy;
        struct bk_evidence evidence[BK_EVIDENCE_COUNT];
        struct bk_stats stats;
        if (!bk_segment_read(s, i, &record))
            continue;
        if (!bk_segment_read_policy(s, record.policy, &policy))
            bk_policy_defaults(&policy);
        bk_segment_read_evidence(s, i, evidence);
        bk_segment_read_stats(s, i, &stats);
        for (size_t k = 0; k < BK_STAT_WORDS; k++)
            PROMISE(bk_stats_word(&stats, k) < BK_NUMBER_END);
        bk_fleet_adopt(f, 3 * BK_NS_PER_S,
                       &(struct bk_kept){.name = record.name,
                                         .slot = i,
                                         .incarnation = record.incarnation,
                                         .policy_at = record.policy,
                                         .used_ns = record.used_ns,
                                         .breaker = &record.breaker,
                                         .policy = &policy,
                                         .evidence = evidence,
                                         .stats = &stats});
    }
    bk_fleet_set_next_id(f, 1000);
    for (uint32_t i = 0; i < s->limits.leases; i++) {
        struct bk_lease lease;
        if (bk_segment_read_lease(s, i, &lease))
            bk_fleet_adopt_lease(f, i, &lease);
    }
}

/* The adopted fleet goes on as any other. */
static void
go_on(struct bk_segment *s, struct bk_fleet *f)
{
    static const int64_t seconds[] = {3, 4, 70, 4000};
    struct bk_note note;
    for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
        int64_t now_ns = seconds[i] * BK_NS_PER_S;
        while (!bk_fleet_advance(f, now_ns))
            while (bk_fleet_next_note(f, &note))
                PROMISE(note.service < SERVICES);
        use(f, "llm", now_ns);
        use(f, "bot", now_ns);
        publish(s, f);
    }
    PROMISE(bk_fleet_find(f, "llm", 3) == bk_segment_find(s, "llm", 3));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bk_segment s;
    if (original == NULL)
        prepare();
    if (size == 0)
        return 0;
    memcpy(map, original, bytes);
    poke(data + 1, size - 1);
    if (bk_segment_attach(&s, map, bytes) != NULL)
        return 0;
    /* A header that is believed has the limits of this file. */
    if (memcmp(&s.limits, &limits, sizeof(limits)) != 0)
        return 0;
    if (data[0] % 2 == 1)
        seal_all(&s);
    read_rest(&s);
    struct bk_fleet *f = new_fleet();
    uint64_t met[SERVICES * BK_BLOCKS_MOST / 64 + 1] = {0};
    adopt(&s, f);
    bk_segment_sweep(&s, met);
    go_on(&s, f);
    return 0;
}
