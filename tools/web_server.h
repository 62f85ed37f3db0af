#ifndef WEB_SERVER_H
#define WEB_SERVER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP, by libmicrohttpd: connections, their limits, and the judgement of each
 * request before anything answers it. One thread; the caller polls. */
#include "tools/web_paths.h"
#include "tools/web_socket.h"
#include <poll.h>

/* Connections of one listener, and of one address. */
#define WEB_CONNECTIONS_MAX 64
#define WEB_CONNECTIONS_PER_ADDRESS_MAX 32
/* A connection on which nothing moves is closed after this. */
#define WEB_SILENCE_S 5
/* No connection but a stream gets older, however it trickles. */
#define WEB_AGE_MAX_S 10

struct web_server;

/* Serves `web` on listening sockets, which it closes in the end. NULL with a
 * sentence in `why`. */
struct web_server *web_server_open(struct web *web,
                                   const struct web_socket *sockets,
                                   size_t count, struct bk_text *why);
/* One descriptor to poll for a listener. */
size_t web_server_fds(const struct web_server *s, struct pollfd *fds);
/* Milliseconds after which web_server_turn is due whatever happens; -1: none. */
int web_server_timeout_ms(const struct web_server *s);
/* Does what is due; waits for nothing. */
void web_server_turn(struct web_server *s);
void web_server_close(struct web_server **s);

#endif
