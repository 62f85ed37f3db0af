#ifndef WEB_MANAGER_H
#define WEB_MANAGER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What a service manager hands over (sockets that listen already) and wants to
 * hear, as systemd defined it. */

#define MANAGER_SOCKETS_MAX 4

/* Descriptors handed over with $LISTEN_FDS, meant for this process; their number,
 * 0 without any. Close-on-exec is set and the environment cleared. */
int manager_sockets(int fds[MANAGER_SOCKETS_MAX]);
/* "READY=1", "STOPPING=1"; nothing happens without a manager. */
void manager_tell(const char *state);

#endif
