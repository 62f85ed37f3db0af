/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/arena.h"
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t
round_up(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

static size_t
in_pages(size_t bytes)
{
    return round_up(bytes, (size_t)sysconf(_SC_PAGESIZE));
}

size_t
arena_to_large(const void *at)
{
    return round_up((uintptr_t)at, ARENA_LARGE_PAGE) - (uintptr_t)at;
}

/* What is mapped before and behind it, to have it on a large page, goes back. */
void *
arena_open(size_t bytes)
{
    size_t wanted = in_pages(bytes);
    char *map = mmap(NULL, wanted + ARENA_LARGE_PAGE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) {
        return NULL;
    }
    size_t before = arena_to_large(map);
    if (before > 0) {
        (void)munmap(map, before);
    }
    if (before < ARENA_LARGE_PAGE) {
        (void)munmap(map + before + wanted, ARENA_LARGE_PAGE - before);
    }
    return map + before;
}

void
arena_close(void *arena, size_t bytes)
{
    if (arena != NULL) {
        (void)munmap(arena, in_pages(bytes));
    }
}

void
arena_prefer_large(void *at, size_t bytes)
{
    size_t over = (uintptr_t)at % (size_t)sysconf(_SC_PAGESIZE);
    (void)madvise((char *)at - over, bytes + over, MADV_HUGEPAGE);
}
