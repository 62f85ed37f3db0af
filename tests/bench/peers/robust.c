/* SPDX-License-Identifier: Apache-2.0
 *
 * A breaker that processes share by hand: the machine in a mapped file, behind a
 * robust process-shared mutex.
 *
 *   robust FILE */
#define _GNU_SOURCE
#include "machine.h"
#include "tools/bench/bench_player.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAUSE_NS 100000

static struct shared {
    pthread_mutex_t lock;
    struct machine machine;
} * breaker;

/* Who comes first makes it. */
static bool
attach(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct stat found;
    pthread_mutexattr_t how;

    if (fd < 0 || flock(fd, LOCK_EX) != 0 || fstat(fd, &found) != 0 ||
        ftruncate(fd, sizeof *breaker) != 0)
        return false;
    breaker =
        mmap(NULL, sizeof *breaker, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (breaker == MAP_FAILED)
        return false;
    if (found.st_size == 0) {
        pthread_mutexattr_init(&how);
        pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
        pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST);
        pthread_mutex_init(&breaker->lock, &how);
    }
    /* The mapping would keep it. */
    flock(fd, LOCK_UN);
    close(fd);
    return true;
}

static bool
take(void)
{
    int error = pthread_mutex_lock(&breaker->lock);

    /* What its last holder left is whole or not: nobody can tell. */
    if (error == EOWNERDEAD)
        error = pthread_mutex_consistent(&breaker->lock);
    return error == 0;
}

static __attribute__((noinline)) bool
guard(void)
{
    int64_t before_ns = player_clock_ns();
    uint64_t generation = 0;
    bool is_allowed = false;
    int64_t after_ns;

    if (take()) {
        is_allowed = machine_allow(&breaker->machine, before_ns, &generation);
        pthread_mutex_unlock(&breaker->lock);
    }
    after_ns = player_clock_ns();
    if (is_allowed && take()) {
        machine_report(&breaker->machine, true, after_ns, after_ns - before_ns,
                       generation);
        pthread_mutex_unlock(&breaker->lock);
    }
    return is_allowed;
}

/* guard COUNT [BURST]: one call after the other, or in bursts with pauses, which are
 * neither time nor processor time then. */
static bool
play_guard(const struct player_order *order, struct player_told *told)
{
    uint64_t burst = player_number(order, 0, order->count);
    uint64_t done = 0;
    int64_t cpu_ns = 0;
    int64_t ns = 0;

    player_begin(told);
    while (done < order->count) {
        int64_t began_cpu_ns = player_thread_cpu_ns();
        int64_t began_ns = player_clock_ns();

        for (uint64_t i = 0; i < burst; i++) {
            if (!guard())
                return player_fail(told, "it is open");
        }
        ns += player_clock_ns() - began_ns;
        cpu_ns += player_thread_cpu_ns() - began_cpu_ns;
        done += burst;
        if (burst < order->count)
            player_pause_ns(PAUSE_NS);
    }
    player_end(told, done);
    told->ns = ns;
    told->cpu_ns = cpu_ns;
    return true;
}

int
main(int argc, char **argv)
{
    static const struct player_row rows[] = {{"guard", play_guard}};

    if (argc != 2 || !attach(argv[1])) {
        fprintf(stderr, "robust: %s\n",
                argc != 2 ? "usage: robust FILE" : strerror(errno));
        return 1;
    }
    return player_serve(rows, sizeof rows / sizeof rows[0]);
}
