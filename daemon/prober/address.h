#ifndef PROBER_ADDRESS_H
#define PROBER_ADDRESS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Which addresses the prober connects to. Looked at after a name was resolved, so
 * that no name leads where an address would not be let. */
#include <stdbool.h>
#include <sys/socket.h>

/* Neither link-local (clouds keep credentials there), unspecified, multicast nor
 * reserved; loopback only when the URL itself says so. */
bool address_is_allowed(const struct sockaddr *address, bool may_be_loopback);
/* True for localhost, 127.0.0.0/8 and ::1 as a URL writes them ("[::1]" too). */
bool address_names_loopback(const char *host);

#endif
