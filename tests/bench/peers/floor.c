/* SPDX-License-Identifier: Apache-2.0
 *
 * What nothing can be faster than: a load, the clocks, a record stored, and one
 * process waking another. */
#define _GNU_SOURCE
#include "tools/bench/bench_player.h"
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_MAX 100000
#define RING_RECORDS 256
#define RECORD_WORDS 8
#define PAUSE_NS 100000

static bool
play_load(const struct player_order *order, struct player_told *told)
{
    static _Atomic uint64_t word;
    uint64_t sum = 0;

    player_begin(told);
    for (uint64_t i = 0; i < order->count; i++)
        sum += atomic_load_explicit(&word, memory_order_acquire);
    player_end(told, order->count);
    return sum == 0;
}

static bool
play_clock(const struct player_order *order, struct player_told *told)
{
    bool is_coarse = player_number(order, 0, 0) != 0;
    clockid_t id = is_coarse ? CLOCK_MONOTONIC_COARSE : CLOCK_MONOTONIC;
    struct timespec t;

    player_begin(told);
    for (uint64_t i = 0; i < order->count; i++)
        clock_gettime(id, &t);
    player_end(told, order->count);
    return true;
}

/* Records of a cache line into a ring, each made visible with a release: in
 * bursts that fit, as a worker's reports come. */
static bool
play_store(const struct player_order *order, struct player_told *told)
{
    static _Alignas(64) _Atomic uint64_t ring[RING_RECORDS][RECORD_WORDS];
    static _Alignas(64) _Atomic uint64_t head;
    uint64_t burst = player_number(order, 0, 200);
    uint64_t at = 0;
    int64_t ns = 0;

    player_begin(told);
    for (uint64_t done = 0; done < order->count; done += burst) {
        int64_t began_ns = player_clock_ns();

        for (uint64_t i = 0; i < burst; i++) {
            for (size_t word = 0; word < RECORD_WORDS; word++)
                atomic_store_explicit(&ring[at % RING_RECORDS][word], at + word,
                                      memory_order_relaxed);
            atomic_store_explicit(&head, ++at, memory_order_release);
        }
        ns += player_clock_ns() - began_ns;
        player_pause_ns(PAUSE_NS);
    }
    player_end(told, at);
    told->ns = ns;
    return true;
}

/* ---- from one process to another and back ---- */

static void
wait_while(_Atomic uint32_t *word, uint32_t value)
{
    while (atomic_load(word) == value)
        syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void
set(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store(word, value);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void
trip_futex(_Atomic uint32_t *words, int fd)
{
    (void)fd;
    set(&words[0], 1 - words[0]);
    wait_while(&words[1], 1 - words[0]);
}

static void
echo_futex(_Atomic uint32_t *words, int fd)
{
    (void)fd;
    for (uint32_t seen = 0;; seen = 1 - seen) {
        wait_while(&words[0], seen);
        set(&words[1], 1 - seen);
    }
}

static void
trip_socket(_Atomic uint32_t *words, int fd)
{
    char octets[32] = {0};

    (void)words;
    if (write(fd, octets, sizeof octets) < 0 ||
        read(fd, octets, sizeof octets) < 0)
        abort();
}

static void
echo_socket(_Atomic uint32_t *words, int fd)
{
    char octets[32];
    ssize_t len;

    (void)words;
    while ((len = read(fd, octets, sizeof octets)) > 0) {
        if (write(fd, octets, (size_t)len) < 0)
            return;
    }
}

static bool
play_trips(const struct player_order *order, struct player_told *told,
           void (*trip)(_Atomic uint32_t *, int),
           void (*echo)(_Atomic uint32_t *, int))
{
    static int64_t took_ns[SAMPLES_MAX];
    size_t count =
        order->count < SAMPLES_MAX ? (size_t)order->count : SAMPLES_MAX;
    _Atomic uint32_t *words = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int pair[2];
    pid_t other;

    if (words == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return player_fail(told, "no memory, or no sockets");
    other = fork();
    if (other == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        echo(words, pair[1]);
        _exit(0);
    }
    if (other < 0)
        return player_fail(told, "no other process");
    trip(words, pair[0]);
    player_begin(told);
    for (size_t i = 0; i < count; i++) {
        int64_t began_ns = player_clock_ns();

        trip(words, pair[0]);
        took_ns[i] = player_clock_ns() - began_ns;
    }
    player_end(told, count);
    told->ns = player_share(took_ns, count, 0.5) * (int64_t)count;
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
    close(pair[0]);
    close(pair[1]);
    munmap(words, 4096);
    return true;
}

static bool
play_futex(const struct player_order *order, struct player_told *told)
{
    return play_trips(order, told, trip_futex, echo_futex);
}

static bool
play_socket(const struct player_order *order, struct player_told *told)
{
    return play_trips(order, told, trip_socket, echo_socket);
}

int
main(void)
{
    static const struct player_row rows[] = {
        {"load", play_load},   {"clock", play_clock},   {"store", play_store},
        {"futex", play_futex}, {"socket", play_socket},
    };

    return player_serve(rows, sizeof rows / sizeof rows[0]);
}
