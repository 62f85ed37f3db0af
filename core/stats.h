#ifndef BK_STATS_H
#define BK_STATS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What is counted for metrics, each said once: of a service, beside the counters
 * of its status, and of the daemon as a whole. All are 64-bit words that stand
 * for themselves, so they are published word by word, without image or check. */
#include "core/text.h"

/* Reasons a call, not a retry, can be denied for: up to `budget`. Place 0 is for
 * denials that a worker told without a reason. */
#define BK_DENY_CALLS (BK_DENY_BUDGET + 1)
/* A change of state is found at from * BK_STATE_COUNT + to. */
#define BK_CHANGES ((size_t)BK_STATE_COUNT * BK_STATE_COUNT)
/* The last bucket holds what is longer than every end. */
#define BK_DURATION_BUCKETS 13
extern const uint32_t bk_duration_ends_ms[BK_DURATION_BUCKETS - 1];

/* What the words of a row stand for, in their order. */
enum bk_stat_axis { BK_BY_REASON, BK_BY_OUTCOME, BK_BY_CHANGE, BK_BY_DURATION };

/* X(field, words, axis, help). None but grows, until its service is forgotten. */
#define BK_STATS(X)                                                      \
    X(rejected, BK_DENY_CALLS, BK_BY_REASON, "calls denied")             \
    X(would_reject, BK_DENY_CALLS, BK_BY_REASON,                         \
      "calls let through only because mode is observe")                  \
    X(retry_granted, BK_OUTCOME_COUNT, BK_BY_OUTCOME,                    \
      "retries granted, by what failed")                                 \
    X(retry_delay_us, BK_OUTCOME_COUNT, BK_BY_OUTCOME,                   \
      "the delays of those retries, summed")                             \
    X(retry_denied, BK_DENY_COUNT, BK_BY_REASON, "retries denied")       \
    X(transitions, BK_CHANGES, BK_BY_CHANGE, "changes of state or mode") \
    X(duration, BK_DURATION_BUCKETS, BK_BY_DURATION,                     \
      "calls of known latency, by how long they took")                   \
    X(duration_us, BK_OUTCOME_COUNT, BK_BY_OUTCOME,                      \
      "the latencies of those calls, summed")                            \
    X(probes, BK_OUTCOME_COUNT, BK_BY_OUTCOME, "health probes, by outcome")

struct bk_stats {
#define BK_STAT_FIELD(name, words, axis, help) uint64_t name[words];
    BK_STATS(BK_STAT_FIELD)
#undef BK_STAT_FIELD
};

struct bk_stat_row {
    const char *name;
    size_t first; /* of its words */
    size_t words;
    enum bk_stat_axis axis;
    const char *help;
};
#define BK_STAT_WORDS (sizeof(struct bk_stats) / sizeof(uint64_t))
enum {
#define BK_STAT_PLACE(name, words, axis, help) BK_STAT_ROW_##name,
    BK_STATS(BK_STAT_PLACE)
#undef BK_STAT_PLACE
        BK_STAT_ROWS
};
/* Words of 64 bits, one for each word above. */
#define BK_STAT_MASKS ((BK_STAT_WORDS + 63) / 64)
extern const struct bk_stat_row bk_stat_rows[BK_STAT_ROWS];

/* Adds, up to the largest number the wire can say. */
void bk_count(uint64_t *counter, uint64_t more);
/* Where a call that took this long is counted. */
size_t bk_duration_bucket(int64_t latency_ns);
#define BK_STAT_KEY_SIZE 40
/* A word's name in the database, "rejected.open": of words, not of places, so that
 * a later version with other places reads it still. */
void bk_stat_key(size_t word, struct bk_text *out);
uint64_t bk_stats_word(const struct bk_stats *s, size_t word);
void bk_stats_set(struct bk_stats *s, size_t word, uint64_t value);

/* Of the daemon, since it started: X(field, help). */
#define BK_TOTALS(X)                                                        \
    X(connections, "connections open now, of all sockets")                  \
    X(connections_refused, "connections over a limit")                      \
    X(connections_cut, "connections hung up on for what they sent unheard") \
    X(accept_shortages, "connections not taken for want of descriptors")    \
    X(messages, "messages taken up")                                        \
    X(messages_faulty, "messages that are none of the protocol, dropped")   \
    X(lines_malformed, "lines that are no command")                         \
    X(lines_forbidden, "operators' commands that came from workers")        \
    X(reports_dropped, "reports and tallies that could not be taken in")    \
    X(rings, "workers' rings now")                                          \
    X(rings_refused, "rings not taken, or let go for a fault")              \
    X(ring_items, "outcomes and returned permits that came by ring")        \
    X(ring_items_unknown, "of those, about what is not there any more")     \
    X(replies_unsent, "replies whose peer was gone or did not read")        \
    X(replies_waiting, "replies that wait for the disk now")                \
    X(replies_refused, "replies dropped because too many waited")           \
    X(leases, "permits and retry tokens out now")                           \
    X(store_commits, "transactions written to the database")                \
    X(store_commit_us, "the time they took, summed")                        \
    X(store_failures, "transactions that failed and were tried again")      \
    X(store_events_dropped, "lines of history lost to a full queue")        \
    X(store_queued, "rows waiting for the database now")                    \
    X(store_lag_us, "how long the oldest change has waited for the disk")   \
    X(store_degraded, "1 while the database cannot be written")             \
    X(prober_starts, "times the prober was started")                        \
    X(webhooks_sent, "messages to webhooks that were taken")                \
    X(webhooks_failed, "messages to webhooks that were given up")           \
    X(webhooks_dropped, "changes no webhook heard of for want of room")

struct bk_totals {
#define BK_TOTAL_FIELD(name, help) uint64_t name;
    BK_TOTALS(BK_TOTAL_FIELD)
#undef BK_TOTAL_FIELD
};
#define BK_TOTAL_COUNT (sizeof(struct bk_totals) / sizeof(uint64_t))

#endif
