#ifndef CLIENT_STAGE_H
#define CLIENT_STAGE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What a worker finds: a runtime directory of the test's own, with a segment that
 * the test publishes and a daemon that plays lines. Either may be missing. */
#include "breaker/breaker.h"
#include "core/segment.h"
#include <sys/types.h>

/* The thread sanitizer supports neither a child of a process with threads that
 * starts threads, as libzmq does there, nor a thread cancelled in the middle of a
 * system call. The address sanitizer's allocator, unlike malloc, may be locked for
 * ever in a child when another thread allocated at the fork, and libzmq's threads
 * do. Such tests are skipped under them; they are quick, and run without. */
#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#elif __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN 0
#endif
#define SKIP_UNDER_TSAN() \
    do {                  \
        if (UNDER_TSAN)   \
            skip();       \
    } while (0)
#define SKIP_UNDER_SANITIZERS()       \
    do {                              \
        if (UNDER_TSAN || UNDER_ASAN) \
            skip();                   \
    } while (0)

struct shm;
struct fake;

struct stage {
    char dir[64];
    struct shm *shm;
    struct fake *fake;
    struct breaker *b;
    uint32_t flags;    /* of breaker_options, set before stage_open */
    char log[4096];    /* sentences told, one a line */
    uint32_t warnings; /* of them */
};

/* cmocka's setup and teardown: a fresh stage in *state, everything in it ended
 * and its directory removed. */
int stage_up(void **state);
int stage_down(void **state);
/* Opens s->b there; 0 for the defaults. */
void stage_open(struct stage *s, enum breaker_mode mode, enum breaker_fail fail,
                uint32_t deadline_ms);
/* Tests run over both transports; by libzmq when $BREAKERD_TRANSPORT says so. */
bool stage_is_libzmq(void);
void stage_path(const struct stage *s, const char *name, char path[128]);

/* ---- the segment: a fleet and its publication, as the daemon does it ---- */

/* Lays out DIR/breakerd.shm and starts its heart; phase RUNNING. */
struct shm *shm_new(const char *dir);
void shm_free(struct shm **shm);
struct bk_fleet *shm_fleet(struct shm *shm);
struct bk_segment *shm_segment(struct shm *shm);
/* Settings ("key=value ...") of services made from now on. */
void shm_configure(struct shm *shm, const char *settings);
/* Publishes what changed. */
void shm_publish(struct shm *shm);
/* The heart beats every 20 ms unless it is stopped; then it is `age` old. */
void shm_stop_heart(struct shm *shm, int64_t age_ns);
void shm_start_heart(struct shm *shm);
int64_t shm_now(void); /* BOOTTIME */

/* ---- the daemon that plays lines ---- */

/* Writes the answer to a line, "" for none; `context` is fake_new's. */
typedef void fake_player(void *context, const char *line, char *answer,
                         size_t size);

struct fake *fake_new(const char *dir, fake_player *player, void *context);
/* Ends it; its socket file stays, as after a kill. */
void fake_free(struct fake **fake);
/* Muted it takes lines up and keeps its answers until it may speak. */
void fake_mute(struct fake *fake, bool is_muted);
/* How many lines so far begin with this, and the n-th of them (from 0). */
uint32_t fake_count(struct fake *fake, const char *prefix);
bool fake_line(struct fake *fake, const char *prefix, uint32_t n,
               char line[1100]);
/* Waits, 2 s at most, until there are `count` of them. */
bool fake_wait(struct fake *fake, const char *prefix, uint32_t count);

/* fork(), with a child that does not outlive the test. */
pid_t stage_fork(void);

/* ---- time ---- */
int64_t mono_ns(void);
void sleep_ms(int64_t ms);

#endif
