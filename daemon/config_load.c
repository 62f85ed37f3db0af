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
    return is_good;
}
