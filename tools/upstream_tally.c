/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts the hits of flaky-upstream and prints them as JSON. */
#include "tools/upstream_tally.h"

#include "core/json.h"

void
upstream_tally_restart(struct upstream_tally *tally)
{
    const uint32_t open = tally->open;

    *tally = (struct upstream_tally){.open = open};
}

void
upstream_tally_hit(struct upstream_tally *tally, size_t phase,
                   enum upstream_kind kind)
{
    tally->total.all++;
    tally->total.by_kind[kind]++;
    tally->phases[phase].all++;
    tally->phases[phase].by_kind[kind]++;
}

static void
print_kinds(struct bk_json *json, const struct upstream_hits *hits)
{
    bk_json_open(json, "kinds", '{');
    for (int kind = 0; kind < UPSTREAM_KIND_COUNT; kind++) {
        if (kind != UPSTREAM_REFUSE) { /* the kernel refuses, uncounted */
            bk_json_u64(json, upstream_kind_name((enum upstream_kind)kind),
                        hits->by_kind[kind]);
        }
    }
    bk_json_close(json, '}');
}

static void
print_phase(struct bk_json *json, const struct upstream_phase *phase,
            const struct upstream_hits *hits)
{
    bk_json_open(json, NULL, '{');
    bk_json_string(json, "title", phase->title);
    if (phase->length_ns == BK_NEVER) {
        bk_json_null(json, "length_ms");
    } else {
        bk_json_u64(json, "length_ms", bk_ms_up(phase->length_ns));
    }
    bk_json_bool(json, "outage", phase->kind != UPSTREAM_OK);
    bk_json_u64(json, "hits", hits->all);
    print_kinds(json, hits);
    bk_json_close(json, '}');
}

void
upstream_tally_print(const struct upstream_tally *tally,
                     const struct upstream_script *script, int64_t elapsed_ns,
                     struct bk_text *out)
{
    struct bk_json json;
    int64_t until_ns = 0;
    uint64_t outage = 0;

    for (size_t i = 0; i < script->count; i++) {
        if (script->phases[i].kind != UPSTREAM_OK) {
            outage += tally->phases[i].all;
        }
    }
    const size_t now = upstream_script_at(script, elapsed_ns, &until_ns);
    bk_json_init(&json, out);
    bk_json_open(&json, NULL, '{');
    bk_json_u64(&json, "elapsed_ms", bk_ms_up(elapsed_ns));
    bk_json_u64(&json, "phase", now);
    bk_json_string(&json, "title", script->phases[now].title);
    bk_json_bool(&json, "outage", script->phases[now].kind != UPSTREAM_OK);
    bk_json_u64(&json, "hits", tally->total.all);
    bk_json_u64(&json, "outage_hits", outage);
    print_kinds(&json, &tally->total);
    bk_json_u64(&json, "open", tally->open);
    bk_json_u64(&json, "accepted", tally->accepted);
    bk_json_u64(&json, "turned_away", tally->turned_away);
    bk_json_u64(&json, "bad_requests", tally->bad_requests);
    bk_json_open(&json, "phases", '[');
    for (size_t i = 0; i < script->count; i++) {
        print_phase(&json, &script->phases[i], &tally->phases[i]);
    }
    bk_json_close(&json, ']');
    bk_json_close(&json, '}');
}
