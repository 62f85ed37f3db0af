#ifndef CTL_VIEW_H
#define CTL_VIEW_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared memory as a tool sees it: mapped read-only, believed only after its
 * owner, mode, size and layout were looked at. It outlives the daemon, so what
 * is here can be read when nobody answers. */
#include "core/segment.h"
#include "core/status.h"
#include "tools/ctl_place.h"

struct view {
    void *base;
    size_t bytes;
    struct bk_segment segment;
    char path[PLACE_PATH_SIZE];
    char version[BK_VERSION_SIZE];
    int64_t now_ns;           /* CLOCK_BOOTTIME when it was looked at */
    int64_t heartbeat_age_ns; /* BK_NEVER: never beaten */
    uint64_t pid;             /* of the daemon, or the last one */
    bool is_stopped;          /* it ended cleanly */
    bool is_deaf;             /* nobody listened when it was opened */
    bool is_running;          /* it beats and somebody listens */
};

enum view_result {
    VIEW_OPEN,
    VIEW_ABSENT,    /* no such file */
    VIEW_FORBIDDEN, /* this user may not read it */
    VIEW_UNSOUND    /* another layout, another time namespace, not ours */
};

/* Maps DIR/breakerd.shm. Anything but VIEW_OPEN comes with a clause in `why`. */
enum view_result view_open(struct view *v, const struct place *p,
                           struct bk_text *why);
/* Takes the time anew, and what the heartbeat says then. */
void view_beat(struct view *v);
void view_close(struct view *v);

/* One service as of `now_ns`: a deadline takes effect at its own instant, so
 * those that passed since the last publication are let pass here. */
struct view_service {
    uint32_t slot;
    struct bk_record record;
    struct bk_policy policy;
};
/* False: the slot is free, or could not be read whole. */
bool view_read(const struct view *v, uint32_t slot, struct view_service *out);
bool view_find(const struct view *v, const char *name,
               struct view_service *out);
/* Slots in use, sorted by name; the caller frees. NULL and none without memory. */
uint32_t *view_slots(const struct view *v, size_t *count);
/* A name in use that is near a misspelt one; false when there is none. */
bool view_nearest(const struct view *v, const char *name,
                  char out[BK_NAME_SIZE]);
/* Time till the service's lease that ends first does; 0 when none is out. */
int64_t view_lease_left(const struct view *v, const struct view_service *s);
/* What an ACQUIRE would be answered, without asking. */
struct bk_effects view_peek(const struct view *v, const struct view_service *s);
/* The daemon's part of the status. */
void view_daemon(const struct view *v, struct bk_status_daemon *out);

#endif
