/* SPDX-License-Identifier: Apache-2.0
 *
 * breakerd-prober: asks health probes' addresses and sends webhooks on behalf of
 * breakerd, in a process of its own, so that names that do not resolve and answers
 * that do not end delay nobody. It keeps nothing: breakerd tells it all over one
 * socket, and it ends when that does. */
#include "daemon/clock.h"
#include "daemon/prober/link.h"
#include "daemon/prober/probe.h"
#include "daemon/prober/webhook.h"
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Requests under way, resolvers' own sockets, and some. */
#define DESCRIPTORS_MAX 1024
#define ALIVE_NS BK_NS_PER_S
/* Messages that are read before time is looked at again. */
#define TURN_MESSAGES 256
#define NOBODY 65534

struct prober {
    struct fetch *fetch;
    struct probes *probes;
    struct webhooks *webhooks;
    int64_t alive_ns;
};

static bool
is_link(int fd)
{
    int type = 0;
    socklen_t len = sizeof(type);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
           type == SOCK_SEQPACKET;
}

/* Gives up what is not needed. What cannot be given up (no such user here, an old
 * kernel) is no reason to stop: little is held anyway. */
static void
harden(pid_t parent)
{
    const struct rlimit none = {0};
    const struct rlimit descriptors = {DESCRIPTORS_MAX, DESCRIPTORS_MAX};
    close_range(LINK_FD + 1, ~0U, 0);
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_NOFILE, &descriptors);
    if (geteuid() == 0 && setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 &&
        setuid(NOBODY) != 0) {
        _exit(EXIT_FAILURE);
    }
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    /* A change of user clears it, so it comes after that. */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent) {
        _exit(EXIT_FAILURE);
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN); /* breakerd reads the configuration, not we */
    signal(SIGINT, SIG_IGN); /* and says when it is over */
    /* A name server that is silent holds a thread for as long as it is asked. */
    clearenv();
    setenv("RES_OPTIONS", "timeout:2 attempts:1", 1);
}

/* False when it cannot go on: no memory, or nothing breakerd says. */
static bool
take_message(struct prober *p, const struct message *m, int64_t now_ns)
{
    switch ((int)m->kind) {
    case MESSAGE_PROBE:
    case MESSAGE_UNPROBE:
        return probes_take(p->probes, m, now_ns);
    case MESSAGE_HOOK:
    case MESSAGE_UNHOOK:
    case MESSAGE_EVENT:
        webhooks_take(p->webhooks, m, now_ns);
        return true;
    default:
        return false;
    }
}

/* False when it is over. */
static bool
take_messages(struct prober *p, int64_t now_ns)
{
    for (int i = 0; i < TURN_MESSAGES; i++) {
        struct message m;
        enum link_got got = link_receive(&m);
        if (got != LINK_MESSAGE) {
            return got == LINK_NOTHING;
        }
        if (!take_message(p, &m, now_ns)) {
            return false;
        }
    }
    return true;
}

static int
patience_ms(const struct prober *p, int64_t now_ns)
{
    int64_t due_ns = probes_deadline(p->probes);
    int64_t hook_ns = webhooks_deadline(p->webhooks);
    due_ns = hook_ns < due_ns ? hook_ns : due_ns;
    due_ns = p->alive_ns < due_ns ? p->alive_ns : due_ns;
    return due_ns > now_ns ? (int)bk_ms_up(due_ns - now_ns) : 0;
}

static void
run(struct prober *p)
{
    for (;;) {
        int64_t now_ns = clock_boot_ns();
        if (!take_messages(p, now_ns)) {
            return;
        }
        probes_turn(p->probes, now_ns);
        webhooks_turn(p->webhooks, now_ns);
        if (now_ns >= p->alive_ns) {
            link_send(&(struct message){.kind = MESSAGE_ALIVE});
            p->alive_ns = now_ns + ALIVE_NS;
        }
        if (!fetch_run(p->fetch, LINK_FD, patience_ms(p, clock_boot_ns()))) {
            return;
        }
    }
}

int
main(int argc, char **argv)
{
    struct prober p = {0};
    uint64_t parent = 0;
    if (argc != 2 || !bk_read_number(argv[1], strlen(argv[1]), &parent) ||
        !is_link(LINK_FD)) {
        fputs("breakerd-prober: breakerd starts this program by itself, when a "
              "probe_url or a webhook is configured; see breakerd(8)\n",
              stderr);
        return 2;
    }
    harden((pid_t)parent);
    p.fetch = fetch_open();
    p.probes = p.fetch != NULL ? probes_open(p.fetch) : NULL;
    p.webhooks = p.probes != NULL ? webhooks_open(p.fetch) : NULL;
    if (p.webhooks != NULL) {
        run(&p);
    }
    /* Threads that resolve names may be left behind: nothing is taken down under
     * them. */
    _exit(EXIT_SUCCESS);
}
