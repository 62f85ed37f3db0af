/* SPDX-License-Identifier: Apache-2.0
 *
 * Both sides of the pair. A packet to the actor is a letter and text: A and lines
 * to send, R to connect anew, T to tell what the library keeps back. Back come + and the answers, or - and a sentence.
 * The player itself never touches ZeroMQ, whose contexts do not survive a
 * fork. */
#define _GNU_SOURCE
#include "tools/scenario_actor.h"
#include "core/wire.h"
#include "tools/link.h"
#include "tools/scenario_signal.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PACKET_SIZE ((size_t)131072)
/* The actor's own deadline comes first; this one is for a stuck process. */
#define STUCK_MS (INT64_C(2) * SCENARIO_ANSWER_MS)

/* ---- in the actor's process ---- */

struct self {
    const struct scenario_part *part;
    int fd;
    bool must_greet;
    struct link *link;
    struct scenario_worker *worker; /* NULL: it sends all lines */
    char *packet;
    char *reply;
};

static void
say(const struct self *self, char letter, const char *text)
{
    struct bk_text out;
    bk_text_init(&out, self->reply, PACKET_SIZE);
    bk_text_put_char(&out, letter);
    bk_text_put(&out, text);
    (void)send(self->fd, out.at, out.len, MSG_NOSIGNAL);
}

static void
put_frames(const struct link_reply *frames, size_t first, struct bk_text *out)
{
    for (size_t i = first; i < frames->count; i++) {
        if (i > first) {
            bk_text_put_char(out, '\n');
        }
        bk_text_put(out, frames->frames[i]);
    }
}

/* Splits the lines in place. */
static size_t
split(char *text, const char **lines)
{
    size_t count = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest);
         line != NULL && count < BK_LINES_MAX - 1;
         line = strtok_r(NULL, "\n", &rest)) {
        lines[count++] = line;
    }
    return count;
}

/* Sends lines in one message, behind a greeting where one is due, and appends the
 * answers. */
static bool
send_lines(struct self *self, const char *const *lines, size_t count,
           struct bk_text *out, struct bk_text *error)
{
    const char *all[BK_LINES_MAX];
    char hello[80];
    struct link_reply frames = {0};
    size_t first = self->must_greet ? 1 : 0;
    bool is_whole = false;
    snprintf(hello, sizeof(hello), "HELLO %d %s %d", BK_PROTOCOL,
             self->part->name, (int)getpid());
    all[0] = hello;
    memcpy(all + first, lines, count * sizeof(*lines));
    switch (
        link_ask(self->link, all, first + count, SCENARIO_ANSWER_MS, &frames)) {
    case LINK_ANSWERED:
        is_whole = frames.count == first + count;
        if (is_whole) {
            put_frames(&frames, first, out);
            self->must_greet = false;
        } else {
            bk_text_put(error, "a line was not answered");
        }
        link_reply_free(&frames);
        return is_whole;
    case LINK_LATE:
        bk_text_put(error, "no answer from the daemon within 2 s");
        return false;
    case LINK_FAILED:
        break;
    }
    bk_text_put(error, link_error(self->link));
    return false;
}

/* Line by line, each by the library where it has a call. */
static bool
carry_by_library(struct self *self, const char *const *lines, size_t count,
                 struct bk_text *out, struct bk_text *error)
{
    for (size_t i = 0; i < count; i++) {
        bool is_repeated = i + 1 < count && strcmp(lines[i], lines[i + 1]) == 0;
        size_t before = out->len;
        if (i > 0) {
            bk_text_put_char(out, '\n');
        }
        switch (
            scenario_worker_carry(self->worker, lines[i], is_repeated, out)) {
        case SCENARIO_CARRIED:
            break;
        case SCENARIO_NO_CALL:
            atomic_fetch_add(&self->part->ways->by_line, 1);
            if (!send_lines(self, &lines[i], 1, out, error)) {
                return false;
            }
            break;
        case SCENARIO_ASTRAY:
            bk_text_put(error, out->at + before + (i > 0));
            return false;
        }
    }
    return true;
}

static void
carry(struct self *self, char *text)
{
    const char *lines[BK_LINES_MAX];
    char words[200];
    struct bk_text error;
    struct bk_text out;
    size_t count = split(text, lines);
    bk_text_init(&error, words, sizeof(words));
    bk_text_init(&out, self->reply, PACKET_SIZE);
    bk_text_put_char(&out, '+');
    bool is_done = self->worker == NULL
                       ? send_lines(self, lines, count, &out, &error)
                       : carry_by_library(self, lines, count, &out, &error);
    if (!is_done) {
        say(self, '-', words);
    } else if (out.is_cut) {
        say(self, '-', "the answer is too long");
    } else {
        (void)send(self->fd, out.at, out.len, MSG_NOSIGNAL);
    }
}

static void
tell_all(struct self *self)
{
    char words[200];
    struct bk_text error;
    bk_text_init(&error, words, sizeof(words));
    if (self->worker == NULL ||
        scenario_worker_tell_all(self->worker, &error)) {
        say(self, '+', "");
    } else {
        say(self, '-', words);
    }
}

static bool
attach(struct self *self, struct bk_text *error)
{
    link_close(&self->link);
    self->link = link_open(self->part->socket_path);
    self->must_greet = self->part->is_worker;
    if (self->link == NULL) {
        bk_text_put(error, "cannot connect");
        return false;
    }
    return self->worker == NULL ||
           scenario_worker_await(self->worker, SCENARIO_ANSWER_MS, error);
}

static void
reattach(struct self *self)
{
    char words[200];
    struct bk_text error;
    bk_text_init(&error, words, sizeof(words));
    if (attach(self, &error)) {
        say(self, '+', "");
    } else {
        say(self, '-', words);
    }
}

static bool
begin(struct self *self, struct bk_text *error)
{
    const struct scenario_part *part = self->part;
    self->packet = malloc(PACKET_SIZE);
    self->reply = malloc(PACKET_SIZE);
    if (self->packet == NULL || self->reply == NULL) {
        return false;
    }
    if (part->library_dir != NULL) {
        self->worker = scenario_worker_open(part->library_dir, part->name,
                                            part->ways, error);
        if (self->worker == NULL) {
            return false;
        }
    }
    return attach(self, error);
}

static _Noreturn void
live(struct self *self)
{
    char words[200];
    struct bk_text error;
    bk_text_init(&error, words, sizeof(words));
    if (!begin(self, &error)) {
        fprintf(stderr, "breaker-scenario: %s: %s\n", self->part->name, words);
        _exit(1);
    }
    for (;;) {
        ssize_t got = recv(self->fd, self->packet, PACKET_SIZE - 1, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            _exit(0);
        }
        self->packet[got] = '\0';
        if (self->packet[0] == 'A') {
            carry(self, self->packet + 1);
        } else if (self->packet[0] == 'T') {
            tell_all(self);
        } else {
            reattach(self);
        }
    }
}

static _Noreturn void
become(int fd, const struct scenario_part *part, pid_t player)
{
    struct self self = {.part = part, .fd = fd};
    /* Ctrl-C reaches the whole group; the player ends its actors itself. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != player) {
        _exit(1);
    }
    /* Ends of other actors' pairs would keep them alive. */
    close_range(3, (unsigned)fd - 1, 0);
    close_range((unsigned)fd + 1, ~0U, 0);
    live(&self);
}

/* ---- in the player ---- */

bool
scenario_actor_start(struct scenario_actor *actor,
                     const struct scenario_part *part, struct bk_text *error)
{
    int pair[2];
    pid_t player = getpid();
    *actor = (struct scenario_actor){.name = part->name, .fd = -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        bk_text_put(error, "cannot make a pair of sockets: ");
        bk_text_put(error, strerror(errno));
        return false;
    }
    fflush(NULL);
    actor->pid = fork();
    if (actor->pid == 0) {
        become(pair[1], part, player);
    }
    close(pair[1]);
    actor->fd = pair[0];
    if (actor->pid < 0) {
        actor->pid = 0;
        bk_text_put(error, "cannot start a process: ");
        bk_text_put(error, strerror(errno));
        scenario_actor_kill(actor);
        return false;
    }
    return true;
}

static int64_t
clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits for the packet that answers; its text goes to `out`. */
static bool
hear(struct scenario_actor *actor, struct bk_text *out, struct bk_text *error)
{
    int64_t end_ms = clock_ms() + STUCK_MS;
    struct pollfd item = {.fd = actor->fd, .events = POLLIN};
    int ready = 0;
    do {
        int64_t left_ms = end_ms - clock_ms();
        ready = poll(&item, 1, left_ms > 0 ? (int)left_ms : 0);
    } while (ready < 0 && errno == EINTR && scenario_signal_came() == 0);
    if (ready <= 0) {
        bk_text_put(error,
                    ready == 0 ? "an actor's process is stuck" : "interrupted");
        return false;
    }
    char *packet = malloc(PACKET_SIZE);
    ssize_t got = packet == NULL ? -1 : recv(actor->fd, packet, PACKET_SIZE, 0);
    bool is_good = got > 0 && packet[0] == '+';
    if (got > 0) {
        bk_text_put_n(is_good ? out : error, packet + 1, (size_t)got - 1);
    } else {
        bk_text_put(error, "an actor's process ended by itself");
    }
    free(packet);
    return is_good;
}

static bool
tell(struct scenario_actor *actor, char letter, const char *text,
     struct bk_text *out, struct bk_text *error)
{
    struct iovec parts[] = {{&letter, 1}, {NULL, strlen(text)}};
    struct msghdr packet = {.msg_iov = parts, .msg_iovlen = 2};
    char *copy = strdup(text);
    parts[1].iov_base = copy;
    ssize_t sent =
        copy == NULL ? -1 : sendmsg(actor->fd, &packet, MSG_NOSIGNAL);
    free(copy);
    if (sent < 0) {
        bk_text_put(error, "cannot tell an actor's process: ");
        bk_text_put(error, strerror(errno));
        return false;
    }
    return hear(actor, out, error);
}

bool
scenario_actor_ask(struct scenario_actor *actor, const char *lines,
                   struct bk_text *answers, struct bk_text *error)
{
    return tell(actor, 'A', lines, answers, error);
}

static bool
order(struct scenario_actor *actor, char letter, struct bk_text *error)
{
    char nothing[1];
    struct bk_text out;
    bk_text_init(&out, nothing, sizeof(nothing));
    return tell(actor, letter, "", &out, error);
}

bool
scenario_actor_reconnect(struct scenario_actor *actor, struct bk_text *error)
{
    return order(actor, 'R', error);
}

bool
scenario_actor_tell_all(struct scenario_actor *actor, struct bk_text *error)
{
    return order(actor, 'T', error);
}

void
scenario_actor_kill(struct scenario_actor *actor)
{
    if (actor->fd >= 0) {
        close(actor->fd);
        actor->fd = -1;
    }
    if (actor->pid > 0) {
        kill(actor->pid, SIGKILL);
        while (waitpid(actor->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        actor->pid = 0;
    }
}
