/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/cancel.h"
#include "client/client.h"
#include "client/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct breaker_cancel {
    atomic_int is_set;
    int fd;
};

_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "set from a signal handler");

/* Descriptors 0 to 2 are the host's, even while it has them closed. */
static int
make_fd(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int high;

    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    (void)close(fd);
    return high;
}

struct breaker_cancel *
breaker_cancel_new(void)
{
    struct entry entry = client_enter();
    struct breaker_cancel *c = malloc(sizeof *c);

    if (c == NULL) {
        (void)client_fail(BREAKER_ERROR_MEMORY, "out of memory", "", "");
    } else {
        atomic_init(&c->is_set, 0);
        c->fd = make_fd();
    }
    if (c != NULL && c->fd < 0) {
        (void)client_fail(BREAKER_ERROR_MEMORY,
                          "no free descriptor to be cancelled by", "", "");
        free(c);
        c = NULL;
    }
    client_leave(entry);
    return c;
}

void
breaker_cancel_free(struct breaker_cancel **c)
{
    struct entry entry;

    if (c == NULL || *c == NULL)
        return;
    entry = client_enter();
    (void)close((*c)->fd);
    free(*c);
    *c = NULL;
    client_leave(entry);
}

void
breaker_cancel_trigger(struct breaker_cancel *c)
{
    int error_number = errno;
    uint64_t one = 1;

    if (c == NULL)
        return;
    /* Pairs with the acquire below: what was done before is seen after. */
    atomic_store_explicit(&c->is_set, 1, memory_order_release);
    (void)!write(c->fd, &one, sizeof one);
    errno = error_number;
}

int
breaker_cancel_is_triggered(const struct breaker_cancel *c)
{
    return c != NULL &&
           atomic_load_explicit(&c->is_set, memory_order_acquire) != 0;
}

int
breaker_cancel_fd(const struct breaker_cancel *c)
{
    return c == NULL ? -1 : c->fd;
}

void
cancel_sleep(const struct breaker_cancel *cancel, int64_t ns)
{
    struct entry entry = client_enter();
    struct pollfd set = {.fd = breaker_cancel_fd(cancel), .events = POLLIN};
    struct timespec left = clock_spec(ns);

    if (!breaker_cancel_is_triggered(cancel))
        (void)ppoll(&set, 1, &left, NULL);
    client_leave(entry);
}
