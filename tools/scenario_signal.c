/* SPDX-License-Identifier: Apache-2.0
 *
 * One flag, set by the handler. */
#define _GNU_SOURCE
#include "tools/scenario_signal.h"
#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t came;

static void
remember(int signal)
{
    came = signal;
}

void
scenario_signal_catch(void)
{
    static const int caught[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = remember};
    sigemptyset(&action.sa_mask);
    /* Without SA_RESTART: a wait must return to see the flag. */
    for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++) {
        sigaction(caught[i], &action, NULL);
    }
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

int
scenario_signal_came(void)
{
    return came;
}
