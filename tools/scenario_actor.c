/* SPDX-License-Identifier: Apache-2.0
 *
 * Both sides of the pair. A packet to the actor is a letter and text: A and lines
 * to send, R to connect anew. Back come + and the answers, or - and a sentence.
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
    const char *name;
    const char *socket_path;
    int fd;
    bool must_greet;
    bool is_worker;
    struct link *link;
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
say_frames(const struct self *self, const struct link_reply *frames,
           size_t first)
{
    struct bk_text out;
    bk_text_init(&out, self->reply, PACKET_SIZE);
    bk_text_put_char(&out, '+');
    for (size_t i = first; i < frames->count; i++) {
        if (i > first) {
            bk_text_put_char(&out, '\n');
        }
        bk_text_put(&out, frames->frames[i]);
    }
    if (out.is_cut) {
        say(self, '-', "the answer is too long");
        return;
    }
    (void)send(self->fd, out.at, out.len, MSG_NOSIGNAL);
}

/* Splits the lines in place, behind a greeting where one is due. */
static size_t
split(struct self *self, char *text, const char *hello, const char **lines)
{
    size_t count = 0;
    char *rest = NULL;
    if (self->must_greet) {
        lines[count++] = hello;
    }
    for (char *line = strtok_r(text, "\n", &rest);
         line != NULL && count < BK_LINES_MAX;
         line = strtok_r(NULL, "\n", &rest)) {
        lines[count++] = line;
    }
    return count;
}

static void
carry(struct self *self, char *text)
{
    const char *lines[BK_LINES_MAX];
    char hello[80];
    struct link_reply frames = {0};
    snprintf(hello, sizeof(hello), "HELLO %d %s %d", BK_PROTOCOL, self->name,
             (int)getpid());
    size_t count = split(self, text, hello, lines);
    switch (link_ask(self->link, lines, count, SCENARIO_ANSWER_MS, &frames)) {
    case LINK_ANSWERED:
        if (frames.count == count) {
            say_frames(self, &frames, self->must_greet ? 1 : 0);
            self->must_greet = false;
        } else {
            say(self, '-', "a line was not answered");
        }
        link_reply_free(&frames);
        break;
    case LINK_LATE:
        say(self, '-', "no answer from the daemon within 2 s");
        break;
    case LINK_FAILED:
        say(self, '-', link_error(self->link));
        break;
    }
}

static bool
attach(struct self *self)
{
    link_close(&self->link);
    self->link = link_open(self->socket_path);
    self->must_greet = self->is_worker;
    return self->link != NULL;
}

static _Noreturn void
live(struct self *self)
{
    self->packet = malloc(PACKET_SIZE);
    self->reply = malloc(PACKET_SIZE);
    if (self->packet == NULL || self->reply == NULL || !attach(self)) {
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
        } else if (attach(self)) {
            say(self, '+', "");
        } else {
            say(self, '-', "cannot connect anew");
        }
    }
}

static _Noreturn void
become(int fd, const char *name, const char *socket_path, bool is_worker,
       pid_t player)
{
    struct self self = {.name = name,
                        .socket_path = socket_path,
                        .fd = fd,
                        .is_worker = is_worker};
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
scenario_actor_start(struct scenario_actor *actor, const char *name,
                     const char *socket_path, bool is_worker,
                     struct bk_text *error)
{
    int pair[2];
    pid_t player = getpid();
    *actor = (struct scenario_actor){.name = name, .fd = -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        bk_text_put(error, "cannot make a pair of sockets: ");
        bk_text_put(error, strerror(errno));
        return false;
    }
    fflush(NULL);
    actor->pid = fork();
    if (actor->pid == 0) {
        become(pair[1], name, socket_path, is_worker, player);
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

bool
scenario_actor_reconnect(struct scenario_actor *actor, struct bk_text *error)
{
    char nothing[1];
    struct bk_text out;
    bk_text_init(&out, nothing, sizeof(nothing));
    return tell(actor, 'R', "", &out, error);
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
