/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics: what Prometheus would scrape, on stdout or into a file for
 * node_exporter's textfile collector, which must never see half of one. */
#define _GNU_SOURCE
#include "tools/ctl_commands.h"
#include "tools/ctl_fetch.h"
#include "tools/ctl_out.h"
#include "tools/metrics.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text += n;
        len -= (size_t)n;
    }
    return true;
}

/* All of it, or a sentence why not. Whoever collects is another user. */
static bool
fill(int fd, const char *path, const char *text, size_t len)
{
    bool is_whole = write_all(fd, text, len) && fchmod(fd, 0644) == 0;
    int number = errno;

    if (close(fd) != 0 && is_whole) {
        is_whole = false;
        number = errno;
    }
    if (!is_whole)
        ctl_say("cannot write %s: %s", path, strerror(number));
    return is_whole;
}

/* Beside the file under another name, then renamed over it. That name does not
 * end in .prom, so the collector does not read it. */
static enum ctl_exit
replace_file(const char *path, const char *text, size_t len)
{
    size_t size = strlen(path) + sizeof ".XXXXXX";
    char *fresh = ctl_memory(NULL, size);
    bool is_done = false;
    int fd;

    (void)snprintf(fresh, size, "%s.XXXXXX", path);
    fd = mkostemp(fresh, O_CLOEXEC);
    if (fd < 0) {
        ctl_say("cannot make a file beside %s: %s", path, strerror(errno));
    } else if (fill(fd, fresh, text, len)) {
        is_done = rename(fresh, path) == 0;
        if (!is_done)
            ctl_say("cannot put %s in place: %s", path, strerror(errno));
    }
    if (fd >= 0 && !is_done)
        (void)unlink(fresh);
    free(fresh);
    return is_done ? CTL_DONE : CTL_FAILED;
}

enum ctl_exit
ctl_metrics(const struct ctl *c, const char *const *words, size_t count)
{
    enum metrics_dialect dialect = METRICS_NATIVE;
    struct view v;
    enum ctl_exit exit;
    char *text;
    size_t len;

    (void)words;
    (void)count;
    if (c->compat != NULL && !metrics_dialect_parse(c->compat, &dialect)) {
        ctl_say("--compat is resilience4j, not \"%s\"", c->compat);
        return CTL_USAGE;
    }
    exit = fetch_view(c, &v);
    /* breakerd_up 0 is worth knowing, too. */
    text = metrics_text(exit == CTL_DONE ? &v : NULL, dialect, &len);
    if (exit == CTL_DONE)
        view_close(&v);
    if (c->file != NULL) {
        enum ctl_exit written = replace_file(c->file, text, len);

        exit = written == CTL_DONE ? exit : written;
    } else {
        (void)fwrite(text, 1, len, stdout);
    }
    free(text);
    return exit;
}
