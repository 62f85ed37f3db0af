/* SPDX-License-Identifier: Apache-2.0
 *
 * Callers: messages whole whatever the pieces, limits kept, the silent and the mad
 * hung up on. */
#include "calling.h"
#include "core/zmtp.h"
#include "unit.h"
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* What was taken: frames joined by "|", messages by "/". */
struct heard {
    char text[65536];
    size_t len;
    unsigned frames; /* of the last message */
    unsigned messages;
};

static void
write_down(void *context, const struct callers_message *m)
{
    struct heard *h = context;
    h->messages++;
    h->frames = m->count;
    for (unsigned i = 0; m->count <= CALLERS_FRAMES && i < m->count; i++) {
        size_t len = m->frames[i].len;
        if (h->len + len + 1 < sizeof(h->text)) {
            memcpy(h->text + h->len, m->frames[i].at, len);
            h->len += len;
            h->text[h->len++] = i + 1 < m->count ? '|' : '/';
        }
    }
    h->text[h->len] = '\0';
}

static const char said[] = "\1\2id\1\0\0\4PING"
                           "\1\0\1\3one\0\3two"
                           "\4\11\4PING\0\12me"
                           "\1\0\0\5three";
static const char want[] = "id||PING/|one|two/|three/";

static void
every_split_is_heard_alike(void **state)
{
    struct calling *l = *state;
    for (size_t first = 0; first < sizeof(said); first++) {
        struct heard h = {.len = 0};
        if (first > 0) {
            calling_say(l->fd, said, first);
        }
        calling_hear(l, write_down, &h);
        if (first < sizeof(said) - 1) {
            calling_say(l->fd, said + first, sizeof(said) - 1 - first);
        }
        calling_hear(l, write_down, &h);
        assert_string_equal(h.text, want);
        calling_expect(l, "\4\7\4PONGme", 9);
    }
}

/* As libzmq may: between frames of a message that did not fit into its pipe. */
static void
a_sign_of_life_is_given_once_within_a_message(void **state)
{
    static const char within[] = "\1\0\4\11\4PING\0\12me\0\4PING";
    struct calling *l = *state;
    for (size_t first = 1; first < sizeof(within) - 1; first++) {
        struct heard h = {.len = 0};
        calling_say(l->fd, within, first);
        calling_hear(l, write_down, &h);
        calling_say(l->fd, within + first, sizeof(within) - 1 - first);
        calling_hear(l, write_down, &h);
        assert_string_equal(h.text, "|PING/");
        calling_expect(l, "\4\7\4PONGme", 9);
    }
}

static void
octets_one_by_one_are_heard_too(void **state)
{
    struct calling *l = *state;
    struct heard h = {.len = 0};
    for (size_t i = 0; i < sizeof(said) - 1; i++) {
        calling_say(l->fd, said + i, 1);
        calling_hear(l, write_down, &h);
    }
    assert_string_equal(h.text, want);
}

/* As a worker may: the longest frames that pass, as many as fit. */
static void
a_long_message_is_whole(void **state)
{
    static char frame[9 + BK_FRAME_MAX] = "\3\0\0\0\0\0\0\40\0";
    struct calling *l = *state;
    struct heard h = {.len = 0};
    memset(frame + 9, 'x', BK_FRAME_MAX);
    calling_say(l->fd, "\1\0", 2);
    for (int i = 0; i < BK_LINES_MAX; i++) {
        frame[0] = i + 1 < BK_LINES_MAX ? 3 : 2;
        calling_say(l->fd, frame, sizeof(frame));
        calling_hear(l, write_down, &h);
    }
    assert_int_equal(h.messages, 1);
    assert_int_equal(h.frames, 1 + BK_LINES_MAX);
    /* And the next one is heard. */
    calling_say(l->fd, "\1\0\0\4PING", 8);
    calling_hear(l, write_down, &h);
    assert_int_equal(h.frames, 2);
}

static void
too_many_frames_are_let_go_and_the_next_message_is_heard(void **state)
{
    struct calling *l = *state;
    struct heard h = {.len = 0};
    for (int i = 0; i < 5000; i++) {
        calling_say(l->fd, "\1\1x", 3);
        if (i % 100 == 0) {
            calling_hear(l, write_down, &h);
        }
    }
    calling_say(l->fd, "\0\3end\1\0\0\4PING", 13);
    calling_hear(l, write_down, &h);
    assert_int_equal(h.messages, 2);
    assert_string_equal(h.text, "|PING/");
}

static void
a_message_without_end_is_hung_up_on(void **state)
{
    struct calling *l = *state;
    static char many[65536];
    size_t sent = 0;
    for (size_t i = 0; i < sizeof(many); i += 2) {
        memcpy(many + i, "\1\0", 2);
    }
    while (sent < 2 * CALLERS_ENDLESS &&
           send(l->fd, many, sizeof(many), MSG_NOSIGNAL) > 0) {
        sent += sizeof(many);
        calling_hear(l, NULL, NULL);
    }
    assert_true(sent < 2 * CALLERS_ENDLESS);
    assert_true(sent >= CALLERS_ENDLESS / 2);
    assert_int_equal(callers_cut(l->callers), 1);
    assert_true(calling_is_over(l->fd));
}

static void
who_does_not_greet_is_shown_out(void **state)
{
    struct calling *l = *state;
    int silent = calling_connect(l);
    calling_hear(l, NULL, NULL);
    assert_int_not_equal(callers_deadline(l->callers), BK_NEVER);
    l->now_ns += CALLERS_GREETING_NS - 1;
    calling_hear(l, NULL, NULL);
    assert_false(calling_is_over(silent));
    l->now_ns += CALLERS_GREETING_NS;
    calling_hear(l, NULL, NULL);
    assert_true(calling_is_over(silent));
    assert_false(calling_is_over(l->fd));
    assert_int_equal(callers_deadline(l->callers), BK_NEVER);
    close(silent);
}

/* The loop has others to look after meanwhile. */
static void
many_that_do_not_greet_are_shown_out_some_at_a_time(void **state)
{
    enum { MANY = 100 };
    struct calling *l = *state;
    int silent[MANY];
    unsigned gone = 0;
    for (unsigned i = 0; i < MANY; i++) {
        silent[i] = calling_connect(l);
        calling_hear(l, NULL, NULL);
    }
    l->now_ns += CALLERS_GREETING_NS;
    callers_look(l->callers, l->now_ns);
    for (unsigned i = 0; i < MANY; i++) {
        gone += calling_is_over(silent[i]);
    }
    assert_in_range(gone, 1, MANY - 1);
    assert_true(callers_deadline(l->callers) <= l->now_ns);
    calling_hear(l, NULL, NULL);
    for (unsigned i = 0; i < MANY; i++) {
        assert_true(calling_is_over(silent[i]));
        close(silent[i]);
    }
    assert_int_equal(callers_deadline(l->callers), BK_NEVER);
}

static void
who_speaks_otherwise_is_hung_up_on(void **state)
{
    static const char *const words[] = {"GET / HTTP/1.1\r\n\r\n", "\x01\x02"};
    struct calling *l = *state;
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        int other = calling_connect(l);
        calling_say(other, words[i], strlen(words[i]));
        calling_hear(l, NULL, NULL);
        assert_true(calling_is_over(other));
        close(other);
    }
    assert_int_equal(callers_cut(l->callers), 0);
}

static void
who_reads_nothing_gets_no_more(void **state)
{
    static char answer[1000];
    struct calling *l = *state;
    size_t said_to_it = 0;
    calling_say(l->fd, "\1\0\0\4PING", 8);
    calling_hear(l, NULL, NULL);
    while (said_to_it < 64 * CALLERS_UNREAD_MAX &&
           callers_answer(l->callers, l->key)) {
        callers_put(l->callers, answer, sizeof(answer));
        said_to_it += sizeof(answer);
    }
    callers_flush(l->callers);
    assert_true(said_to_it >= CALLERS_UNREAD_MAX);
    assert_true(said_to_it < 4 * CALLERS_UNREAD_MAX);
    /* It is still heard, and when it has read, answered. */
    struct heard h = {.len = 0};
    calling_say(l->fd, "\1\0\0\4PING", 8);
    calling_hear(l, write_down, &h);
    assert_string_equal(h.text, "|PING/");
    for (size_t read = 0; read < said_to_it;) {
        char piece[4096];
        ssize_t n = recv(l->fd, piece, sizeof(piece), 0);
        read += n > 0 ? (size_t)n : 0;
        calling_hear(l, NULL, NULL);
    }
    assert_true(callers_answer(l->callers, l->key));
    callers_put(l->callers, "\0\2OK", 4);
    callers_flush(l->callers);
    calling_expect(l, "\0\2OK", 4);
}

static void
what_the_dead_said_is_heard(void **state)
{
    struct calling *l = *state;
    struct callers_message m;
    uint32_t pid = (uint32_t)getpid();
    calling_say(l->fd, "\1\0\0\4PING", 8);
    assert_null(callers_next_of(l->callers, pid + 1));
    struct peer *peer = callers_next_of(l->callers, pid);
    assert_non_null(peer);
    assert_int_equal(peer->pid, pid);
    assert_int_equal(peer->uid, getuid());
    assert_true(callers_take(l->callers, &m));
    assert_int_equal(m.count, 2);
    assert_false(callers_take(l->callers, &m));
    callers_done(l->callers);
    assert_null(callers_next_of(l->callers, pid));
}

/* Messages that were taken of all that the daemon found at once. */
static unsigned
hear_each_once(struct calling *l)
{
    unsigned taken = 0;
    struct callers_message m;
    callers_look(l->callers, l->now_ns);
    while (callers_next(l->callers) != NULL) {
        while (callers_take(l->callers, &m)) {
            taken++;
        }
        callers_done(l->callers);
    }
    return taken;
}

static void
who_says_much_holds_nobody_up(void **state)
{
    static char many[10000][8];
    struct calling *l = *state;
    int other = calling_connect(l);
    unsigned taken = 0;
    for (size_t i = 0; i < COUNT_OF(many); i++) {
        memcpy(many[i], "\1\0\0\4PING", 8);
    }
    calling_greet(l, other, "DEALER");
    calling_say(other, many, sizeof(many));
    calling_say(l->fd, many, 8);
    taken += hear_each_once(l);
    assert_in_range(taken, 2, 1025);
    /* Known for its short messages, it waits for others more often. */
    calling_say(l->fd, many, 8);
    taken = hear_each_once(l);
    assert_in_range(taken, 2, 257);
    /* Alone it is heard quicker. */
    taken = hear_each_once(l);
    assert_in_range(taken, 1000, 1025);
    close(other);
}

static void
answer_it(void *context, const struct callers_message *m)
{
    struct calling *l = context;
    l->taken += m->count == 2;
    if (callers_answer(l->callers, l->key)) {
        callers_put(l->callers, "\1\0\0\2OK", 6);
    }
    callers_flush(l->callers);
}

/* Many pieces of it: that it cannot be answered is found out at the first. */
static void
who_has_hung_up_is_heard_to_the_end(void **state)
{
    struct calling *l = *state;
    int other = calling_connect(l);
    static char many[10000][8];
    for (size_t i = 0; i < COUNT_OF(many); i++) {
        memcpy(many[i], "\1\0\0\4PING", 8);
    }
    calling_greet(l, other, "DEALER");
    calling_say(other, many, sizeof(many));
    close(other);
    calling_hear(l, answer_it, l);
    assert_int_equal(l->taken, COUNT_OF(many));
}

/* The same, with answers that wait for room. */
static void
who_has_read_nothing_and_hung_up_is_heard_to_the_end(void **state)
{
    static char answer[1000];
    struct calling *l = *state;
    int other = calling_connect(l);
    calling_greet(l, other, "DEALER");
    calling_say(other, "\1\0\0\4PING", 8);
    calling_hear(l, NULL, NULL);
    while (callers_answer(l->callers, l->key)) {
        callers_put(l->callers, answer, sizeof(answer));
    }
    calling_say(other, "\1\0\0\4PING", 8);
    close(other);
    calling_hear(l, answer_it, l);
    assert_int_equal(l->taken, 1);
}

static void
who_has_hung_up_before_it_is_let_in_is_heard(void **state)
{
    struct calling *l = *state;
    int other = calling_connect(l);
    uint8_t opening[BK_ZMTP_OPENING];
    size_t len = bk_zmtp_put_opening(BK_ZMTP_DEALER, opening);
    calling_say(other, opening, len);
    calling_say(other, "\1\0\0\4PING", 8);
    close(other);
    calling_hear(l, answer_it, l);
    assert_int_equal(l->taken, 1);
}

/* Answers of which the kernel takes a part at once. */
static void
say_much(struct calling *l, int fd, size_t times)
{
    static char answer[1000];
    calling_say(fd, "\1\0\0\4PING", 8);
    calling_hear(l, NULL, NULL);
    for (size_t i = 0; i < times; i++) {
        assert_true(callers_answer(l->callers, l->key));
        callers_put(l->callers, answer, sizeof(answer));
    }
    callers_flush(l->callers);
}

/* Ends well when it has read so much. */
static pid_t
read_elsewhere(int fd, size_t much)
{
    static char piece[4096];
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(10);
        while (much > 0) {
            ssize_t n = recv(fd, piece, sizeof(piece), 0);
            much -= n > 0 ? (size_t)n : 0;
        }
        _exit(0);
    }
    return pid;
}

static void
who_does_not_read_the_last_answers_keeps_them_from_nobody(void **state)
{
    enum { TIMES = 700 };
    struct calling *l = *state;
    int status = -1;
    int other = calling_connect(l);
    calling_greet(l, other, "DEALER");
    say_much(l, l->fd, TIMES);
    say_much(l, other, TIMES);
    pid_t reader = read_elsewhere(other, (size_t)TIMES * 1000);
    callers_close(&l->callers, 500);
    assert_int_equal(waitpid(reader, &status, 0), reader);
    assert_int_equal(status, 0);
    close(other);
}

int
main(void)
{
#define CALLED(test) \
    cmocka_unit_test_setup_teardown(test, calling_open, calling_close)
    const struct CMUnitTest tests[] = {
        CALLED(every_split_is_heard_alike),
        CALLED(a_sign_of_life_is_given_once_within_a_message),
        CALLED(octets_one_by_one_are_heard_too),
        CALLED(a_long_message_is_whole),
        CALLED(too_many_frames_are_let_go_and_the_next_message_is_heard),
        CALLED(a_message_without_end_is_hung_up_on),
        CALLED(who_does_not_greet_is_shown_out),
        CALLED(many_that_do_not_greet_are_shown_out_some_at_a_time),
        CALLED(who_speaks_otherwise_is_hung_up_on),
        CALLED(who_reads_nothing_gets_no_more),
        CALLED(what_the_dead_said_is_heard),
        CALLED(who_says_much_holds_nobody_up),
        CALLED(who_has_hung_up_is_heard_to_the_end),
        CALLED(who_has_read_nothing_and_hung_up_is_heard_to_the_end),
        CALLED(who_has_hung_up_before_it_is_let_in_is_heard),
        CALLED(who_does_not_read_the_last_answers_keeps_them_from_nobody)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
