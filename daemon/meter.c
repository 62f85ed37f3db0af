/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "daemon/meter.h"
#include "core/wire.h"
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Descriptors above this are never connections (gate.c hands out none). */
#define FD_MAX 16384
/* A greeting: signature, version, mechanism, filler. */
#define GREETING_OCTETS 64
#define SIGNATURE_END 9
#define VERSION_AT 10
#define LONG_FLAG 2

enum phase { GREETING, FLAGS, SIZE, BODY, OLD };

/* `is_on` is looked at by every thread that receives, `cut` by the loop's: relaxed, as
 * they order nothing. The rest is libzmq's thread's only. */
struct meter {
    atomic_bool is_on;
    uint64_t taken;
    struct meter_reader reader;
};

static struct meter meters[FD_MAX];
static uint64_t taken_by_all;
static uint64_t connections;
static atomic_uint_least64_t cut;

static enum phase
greet(struct meter_reader *r, uint8_t octet)
{
    uint8_t at = r->at++;
    bool is_new = at == 0               ? octet == 0xff
                  : at == SIGNATURE_END ? (octet & 1) != 0
                  : at == VERSION_AT    ? octet >= 3
                                        : true;
    if (!is_new) {
        return OLD;
    }
    return r->at == GREETING_OCTETS ? FLAGS : GREETING;
}

static enum phase
read_flags(struct meter_reader *r, uint8_t octet)
{
    r->size = 0;
    r->at = 0;
    r->size_octets = (octet & LONG_FLAG) != 0 ? 8 : 1;
    return SIZE;
}

/* The cost is known with the header's last octet. A frame that is too long is
 * refused by libzmq itself. */
static enum phase
read_size(struct meter_reader *r, uint8_t octet, uint64_t *cost)
{
    r->size = (r->size << 8) | octet;
    if (++r->at < r->size_octets) {
        return SIZE;
    }
    *cost += METER_FRAME_COST;
    *cost += r->size > METER_INLINE ? METER_CONTENT_COST : 0;
    *cost += r->size <= BK_FRAME_MAX ? r->size : 0;
    return r->size > 0 ? BODY : FLAGS;
}

uint64_t
meter_read(struct meter_reader *r, const uint8_t *octets, size_t len)
{
    uint64_t cost = 0;
    size_t i = 0;
    while (i < len) {
        if (r->phase == OLD) {
            return cost + (len - i) * METER_OLD_COST;
        }
        if (r->phase == BODY) {
            size_t part = r->size < len - i ? (size_t)r->size : len - i;
            r->size -= part;
            i += part;
            r->phase = r->size > 0 ? BODY : FLAGS;
            continue;
        }
        uint8_t octet = octets[i++];
        r->phase = (uint8_t)(r->phase == GREETING ? greet(r, octet)
                             : r->phase == FLAGS  ? read_flags(r, octet)
                                                  : read_size(r, octet, &cost));
    }
    return cost;
}

static bool
is_metered(int fd)
{
    return fd >= 0 && fd < FD_MAX &&
           atomic_load_explicit(&meters[fd].is_on, memory_order_relaxed);
}

void
meter_begin(int fd)
{
    if (fd >= 0 && fd < FD_MAX) {
        meters[fd].reader = (struct meter_reader){0};
        meters[fd].taken = 0;
        atomic_store_explicit(&meters[fd].is_on, true, memory_order_relaxed);
        connections++;
    }
}

void
meter_end(int fd)
{
    if (is_metered(fd)) {
        taken_by_all -= meters[fd].taken;
        atomic_store_explicit(&meters[fd].is_on, false, memory_order_relaxed);
        connections--;
    }
}

uint64_t
meter_cut(void)
{
    return atomic_load_explicit(&cut, memory_order_relaxed);
}

/* True when this connection went too far. */
static bool
charge(int fd, const uint8_t *octets, size_t len)
{
    struct meter *m = &meters[fd];
    uint64_t cost = meter_read(&m->reader, octets, len);
    m->taken += cost;
    taken_by_all += cost;
    return m->taken > METER_ONE_MAX ||
           (taken_by_all > METER_ALL_MAX &&
            m->taken > METER_ALL_MAX / (1 + connections));
}

/* Replaces libc's recv for the whole program; libzmq receives with it. The name is
 * given to the linker only: to the compiler recv is glibc's, inline at times. */
ssize_t meter_recv(int fd, void *to, size_t size, int flags) __asm__("recv");

/* Nothing more from a peer that went too far: to libzmq it has hung up. */
ssize_t
meter_recv(int fd, void *to, size_t size, int flags)
{
    ssize_t n = syscall(SYS_recvfrom, fd, to, size, flags, NULL, NULL);
    if (n > 0 && is_metered(fd) && charge(fd, to, (size_t)n)) {
        atomic_fetch_add_explicit(&cut, 1, memory_order_relaxed);
        return 0;
    }
    return n;
}
