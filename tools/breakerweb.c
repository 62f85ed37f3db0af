/* SPDX-License-Identifier: Apache-2.0
 *
 * breakerweb: shows what breakerd publishes, over HTTP. A process of its own, so
 * that nothing a browser sends is parsed where state is kept; it maps the shared
 * memory read-only and has no way to change anything. */
#define _GNU_SOURCE
#include "tools/ctl_out.h"
#include "tools/web_manager.h"
#include "tools/web_options.h"
#include "tools/web_server.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define WHY_SIZE 512

_Static_assert(WEB_LISTEN_MAX <= WEB_PORTS_MAX, "a port a listener");

enum exit_status { DONE = 0, FAILED = 1, USAGE = 2 };

struct sockets {
    struct web_socket at[WEB_LISTEN_MAX];
    size_t count;
};

/* Sockets that were handed over, then those asked for; without any the usual. */
static enum exit_status
open_sockets(struct sockets *s, const struct web_options *o)
{
    static const char *const usual[] = {WEB_LISTEN_DEFAULT};
    int fds[MANAGER_SOCKETS_MAX];
    int given = manager_sockets(fds);
    const char *const *words = o->listen;
    size_t count = o->listen_count;
    char sentence[WHY_SIZE];
    struct bk_text why;

    bk_text_init(&why, sentence, sizeof sentence);
    if (given == 0 && count == 0) {
        words = usual;
        count = 1;
    }
    if ((size_t)given + count > WEB_LISTEN_MAX) {
        ctl_say("at most %d sockets, those handed over included",
                WEB_LISTEN_MAX);
        return USAGE;
    }
    for (int i = 0; i < given; i++) {
        if (!web_socket_adopt(&s->at[s->count], fds[i], &why)) {
            ctl_say("%s", sentence);
            return FAILED;
        }
        s->count++;
    }
    for (size_t i = 0; i < count; i++) {
        enum web_socket_result result =
            web_socket_open(&s->at[s->count], words[i], &why);

        if (result != WEB_SOCKET_OPEN) {
            ctl_say("%s", sentence);
            return result == WEB_SOCKET_BAD ? USAGE : FAILED;
        }
        s->count++;
    }
    return DONE;
}

/* Loopback's names with the port, what --allow-host said, and the addresses we
 * listen on. */
static void
name_hosts(struct web_hosts *hosts, const struct web_options *o,
           const struct sockets *s)
{
    for (size_t i = 0; i < o->host_count; i++)
        hosts->names[hosts->count++] = o->hosts[i];
    for (size_t i = 0; i < s->count; i++) {
        if (s->at[i].port != 0)
            hosts->ports[hosts->port_count++] = s->at[i].port;
        /* Whoever can open the file of a socket, or names the port that
         * needs no naming, sends none. */
        if (s->at[i].port == 0 || s->at[i].port == 80)
            hosts->takes_no_port = true;
        if (s->at[i].address[0] != '\0')
            hosts->names[hosts->count++] = s->at[i].address;
    }
}

/* A descriptor that can be read when the process is asked to end. */
static int
watch_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static enum exit_status
serve(struct web_server *server, int bell)
{
    struct pollfd fds[1 + WEB_LISTEN_MAX];

    for (;;) {
        size_t count = web_server_fds(server, fds + 1);

        fds[0] = (struct pollfd){.fd = bell, .events = POLLIN};
        if (poll(fds, 1 + count, web_server_timeout_ms(server)) < 0 &&
            errno != EINTR) {
            ctl_say("cannot wait: %s", strerror(errno));
            return FAILED;
        }
        if (fds[0].revents != 0)
            return DONE;
        web_server_turn(server);
    }
}

static enum exit_status
run(const struct web_options *o, struct sockets *s)
{
    struct web web = {.view.dir = o->dir};
    enum exit_status exit = open_sockets(s, o);
    char sentence[WHY_SIZE];
    struct web_server *server;
    struct bk_text why;
    int bell;

    if (exit != DONE)
        return exit;
    name_hosts(&web.hosts, o, s);
    bk_text_init(&why, sentence, sizeof sentence);
    bell = watch_signals();
    server = web_server_open(&web, s->at, s->count, &why);
    if (server == NULL || bell < 0) {
        ctl_say("%s", server == NULL ? sentence : strerror(errno));
        web_server_close(&server);
        return FAILED;
    }
    for (size_t i = 0; i < s->count; i++)
        ctl_say("serving on %s", s->at[i].name);
    if (web_view_now(&web.view) == NULL)
        ctl_say("waiting for breakerd: %s", web.view.trouble);
    manager_tell("READY=1");
    exit = serve(server, bell);
    manager_tell("STOPPING=1");
    web_server_close(&server);
    web_view_close(&web.view);
    close(bell);
    return exit;
}

int
main(int argc, char **argv)
{
    struct sockets sockets = {.count = 0};
    struct web_options options;
    enum exit_status exit;

    if (!web_options_read(&options, argc, argv))
        return USAGE;
    if (options.wants_version) {
        puts("breakerweb " BREAKERD_VERSION);
        return DONE;
    }
    if (options.wants_help) {
        web_options_help();
        return DONE;
    }
    exit = run(&options, &sockets);
    for (size_t i = 0; i < sockets.count; i++)
        web_socket_forget(&sockets.at[i]);
    return (int)exit;
}
