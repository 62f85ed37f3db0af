#ifndef CTL_TOP_H
#define CTL_TOP_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What `top` knows: the last look at the services, and how the operator wants to
 * see it. Looking (ctl_top_look), choosing (ctl_top_list), keys (ctl_top_key) and
 * drawing (ctl_top_draw) work on this alone; the terminal (ctl_top_terminal) knows
 * nothing of it. */
#include "core/breaker.h"
#include "core/segment.h"
#include "tools/ctl_top_page.h"

struct view;

/* A rate that is not known yet. */
#define TOP_UNKNOWN UINT64_MAX

/* One service at one look. */
struct top_row {
    char name[BK_NAME_SIZE];
    enum bk_state state;
    enum bk_mode mode;
    enum bk_cause cause;
    bool is_denied;  /* whatever its state: held, or what it requires is open */
    int64_t left_ns; /* until something ends by itself; 0: nothing does */
    int64_t since_ns;
    uint64_t calls_mps;  /* thousandths a second, allowed and denied */
    uint64_t denied_mps; /* TOP_UNKNOWN before the second look */
    uint64_t failure_ppm;
    uint64_t failure_limit_ppm; /* 0: no such rule */
    uint32_t failures_in_row;
    uint32_t failures_in_row_limit; /* 0: no such rule */
    uint64_t budget_ppm;
    uint32_t permits;
    uint32_t permit_limit; /* 0: none are counted */
};

/* A service's counters at the look before. */
struct top_count {
    uint32_t incarnation;
    bool is_known;
    uint64_t allowed;
    uint64_t denied;
};

enum top_sort {
    TOP_BY_NAME,
    TOP_BY_STATE,
    TOP_BY_FAILURES,
    TOP_BY_DENIED,
    TOP_BY_CALLS,
    TOP_BY_LEFT,
    TOP_BY_BUDGET,
    TOP_SORT_COUNT
};

enum top_mode { TOP_TABLE, TOP_EXPLAIN, TOP_HELP };

struct top {
    /* The last look. */
    struct view *view; /* kept for the next one; NULL: nothing is mapped */
    bool has_looked;
    bool is_running;
    bool is_stopped;
    bool is_forbidden; /* this user may not look */
    char why[160];     /* "" or why there is nothing to see */
    char path[PLACE_PATH_SIZE];
    char version[BK_VERSION_SIZE];
    uint64_t pid;
    uint64_t epoch;
    uint64_t workers;
    int64_t uptime_ns;
    int64_t heartbeat_age_ns; /* BK_NEVER: never beaten */
    int64_t looked_ns;
    int64_t now_ns; /* of the drawing: how old the look is */
    struct top_row *rows;
    size_t count;
    size_t room;
    struct top_count *counts; /* by slot */
    uint32_t count_room;
    uint64_t counts_epoch;
    int64_t counts_ns; /* when they were taken; 0: never */

    /* How it is to be seen. */
    enum top_mode mode;
    enum top_sort sort;
    bool is_reversed;
    bool is_paused;
    bool is_typing; /* the filter is being written */
    bool wants_end;
    char filter[BK_NAME_SIZE];
    char
        selected[BK_NAME_SIZE]; /* stays with its service, wherever that goes */
    size_t first;               /* row at the top of the screen */
    size_t scroll;              /* line at the top of an explanation */
    size_t lines;               /* of the screen */
    size_t columns;

    /* Rows that pass the filter, in order: indexes. */
    size_t *shown;
    size_t shown_count;

    /* Of the selected service, while it is explained. */
    struct top_story {
        char (*lines)[TOP_LINE_SIZE];
        size_t count;
    } story;
};

void top_init(struct top *t);
void top_fini(struct top *t);

/* Looks at the shared memory. A daemon that is away and a file that cannot be read
 * are things to show, no errors. */
void top_look(struct top *t, const char *dir);
/* Lets go of what is mapped. Before top_fini. */
void top_forget(struct top *t);

/* Sorts and filters, and keeps the selection on the screen. After every look, key
 * and change of size. */
void top_arrange(struct top *t);
/* Lines of the screen that rows can have. */
size_t top_room(const struct top *t);
/* The place of the selected row within `shown`; shown_count when it has none. */
size_t top_selected(const struct top *t);

/* Does what the octets typed say. */
void top_type(struct top *t, const char *octets, size_t len);

/* Draws lines and columns of the state. `is_text`: all rows, for a file. */
void top_draw(const struct top *t, bool is_text, struct top_page *page);

#endif
