/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/attach.h"
#include "client/client.h"
#include "client/clock.h"
#include "client/trust.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SEGMENT_NAME "breakerd.shm"
#define SOCKET_NAME "worker.sock"

_Static_assert(sizeof((struct sockaddr_un){0}.sun_path) == ENDPOINT_SIZE,
               "a socket's path");

bool
attach_init(struct attach *a)
{
    memset(a, 0, sizeof *a);
    a->cause.code = CAUSE_NOT_TRIED;
    a->socket_cause.code = CAUSE_NOT_TRIED;
    return pthread_mutex_init(&a->lock, NULL) == 0;
}

void
view_free(struct view **view)
{
    if (*view == NULL)
        return;
    (void)munmap((*view)->base, (*view)->bytes);
    free(*view);
    *view = NULL;
}

void
attach_fini(struct attach *a)
{
    for (uint32_t i = 0; i < a->grave_count; i++)
        view_free(&a->graves[i]);
    (void)pthread_mutex_destroy(&a->lock);
}

/* ---- is it to be believed? ---- */

static struct bk_text
blame(struct cause *cause, enum cause_code code, const char *dir,
      const char *name)
{
    struct bk_text text = cause_set(cause, code);

    bk_text_put(&text, dir);
    bk_text_put(&text, "/");
    bk_text_put(&text, name);
    return text;
}

static void
blame_denied(struct cause *cause, enum cause_code code, const char *dir,
             const char *name, const struct stat *st, mode_t group_bit)
{
    struct bk_text text = cause_set(cause, code);

    bk_text_put(&text, "permission denied on ");
    bk_text_put(&text, dir);
    bk_text_put(&text, "/");
    bk_text_put(&text, name);
    if (st == NULL)
        return;
    if ((st->st_mode & group_bit) != 0) {
        bk_text_put(&text, ": join its group (breakerd, gid ");
        bk_text_put_u64(&text, st->st_gid);
        bk_text_put(&text, ")");
    } else {
        bk_text_put(&text, ": it is for uid ");
        bk_text_put_u64(&text, st->st_uid);
        bk_text_put(&text, " alone");
    }
}

static void
blame_system(struct cause *cause, enum cause_code code, const char *dir,
             const char *name, int error)
{
    struct bk_text text = blame(cause, code, dir, name);
    const char *words = strerrordesc_np(error);

    bk_text_put(&text, ": ");
    bk_text_put(&text, words != NULL ? words : "unknown error");
}

static bool
check(const struct view *view, const char *dir, struct cause *cause)
{
    const char *why;
    enum cause_code code = trust_header(view->segment.header, &why);

    if (code != CAUSE_NONE) {
        struct bk_text text = blame(cause, code, dir, SEGMENT_NAME);

        bk_text_put(&text, why);
    }
    return code == CAUSE_NONE;
}

/* ---- mapping ---- */

static struct view *
map(struct breaker *b, int fd, const struct stat *st, const char *dir,
    struct cause *cause)
{
    struct view *view = calloc(1, sizeof *view);
    const char *why;
    struct bk_text text;

    if (view == NULL) {
        blame_system(cause, CAUSE_SEGMENT_FAILED, dir, SEGMENT_NAME, ENOMEM);
        return NULL;
    }
    view->bytes = (size_t)st->st_size;
    view->device = st->st_dev;
    view->inode = st->st_ino;
    view->base = mmap(NULL, view->bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (view->base == MAP_FAILED) {
        blame_system(cause, CAUSE_SEGMENT_FAILED, dir, SEGMENT_NAME, errno);
        free(view);
        return NULL;
    }
    why = bk_segment_attach(&view->segment, view->base, view->bytes);
    if (why != NULL) {
        text = blame(cause, CAUSE_SEGMENT_UNSOUND, dir, SEGMENT_NAME);
        bk_text_put(&text, " ");
        bk_text_put(&text, why);
        view_free(&view);
    } else if (!check(view, dir, cause)) {
        view_free(&view);
    } else {
        view->serial = ++b->view_serial & 0xffffff;
    }
    return view;
}

/* Opens the file beneath the directory whose owner vouches for it. */
static int
open_segment(int dir_fd, const char *dir, const struct stat *dir_stat,
             struct stat *st, struct cause *cause)
{
    int fd = openat(dir_fd, SEGMENT_NAME,
                    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    const char *why = NULL;
    struct bk_text text;

    if (fd < 0 && errno == EACCES) {
        bool is_there = fstatat(dir_fd, SEGMENT_NAME, st, 0) == 0;

        blame_denied(cause, CAUSE_SEGMENT_DENIED, dir, SEGMENT_NAME,
                     is_there ? st : NULL, S_IRGRP);
    } else if (fd < 0 && errno == ENOENT) {
        text = blame(cause, CAUSE_SEGMENT_MISSING, dir, SEGMENT_NAME);
        bk_text_put(&text, " does not exist: breakerd does not run there");
    } else if (fd < 0 || fstat(fd, st) < 0) {
        blame_system(cause, CAUSE_SEGMENT_FAILED, dir, SEGMENT_NAME, errno);
    } else {
        why = trust_file(st, dir_stat);
        if (why == NULL)
            return fd;
        text = blame(cause, CAUSE_SEGMENT_FOREIGN, dir, SEGMENT_NAME);
        bk_text_put(&text, why);
    }
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

static bool
is_same(const struct view *view, const struct stat *st)
{
    return view != NULL && view->device == st->st_dev &&
           view->inode == st->st_ino && (off_t)view->bytes == st->st_size &&
           atomic_load_explicit(&view->segment.header->phase,
                                memory_order_acquire) != BK_SEGMENT_RETIRED;
}

/* Makes room for one more replaced mapping; false while all are too young. */
static bool
make_room(struct attach *a, int64_t now_ns)
{
    if (a->grave_count < ATTACH_GRAVES)
        return true;
    if (now_ns - a->graves[0]->retired_ns < ATTACH_GRAVE_NS)
        return false;
    view_free(&a->graves[0]);
    a->grave_count--;
    for (uint32_t i = 0; i < a->grave_count; i++)
        a->graves[i] = a->graves[i + 1];
    return true;
}

/* The old mapping's readers go on undisturbed: where they looked are zeros. */
static void
bury(struct attach *a, struct view *view, int64_t now_ns)
{
    void *zeros =
        mmap(view->base, view->bytes, PROT_READ,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);

    (void)zeros; /* failing leaves the old content: also harmless to read */
    view->retired_ns = now_ns;
    a->graves[a->grave_count++] = view;
}

/* ---- looking ---- */

static void
look_for_segment(struct breaker *b, struct attach *a, int dir_fd,
                 const char *dir, int64_t now_ns)
{
    struct view *old = atomic_load_explicit(&b->view, memory_order_acquire);
    struct view *view;
    struct stat dir_stat;
    struct stat st;
    int fd;

    if (fstat(dir_fd, &dir_stat) < 0)
        return;
    fd = open_segment(dir_fd, dir, &dir_stat, &st, &a->cause);
    if (fd < 0)
        return;
    if (is_same(old, &st)) {
        a->cause.code = CAUSE_NONE;
    } else if (old == NULL || make_room(a, now_ns)) {
        view = map(b, fd, &st, dir, &a->cause);
        if (view != NULL) {
            a->cause.code = CAUSE_NONE;
            /* Pairs with the acquire of every reader of b->view. */
            atomic_store_explicit(&b->view, view, memory_order_release);
            if (old != NULL)
                bury(a, old, now_ns);
        }
    }
    (void)close(fd);
}

static void
look_for_socket(struct attach *a, int dir_fd, const char *dir)
{
    struct bk_text text;
    struct stat st;

    bk_text_init(&text, a->socket, sizeof a->socket);
    bk_text_put(&text, dir);
    bk_text_put(&text, "/" SOCKET_NAME);
    a->socket_cause.code = CAUSE_NONE;
    if (text.is_cut) {
        text = blame(&a->socket_cause, CAUSE_PATH_TOO_LONG, dir, SOCKET_NAME);
        bk_text_put(&text, " is too long a path for a socket (over 107)");
    } else if (faccessat(dir_fd, SOCKET_NAME, W_OK, AT_EACCESS) == 0) {
        return;
    } else if (errno == EACCES) {
        bool is_there = fstatat(dir_fd, SOCKET_NAME, &st, 0) == 0;

        blame_denied(&a->socket_cause, CAUSE_SOCKET_DENIED, dir, SOCKET_NAME,
                     is_there ? &st : NULL, S_IWGRP);
    } else {
        text = blame(&a->socket_cause, CAUSE_SOCKET_MISSING, dir, SOCKET_NAME);
        bk_text_put(&text, " does not exist: breakerd does not run there");
    }
    a->socket[0] = '\0';
}

static void
look(struct breaker *b, struct attach *a, int64_t now_ns)
{
    const char *dir = places_choose(&b->places, &a->cause);
    int fd;

    if (dir == NULL) {
        a->socket_cause = a->cause;
        a->socket[0] = '\0';
        return;
    }
    fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        struct bk_text text = cause_set(&a->cause, CAUSE_SEGMENT_FAILED);

        bk_text_put(&text, "cannot open ");
        bk_text_put(&text, dir);
        bk_text_put(&text, ": ");
        bk_text_put(&text, strerrordesc_np(errno));
        a->socket_cause = a->cause;
        a->socket[0] = '\0';
        return;
    }
    if (b->mode != BREAKER_MODE_LOCAL) {
        look_for_segment(b, a, fd, dir, now_ns);
        look_for_socket(a, fd, dir);
    }
    (void)close(fd);
}

void
attach_probe(struct breaker *b, int64_t now_ns, bool is_urgent)
{
    struct world *w = client_world(b);
    struct attach *a = &w->attach;

    if (!is_urgent &&
        now_ns < atomic_load_explicit(&a->due_ns, memory_order_relaxed))
        return;
    if (pthread_mutex_trylock(&a->lock) != 0)
        return;
    atomic_store_explicit(&a->due_ns,
                          now_ns + ATTACH_PROBE_NS +
                              client_jitter(w, ATTACH_PROBE_NS / 4),
                          memory_order_relaxed);
    look(b, a, now_ns);
    (void)pthread_mutex_unlock(&a->lock);
}

bool
attach_socket(struct breaker *b, char path[ENDPOINT_SIZE], struct cause *cause)
{
    struct attach *a = &client_world(b)->attach;
    bool is_there;

    (void)pthread_mutex_lock(&a->lock);
    memcpy(path, a->socket, ENDPOINT_SIZE);
    is_there = path[0] != '\0';
    if (!is_there)
        *cause = a->socket_cause;
    (void)pthread_mutex_unlock(&a->lock);
    return is_there;
}

void
attach_cause(struct breaker *b, struct cause *out)
{
    struct attach *a = &client_world(b)->attach;

    (void)pthread_mutex_lock(&a->lock);
    *out = a->cause;
    (void)pthread_mutex_unlock(&a->lock);
}
