/* SPDX-License-Identifier: Apache-2.0
 *
 * The store as the loop uses it, on real files. */
#include "stores.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void
a_new_file_is_empty(void **state)
{
    struct stores *t = *state;

    stores_must_open(t);
    assert_int_equal(t->service_count, 0);
    assert_string_equal(t->settings, "");
    assert_string_equal(t->forgotten, "");
    assert_int_equal(t->meta.epoch, 0);
    assert_int_equal(t->meta.next_id, 0);
    assert_int_equal(t->meta.last_seq, 0);
    assert_false(stores_listen(t, 0));
}

static unsigned
mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

static void
directories_and_files_are_ours_alone(void **state)
{
    static const mode_t umasks[] = {0, 022, 077, 0777};
    struct stores *t = *state;

    for (size_t i = 0; i < COUNT_OF(umasks); i++) {
        mode_t old = umask(umasks[i]);
        struct bk_saved row = stores_service("a", 1);
        char path[160];

        (void)snprintf(t->path, sizeof t->path, "%s/u%zu/deep/b.db",
                       t->directory, i);
        stores_must_open(t);
        stores_await(t, store_put_service(t->store, &row, WALL));
        umask(old);
        assert_int_equal(mode_of(t->path), 0600);
        (void)snprintf(path, sizeof path, "%s-wal", t->path);
        assert_int_equal(mode_of(path), 0600);
        (void)snprintf(path, sizeof path, "%s/u%zu/deep", t->directory, i);
        assert_int_equal(mode_of(path), 0700);
        (void)snprintf(path, sizeof path, "%s/u%zu", t->directory, i);
        assert_int_equal(mode_of(path), 0700);
        stores_close(t);
    }
    assert_int_equal(mode_of(t->directory), 0700);
}

static void
there_is_no_shared_memory_file(void **state)
{
    struct stores *t = *state;
    struct bk_saved row = stores_service("a", 1);

    stores_must_open(t);
    stores_await(t, store_put_service(t->store, &row, WALL));
    assert_int_equal(stores_count_files(t, "b.db-wal"), 1);
    assert_int_equal(stores_count_files(t, "b.db-shm"), 0);
    stores_close(t);
    /* A clean end leaves one file. */
    assert_int_equal(stores_count_files(t, "b.db"), 1);
}

static void
put_everything(struct stores *t)
{
    const struct store_meta meta = {7, UINT64_C(1) << 40, 99};
    struct bk_saved open = {
        .name = "llm/gpt-4",
        .state = BK_OPEN,
        .cause = BK_CAUSE_PROBE_FAILED,
        .generation = BK_NUMBER_END - 1,
        .failed_rounds = UINT32_MAX,
        .open_left_ns = SECONDS(60),
        .hold_left_ns = SECONDS(5),
        .override = {.is_set = 1,
                     .mode = BK_FORCED_OPEN,
                     .expires_ns = SECONDS(600),
                     .reason = "maintenance \"now\"; DROP TABLE x",
                     .actor = "0:0:4711"},
        .counters = {.allowed = 1, .denied = 2, .opened = 12},
        .open_ns = SECONDS(7),
        .stats = {.rejected = {[BK_DENY_OPEN] = BK_NUMBER_END - 1},
                  .transitions = {[1] = 12},
                  .duration = {[BK_DURATION_BUCKETS - 1] = 3}},
    };
    struct bk_saved half = stores_service("half", 4);
    struct bk_saved bypass = stores_service("bypass", 5);

    half.state = BK_HALF_OPEN;
    half.cause = BK_CAUSE_RECOVERY_TIMEOUT;
    bypass.override.is_set = 1;
    bypass.override.mode = BK_BYPASS;
    bypass.override.expires_ns = BK_NEVER;
    (void)store_put_service(t->store, &open, WALL);
    (void)store_put_service(t->store, &half, WALL);
    (void)store_put_service(t->store, &bypass, WALL);
    (void)store_put_setting(t->store, "half", "ramp", "5s");
    (void)store_put_setting(t->store, "half", "retry_on", "failure,timeout");
    (void)store_put_forgotten(t->store, "gone", 41);
    stores_await(t, store_put_meta(t->store, &meta));
}

/* Version 1 knew nothing of metrics. */
static void
an_old_file_is_brought_up(void **state)
{
    struct stores *t = *state;
    const struct bk_saved *row;

    stores_must_open(t);
    put_everything(t);
    stores_close(t);
    stores_sql(t, "ALTER TABLE services DROP COLUMN stats;"
                  "ALTER TABLE services DROP COLUMN leaps;"
                  "PRAGMA user_version = 1");
    stores_must_open(t);
    assert_int_equal(stores_count_files(t, "corrupt"), 0);
    assert_int_equal(t->service_count, 3);
    row = stores_find(t, "llm/gpt-4");
    assert_int_equal(row->counters.opened, 12);
    assert_int_equal(row->open_ns, 0);
    assert_int_equal(row->stats.transitions[1], 0);
    put_everything(t);
    stores_again(t, WALL);
    row = stores_find(t, "llm/gpt-4");
    assert_int_equal(row->stats.transitions[1], 12);
}

/* One leap counts for the rows there are, however long ago they were written, and
 * for none that is written behind it. */
static void
a_leap_is_of_all_rows_there_are(void **state)
{
    struct stores *t = *state;
    struct bk_saved old = stores_service("old", 7);
    struct bk_saved late = stores_service("late", 5);
    struct bk_saved last = stores_service("last", BK_NUMBER_END - 2);

    stores_must_open(t);
    (void)store_put_service(t->store, &old, WALL);
    stores_await(t, store_put_service(t->store, &last, WALL));
    stores_again(t, WALL);
    assert_int_equal(stores_find(t, "old")->generation, 7);
    (void)store_put_leap(t->store);
    stores_await(t, store_put_service(t->store, &late, WALL));
    stores_again(t, WALL);
    assert_int_equal(stores_find(t, "old")->generation, 7 + BK_GENERATION_LEAP);
    assert_int_equal(stores_find(t, "late")->generation, 5);
    assert_true(stores_find(t, "last")->generation == BK_NUMBER_END - 1);
    stores_await(t, store_put_leap(t->store));
    stores_again(t, WALL);
    assert_int_equal(stores_find(t, "old")->generation,
                     7 + 2 * BK_GENERATION_LEAP);
    assert_int_equal(stores_find(t, "late")->generation,
                     5 + BK_GENERATION_LEAP);
}

static void
what_was_saved_comes_back(void **state)
{
    struct stores *t = *state;
    const struct bk_saved *row;

    stores_must_open(t);
    put_everything(t);
    stores_again(t, WALL);
    assert_int_equal(t->service_count, 3);
    row = stores_find(t, "llm/gpt-4");
    assert_int_equal(row->state, BK_OPEN);
    assert_int_equal(row->cause, BK_CAUSE_PROBE_FAILED);
    assert_int_equal(row->generation, BK_NUMBER_END - 1);
    assert_int_equal(row->failed_rounds, UINT32_MAX);
    assert_int_equal(row->open_left_ns, SECONDS(60));
    assert_int_equal(row->hold_left_ns, SECONDS(5));
    assert_int_equal(row->override.is_set, 1);
    assert_int_equal(row->override.mode, BK_FORCED_OPEN);
    assert_int_equal(row->override.expires_ns, SECONDS(600));
    assert_string_equal(row->override.reason, "maintenance \"now\"; DROP "
                                              "TABLE x");
    assert_string_equal(row->override.actor, "0:0:4711");
    assert_int_equal(row->counters.allowed, 1);
    assert_int_equal(row->counters.denied, 2);
    assert_int_equal(row->counters.success, 0);
    assert_int_equal(row->counters.opened, 12);
    assert_int_equal(row->open_ns, SECONDS(7));
    assert_true(row->stats.rejected[BK_DENY_OPEN] == BK_NUMBER_END - 1);
    assert_int_equal(row->stats.rejected[BK_DENY_RAMP], 0);
    assert_int_equal(row->stats.transitions[1], 12);
    assert_int_equal(row->stats.duration[BK_DURATION_BUCKETS - 1], 3);
    row = stores_find(t, "half");
    assert_int_equal(row->state, BK_HALF_OPEN);
    assert_int_equal(row->open_left_ns, 0);
    assert_int_equal(row->override.is_set, 0);
    row = stores_find(t, "bypass");
    assert_int_equal(row->override.mode, BK_BYPASS);
    assert_true(row->override.expires_ns == BK_NEVER);
    assert_string_equal(t->settings,
                        "half.ramp=5s half.retry_on=failure,timeout ");
    assert_string_equal(t->forgotten, "gone:41 ");
    assert_int_equal(t->meta.epoch, 7);
    assert_true(t->meta.next_id == UINT64_C(1) << 40);
    assert_int_equal(t->meta.last_seq, 99);
}

static void
times_go_on_while_nothing_runs(void **state)
{
    struct stores *t = *state;

    stores_must_open(t);
    put_everything(t);
    stores_again(t, WALL + 20000);
    assert_int_equal(stores_find(t, "llm/gpt-4")->open_left_ns, SECONDS(40));
    assert_int_equal(stores_find(t, "llm/gpt-4")->hold_left_ns, 0);
    assert_int_equal(stores_find(t, "llm/gpt-4")->override.expires_ns,
                     SECONDS(580));
    stores_again(t, WALL + 3600000);
    assert_int_equal(stores_find(t, "llm/gpt-4")->open_left_ns, 0);
    assert_int_equal(stores_find(t, "llm/gpt-4")->state, BK_OPEN);
    assert_int_equal(stores_find(t, "llm/gpt-4")->override.is_set, 1);
    assert_int_equal(stores_find(t, "llm/gpt-4")->override.expires_ns, 0);
    assert_true(stores_find(t, "bypass")->override.expires_ns == BK_NEVER);
}

static void
a_clock_set_back_lengthens_nothing(void **state)
{
    struct stores *t = *state;

    stores_must_open(t);
    put_everything(t);
    stores_again(t, 0);
    assert_int_equal(stores_find(t, "llm/gpt-4")->open_left_ns, SECONDS(60));
    assert_int_equal(stores_find(t, "llm/gpt-4")->hold_left_ns, SECONDS(5));
    assert_int_equal(stores_find(t, "llm/gpt-4")->override.expires_ns,
                     SECONDS(600));
}

static void
remaining_times_are_rounded_up(void **state)
{
    struct stores *t = *state;
    struct bk_saved row = stores_service("a", 1);

    row.state = BK_OPEN;
    row.open_left_ns = MS(7) + 1;
    row.hold_left_ns = 1;
    stores_must_open(t);
    stores_await(t, store_put_service(t->store, &row, WALL));
    stores_again(t, WALL);
    assert_int_equal(t->services[0].open_left_ns, MS(8));
    assert_int_equal(t->services[0].hold_left_ns, MS(1));
}

static void
saves_of_one_service_fold(void **state)
{
    struct stores *t = *state;
    struct store_stats stats;
    uint64_t job = 0;

    stores_must_open(t);
    for (uint64_t i = 1; i <= 1000; i++) {
        struct bk_saved row = stores_service("a", i);
        uint64_t next = store_put_service(t->store, &row, WALL);

        assert_true(next > job);
        job = next;
    }
    stores_await(t, job);
    assert_int_equal(t->saved, job);
    store_stats(t->store, &stats);
    assert_int_equal(stats.commits, 1);
    assert_int_equal(stats.failures, 0);
    assert_int_equal(stats.queued, 0);
    stores_again(t, WALL);
    assert_int_equal(t->service_count, 1);
    assert_int_equal(t->services[0].generation, 1000);
}

/* In every order and split, the last thing said of a name holds. */
static void
forgetting_and_coming_back_keep_their_order(void **state)
{
    struct stores *t = *state;
    struct bk_saved row = stores_service("a", 1);
    struct bk_saved back = stores_service("a", 9);

    for (int split = 0; split < 8; split++) {
        stores_must_open(t);
        (void)store_put_service(t->store, &row, WALL);
        (void)store_put_setting(t->store, "a", "ramp", "1s");
        (void)store_put_setting(t->store, "a", "mode", "observe");
        if ((split & 1) != 0)
            stores_await(t, store_put_service(t->store, &row, WALL));
        stores_await(t, store_put_forgotten(t->store, "a", 8));
        if ((split & 2) != 0) {
            stores_again(t, WALL);
            assert_int_equal(t->service_count, 0);
            assert_string_equal(t->settings, "");
            assert_string_equal(t->forgotten, "a:8 ");
        }
        (void)store_put_setting(t->store, "a", "ramp", "2s");
        (void)store_put_setting(t->store, "a", "mode", "bypass");
        if ((split & 4) != 0)
            stores_await(t, store_put_service(t->store, &back, WALL));
        (void)store_put_setting(t->store, "a", "mode", NULL);
        stores_await(t, store_put_service(t->store, &back, WALL));
        stores_again(t, WALL);
        assert_int_equal(t->service_count, 1);
        assert_int_equal(t->services[0].generation, 9);
        assert_string_equal(t->settings, "a.ramp=2s ");
        assert_string_equal(t->forgotten, "");
        stores_close(t);
        assert_int_equal(unlink(t->path), 0);
    }
}

static void
forgotten_names_are_bounded(void **state)
{
    struct stores *t = *state;
    uint64_t job = 0;
    char name[32];

    stores_must_open(t);
    for (uint64_t i = 0; i < BK_FORGOTTEN + 100; i++) {
        (void)snprintf(name, sizeof name, "n%llu", (unsigned long long)i);
        job = store_put_forgotten(t->store, name, i);
        if (i % 1000 == 999)
            stores_await(t, job);
    }
    stores_await(t, job);
    stores_again(t, WALL);
    /* The oldest 100 made room. */
    assert_int_equal(strncmp(t->forgotten, "n100:100 n101:101 ", 18), 0);
}

static void
ask(struct stores *t, const char *service, uint64_t limit)
{
    int before = t->histories;

    (void)store_ask_history(t->store, service, limit, 0, 4711);
    store_flush(t->store);
    for (int i = 0; i < WAIT_MS / 100 && t->histories == before; i++)
        (void)stores_listen(t, 100);
    assert_int_equal(t->histories, before + 1);
    assert_int_equal(t->history.ticket, 4711);
}

static void
history_is_told_newest_last(void **state)
{
    struct stores *t = *state;
    struct bk_past event = stores_event("a", 1);

    stores_must_open(t);
    ask(t, NULL, 10);
    assert_string_equal(t->history.json, "{\"history\":[]}");
    (void)store_put_event(t->store, &event);
    event = stores_event("b", 2);
    event.from = BK_OPEN;
    event.to = BK_CLOSED;
    event.mode = BK_BYPASS;
    event.cause = BK_CAUSE_OPERATOR;
    strcpy(event.actor, "0:0:1");
    strcpy(event.text, "it \"works\"\n\xff");
    (void)store_put_event(t->store, &event);
    /* Asked in the same batch, answered after it. */
    ask(t, NULL, 10);
    assert_string_equal(
        t->history.json,
        "{\"history\":["
        "{\"seq\":1,\"at\":\"2026-11-22T07:12:45.124Z\",\"service\":\"a\","
        "\"from\":\"closed\",\"to\":\"open\",\"mode\":\"auto\","
        "\"reason\":\"consecutive_failures\",\"generation\":1,"
        "\"actor\":\"-\",\"text\":\"\"},"
        "{\"seq\":2,\"at\":\"2026-11-22T07:12:45.125Z\",\"service\":\"b\","
        "\"from\":\"open\",\"to\":\"closed\",\"mode\":\"bypass\","
        "\"reason\":\"operator\",\"generation\":2,"
        "\"actor\":\"0:0:1\",\"text\":\"it \\\"works\\\"\\n\xef\xbf\xbd\"}]}");
    assert_int_equal(strlen(t->history.json), t->history.json_len);
    ask(t, "a", 10);
    assert_non_null(strstr(t->history.json, "\"seq\":1,"));
    assert_null(strstr(t->history.json, "\"seq\":2,"));
    ask(t, NULL, 1);
    assert_null(strstr(t->history.json, "\"seq\":1,"));
    assert_non_null(strstr(t->history.json, "\"seq\":2,"));
    ask(t, "nobody", 10);
    assert_string_equal(t->history.json, "{\"history\":[]}");
    stores_again(t, WALL);
    assert_int_equal(t->meta.last_seq, 2);
}

/* First and last "seq" of the answer, and their number. */
static size_t
span_of(const struct stores *t, long long *first, long long *last)
{
    json_t *root = json_loads(t->history.json, 0, NULL);
    json_t *rows = json_object_get(root, "history");
    size_t count = json_array_size(rows);

    assert_true(json_is_array(rows));
    if (count > 0) {
        *first =
            json_integer_value(json_object_get(json_array_get(rows, 0), "seq"));
        *last = json_integer_value(
            json_object_get(json_array_get(rows, count - 1), "seq"));
    }
    json_decref(root);
    return count;
}

static void
history_is_trimmed(void **state)
{
    struct stores *t = *state;
    const uint64_t end = 100000 + 6000;
    long long first;
    long long last;

    stores_must_open(t);
    for (uint64_t seq = 1; seq <= end; seq++) {
        struct bk_past event = stores_event("a", seq);
        uint64_t job = store_put_event(t->store, &event);

        if (seq % 5000 == 0 || seq == end)
            stores_await(t, job);
    }
    ask(t, "a", 1000000);
    assert_int_equal(span_of(t, &first, &last), 10000);
    assert_int_equal(first, end - 9999);
    assert_int_equal(last, end);
    stores_close(t);
    stores_sql(t, "CREATE TEMP TABLE t (x CHECK (x)); INSERT INTO t"
                  " SELECT count(*) = 100000 AND min(seq) = 6001 FROM history");
}

/* More than fit before the thread ever runs: the oldest make room and are
 * counted. */
static void
too_many_events_are_counted(void **state)
{
    struct stores *t = *state;
    struct store_stats stats;
    long long first;
    long long last;
    uint64_t job = 0;

    stores_must_open(t);
    for (uint64_t seq = 1; seq <= 10007; seq++) {
        struct bk_past event = stores_event("a", seq);

        job = store_put_event(t->store, &event);
    }
    stores_await(t, job);
    store_stats(t->store, &stats);
    assert_int_equal(stats.dropped_events, 7);
    ask(t, NULL, 20000);
    assert_int_equal(span_of(t, &first, &last), 10000);
    assert_int_equal(first, 8);
    assert_int_equal(last, 10007);
}

static void
every_question_is_answered(void **state)
{
    struct stores *t = *state;
    struct store_done done;
    int answered = 0;
    int refused = 0;

    stores_must_open(t);
    for (uint64_t i = 0; i < 3000; i++)
        (void)store_ask_history(t->store, "a", 5, 0, i);
    store_flush(t->store);
    for (int i = 0; i < WAIT_MS / 10 && answered + refused < 3000; i++) {
        while (store_next(t->store, &done)) {
            assert_int_equal(done.kind, STORE_ANSWER);
            if (done.json == NULL) {
                assert_string_equal(done.text, "too many questions at once");
                refused++;
            } else {
                answered++;
            }
            free(done.json);
        }
        usleep(10000);
    }
    assert_int_equal(answered, 1024);
    assert_int_equal(refused, 3000 - 1024);
    /* And afterwards there is room again. */
    ask(t, NULL, 1);
    assert_non_null(t->history.json);
}

static long
wal_octets(const struct stores *t)
{
    char path[160];
    struct stat st;

    (void)snprintf(path, sizeof path, "%s-wal", t->path);
    assert_int_equal(stat(path, &st), 0);
    return (long)st.st_size;
}

static void
the_log_file_stays_small(void **state)
{
    struct stores *t = *state;

    stores_must_open(t);
    for (uint64_t round = 1; round <= 40; round++) {
        uint64_t job = 0;

        for (int i = 0; i < 1000; i++) {
            struct bk_saved row = stores_service("", round);

            (void)sprintf(row.name, "service-%d", i);
            job = store_put_service(t->store, &row, WALL);
        }
        stores_await(t, job);
        assert_true(wal_octets(t) < 8L << 20);
    }
}

static void
putting_never_waits_for_the_disk(void **state)
{
    struct stores *t = *state;
    struct timespec from;
    struct timespec to;
    uint64_t job = 0;

    stores_must_open(t);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    for (uint64_t i = 0; i < 20000; i++) {
        struct bk_saved row = stores_service("", i);

        (void)sprintf(row.name, "s%llu", (unsigned long long)(i % 4096));
        job = store_put_service(t->store, &row, WALL);
        if (i % 100 == 0)
            store_flush(t->store);
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    stores_await(t, job);
    /* Not a measurement: an fdatasync each would take minutes. */
    assert_true(to.tv_sec - from.tv_sec < 5);
}

static void
a_close_saves_what_waits(void **state)
{
    struct stores *t = *state;
    struct bk_saved row = stores_service("late", 3);

    stores_must_open(t);
    (void)store_put_service(t->store, &row, WALL);
    stores_again(t, WALL);
    assert_int_equal(t->service_count, 1);
    assert_string_equal(t->services[0].name, "late");
}

/* ---- rows that are not wanted ---- */

struct wanting {
    struct stores *t;
    const char *name; /* the one that is wanted */
    char rows[64];    /* "name " of each that came */
    int asked;
};

static bool
is_wanted(void *context, const char *name)
{
    struct wanting *w = context;

    w->asked++;
    return strcmp(name, w->name) == 0;
}

static void
take_row(void *context, const struct bk_saved *saved)
{
    struct wanting *w = context;
    size_t len = strlen(w->rows);

    (void)snprintf(w->rows + len, sizeof w->rows - len, "%s ", saved->name);
}

static void
load_wanted(struct wanting *w, const char *name)
{
    const struct store_reader reader = {
        .context = w, .wants = is_wanted, .service = take_row};
    struct bk_text error;

    w->name = name;
    w->rows[0] = '\0';
    stores_close(w->t);
    if (!stores_open(w->t))
        fail_msg("not opened: %s", w->t->error);
    bk_text_init(&error, w->t->error, sizeof w->t->error);
    if (!store_load(w->t->store, WALL, &reader, &w->t->meta, &error))
        fail_msg("not loaded: %s", w->t->error);
}

static void
only_what_is_wanted_is_loaded(void **state)
{
    struct wanting w = {.t = *state};
    uint64_t job = 0;

    stores_must_open(w.t);
    for (char name[] = "a"; name[0] <= 'c'; name[0]++) {
        struct bk_saved row = stores_service(name, 1);

        job = store_put_service(w.t->store, &row, WALL);
    }
    stores_await(w.t, job);
    load_wanted(&w, "");
    assert_string_equal(w.rows, "");
    assert_int_equal(w.asked, 3);
    load_wanted(&w, "c");
    assert_string_equal(w.rows, "c ");
    /* Nothing of an earlier start is remembered. */
    stores_await(w.t, store_put_forgotten(w.t->store, "c", 1));
    load_wanted(&w, "c");
    assert_string_equal(w.rows, "");
}

/* Such a name says nothing of the others. */
static void
a_row_with_an_odd_name_hides_none(void **state)
{
    struct wanting w = {.t = *state};
    struct bk_saved row = stores_service("b", 1);

    stores_must_open(w.t);
    stores_await(w.t, store_put_service(w.t->store, &row, WALL));
    stores_close(w.t);
    stores_sql(w.t, "INSERT INTO services SELECT 'a b', state, reason,"
                    " generation, failed_rounds, open_until_ms, hold_until_ms,"
                    " override_mode, override_until_ms, override_reason,"
                    " override_actor, counters, saved_ms, stats, leaps"
                    " FROM services");
    stores_must_open(w.t);
    load_wanted(&w, "b");
    assert_string_equal(w.rows, "b ");
}

static void
names_of_sqlite_are_names_of_files(void **state)
{
    struct stores *t = *state;
    struct bk_saved row = stores_service("a", 3);
    char old[256];

    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(t->directory), 0);
    strcpy(t->path, ":memory:");
    stores_must_open(t);
    stores_await(t, store_put_service(t->store, &row, WALL));
    stores_again(t, WALL);
    assert_int_equal(t->service_count, 1);
    /* The database and its -wal. */
    assert_int_equal(stores_count_files(t, ":memory:"), 2);
    stores_close(t);
    assert_int_equal(chdir(old), 0);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, stores_begin, stores_end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_file_is_empty),
        TEST(directories_and_files_are_ours_alone),
        TEST(there_is_no_shared_memory_file),
        TEST(an_old_file_is_brought_up),
        TEST(a_leap_is_of_all_rows_there_are),
        TEST(what_was_saved_comes_back),
        TEST(times_go_on_while_nothing_runs),
        TEST(a_clock_set_back_lengthens_nothing),
        TEST(remaining_times_are_rounded_up),
        TEST(saves_of_one_service_fold),
        TEST(forgetting_and_coming_back_keep_their_order),
        TEST(forgotten_names_are_bounded),
        TEST(history_is_told_newest_last),
        TEST(history_is_trimmed),
        TEST(too_many_events_are_counted),
        TEST(every_question_is_answered),
        TEST(the_log_file_stays_small),
        TEST(putting_never_waits_for_the_disk),
        TEST(a_close_saves_what_waits),
        TEST(only_what_is_wanted_is_loaded),
        TEST(a_row_with_an_odd_name_hides_none),
        TEST(names_of_sqlite_are_names_of_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
