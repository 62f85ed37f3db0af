/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/trust.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define BOOT_ID_LEN 36

/* Whoever can write the file can make us believe anything, so it must be one
 * that only the directory's owner (or root) could have put there. */
const char *
trust_file(const struct stat *file, const struct stat *dir)
{
    if (!S_ISREG(file->st_mode))
        return " is no regular file";
    if (file->st_uid != dir->st_uid && file->st_uid != 0)
        return " does not belong to its directory's owner";
    if ((file->st_mode & 022) != 0)
        return " may be written by others than its owner";
    if (file->st_nlink != 1)
        return " has another name elsewhere";
    if (file->st_size < (off_t)sizeof(struct bk_segment_header))
        return " is too short to be a segment";
    return NULL;
}

static bool
is_of_this_boot(const struct bk_segment_header *header)
{
    char ours[BOOT_ID_LEN];
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got;

    if (fd < 0)
        return true;
    do
        got = read(fd, ours, sizeof ours);
    while (got < 0 && errno == EINTR);
    (void)close(fd);
    return got != (ssize_t)sizeof ours ||
           memcmp(ours, header->boot_id, sizeof ours) == 0;
}

/* Deadlines in the segment are on the daemon's clocks; a time namespace shifts
 * ours. */
static bool
is_of_our_time(const struct bk_segment_header *header)
{
    struct stat st;

    return header->time_namespace == 0 || stat("/proc/self/ns/time", &st) < 0 ||
           st.st_ino == header->time_namespace;
}

enum cause_code
trust_header(const struct bk_segment_header *header, const char **why)
{
    uint64_t phase = atomic_load_explicit(&header->phase, memory_order_acquire);

    if (phase != BK_SEGMENT_RUNNING && phase != BK_SEGMENT_STOPPED) {
        *why = " is being laid out or replaced";
        return CAUSE_SEGMENT_BLANK;
    }
    if (!is_of_this_boot(header)) {
        *why = " is left over from before the last boot";
        return CAUSE_OTHER_BOOT;
    }
    if (!is_of_our_time(header)) {
        *why = " was made in another time namespace";
        return CAUSE_TIME_NAMESPACE;
    }
    return CAUSE_NONE;
}
