/* SPDX-License-Identifier: Apache-2.0
 *
 * What /proc tells of the daemon. */
#include "tools/metrics_family.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_SIZE 64
/* Fields of /proc/PID/stat behind the name, from the state (0) on. */
#define UTIME 11
#define STIME 12
#define STARTTIME 19
#define VSIZE 20
#define RSS 21

static bool
read_file(uint64_t pid, const char *name, char *out, size_t size)
{
    char path[PATH_SIZE];
    FILE *f;
    size_t n;

    (void)snprintf(path, sizeof path, "/proc/%llu/%s", (unsigned long long)pid,
                   name);
    f = fopen(path, "re");
    if (f == NULL)
        return false;
    n = fread(out, 1, size - 1, f);
    (void)fclose(f);
    out[n] = '\0';
    return n > 0;
}

/* The name may hold spaces and parentheses: the last one ends it. */
static void
read_stat(uint64_t pid, struct metrics_process *out)
{
    char text[1024];
    long long fields[RSS + 1] = {0};
    const int64_t ticks = sysconf(_SC_CLK_TCK);
    char *at;

    if (!read_file(pid, "stat", text, sizeof text))
        return;
    at = strrchr(text, ')');
    if (at == NULL || strlen(at) < 4)
        return;
    at += 3; /* the state is a letter */
    for (int i = 1; i <= RSS; i++)
        fields[i] = strtoll(at + 1, &at, 10);
    out->is_known = true;
    out->cpu_us = (fields[UTIME] + fields[STIME]) * 1000000 / ticks;
    out->started_us = fields[STARTTIME] * 1000000 / ticks;
    out->virtual_bytes = fields[VSIZE];
    out->resident_bytes = fields[RSS] * sysconf(_SC_PAGESIZE);
}

static int64_t
count_fds(uint64_t pid)
{
    char path[PATH_SIZE];
    int64_t count = 0;
    DIR *dir;

    (void)snprintf(path, sizeof path, "/proc/%llu/fd", (unsigned long long)pid);
    dir = opendir(path);
    if (dir == NULL)
        return METRICS_NONE;
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
        count += e->d_name[0] != '.';
    (void)closedir(dir);
    return count;
}

static int64_t
read_max_fds(uint64_t pid)
{
    static const char key[] = "Max open files";
    char text[4096];
    const char *at = NULL;

    if (read_file(pid, "limits", text, sizeof text))
        at = strstr(text, key);
    return at != NULL ? strtoll(at + sizeof key - 1, NULL, 10) : METRICS_NONE;
}

void
metrics_process_read(uint64_t pid, struct metrics_process *out)
{
    *out = (struct metrics_process){0};
    read_stat(pid, out);
    out->open_fds = count_fds(pid);
    out->max_fds = read_max_fds(pid);
}
