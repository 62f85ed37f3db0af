/* SPDX-License-Identifier: Apache-2.0
 *
 * events: follows what the daemon publishes. A socket monitor tells when it goes
 * away and when it is back; libzmq connects again by itself. */
#define _GNU_SOURCE
#include "core/vocab.h"
#include "tools/ctl_ask.h"
#include "tools/ctl_commands.h"
#include "tools/ctl_history.h"
#include "tools/ctl_out.h"
#include "tools/ctl_signal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define TOPIC "breaker."
#define MONITOR "inproc://monitor"
#define RECONNECT_MS 100
/* The first connection must stand within this. */
#define CONNECT_MS 3000
/* Events that may wait here while stdout is slow. */
#define WAITING_MAX 10000
#define DOCUMENT_MAX 65536

struct follower {
    const struct ctl *c;
    const char *service; /* NULL: all */
    void *context;
    void *events;
    void *monitor;
    uint64_t seen;
    bool is_connected;
};

static void
leave(struct follower *f)
{
    if (f->monitor != NULL)
        zmq_close(f->monitor);
    if (f->events != NULL)
        zmq_close(f->events);
    if (f->context != NULL)
        zmq_ctx_term(f->context);
}

static bool
set_number(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

static bool
join(struct follower *f, const char *path)
{
    char endpoint[PLACE_PATH_SIZE + 8];
    char topic[sizeof TOPIC + BK_NAME_SIZE];

    snprintf(endpoint, sizeof endpoint, "ipc://%s", path);
    snprintf(topic, sizeof topic, "%s%s", TOPIC,
             f->service != NULL ? f->service : "");
    f->context = zmq_ctx_new();
    if (f->context == NULL)
        return false;
    f->events = zmq_socket(f->context, ZMQ_SUB);
    f->monitor = zmq_socket(f->context, ZMQ_PAIR);
    if (f->events == NULL || f->monitor == NULL)
        return false;
    return set_number(f->events, ZMQ_LINGER, 0) &&
           set_number(f->monitor, ZMQ_LINGER, 0) &&
           set_number(f->events, ZMQ_RCVHWM, WAITING_MAX) &&
           set_number(f->events, ZMQ_RECONNECT_IVL, RECONNECT_MS) &&
           zmq_setsockopt(f->events, ZMQ_SUBSCRIBE, topic, strlen(topic)) ==
               0 &&
           zmq_socket_monitor(f->events, MONITOR,
                              ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                                  ZMQ_EVENT_DISCONNECTED) == 0 &&
           zmq_connect(f->monitor, MONITOR) == 0 &&
           zmq_connect(f->events, endpoint) == 0;
}

/* Receives a frame of at most `size` octets into `out`; its length, or -1 when
 * there is none or it is longer. */
static int
receive(void *socket, char *out, size_t size)
{
    int len;

    do
        len = zmq_recv(socket, out, size - 1, ZMQ_DONTWAIT);
    while (len < 0 && errno == EINTR);
    if (len < 0 || (size_t)len >= size)
        return -1;
    out[len] = '\0';
    return len;
}

static bool
has_more(void *socket)
{
    int more = 0;
    size_t size = sizeof more;

    return zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) == 0 && more != 0;
}

static void
hear_monitor(struct follower *f)
{
    uint16_t kind = 0;
    char frame[LINK_PATH_SIZE + 64];

    if (receive(f->monitor, frame, sizeof frame) >= (int)sizeof kind)
        memcpy(&kind, frame, sizeof kind);
    while (has_more(f->monitor))
        receive(f->monitor, frame, sizeof frame);
    if (kind == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
        ctl_say("%s", f->is_connected ? "breakerd is back"
                                      : "following; Ctrl-C ends it");
        f->is_connected = true;
    } else if (kind == ZMQ_EVENT_DISCONNECTED && f->is_connected) {
        ctl_say("breakerd is gone; waiting for it to come back");
    }
}

static void
print_event(const struct follower *f, const char *document, size_t len)
{
    json_t *json = json_loadb(document, len, 0, NULL);

    if (json == NULL) {
        ctl_say("an event holds no JSON and is left out");
        return;
    }
    if (f->c->is_json)
        ctl_json_print(json);
    else
        history_print_line(json);
    json_decref(json);
    fflush(stdout);
}

/* A subscription matches prefixes, so the topic is compared whole. */
static void
hear_event(struct follower *f)
{
    char topic[sizeof TOPIC + BK_NAME_SIZE];
    static char document[DOCUMENT_MAX];
    int len = -1;
    bool is_ours = receive(f->events, topic, sizeof topic) >= 0 &&
                   strncmp(topic, TOPIC, strlen(TOPIC)) == 0;

    if (is_ours && f->service != NULL)
        is_ours = strcmp(topic + strlen(TOPIC), f->service) == 0;
    if (has_more(f->events))
        len = receive(f->events, document, sizeof document);
    while (has_more(f->events))
        receive(f->events, topic, sizeof topic);
    if (is_ours && len >= 0) {
        print_event(f, document, (size_t)len);
        f->seen++;
    }
}

/* Until -n N were seen or Ctrl-C: following is what this command is for, and
 * Ctrl-C how it is done. */
static enum ctl_exit
follow(struct follower *f, const char *path)
{
    int bell = ctl_signal_watch();

    if (bell < 0) {
        ctl_say("cannot catch Ctrl-C: %s", strerror(errno));
        return CTL_FAILED;
    }
    while (!ctl_signal_came() && (f->c->limit == 0 || f->seen < f->c->limit)) {
        zmq_pollitem_t items[] = {{.socket = f->events, .events = ZMQ_POLLIN},
                                  {.socket = f->monitor, .events = ZMQ_POLLIN},
                                  {.fd = bell, .events = ZMQ_POLLIN}};
        int ready = zmq_poll(items, 3, f->is_connected ? -1 : CONNECT_MS);

        if (ready == 0) {
            ctl_say("breakerd at %s does not answer", path);
            return CTL_UNREACHABLE;
        }
        if (ready < 0) {
            if (errno == EINTR)
                continue;
            ctl_say("cannot follow %s: %s", path, zmq_strerror(errno));
            return CTL_FAILED;
        }
        if ((items[1].revents & ZMQ_POLLIN) != 0)
            hear_monitor(f);
        if ((items[0].revents & ZMQ_POLLIN) != 0)
            hear_event(f);
        if (ferror(stdout) != 0)
            return CTL_FAILED;
    }
    return CTL_DONE;
}

enum ctl_exit
ctl_events(const struct ctl *c, const char *const *words, size_t count)
{
    struct follower f = {.c = c, .service = count > 0 ? words[0] : NULL};
    char path[PLACE_PATH_SIZE];
    enum ctl_exit exit;

    if (ask_check_names(words, count) != CTL_DONE)
        return CTL_USAGE;
    exit = ask_find(c, ASK_EVENTS, false, path);
    if (exit != CTL_DONE)
        return exit;
    if (join(&f, path)) {
        exit = follow(&f, path);
    } else {
        ctl_say("cannot follow %s: %s", path, zmq_strerror(errno));
        exit = CTL_FAILED;
    }
    leave(&f);
    return exit;
}
