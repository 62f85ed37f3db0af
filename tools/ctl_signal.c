/* SPDX-License-Identifier: Apache-2.0
 *
 * The handler writes to a descriptor that is polled: a signal right before the
 * poll is not lost. */
#define _GNU_SOURCE
#include "tools/ctl_signal.h"
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static volatile sig_atomic_t came;
static int bell = -1;

static void
ring(int signal)
{
    static const uint64_t one = 1;
    int kept = errno;

    (void)signal;
    came = 1;
    /* It fails only when it was written to before, and is readable then. */
    ssize_t written = write(bell, &one, sizeof one);
    (void)written;
    errno = kept;
}

int
ctl_signal_watch(void)
{
    /* Without SA_RESTART: a write that is stuck must return. */
    struct sigaction action = {.sa_handler = ring,
                               .sa_flags = (int)SA_RESETHAND};
    struct sigaction before;

    sigemptyset(&action.sa_mask);
    bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bell < 0 || sigaction(SIGINT, NULL, &before) < 0)
        return -1;
    if (before.sa_handler != SIG_IGN && sigaction(SIGINT, &action, NULL) < 0)
        return -1;
    return bell;
}

bool
ctl_signal_came(void)
{
    return came != 0;
}
