/* SPDX-License-Identifier: Apache-2.0
 *
 * Names read ahead, so that only rows are read that somebody lacks. */
#include "stores.h"
#include <stdio.h>

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

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, stores_begin, stores_end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_what_is_wanted_is_loaded),
        TEST(a_row_with_an_odd_name_hides_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
