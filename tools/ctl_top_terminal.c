/* SPDX-License-Identifier: Apache-2.0
 *
 * Signals only leave a mark and wake the wait: all that is done to the terminal is
 * done there, or at the exit of the program. */
#define _GNU_SOURCE
#include "tools/ctl_top_terminal.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Another screen, no cursor; and both undone. */
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[0m\033[?25h\033[?1049l"
/* A terminal that takes nothing for so long is gone. */
#define PATIENCE_MS 2000

static const int signals[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT,
                              SIGTSTP, SIGCONT, SIGWINCH};

static volatile sig_atomic_t marks[NSIG];
static int bell[2] = {-1, -1};
static struct termios before;
static bool is_taken;
static bool is_stuck; /* it takes no more octets */

static void
mark(int signal)
{
    int kept = errno;
    ssize_t written;

    marks[signal] = 1;
    written = write(bell[1], "", 1); /* full: it is readable already */
    (void)written;
    errno = kept;
}

/* Takes a mark away. */
static bool
came(int signal)
{
    bool is_marked = marks[signal] != 0;

    marks[signal] = 0;
    return is_marked;
}

/* All of it, or what a terminal that hangs takes within the time. */
static void
send(const char *octets, size_t len)
{
    while (len > 0 && !is_stuck) {
        struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
        ssize_t some;

        if (poll(&out, 1, PATIENCE_MS) == 0) {
            is_stuck = true;
            return;
        }
        some = write(STDOUT_FILENO, octets, len);
        if (some < 0 && errno != EINTR && errno != EAGAIN) {
            is_stuck = true;
            return;
        }
        if (some > 0) {
            octets += some;
            len -= (size_t)some;
        }
    }
}

static void
take(void)
{
    struct termios raw = before;

    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_iflag &= ~(tcflag_t)(ICRNL | IXON);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    send(ENTER, strlen(ENTER));
    is_taken = true;
}

static void
give_back(void)
{
    if (!is_taken)
        return;
    is_taken = false;
    send(LEAVE, strlen(LEAVE));
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

bool
terminal_open(void)
{
    struct sigaction action = {.sa_handler = mark};

    if (tcgetattr(STDIN_FILENO, &before) != 0 ||
        pipe2(bell, O_CLOEXEC | O_NONBLOCK) != 0 || atexit(give_back) != 0)
        return false;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        if (sigaction(signals[i], &action, NULL) != 0)
            return false;
    }
    take();
    return true;
}

void
terminal_close(void)
{
    give_back();
}

void
terminal_size(size_t *lines, size_t *columns)
{
    struct winsize size;

    *lines = 24;
    *columns = 80;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
        return;
    if (size.ws_row > 0)
        *lines = size.ws_row;
    if (size.ws_col > 0)
        *columns = size.ws_col;
}

struct octets {
    char *at;
    size_t len;
    size_t room;
};

static void
add(struct octets *o, const char *text, size_t len)
{
    if (o->len + len > o->room) {
        o->room = 2 * o->room + len + 4096;
        o->at = ctl_memory(o->at, o->room);
    }
    memcpy(o->at + o->len, text, len);
    o->len += len;
}

static void
add_text(struct octets *o, const char *text)
{
    add(o, text, strlen(text));
}

static void
add_line(struct octets *o, const struct top_line *line)
{
    const char *colour = ctl_colour(line->paint);

    if (line->is_marked)
        add_text(o, "\033[7m");
    add(o, line->text, line->painted);
    if (line->painted_end > line->painted && colour[0] != '\0') {
        add_text(o, colour);
        add(o, line->text + line->painted, line->painted_end - line->painted);
        add_text(o, "\033[0m");
        if (line->is_marked)
            add_text(o, "\033[7m");
    } else {
        add(o, line->text + line->painted, line->painted_end - line->painted);
    }
    add(o, line->text + line->painted_end, line->len - line->painted_end);
    add_text(o, line->is_marked ? "\033[0m\033[K" : "\033[K");
}

void
terminal_show(const struct top_page *page)
{
    struct octets o = {0};

    add_text(&o, "\033[H");
    for (size_t i = 0; i < page->count; i++) {
        if (i > 0)
            add_text(&o, "\r\n");
        add_line(&o, &page->lines[i]);
    }
    add_text(&o, "\033[J");
    send(o.at, o.len);
    free(o.at);
}

/* As any program would stop, and on from there when we may. */
static void
stop(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    struct sigaction ours;
    sigset_t tstp;

    give_back();
    sigemptyset(&action.sa_mask);
    sigemptyset(&tstp);
    sigaddset(&tstp, SIGTSTP);
    (void)sigaction(SIGTSTP, &action, &ours);
    (void)raise(SIGTSTP);
    (void)sigaction(SIGTSTP, &ours, NULL);
    take();
    (void)came(SIGCONT);
}

/* What the marks say; QUIET when there is none of interest. */
static enum terminal_news
hear(void)
{
    char rest[64];

    while (read(bell[0], rest, sizeof rest) > 0)
        continue;
    if (marks[SIGTERM] != 0 || marks[SIGHUP] != 0 || marks[SIGQUIT] != 0)
        return TERMINAL_GONE;
    if (came(SIGINT))
        return TERMINAL_END;
    if (came(SIGTSTP)) {
        stop();
        return TERMINAL_CHANGED;
    }
    if (came(SIGCONT)) {
        take(); /* who stopped us may have used the terminal */
        return TERMINAL_CHANGED;
    }
    return came(SIGWINCH) ? TERMINAL_CHANGED : TERMINAL_QUIET;
}

enum terminal_news
terminal_wait(int64_t wait_ns, char *octets, size_t size, size_t *len)
{
    struct pollfd items[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                             {.fd = bell[0], .events = POLLIN}};
    int ready = poll(items, 2, wait_ns > 0 ? (int)bk_ms_up(wait_ns) : 0);
    enum terminal_news news;
    ssize_t got;

    *len = 0;
    news = hear();
    if (news != TERMINAL_QUIET)
        return news;
    if (is_stuck)
        return TERMINAL_GONE;
    if (ready <= 0 || items[0].revents == 0)
        return TERMINAL_QUIET;
    got = read(STDIN_FILENO, octets, size);
    if (got > 0) {
        *len = (size_t)got;
        return TERMINAL_KEYS;
    }
    return got < 0 && (errno == EINTR || errno == EAGAIN) ? TERMINAL_QUIET
                                                          : TERMINAL_GONE;
}

void
terminal_obey(void)
{
    static const int ends[] = {SIGTERM, SIGHUP, SIGQUIT};

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (marks[ends[i]] != 0) {
            (void)signal(ends[i], SIG_DFL);
            (void)raise(ends[i]);
        }
    }
}
