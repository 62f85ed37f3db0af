#ifndef CLIENT_CURL_LOOP_H
#define CLIENT_CURL_LOOP_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What a multi handle waits for, behind one descriptor: libcurl's sockets, the
 * descriptors of cancel handles and one timer, in an epoll set. */
#include "core/vocab.h"
#include <curl/curl.h>

struct curl_loop {
    CURLM *multi;
    int epoll;
    int timer;
    int64_t curl_due_ns; /* when libcurl wants to be called; BK_NEVER */
};

/* False: no memory or no descriptor; nothing is left behind. */
bool curl_loop_open(struct curl_loop *l);
void curl_loop_close(struct curl_loop *l);
/* The set is readable at `due_ns` (or libcurl's own time) at the latest. */
void curl_loop_arm(struct curl_loop *l, int64_t due_ns);
/* Waits at most `timeout_ms` and lets libcurl do what there is to do. */
void curl_loop_run(struct curl_loop *l, uint32_t timeout_ms);
/* A cancel handle's descriptor wakes the set, or no longer. */
void curl_loop_watch(struct curl_loop *l, int fd);
void curl_loop_unwatch(struct curl_loop *l, int fd);

#endif
