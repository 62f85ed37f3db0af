/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/loop.h"
#include "daemon/clock.h"
#include "daemon/gate.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/totals.h"
#include "daemon/wakes.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Rows put in one turn of the second's saving: the first, behind a start, has all that
 * was taken over, and who waited for the daemon is answered in between. */
#define SAVE_ROWS 64
#define SAVE_NS BK_NS_PER_S
#define MEMORY_CHECK_NS BK_NS_PER_S
/* Beyond this the daemon ends itself: a peer feeds libzmq without end, and the
 * next daemon takes the state over in milliseconds. */
#define MEMORY_MAX_BYTES (INT64_C(1024) * 1024 * 1024)

/* What happens from time to time. */
struct beats {
    int64_t heart_ns;
    int64_t save_ns;
    int64_t memory_ns;
    int64_t watchdog_ns;
    int64_t watchdog_every_ns; /* 0: nobody asked */
    bool is_saving;            /* a second's rows are not all put yet */
};

/* The second number of statm: pages in memory. */
static int64_t
resident_bytes(void)
{
    char line[128] = "";
    char *rest = line;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, line, sizeof(line) - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    line[n > 0 ? n : 0] = '\0';
    strtoll(line, &rest, 10);
    return strtoll(rest, NULL, 10) * sysconf(_SC_PAGESIZE);
}

static void
reload(struct loop *l, int64_t now_ns)
{
    char sentence[512];
    struct bk_text error;
    bk_text_init(&error, sentence, sizeof(sentence));
    if (!config_reload(l->registry->config, &error)) {
        log_line(LOG_ERROR, "%s; the configuration in force stays", sentence);
        return;
    }
    registry_reconfigure(l->registry, now_ns);
    registry_record(l->registry, now_ns, "*", "-", "reload by signal", 16);
    registry_publish(l->registry);
}

/* True when the daemon should end. */
static bool
take_signal(struct loop *l, int64_t now_ns)
{
    struct signalfd_siginfo info;
    while (read(l->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            reload(l, now_ns);
        } else {
            log_line(LOG_INFO, "ending: %s",
                     info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
            return true;
        }
    }
    return false;
}

static void
bury(struct loop *l, int64_t now_ns)
{
    uint32_t pid;
    while (router_may_bury(l->router) &&
           (pid = watch_next_dead(l->watch)) != 0) {
        router_bury(l->router, now_ns, pid);
        rings_bury(l->rings, now_ns, pid);
        while (!bk_fleet_process_died(l->registry->fleet, now_ns, pid)) {
            registry_note(l->registry, now_ns, NULL, NULL);
        }
        registry_note(l->registry, now_ns, NULL, NULL);
    }
}

static void
take_stored(struct loop *l, int64_t now_ns)
{
    struct store_done done;
    while (store_next(l->registry->store, &done)) {
        registry_stored(l->registry, now_ns, &done);
        router_stored(l->router, &done);
        free(done.json);
    }
}

static void
beat(struct loop *l, struct beats *b, int64_t now_ns)
{
    struct gate_stats gate;
    struct bk_totals totals;
    if (now_ns >= b->heart_ns) {
        gate_stats(&gate);
        totals_collect(l, now_ns, &totals);
        publish_totals(l->registry->publish, &totals);
        publish_beat(l->registry->publish, now_ns, gate.workers);
        b->heart_ns = now_ns + BK_HEARTBEAT_NS;
    }
    if (now_ns >= b->save_ns || b->is_saving) {
        if (!b->is_saving) {
            b->save_ns = now_ns + SAVE_NS;
            observe_tell(&l->commands->observe, l->registry->fleet, now_ns);
        }
        b->is_saving = registry_save(l->registry, now_ns, SAVE_ROWS);
    }
    if (b->watchdog_every_ns > 0 && now_ns >= b->watchdog_ns) {
        notify_send("WATCHDOG=1");
        b->watchdog_ns = now_ns + b->watchdog_every_ns;
    }
}

static bool
has_memory(struct beats *b, int64_t now_ns)
{
    if (now_ns < b->memory_ns) {
        return true;
    }
    b->memory_ns = now_ns + MEMORY_CHECK_NS;
    int64_t bytes = resident_bytes();
    if (bytes <= MEMORY_MAX_BYTES) {
        return true;
    }
    log_line(LOG_ERROR,
             "ending: %lld MiB in memory, more than %lld; start again, the "
             "state is kept",
             (long long)(bytes >> 20), (long long)(MEMORY_MAX_BYTES >> 20));
    return false;
}

/* Milliseconds until something is due by itself. */
static int
patience(const struct loop *l, const struct beats *b, int64_t now_ns)
{
    int64_t due_ns = bk_fleet_deadline(l->registry->fleet);
    due_ns = b->heart_ns < due_ns ? b->heart_ns : due_ns;
    int64_t probe_ns = prober_deadline(l->registry->prober);
    due_ns = b->save_ns < due_ns ? b->save_ns : due_ns;
    due_ns = probe_ns < due_ns ? probe_ns : due_ns;
    int64_t look_ns = rings_deadline(l->rings);
    int64_t show_ns = publish_deadline(l->registry->publish);
    due_ns = look_ns < due_ns ? look_ns : due_ns;
    int64_t call_ns = router_deadline(l->router);
    due_ns = show_ns < due_ns ? show_ns : due_ns;
    due_ns = call_ns < due_ns ? call_ns : due_ns;
    return due_ns > now_ns ? (int)bk_ms_up(due_ns - now_ns) : 0;
}

/* False when a descriptor cannot be watched. */
static bool
open_wakes(const struct loop *l, struct wakes *w)
{
    return wakes_open(w) &&
           wakes_add(w, WAKE_CALLERS, callers_fd(l->callers)) &&
           wakes_add(w, WAKE_STORE, store_fd(l->registry->store)) &&
           wakes_add(w, WAKE_WATCH, watch_fd(l->watch)) &&
           wakes_add(w, WAKE_RINGS, rings_fd(l->rings)) &&
           wakes_add(w, WAKE_SIGNAL, l->signal_fd);
}

static bool
watch_prober(const struct loop *l, struct wakes *w)
{
    const struct prober *p = l->registry->prober;
    struct prober_stats stats;
    prober_stats(p, &stats);
    return wakes_prober(w, prober_fd(p), stats.starts,
                        prober_wants_to_write(p));
}

/* Sleeps until there is something to do. */
static bool
doze(const struct loop *l, const struct beats *b, struct wakes *w)
{
    bool is_busy = b->is_saving || router_has_more(l->router) ||
                   rings_has_more(l->rings) || l->commands->slice_count > 0;
    registry_publish_rest(l->registry, false);
    int wait_ms = is_busy ? 0 : patience(l, b, clock_boot_ns());
    return watch_prober(l, w) && wakes_wait(w, wait_ms);
}

/* One turn; false when the daemon should end, and `status` says how. */
static bool
turn(struct loop *l, struct beats *b, const struct wakes *w, int *status)
{
    int64_t now_ns = clock_boot_ns();
    if (wakes_has(w, WAKE_SIGNAL) && take_signal(l, now_ns)) {
        return false;
    }
    registry_advance(l->registry, now_ns);
    /* Before the dead: one of them may have handed over a ring behind whose last
     * outcome it died. */
    rings_turn(l->rings, now_ns, wakes_has(w, WAKE_RINGS));
    if (wakes_has(w, WAKE_WATCH)) {
        bury(l, now_ns);
    }
    registry_probe(l->registry, now_ns);
    registry_publish(l->registry);
    router_turn(l->router, now_ns, wakes_has(w, WAKE_CALLERS));
    if (commands_slice(l->commands, now_ns)) {
        router_flush(l->router);
    }
    if (wakes_has(w, WAKE_STORE)) {
        take_stored(l, now_ns);
    }
    beat(l, b, now_ns);
    *status = has_memory(b, now_ns) ? 0 : 1;
    return *status == 0;
}

int
loop_run(struct loop *l)
{
    struct beats b = {.watchdog_every_ns = notify_watchdog_ns()};
    struct wakes w;
    int status = 0;
    bool can_wait = open_wakes(l, &w);
    while (can_wait && turn(l, &b, &w, &status)) {
        can_wait = doze(l, &b, &w);
    }
    if (!can_wait) {
        log_line(LOG_ERROR, "ending: epoll: %s", strerror(errno));
        status = 1;
    }
    wakes_close(&w);
    return status;
}
