/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/log.h"
#include "daemon/clock.h"
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* Octets of a line; what is longer is cut. */
#define LINE_SIZE 1024
#define NAME "breakerd: "

static struct {
    pthread_mutex_t mutex;
    enum log_level level;
    int64_t second;    /* the one `lines` counts in */
    unsigned lines;    /* written in it */
    unsigned left_out; /* since the last line that was written */
} log_state = {.mutex = PTHREAD_MUTEX_INITIALIZER, .level = LOG_INFO};

/* One write a line, so that lines of several threads and processes do not mix.
 * Nobody is left to be told when stderr cannot be written. */
static void
put_out(const char *line, size_t len)
{
    ssize_t done;

    do {
        done = write(STDERR_FILENO, line, len);
    } while (done < 0 && errno == EINTR);
}

/* Names and reasons come from outside: one message is one line, and a terminal
 * shows it as text whatever was in it. */
static void
disarm(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c < 0x20 || c == 0x7f)
            text[i] = '?';
    }
}

/* Says how many lines are missing; the mutex is held. */
static void
tell_left_out(void)
{
    char line[LINE_SIZE];
    int len = snprintf(line, sizeof line,
                       NAME "%u lines left out (over %d in one second)\n",
                       log_state.left_out, LOG_LINES_PER_SECOND);

    log_state.left_out = 0;
    if (len > 0)
        put_out(line, (size_t)len);
}

/* True when this second has room for one more line; the mutex is held. */
static int
has_room(void)
{
    int64_t second = clock_mono_ns() / 1000000000;

    if (second != log_state.second) {
        log_state.second = second;
        log_state.lines = 0;
        if (log_state.left_out > 0)
            tell_left_out();
    }
    if (log_state.lines >= LOG_LINES_PER_SECOND) {
        log_state.left_out++;
        return 0;
    }
    log_state.lines++;
    return 1;
}

void
log_set_level(enum log_level level)
{
    (void)pthread_mutex_lock(&log_state.mutex);
    log_state.level = level;
    (void)pthread_mutex_unlock(&log_state.mutex);
}

void
log_line(enum log_level level, const char *format, ...)
{
    const size_t start = sizeof NAME - 1;
    char line[LINE_SIZE] = NAME;
    size_t len = start;
    va_list args;
    int put;

    va_start(args, format);
    put = vsnprintf(line + start, sizeof line - start, format, args);
    va_end(args);
    if (put > 0)
        len += (size_t)put;
    if (len > sizeof line - 2)
        len = sizeof line - 2;
    disarm(line, len);
    line[len++] = '\n';

    (void)pthread_mutex_lock(&log_state.mutex);
    if (level <= log_state.level && has_room())
        put_out(line, len);
    (void)pthread_mutex_unlock(&log_state.mutex);
}
