#ifndef WEB_STREAM_H
#define WEB_STREAM_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Server-sent events: one look at the shared memory a tick, told to all who
 * listen. An event is made once and shared; whoever does not keep up is cut off
 * and comes back by itself. */
#include "tools/web_live.h"

/* Streams at once; the next is refused. */
#define WEB_STREAMS_MAX 16

struct MHD_Connection;
struct MHD_Response;
struct web_streams;

/* NULL without memory. */
struct web_streams *web_streams_new(struct web_view *view);
/* All connections must be closed. */
void web_streams_free(struct web_streams **s);

/* An answer that goes on and on, beginning with everything, then the lines of
 * history after number `last_id` (0: none). NULL when there are
 * too many. The connection must be served by a daemon that can suspend. */
struct MHD_Response *web_streams_open(struct web_streams *all,
                                      struct MHD_Connection *c,
                                      uint64_t last_id);
/* Looks when it is time to, and tells what is new. */
void web_streams_tick(struct web_streams *all);
/* Milliseconds to the next tick; -1 while nobody listens. */
int web_streams_timeout_ms(const struct web_streams *all);
/* Lets every stream end: libmicrohttpd must not be stopped with one suspended. */
void web_streams_end(struct web_streams *all);

#endif
