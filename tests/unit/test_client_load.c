/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared library, loaded and unloaded by a host that knows it by name only. */
#define _GNU_SOURCE
#include "breaker/breaker.h"
#include "unit.h"
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct breaker *open_fn(const struct breaker_options *);
typedef void close_fn(struct breaker **);
typedef enum breaker_verdict acquire_fn(struct breaker *, const char *,
                                        struct breaker_permit *);

struct library {
    void *handle;
    open_fn *open;
    close_fn *close;
    acquire_fn *acquire;
};

static void *
look_up(void *handle, const char *name)
{
    void *symbol = dlsym(handle, name);

    assert_non_null(symbol);
    return symbol;
}

static struct library
load(void)
{
    struct library l = {.handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL)};

    if (l.handle == NULL)
        print_error("%s\n", dlerror());
    assert_non_null(l.handle);
    *(void **)&l.open = look_up(l.handle, "breaker_open");
    *(void **)&l.close = look_up(l.handle, "breaker_close");
    *(void **)&l.acquire = look_up(l.handle, "breaker_acquire_name");
    return l;
}

static struct breaker *
open_at_nowhere(const struct library *l)
{
    struct breaker_options options = BREAKER_OPTIONS_INIT;

    options.dir = "/nonexistent/breakerd";
    return l->open(&options);
}

static int
count_threads(void)
{
    DIR *d = opendir("/proc/self/task");
    int count = 0;

    while (d != NULL && readdir(d) != NULL)
        count++;
    if (d != NULL)
        closedir(d);
    return count;
}

static void
loading_and_unloading_leaves_nothing(void **state)
{
    int threads = count_threads();

    (void)state;
    for (int i = 0; i < 20; i++) {
        struct library l = load();
        struct breaker *b = open_at_nowhere(&l);
        struct breaker_permit p;

        assert_non_null(b);
        assert_int_equal(l.acquire(b, "llm", &p), BREAKER_ALLOWED);
        assert_int_equal(p.source, BREAKER_BY_LOCAL);
        l.close(&b);
        assert_int_equal(dlclose(l.handle), 0);
    }
    assert_int_equal(count_threads(), threads);
}

/* A host's mistake, but no reason to die. */
static void
unloading_with_a_handle_open_is_survived(void **state)
{
    struct library l = load();
    struct breaker *b = open_at_nowhere(&l);
    struct breaker_permit p;

    (void)state;
    assert_int_equal(l.acquire(b, "llm", &p), BREAKER_ALLOWED);
    assert_int_equal(dlclose(l.handle), 0);
    l = load();
    assert_int_equal(l.acquire(b, "llm", &p), BREAKER_ALLOWED);
    l.close(&b);
    assert_int_equal(dlclose(l.handle), 0);
}

static void
inner_names_are_hidden(void **state)
{
    static const char *const inner[] = {"bk_fleet_init", "bk_bug", "gate_ask",
                                        "session_ask", "local_acquire"};
    void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

    (void)state;
    assert_non_null(handle);
    for (size_t i = 0; i < COUNT_OF(inner); i++)
        assert_null(dlsym(handle, inner[i]));
    assert_int_equal(dlclose(handle), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loading_and_unloading_leaves_nothing),
        cmocka_unit_test(unloading_with_a_handle_open_is_survived),
        cmocka_unit_test(inner_names_are_hidden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
