/* SPDX-License-Identifier: Apache-2.0 */
#include "herd.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

/* Shared by the parent and its children. */
struct place {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    unsigned expected;
    unsigned arrived;
    unsigned round;
};

struct herd {
    struct place *place;
    unsigned count;
    pid_t pids[];
};

static struct place *the_place;

int64_t
herd_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

void
herd_sleep_until(int64_t at_ns)
{
    struct timespec t = {.tv_sec = at_ns / NS_PER_S,
                         .tv_nsec = at_ns % NS_PER_S};
    while (clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

void
herd_fail(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(stderr, "%s\n", text);
    fflush(stderr);
    _exit(1);
}

void *
herd_share(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        herd_fail("no memory to share: %s", strerror(errno));
    return p;
}

static struct place *
make_place(unsigned expected)
{
    struct place *place = herd_share(sizeof(*place));
    pthread_mutexattr_t mutex;
    pthread_condattr_t cond;
    place->expected = expected;
    pthread_mutexattr_init(&mutex);
    pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&place->mutex, &mutex);
    pthread_condattr_init(&cond);
    pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
    pthread_condattr_setclock(&cond, CLOCK_MONOTONIC);
    pthread_cond_init(&place->cond, &cond);
    return place;
}

/* Leaves as _exit does, but lets a sanitizer look for leaks first. */
__attribute__((noreturn)) static void
leave(void)
{
    fflush(NULL);
    exit(0);
}

static pid_t
start_one(unsigned index, herd_work *work, void *context)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        herd_fail("cannot fork: %s", strerror(errno));
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    work(index, context);
    leave();
}

struct herd *
herd_start(unsigned count, herd_work *work, void *context)
{
    struct herd *h = calloc(1, sizeof(*h) + count * sizeof(h->pids[0]));
    if (h == NULL)
        herd_fail("no memory for %u workers", count);
    h->count = count;
    h->place = make_place(count + 1);
    the_place = h->place;
    fflush(NULL);
    for (unsigned i = 0; i < count; i++)
        h->pids[i] = start_one(i, work, context);
    return h;
}

static void
meet(struct place *place)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += HERD_WAIT_MS / 1000;
    pthread_mutex_lock(&place->mutex);
    unsigned round = place->round;
    if (++place->arrived == place->expected) {
        place->arrived = 0;
        place->round++;
        pthread_cond_broadcast(&place->cond);
    }
    while (place->round == round) {
        if (pthread_cond_timedwait(&place->cond, &place->mutex, &end) == 0)
            continue;
        if (place->round == round)
            herd_fail("only %u of %u came", place->arrived, place->expected);
    }
    pthread_mutex_unlock(&place->mutex);
}

void
herd_meet(struct herd *h)
{
    meet(h->place);
}

void
herd_meet_parent(void)
{
    meet(the_place);
}

static bool
ended_well(pid_t pid)
{
    int status = 0;
    int64_t end_ns = herd_now_ns() + HERD_WAIT_MS * NS_PER_MS;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (herd_now_ns() > end_ns) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            return false;
        }
        herd_sleep_until(herd_now_ns() + NS_PER_MS);
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void
herd_finish(struct herd **h)
{
    unsigned bad = 0;
    for (unsigned i = 0; i < (*h)->count; i++)
        bad += ended_well((*h)->pids[i]) ? 0 : 1;
    free(*h);
    *h = NULL;
    if (bad > 0)
        herd_fail("%u workers did not end well", bad);
}

uint64_t
herd_draw(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t
herd_number(const char *document, const char *key)
{
    char pattern[64];
    snprintf(pattern, sizeof(pattern), "\"%s\":", key);
    const char *at = strstr(document, pattern);
    if (at == NULL)
        herd_fail("no %s in %.200s", key, document);
    return strtoull(at + strlen(pattern), NULL, 10);
}

const char *
herd_option(int argc, char **argv, const char *name, const char *otherwise)
{
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    if (otherwise == NULL)
        herd_fail("%s is missing", name);
    return otherwise;
}

uint64_t
herd_option_number(int argc, char **argv, const char *name, uint64_t otherwise)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)otherwise);
    return strtoull(herd_option(argc, argv, name, text), NULL, 10);
}
