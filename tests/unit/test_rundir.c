/* SPDX-License-Identifier: Apache-2.0
 *
 * The runtime directory: which one, with which modes, and for one daemon only. */
#include "daemon/log.h"
#include "daemon/rundir.h"
#include "scratch.h"
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[64];

static int
make_base(void **state)
{
    (void)state;
    scratch_make(base, sizeof(base));
    log_set_level(LOG_ERROR);
    unsetenv("BREAKERD_DIR");
    unsetenv("RUNTIME_DIRECTORY");
    unsetenv("STATE_DIRECTORY");
    return 0;
}

static int
remove_base(void **state)
{
    (void)state;
    scratch_remove(base);
    return 0;
}

static mode_t
mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void
test_modes_do_not_depend_on_the_umask(void **state)
{
    static const mode_t masks[] = {0, 022, 077};
    char dir[PATH_MAX];
    char file[PATH_MAX + 32];
    char sentence[512];
    struct bk_text error;
    struct rundir r;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(masks); i++) {
        mode_t before = umask(masks[i]);
        snprintf(dir, sizeof(dir), "%s/run%zu", base, i);
        bk_text_init(&error, sentence, sizeof(sentence));
        assert_true(rundir_open(&r, dir, "/tmp/unused.db", &error));
        umask(before);
        assert_int_equal(mode_of(dir), 0755);
        snprintf(file, sizeof(file), "%s/breakerd.pid", dir);
        assert_int_equal(mode_of(file), 0644);
        snprintf(file, sizeof(file), "%s/lock", dir);
        assert_int_equal(mode_of(file), 0600);
        assert_true(rundir_protect(&r, file, 0640, &error));
        assert_int_equal(mode_of(file), 0640);
        rundir_close(&r);
    }
}

static void
test_a_second_one_is_kept_out(void **state)
{
    char dir[PATH_MAX];
    char sentence[512];
    struct bk_text error;
    struct rundir first;
    struct rundir second;
    (void)state;
    snprintf(dir, sizeof(dir), "%s/run", base);
    bk_text_init(&error, sentence, sizeof(sentence));
    assert_true(rundir_open(&first, dir, "/tmp/unused.db", &error));
    assert_false(rundir_open(&second, dir, "/tmp/unused.db", &error));
    assert_non_null(strstr(sentence, "another breakerd holds"));
    assert_non_null(strstr(sentence, "--dir"));
    rundir_close(&first);
    bk_text_init(&error, sentence, sizeof(sentence));
    assert_true(rundir_open(&second, dir, "/tmp/unused.db", &error));
    rundir_close(&second);
}

static void
test_the_environment_is_asked_in_order(void **state)
{
    char one[PATH_MAX];
    char two[PATH_MAX];
    char sentence[512];
    struct bk_text error;
    struct rundir r;
    (void)state;
    snprintf(one, sizeof(one), "%s/one", base);
    snprintf(two, sizeof(two), "%s/two", base);
    setenv("RUNTIME_DIRECTORY", two, 1);
    setenv("STATE_DIRECTORY", base, 1);
    bk_text_init(&error, sentence, sizeof(sentence));
    assert_true(rundir_open(&r, NULL, NULL, &error));
    assert_string_equal(r.path, two);
    assert_int_equal(strncmp(r.db_path, base, strlen(base)), 0);
    assert_non_null(strstr(r.db_path, "/breakerd.db"));
    rundir_close(&r);
    setenv("BREAKERD_DIR", one, 1);
    assert_true(rundir_open(&r, NULL, "other.db", &error));
    assert_string_equal(r.path, one);
    assert_string_equal(r.db_path, "other.db");
    rundir_close(&r);
    unsetenv("BREAKERD_DIR");
    unsetenv("RUNTIME_DIRECTORY");
    unsetenv("STATE_DIRECTORY");
}

static void
test_what_is_in_the_way_is_named(void **state)
{
    char path[PATH_MAX];
    char deep[PATH_MAX];
    char sentence[PATH_MAX + 256];
    struct bk_text error;
    struct rundir r;
    (void)state;
    snprintf(path, sizeof(path), "%s/file", base);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    bk_text_init(&error, sentence, sizeof(sentence));
    assert_false(rundir_open(&r, path, "x.db", &error));
    assert_non_null(strstr(sentence, path));
    snprintf(deep, sizeof(deep), "%s/no/such/place", base);
    bk_text_init(&error, sentence, sizeof(sentence));
    assert_false(rundir_open(&r, deep, "x.db", &error));
    assert_non_null(strstr(sentence, deep));
    assert_non_null(strstr(sentence, strerror(ENOENT)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_modes_do_not_depend_on_the_umask,
                                        make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_a_second_one_is_kept_out,
                                        make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_the_environment_is_asked_in_order,
                                        make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_what_is_in_the_way_is_named,
                                        make_base, remove_base)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
