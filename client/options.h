#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What a handle was opened with: the caller's options, completed from the
 * environment and the defaults. */
#include "breaker/breaker.h"
#include "core/fleet.h"

struct breaker;

/* False with the error set when a value is none. */
bool options_complete(const struct breaker_options *given,
                      struct breaker_options *full);
/* A name for display, as one word. */
void options_worker_name(const char *given, char out[BK_WORKER_SIZE]);
/* What only the environment chooses: the transport, and keys of the configuration,
 * for the local machine. A bad value is warned about and left out. */
void options_environment(struct breaker *b);

#endif
