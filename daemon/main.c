/* SPDX-License-Identifier: Apache-2.0
 *
 * breakerd: options, start, end. */
#include "daemon/clock.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/notify.h"
#include "daemon/sockets.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* How long the end may take, and how long the start waits for its first save. */
#define SAVE_DEADLINE_MS 5000
/* Who reads slowly gets so long for its last answers. */
#define LINGER_MS 250
/* Processes that are watched at most. */
#define WATCHES_MAX 4096

struct options {
    const char *config;
    const char *dir;
    const char *db;
    bool is_check;
    bool is_verbose;
};

static const char usage[] =
    "usage: breakerd [-c FILE] [--dir DIR] [--db FILE] [-n] [-v]\n"
    "\n"
    "Keeps one circuit breaker a service and one retry budget for all worker\n"
    "processes of this machine. Runs in the foreground, logs to stderr.\n"
    "\n"
    "  -c, --config FILE   read this configuration (default: none is needed)\n"
    "      --dir DIR       runtime directory: sockets and shared memory\n"
    "                      (default: $BREAKERD_DIR, $RUNTIME_DIRECTORY,\n"
    "                      /run/breakerd for root, $XDG_RUNTIME_DIR/breakerd,\n"
    "                      /tmp/breakerd-UID)\n"
    "      --db FILE       database (default: $STATE_DIRECTORY/breakerd.db,\n"
    "                      /var/lib/breakerd/breakerd.db for root,\n"
    "                      ~/.local/state/breakerd/breakerd.db)\n"
    "  -n, --check-config  check the configuration and end\n"
    "  -v, --verbose       log more\n"
    "      --version       print the version and end\n"
    "      --help          print this and end\n"
    "\n"
    "Signals: SIGHUP reads the configuration again, SIGTERM and SIGINT save "
    "and end.\n"
    "Exit: 0 ended cleanly, 1 failed, 2 usage or bad configuration.\n";

/* Returns -1 to go on, else the exit status. */
static int
read_options(int argc, char **argv, struct options *o)
{
    enum { DIR_OPTION = 256, DB_OPTION, VERSION_OPTION, HELP_OPTION };
    static const struct option rows[] = {
        {"config", required_argument, NULL, 'c'},
        {"dir", required_argument, NULL, DIR_OPTION},
        {"db", required_argument, NULL, DB_OPTION},
        {"check-config", no_argument, NULL, 'n'},
        {"verbose", no_argument, NULL, 'v'},
        {"version", no_argument, NULL, VERSION_OPTION},
        {"help", no_argument, NULL, HELP_OPTION},
        {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "c:nv", rows, NULL)) != -1) {
        switch (c) {
        case 'c':
            o->config = optarg;
            break;
        case DIR_OPTION:
            o->dir = optarg;
            break;
        case DB_OPTION:
            o->db = optarg;
            break;
        case 'n':
            o->is_check = true;
            break;
        case 'v':
            o->is_verbose = true;
            break;
        case VERSION_OPTION:
            printf("breakerd %s\n", BREAKERD_VERSION);
            return EXIT_DONE;
        case HELP_OPTION:
            fputs(usage, stdout);
            return EXIT_DONE;
        default:
            fputs("breakerd: see breakerd --help\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr,
                "breakerd: unexpected argument \"%s\"; see breakerd "
                "--help\n",
                argv[optind]);
        return EXIT_USAGE;
    }
    return -1;
}

/* Descriptors 0 to 2 must be something, or a database would get their number. */
static void
hold_standard_descriptors(void)
{
    int fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO) {
        fd = open("/dev/null", O_RDWR);
    }
    if (fd > STDERR_FILENO) {
        close(fd);
    }
}

static void
raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
        limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Before any thread starts, so that all inherit the mask. */
static int
open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    /* Ignored by whoever started us, it would free the prober's number before it
     * was waited for. */
    signal(SIGCHLD, SIG_DFL);
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error like another */
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Waits until what the start put is on disk: the ids of this run must be beyond
 * those of the last before one is given out. */
static void
await_first_save(struct registry *r)
{
    struct store_done done;
    int64_t end_ns = clock_boot_ns() + SAVE_DEADLINE_MS * BK_NS_PER_MS;
    while (r->saved < r->job && !r->is_degraded) {
        int64_t now_ns = clock_boot_ns();
        struct pollfd p = {.fd = store_fd(r->store), .events = POLLIN};
        if (now_ns >= end_ns) {
            log_line(LOG_WARNING, "the database is slow; going on without it");
            return;
        }
        poll(&p, 1, (int)bk_ms_up(end_ns - now_ns));
        while (store_next(r->store, &done)) {
            registry_stored(r, now_ns, &done);
            free(done.json);
        }
    }
}

/* A quarter of the descriptors may watch processes. */
static uint32_t
watch_room(void)
{
    struct rlimit limit = {.rlim_cur = 64};
    getrlimit(RLIMIT_NOFILE, &limit);
    rlim_t room = limit.rlim_cur / 4;
    return room < WATCHES_MAX ? (uint32_t)room : WATCHES_MAX;
}

/* Holders of leases that an earlier daemon gave out. */
static void
watch_holders(struct registry *r, struct watch *w)
{
    const struct bk_leases *leases = bk_fleet_leases(r->fleet);
    uint32_t end = bk_leases_end(leases);
    for (uint32_t i = 0; i < end; i++) {
        const struct bk_lease *lease = bk_leases_at(leases, i);
        uint32_t pid = lease->holder_pid;
        if (lease->kind == BK_LEASE_FREE || pid == 0 || watch_add(w, pid)) {
            continue;
        }
        while (!bk_fleet_process_died(r->fleet, clock_boot_ns(), pid)) {
            registry_note(r, clock_boot_ns(), NULL, NULL);
        }
    }
    registry_note(r, clock_boot_ns(), NULL, NULL);
}

/* All that workers connect to, when everything behind it is there. Until then they are
 * refused and try again within milliseconds, while who were let in and left without an
 * answer would wait for it. */
static bool
open_doors(struct loop *l, struct sockets *sockets, const struct rundir *dir,
           struct handed *handed, struct bk_text *error)
{
    l->rings = rings_open(l->registry, l->watch, dir, watch_room(), error);
    if (l->rings == NULL) {
        return false;
    }
    l->commands->registry = l->registry;
    l->commands->watch = l->watch;
    l->commands->rings = l->rings;
    l->commands->dir = dir;
    l->callers = callers_open();
    if (l->callers != NULL) {
        l->router = router_open(l->commands, l->callers);
    }
    if (l->router == NULL) {
        bk_text_put(error, "not enough memory or descriptors");
        return false;
    }
    gate_arm();
    return sockets_listen(sockets, l->callers, dir, handed, error);
}

static bool
open_parts(struct loop *l, struct sockets *sockets, const struct rundir *dir,
           struct handed *handed, struct bk_text *error)
{
    struct registry *r = l->registry;
    r->store = store_open(dir->db_path, error);
    if (r->store == NULL || !sockets_open(sockets, error)) {
        return false;
    }
    r->events = events_open(sockets->events);
    l->watch = watch_open(watch_room());
    if (r->events == NULL || l->watch == NULL) {
        bk_text_put(error, "not enough memory or descriptors");
        return false;
    }
    if (!registry_open(r, dir, clock_boot_ns(), error)) {
        return false;
    }
    watch_holders(r, l->watch);
    registry_publish_rest(r, true);
    await_first_save(r);
    store_check(r->store);
    return open_doors(l, sockets, dir, handed, error);
}

static void
close_parts(struct loop *l, struct sockets *sockets, const struct rundir *dir)
{
    struct registry *r = l->registry;
    router_close(&l->router);
    rings_close(&l->rings, dir, clock_boot_ns());
    if (r->fleet != NULL && r->publish != NULL && r->store != NULL) {
        registry_publish_rest(r, true);
        registry_save_last(r, clock_boot_ns());
    }
    store_close(&r->store, SAVE_DEADLINE_MS);
    registry_close(r);
    events_close(&r->events);
    watch_close(&l->watch);
    callers_close(&l->callers, LINGER_MS);
    sockets_close(sockets, dir);
}

static int
serve(struct config *config, const struct options *o, int signal_fd)
{
    char sentence[1024];
    struct bk_text error;
    struct rundir dir;
    struct registry registry = {.config = config};
    struct commands commands = {0};
    struct sockets sockets = {0};
    struct loop loop = {
        .registry = &registry, .commands = &commands, .signal_fd = signal_fd};
    int status = EXIT_FAILED;
    struct handed handed;
    handed_open(&handed);
    bk_text_init(&error, sentence, sizeof(sentence));
    if (!rundir_open(&dir, o->dir, o->db, &error)) {
        log_line(LOG_ERROR, "%s", sentence);
        rundir_close(&dir);
        return EXIT_FAILED;
    }
    if (!rundir_is_tmpfs(&dir)) {
        log_line(LOG_WARNING,
                 "%s is not on tmpfs: shared memory will be written to disk "
                 "now and then; /run is the place for it",
                 dir.path);
    }
    if (open_parts(&loop, &sockets, &dir, &handed, &error)) {
        publish_run(registry.publish, registry.epoch, clock_boot_ns());
        log_line(LOG_INFO, "version %s ready in %s (pid %ld, database %s)",
                 BREAKERD_VERSION, dir.path, (long)getpid(), dir.db_path);
        notify_send("READY=1");
        status = loop_run(&loop);
        notify_send("STOPPING=1");
    } else {
        log_line(LOG_ERROR, "%s", sentence);
    }
    close_parts(&loop, &sockets, &dir);
    rundir_close(&dir);
    return status;
}

int
main(int argc, char **argv)
{
    char sentence[1024];
    struct bk_text error;
    struct options o = {0};
    hold_standard_descriptors();
    int status = read_options(argc, argv, &o);
    if (status >= 0) {
        return status;
    }
    if (o.is_verbose) {
        log_set_level(LOG_DEBUG);
    }
    bk_text_init(&error, sentence, sizeof(sentence));
    struct config *config = config_open(o.config, &error);
    if (config == NULL) {
        fprintf(stderr, "breakerd: %s\n", sentence);
        return EXIT_USAGE;
    }
    if (o.is_check) {
        puts("configuration is good");
        config_close(&config);
        return EXIT_DONE;
    }
    raise_descriptor_limit();
    int signal_fd = open_signals();
    status = serve(config, &o, signal_fd);
    close(signal_fd);
    config_close(&config);
    return status;
}
