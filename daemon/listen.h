#ifndef LISTEN_H
#define LISTEN_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A unix socket in the runtime directory that listens: with its mode before anybody
 * can connect, and in place of what a killed daemon left. */
#include "daemon/rundir.h"

/* `type`: SOCK_STREAM or SOCK_SEQPACKET. The descriptor, which never blocks; -1 and
 * a sentence. */
int listen_at(const struct rundir *r, const char *name, int type, mode_t mode,
              struct bk_text *error);

#endif
