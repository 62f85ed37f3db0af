/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config_load.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads up to one octet more than allowed, so that too much can be told. */
static ssize_t
read_octets(int fd, char *to)
{
    size_t len = 0;

    while (len < BK_CONFIG_FILE_MAX + 1) {
        ssize_t got = read(fd, to + len, BK_CONFIG_FILE_MAX + 1 - len);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        len += (size_t)got;
    }
    return (ssize_t)len;
}

static bool
refuse(const char *path, const char *why, const char *because,
       struct bk_text *error)
{
    bk_text_put(error, path);
    bk_text_put(error, ": ");
    bk_text_put(error, why);
    bk_text_put(error, because);
    return false;
}

static bool
load(struct bk_config_file *f, const char *path, int fd, struct bk_text *error)
{
    struct stat st;
    char *octets;
    ssize_t len;
    bool is_good;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return refuse(path, "is not a regular file", "", error);
    octets = malloc(BK_CONFIG_FILE_MAX + 1);
    if (octets == NULL)
        return refuse(path, "out of memory", "", error);
    len = read_octets(fd, octets);
    is_good = len < 0
                  ? refuse(path, "cannot read: ", strerror(errno), error)
                  : bk_config_file_read(f, path, octets, (size_t)len, error);
    free(octets);
    return is_good;
}

/* ---- addresses of webhooks that stand in files of their own ---- */

/* Of a file that holds one line. -1: cannot be read, errno says why. */
static ssize_t
read_line(const char *path, char *to, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t len = fd < 0 ? -1 : read(fd, to, size);

    if (fd >= 0)
        (void)close(fd);
    while (len > 0 && strchr(" \t\r\n", to[len - 1]) != NULL)
        len--;
    return len;
}

static bool
refuse_webhook(const struct bk_webhook *w, const char *path, const char *why,
               const char *because, struct bk_text *error)
{
    bk_text_put(error, path);
    bk_text_put_char(error, ':');
    bk_text_put_u64(error, w->line);
    bk_text_put(error, ": [webhook ");
    bk_text_put(error, w->name);
    return refuse("] url_file", why, because, error);
}

static bool
load_webhook(struct bk_webhook *w, const char *path, struct bk_text *error)
{
    char url[BK_WEBHOOK_URL_SIZE + 2]; /* too much can be told */
    ssize_t len;

    if (w->url_file[0] == '\0')
        return true;
    len = read_line(w->url_file, url, sizeof url);
    if (len < 0)
        return refuse_webhook(w, path, "cannot be read: ", strerror(errno),
                              error);
    if (!bk_webhook_takes_url(url, (size_t)len))
        return refuse_webhook(
            w, path, "does not hold an http:// or https:// address alone", "",
            error);
    bk_copy_text(w->url, sizeof w->url, url, (size_t)len);
    return true;
}

bool
config_load(struct bk_config_file *f, const char *path, struct bk_text *error)
{
    /* Not blocking: somebody may have put a fifo there. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool is_good;

    if (fd < 0)
        return refuse(path, "cannot open: ", strerror(errno), error);
    is_good = load(f, path, fd, error);
    (void)close(fd);
    for (uint32_t i = 0; is_good && i < f->webhook_count; i++)
        is_good = load_webhook(&f->webhooks[i], path, error);
    return is_good;
}
