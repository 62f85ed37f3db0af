/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/scenario_segment.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool
scenario_segment_open(struct scenario_segment *s, const char *dir)
{
    char path[PATH_MAX];
    struct stat found;
    *s = (struct scenario_segment){.base = MAP_FAILED};
    snprintf(path, sizeof(path), "%s/breakerd.shm", dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    if (fstat(fd, &found) == 0) {
        s->bytes = (size_t)found.st_size;
        s->base = mmap(NULL, s->bytes, PROT_READ, MAP_SHARED, fd, 0);
    }
    close(fd);
    if (s->base != MAP_FAILED &&
        bk_segment_attach(&s->map, s->base, s->bytes) == NULL) {
        return true;
    }
    scenario_segment_close(s);
    return false;
}

void
scenario_segment_close(struct scenario_segment *s)
{
    if (s->base != MAP_FAILED) {
        munmap(s->base, s->bytes);
        s->base = MAP_FAILED;
    }
}
