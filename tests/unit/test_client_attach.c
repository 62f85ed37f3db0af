/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding the instance, and what is not believed there. */
#define _GNU_SOURCE
#include "client/attach.h"
#include "client_stage.h"
#include "unit.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* One question; where the answer came from. */
static int
source_of(struct stage *s)
{
    struct breaker_permit p;

    (void)breaker_acquire_name(s->b, "llm", &p);
    return p.source;
}

static void
publish(struct stage *s)
{
    struct bk_acquire first = {.name = "llm", .name_len = 3, .attempt = 1};
    struct bk_acquired ignored;

    s->shm = shm_new(s->dir);
    assert_int_equal(
        bk_fleet_acquire(shm_fleet(s->shm), shm_now(), &first, &ignored),
        BK_OK);
    shm_publish(s->shm);
}

static void
expect_refused(struct stage *s, const char *why)
{
    stage_open(s, BREAKER_MODE_AUTO, 0, 20);
    assert_int_equal(source_of(s), BREAKER_BY_LOCAL);
    if (strstr(s->log, why) == NULL)
        print_error("log was: %s", s->log);
    assert_non_null(strstr(s->log, why));
    assert_int_equal(s->warnings, 1);
}

static void
a_sound_segment_is_believed(void **state)
{
    struct stage *s = *state;
    char sentence[300];

    publish(s);
    stage_open(s, BREAKER_MODE_AUTO, 0, 20);
    assert_int_equal(source_of(s), BREAKER_BY_MEMORY);
    assert_true(breaker_explain(s->b, sentence, sizeof sentence) > 0);
    assert_non_null(strstr(sentence, "memory decides"));
}

static void
no_directory_names_all_that_were_tried(void **state)
{
    struct stage *s = *state;
    struct breaker_options options = BREAKER_OPTIONS_INIT;
    struct breaker_permit p;
    char runtime[100];
    char sentence[600];
    char own[64];

    snprintf(runtime, sizeof runtime, "%s/nowhere", s->dir);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", runtime, 1), 0);
    /* The service manager's word to the daemon is none of a worker's. */
    assert_int_equal(setenv("RUNTIME_DIRECTORY", s->dir, 1), 0);
    options.deadline_ms = 20;
    s->b = breaker_open(&options);
    assert_non_null(s->b);
    (void)breaker_acquire_name(s->b, "llm", &p);
    assert_true(breaker_explain(s->b, sentence, sizeof sentence) > 0);
    unsetenv("XDG_RUNTIME_DIR");
    unsetenv("RUNTIME_DIRECTORY");
    if (access("/run/breakerd", F_OK) == 0)
        return; /* an instance of this machine's own */
    snprintf(own, sizeof own, ", /tmp/breakerd-%d", (int)geteuid());
    assert_non_null(strstr(sentence, "this process decides by itself"));
    assert_non_null(strstr(sentence, runtime));
    assert_non_null(strstr(sentence, "/nowhere/breakerd, /run/breakerd"));
    assert_non_null(strstr(sentence, own));
    assert_null(strstr(sentence, "worker.sock"));
}

static void
the_environment_and_xdg_name_the_directory(void **state)
{
    struct stage *s = *state;
    struct breaker_permit p;
    char runtime[100];
    char inner[128];

    publish(s);
    assert_int_equal(setenv("BREAKERD_DIR", s->dir, 1), 0);
    s->b = breaker_open(NULL);
    (void)breaker_acquire_name(s->b, "llm", &p);
    assert_int_equal(p.source, BREAKER_BY_MEMORY);
    breaker_close(&s->b);
    unsetenv("BREAKERD_DIR");

    snprintf(runtime, sizeof runtime, "%s/x", s->dir);
    assert_int_equal(mkdir(runtime, 0700), 0);
    snprintf(inner, sizeof inner, "%s/breakerd", runtime);
    assert_int_equal(symlink(s->dir, inner), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", runtime, 1), 0);
    s->b = breaker_open(NULL);
    (void)breaker_acquire_name(s->b, "llm", &p);
    assert_int_equal(p.source, BREAKER_BY_MEMORY);
    breaker_close(&s->b);
    unsetenv("XDG_RUNTIME_DIR");
    assert_int_equal(unlink(inner), 0);
}

static void
an_empty_directory_has_no_daemon(void **state)
{
    expect_refused(*state, "breakerd.shm does not exist");
}

static void
a_segment_of_somebody_else_is_refused(void **state)
{
    struct stage *s = *state;
    char path[128];

    if (geteuid() != 0)
        skip();
    publish(s);
    stage_path(s, "breakerd.shm", path);
    assert_int_equal(chown(path, 65534, 65534), 0);
    expect_refused(s, "does not belong to its directory's owner");
}

static void
a_segment_others_may_write_is_refused(void **state)
{
    struct stage *s = *state;
    char path[128];

    publish(s);
    stage_path(s, "breakerd.shm", path);
    assert_int_equal(chmod(path, 0662), 0);
    expect_refused(s, "may be written by others");
}

static void
a_link_a_fifo_and_a_second_name_are_refused(void **state)
{
    struct stage *s = *state;
    char path[128];
    char other[128];

    publish(s);
    stage_path(s, "breakerd.shm", path);
    stage_path(s, "other", other);
    assert_int_equal(link(path, other), 0);
    expect_refused(s, "has another name elsewhere");
    breaker_close(&s->b);

    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("other", path), 0);
    stage_open(s, BREAKER_MODE_AUTO, 0, 20);
    assert_int_equal(source_of(s), BREAKER_BY_LOCAL);
    breaker_close(&s->b);

    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0640), 0);
    stage_open(s, BREAKER_MODE_AUTO, 0, 20);
    assert_int_equal(source_of(s), BREAKER_BY_LOCAL);
    assert_non_null(strstr(s->log, "is no regular file"));
}

static void
a_short_and_a_foreign_file_are_refused(void **state)
{
    struct stage *s = *state;
    char path[128];
    char octets[8192];
    int fd;

    stage_path(s, "breakerd.shm", path);
    memset(octets, 0x5a, sizeof octets);
    fd = open(path, O_WRONLY | O_CREAT, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, octets, 10), 10);
    expect_refused(s, "too short");
    breaker_close(&s->b);
    assert_int_equal(write(fd, octets, sizeof octets), sizeof octets);
    close(fd);
    stage_open(s, BREAKER_MODE_AUTO, 0, 20);
    assert_int_equal(source_of(s), BREAKER_BY_LOCAL);
    assert_non_null(strstr(s->log, "is not a breakerd segment"));
}

static void
another_boot_is_refused(void **state)
{
    struct stage *s = *state;

    publish(s);
    shm_segment(s->shm)->header->boot_id[3] ^= 1;
    expect_refused(s, "before the last boot");
}

static void
another_time_namespace_is_refused(void **state)
{
    struct stage *s = *state;

    publish(s);
    if (shm_segment(s->shm)->header->time_namespace == 0)
        skip();
    shm_segment(s->shm)->header->time_namespace++;
    expect_refused(s, "another time namespace");
}

static void
one_being_laid_out_is_awaited(void **state)
{
    struct stage *s = *state;

    publish(s);
    atomic_store(&shm_segment(s->shm)->header->phase, BK_SEGMENT_BLANK);
    expect_refused(s, "being laid out");
    atomic_store(&shm_segment(s->shm)->header->phase, BK_SEGMENT_RUNNING);
    sleep_ms(150);
    assert_int_equal(source_of(s), BREAKER_BY_MEMORY);
}

static void
a_daemon_that_starts_later_is_found(void **state)
{
    struct stage *s = *state;

    expect_refused(s, "does not exist");
    publish(s);
    sleep_ms(150);
    assert_int_equal(source_of(s), BREAKER_BY_MEMORY);
    assert_non_null(strstr(s->log, "is back"));
}

/* Lost and laid out anew under the same name: another inode. */
static void
a_replaced_segment_is_attached_anew(void **state)
{
    struct stage *s = *state;

    publish(s);
    stage_open(s, BREAKER_MODE_AUTO, 0, 20);
    for (int i = 0; i < 3; i++) {
        struct shm *old = s->shm;

        assert_int_equal(source_of(s), BREAKER_BY_MEMORY);
        atomic_store(&shm_segment(old)->header->phase, BK_SEGMENT_RETIRED);
        shm_stop_heart(old, 0);
        assert_int_equal(source_of(s), BREAKER_BY_LOCAL);
        publish(s);
        sleep_ms(150);
        assert_int_equal(source_of(s), BREAKER_BY_MEMORY);
        shm_free(&old);
    }
}

/* Readers of a mapping that is being replaced see zeros, never a hole. */
static void
replaced_mappings_are_kept_and_bounded(void **state)
{
    struct stage *s = *state;
    int refused = 0;

    publish(s);
    stage_open(s, BREAKER_MODE_AUTO, 0, 20);
    assert_int_equal(source_of(s), BREAKER_BY_MEMORY);
    for (int i = 0; i < ATTACH_GRAVES + 4; i++) {
        atomic_store(&shm_segment(s->shm)->header->phase, BK_SEGMENT_RETIRED);
        shm_free(&s->shm);
        publish(s);
        sleep_ms(130);
        refused += source_of(s) == BREAKER_BY_LOCAL;
    }
    /* Sixteen within a minute is no daemon's doing; it is not followed. */
    assert_int_equal(refused, 4);
}

static void
a_path_too_long_for_a_socket_is_said(void **state)
{
    struct stage *s = *state;
    char deep[300];
    struct breaker_options options = BREAKER_OPTIONS_INIT;
    struct breaker_permit p;
    char sentence[700];

    snprintf(deep, sizeof deep, "%s/%0120d", s->dir, 0);
    assert_int_equal(mkdir(deep, 0700), 0);
    options.dir = deep;
    options.mode = BREAKER_MODE_ZMQ;
    options.deadline_ms = 20;
    s->b = breaker_open(&options);
    (void)breaker_acquire_name(s->b, "llm", &p);
    assert_int_equal(p.source, BREAKER_BY_LOCAL);
    assert_true(breaker_explain(s->b, sentence, sizeof sentence) > 0);
    assert_non_null(strstr(sentence, "too long a path for a socket"));
}

static void
bad_options_are_refused(void **state)
{
    struct breaker_options options = BREAKER_OPTIONS_INIT;

    (void)state;
    options.size = 0;
    assert_null(breaker_open(&options));
    assert_non_null(strstr(breaker_error_text(), "BREAKER_OPTIONS_INIT"));
    options = (struct breaker_options)BREAKER_OPTIONS_INIT;
    options.mode = 9;
    assert_null(breaker_open(&options));
    assert_non_null(strstr(breaker_error_text(), "options.mode"));
    options.mode = 0;
    options.deadline_ms = 60001;
    assert_null(breaker_open(&options));
    assert_non_null(strstr(breaker_error_text(), "deadline_ms"));
    /* A newer program with a longer struct. */
    options.deadline_ms = 0;
    options.size += 8;
    options.mode = BREAKER_MODE_LOCAL;
    struct breaker *b = breaker_open(&options);
    assert_non_null(b);
    breaker_close(&b);
    breaker_close(&b);
    breaker_close(NULL);
}

int
main(void)
{
#define FIND(test) cmocka_unit_test_setup_teardown(test, stage_up, stage_down)
    const struct CMUnitTest tests[] = {
        FIND(a_sound_segment_is_believed),
        FIND(no_directory_names_all_that_were_tried),
        FIND(the_environment_and_xdg_name_the_directory),
        FIND(an_empty_directory_has_no_daemon),
        FIND(a_segment_of_somebody_else_is_refused),
        FIND(a_segment_others_may_write_is_refused),
        FIND(a_link_a_fifo_and_a_second_name_are_refused),
        FIND(a_short_and_a_foreign_file_are_refused),
        FIND(another_boot_is_refused),
        FIND(another_time_namespace_is_refused),
        FIND(one_being_laid_out_is_awaited),
        FIND(a_daemon_that_starts_later_is_found),
        FIND(a_replaced_segment_is_attached_anew),
        FIND(replaced_mappings_are_kept_and_bounded),
        FIND(a_path_too_long_for_a_socket_is_said),
        FIND(bad_options_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
