/* SPDX-License-Identifier: Apache-2.0
 *
 * Measures breakerd beside its floors and its peers. */
#define _GNU_SOURCE
#include "tools/bench/bench_process.h"
#include "tools/bench/bench_tell.h"
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

bool
bench_fail(struct bench *b, const char *why, const char *more)
{
    char said[BENCH_WHY_SIZE];

    snprintf(said, sizeof said, "%.150s%.100s", why, more);
    memcpy(b->why, said, sizeof b->why);
    return false;
}

struct bench_daemon *
bench_get_daemon(struct bench *b, enum bench_daemons which)
{
    static const char *const names[BENCH_DAEMONS] = {"small", "big", "crowd"};
    struct bench_daemon *d = &b->daemons[which];
    unsigned services = which == BENCH_BIG ? BENCH_SERVICES + 100 : 0;
    struct player_told told;
    struct peer dealer = {0};
    struct peer_plan plan = {
        .program = "dealer", .args = {d->endpoint}, .core = PROCESS_ANY_CORE};
    bool is_made;

    if (process_is_alive(d->pid))
        return d;
    if (!daemon_prepare(b, d, names[which], services) || !daemon_start(b, d))
        return NULL;
    if (which != BENCH_BIG)
        return d;
    is_made = peer_start(b, &dealer, &plan) &&
              peer_ask(b, &dealer, "make", BENCH_SERVICES, NULL, &told);
    peer_stop(&dealer);
    return is_made ? d : NULL;
}

/* ---- rows ---- */

static bool
is_chosen(const struct bench *b, const struct bench_row *row)
{
    if (b->options.is_quick && row->is_long && b->options.rows == NULL &&
        b->options.docs == NULL)
        return false;
    return options_choose(&b->options, row->name);
}

static bool
run_row(struct bench *b, const struct bench_row *row)
{
    size_t before = b->results.line_count;
    bool is_done;

    b->row = row->name;
    b->why[0] = '\0';
    is_done = row->run(b);
    if (!is_done && process_interrupted() == 0)
        result_failure(b, b->why);
    if (!b->options.is_json && b->results.line_count > before)
        tell_row(b, row, stdout);
    fflush(stdout);
    return is_done;
}

int
bench_run(struct bench *b)
{
    size_t chosen = 0;
    size_t done = 0;
    int status = 0;

    for (size_t i = 0; i < bench_row_count; i++)
        chosen += is_chosen(b, &bench_rows[i]);
    for (size_t i = 0; i < bench_row_count; i++) {
        if (process_interrupted() != 0)
            return 1;
        if (!is_chosen(b, &bench_rows[i]))
            continue;
        fprintf(stderr, "breaker-bench: %zu of %zu, %s\n", ++done, chosen,
                bench_rows[i].name);
        if (!run_row(b, &bench_rows[i]))
            status = 1;
    }
    return status;
}

/* ---- the place ---- */

static int
remove_one(const char *path, const struct stat *found, int kind,
           struct FTW *where)
{
    (void)found;
    (void)kind;
    (void)where;
    return remove(path);
}

static bool
make_place(char path[BENCH_PATH_SIZE], const char *folder)
{
    snprintf(path, BENCH_PATH_SIZE, "%s/breaker-bench-XXXXXX", folder);
    if (mkdtemp(path) != NULL)
        return true;
    fprintf(stderr, "breaker-bench: no directory under %s: %s\n", folder,
            strerror(errno));
    path[0] = '\0';
    return false;
}

static void
remove_place(const char *path)
{
    if (path[0] != '\0')
        nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static bool
set_up(struct bench *b)
{
    struct rlimit files;
    const char *disk = getenv("TMPDIR");
    ssize_t len = readlink("/proc/self/exe", b->here, sizeof b->here - 1);
    char *slash;

    if (len < 0)
        len = 0;
    b->here[len] = '\0';
    slash = strrchr(b->here, '/');
    if (slash != NULL)
        *slash = '\0';
    /* For a thousand connections on either side. */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (process_cores(b->cores, 2) == 1)
        b->cores[1] = b->cores[0];
    return make_place(b->dir,
                      access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") &&
           make_place(b->disk, disk != NULL ? disk : "/tmp");
}

/* Everything, from where nothing was started to where all is ended. */
static int
run_all(struct bench *b)
{
    int64_t machine_ns = process_machine_ns();
    int64_t own_ns = process_own_ns();
    int64_t began_ns = player_clock_ns();
    int status = set_up(b) ? bench_run(b) : 1;
    double all_ns;

    process_stop_all();
    all_ns = (double)(player_clock_ns() - began_ns) *
             (double)sysconf(_SC_NPROCESSORS_ONLN);
    b->others_pct = 100 *
                    (double)(process_machine_ns() - machine_ns -
                             (process_own_ns() - own_ns)) /
                    all_ns;
    if (b->others_pct < 0)
        b->others_pct = 0;
    return status;
}

static int
finish(struct bench *b, int status)
{
    if (process_interrupted() != 0) {
        fprintf(stderr, "breaker-bench: interrupted\n");
        return 1;
    }
    if (b->options.is_json && !tell_json(b, stdout))
        status = 1;
    if (!b->options.is_json)
        tell_sum(b, stdout);
    if (b->options.docs != NULL && !tell_docs(b))
        status = 1;
    return status;
}

static int
list_rows(void)
{
    for (size_t i = 0; i < bench_row_count; i++)
        printf("%-10s %s\n", bench_rows[i].name, bench_rows[i].title);
    return 0;
}

int
main(int argc, char **argv)
{
    static struct bench b;
    int status = options_read(&b.options, argc, argv);

    if (status >= 0)
        return status;
    if (b.options.is_list)
        return list_rows();
    process_catch_signals();
    status = finish(&b, run_all(&b));
    remove_place(b.dir);
    remove_place(b.disk);
    return status;
}
