/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/gate.h"
#include "daemon/listen.h"
#include "daemon/log.h"
#include "daemon/meter.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Descriptors above this are never connections. */
#define FD_MAX 16384
/* Left free for SQLite's files, process watches, and the unforeseen. */
#define FD_SPARE 10
/* One user may hold this share of all connections, so that another gets in. */
#define USER_SHARE_PCT 80

struct guest {
    bool is_in;
    enum gate_door door;
    uid_t uid;
    pid_t pid;
};

/* accept4 and close are called on libzmq's thread and on the loop's, the rest on the
 * loop's. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct guest guests[FD_MAX];
static int guests_end;                /* above each that was ever in */
static _Atomic int doors[GATE_DOORS]; /* listening descriptor + 1 */
static int reserve_fd = -1;
static uint64_t cap_total;
static struct gate_stats stats;

static int
raw_close(int fd)
{
    return (int)syscall(SYS_close, fd);
}

int
gate_listen(const struct rundir *r, enum gate_door door, const char *name,
            mode_t mode, struct bk_text *error)
{
    int fd = listen_at(r, name, SOCK_STREAM, mode, error);
    if (fd >= 0) {
        gate_adopt(door, fd);
    }
    return fd;
}

void
gate_adopt(enum gate_door door, int fd)
{
    atomic_store(&doors[door], fd + 1);
}

static uint64_t
count_open(void)
{
    uint64_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL) {
        return 64;
    }
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

void
gate_arm(void)
{
    struct rlimit limit = {.rlim_cur = 64, .rlim_max = 64};
    getrlimit(RLIMIT_NOFILE, &limit);
    uint64_t most = limit.rlim_cur < FD_MAX ? limit.rlim_cur : FD_MAX;
    uint64_t used = count_open() + GATE_DOORS + FD_SPARE;
    pthread_mutex_lock(&lock);
    reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    cap_total = most > used + 4 ? most - used : 4;
    uint64_t cap = cap_total;
    pthread_mutex_unlock(&lock);
    log_line(LOG_DEBUG, "room for %llu connections", (unsigned long long)cap);
}

void
gate_stats(struct gate_stats *out)
{
    pthread_mutex_lock(&lock);
    *out = stats;
    pthread_mutex_unlock(&lock);
}

/* ---- between who takes connections and the kernel ---- */

static bool
is_known_pid(pid_t pid)
{
    for (int fd = 0; fd < guests_end; fd++) {
        if (guests[fd].is_in && guests[fd].door == GATE_WORKER &&
            guests[fd].pid == pid) {
            return true;
        }
    }
    return false;
}

static uint64_t
count_user(uid_t uid)
{
    uint64_t count = 0;
    for (int fd = 0; fd < guests_end; fd++) {
        count += guests[fd].is_in && guests[fd].uid == uid;
    }
    return count;
}

/* Whether the newcomer may stay. Under the lock. */
static bool
let_in(int fd, enum gate_door door)
{
    struct ucred who = {.pid = 0, .uid = (uid_t)-1};
    socklen_t size = sizeof(who);
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size);
    if (fd >= FD_MAX || stats.connections >= cap_total ||
        count_user(who.uid) * 100 >= cap_total * USER_SHARE_PCT) {
        stats.refused++;
        return false;
    }
    if (door == GATE_WORKER && !is_known_pid(who.pid)) {
        stats.workers++;
    }
    guests[fd] = (struct guest){
        .is_in = true, .door = door, .uid = who.uid, .pid = who.pid};
    guests_end = fd < guests_end ? guests_end : fd + 1;
    stats.connections++;
    if (door == GATE_EVENTS) {
        meter_begin(fd);
    }
    return true;
}

static void
let_out(int fd)
{
    struct guest gone = guests[fd];
    guests[fd].is_in = false;
    stats.connections--;
    meter_end(fd);
    if (gone.door == GATE_WORKER && !is_known_pid(gone.pid)) {
        stats.workers--;
    }
}

/* No descriptor left: take the caller off the queue with the reserve and hang
 * up, or the loop would spin on a socket that stays readable. Under the lock. */
static void
hang_up(int listening)
{
    stats.shortages++;
    if (reserve_fd >= 0) {
        raw_close(reserve_fd);
        int fd = (int)syscall(SYS_accept4, listening, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            raw_close(fd);
        }
        reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
}

static int
door_of(int listening)
{
    for (int door = 0; door < GATE_DOORS; door++) {
        if (atomic_load(&doors[door]) == listening + 1) {
            return door;
        }
    }
    return -1;
}

static bool
is_shortage(int number)
{
    return number == EMFILE || number == ENFILE || number == ENOBUFS ||
           number == ENOMEM;
}

/* These replace libc's for the whole program, libzmq included. The names are given
 * to the linker only: to the compiler they are glibc's, with types of its own. */
int gate_accept4(int listening, struct sockaddr *restrict address,
                 socklen_t *restrict size, int flags) __asm__("accept4");
int gate_close(int fd) __asm__("close");

/* What libzmq cannot bear (it asserts on most errors) becomes "nobody there". */
int
gate_accept4(int listening, struct sockaddr *restrict address,
             socklen_t *restrict size, int flags)
{
    int fd = (int)syscall(SYS_accept4, listening, address, size, flags);
    int number = errno;
    int door = door_of(listening);
    if (door < 0) { /* ring.sock: its loop would spin likewise */
        if (fd < 0 && is_shortage(number)) {
            pthread_mutex_lock(&lock);
            hang_up(listening);
            pthread_mutex_unlock(&lock);
            number = EAGAIN;
        }
        errno = number;
        return fd;
    }
    pthread_mutex_lock(&lock);
    if (fd >= 0 && !let_in(fd, (enum gate_door)door)) {
        raw_close(fd);
        fd = -1;
        number = EAGAIN;
    } else if (fd < 0 && number != EAGAIN && number != EINTR) {
        hang_up(listening);
        number = EAGAIN;
    }
    pthread_mutex_unlock(&lock);
    errno = number;
    return fd;
}

int
gate_close(int fd)
{
    if (fd >= 0 && fd < FD_MAX) {
        pthread_mutex_lock(&lock);
        if (guests[fd].is_in) {
            let_out(fd);
        }
        pthread_mutex_unlock(&lock);
    }
    return raw_close(fd);
}
