/* SPDX-License-Identifier: Apache-2.0
 *
 * The log writes to stderr, so each test puts a pipe there for a moment. */
#include "daemon/log.h"
#include "unit.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define CAPTURE_SIZE 65536

static char captured[CAPTURE_SIZE];
static int real_stderr;
static int pipe_ends[2];

static void
begin(void)
{
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
    real_stderr = dup(STDERR_FILENO);
    assert_true(real_stderr >= 0);
    assert_int_equal(dup2(pipe_ends[1], STDERR_FILENO), STDERR_FILENO);
}

/* What was written since begin(), NUL-ended. */
static const char *
finish(void)
{
    size_t len = 0;
    ssize_t got;

    assert_int_equal(dup2(real_stderr, STDERR_FILENO), STDERR_FILENO);
    close(real_stderr);
    close(pipe_ends[1]);
    while ((got = read(pipe_ends[0], captured + len, CAPTURE_SIZE - 1 - len)) >
           0)
        len += (size_t)got;
    close(pipe_ends[0]);
    captured[len] = '\0';
    return captured;
}

/* A full second with nothing written in it, so that no count is left over. */
static void
let_a_second_pass(void)
{
    const struct timespec pause = {.tv_sec = 1, .tv_nsec = 50000000};

    nanosleep(&pause, NULL);
}

static int
is_calm(void **state)
{
    (void)state;
    let_a_second_pass();
    log_set_level(LOG_INFO);
    return 0;
}

static void
a_line_has_the_name_in_front(void **state)
{
    (void)state;
    begin();
    log_line(LOG_ERROR, "%s is %d", "one", 1);
    assert_string_equal(finish(), "breakerd: one is 1\n");
}

static void
the_level_decides(void **state)
{
    (void)state;
    begin();
    log_line(LOG_DEBUG, "quiet");
    log_line(LOG_INFO, "said");
    log_set_level(LOG_DEBUG);
    log_line(LOG_DEBUG, "loud");
    log_set_level(LOG_ERROR);
    log_line(LOG_WARNING, "quiet");
    log_line(LOG_ERROR, "wrong");
    assert_string_equal(finish(),
                        "breakerd: said\nbreakerd: loud\nbreakerd: wrong\n");
}

static void
a_message_is_one_line_of_text(void **state)
{
    (void)state;
    begin();
    log_line(LOG_INFO, "a\nbreakerd: forged\x1b[31m\t\x7f%c.", 1);
    log_line(LOG_INFO, "%s", "grün");
    assert_string_equal(finish(), "breakerd: a?breakerd: forged?[31m???.\n"
                                  "breakerd: grün\n");
}

static void
a_long_message_is_cut(void **state)
{
    char *words = malloc(5000);
    const char *out;

    (void)state;
    memset(words, 'w', 4999);
    words[4999] = '\0';
    begin();
    log_line(LOG_INFO, "%s", words);
    log_line(LOG_INFO, "next");
    out = finish();
    free(words);
    assert_int_equal(strchr(out, '\n') - out, 1022);
    assert_string_equal(strchr(out, '\n'), "\nbreakerd: next\n");
}

/* Lines of `out` that begin with "breakerd: burst", and what the others say was
 * left out. */
static void
count_lines(const char *out, unsigned *written, unsigned *left_out,
            unsigned *told)
{
    *written = *left_out = *told = 0;
    while (*out != '\0') {
        char *behind;
        unsigned long number = strtoul(out + strlen("breakerd: "), &behind, 10);

        assert_int_equal(strncmp(out, "breakerd: ", 10), 0);
        if (strncmp(behind, " lines left out", 15) == 0) {
            *left_out += (unsigned)number;
            (*told)++;
        } else {
            assert_int_equal(strncmp(out, "breakerd: burst", 15), 0);
            (*written)++;
        }
        out = strchr(out, '\n') + 1;
    }
}

static void
a_burst_is_bounded_and_told(void **state)
{
    unsigned written;
    unsigned left_out;
    unsigned told;

    (void)state;
    begin();
    for (int i = 0; i < 1000; i++)
        log_line(LOG_INFO, "burst %d", i);
    let_a_second_pass();
    log_line(LOG_INFO, "burst is over");
    count_lines(finish(), &written, &left_out, &told);
    assert_int_equal(written + left_out, 1001);
    /* The burst takes milliseconds, so it lies in two seconds at most. */
    assert_true(written > LOG_LINES_PER_SECOND);
    assert_true(written <= 2 * LOG_LINES_PER_SECOND + 1);
    assert_true(told >= 1 && told <= 2);
}

#define THREADS 4
#define EACH 20

static void *
write_lines(void *number)
{
    for (int i = 0; i < EACH; i++)
        log_line(LOG_INFO, "burst of thread %d with some words behind it",
                 *(int *)number);
    return NULL;
}

static void
lines_of_threads_do_not_mix(void **state)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    int per_thread[THREADS] = {0};
    const char *out;

    (void)state;
    begin();
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(
            pthread_create(&threads[i], NULL, write_lines, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    out = finish();
    while (*out != '\0') {
        static const char head[] = "breakerd: burst of thread ";
        static const char tail[] = " with some words behind it\n";
        unsigned long number;
        char *behind;

        assert_int_equal(strncmp(out, head, sizeof head - 1), 0);
        number = strtoul(out + sizeof head - 1, &behind, 10);
        assert_int_equal(strncmp(behind, tail, sizeof tail - 1), 0);
        assert_in_range(number, 0, THREADS - 1);
        per_thread[number]++;
        out = behind + sizeof tail - 1;
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(per_thread[i], EACH);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line_has_the_name_in_front, is_calm),
        cmocka_unit_test_setup(the_level_decides, is_calm),
        cmocka_unit_test_setup(a_message_is_one_line_of_text, is_calm),
        cmocka_unit_test_setup(a_long_message_is_cut, is_calm),
        cmocka_unit_test_setup(a_burst_is_bounded_and_told, is_calm),
        cmocka_unit_test_setup(lines_of_threads_do_not_mix, is_calm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
