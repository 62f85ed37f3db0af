#ifndef METRICS_FAMILY_H
#define METRICS_FAMILY_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Families of metrics are rows: name, type, help, labels and where the value
 * comes from. The text, and docs/metrics.md, follow from the rows. */
#include "tools/metrics.h"

/* The daemon's process, as the kernel tells of it. */
struct metrics_process {
    bool is_known;
    int64_t cpu_us;
    int64_t resident_bytes;
    int64_t virtual_bytes;
    int64_t started_us; /* since the boot */
    int64_t open_fds;   /* METRICS_NONE: not for us to see; so the next */
    int64_t max_fds;
};

/* A service, all that is known of it read once. */
struct metrics_subject {
    struct view_service service;
    struct bk_stats stats;
    struct bk_window_totals window;
    char label[2 * BK_NAME_SIZE + 16]; /* {service="NAME" */
    size_t label_len;
};

/* What one text is made of. */
struct metrics_scene {
    const struct view *v; /* NULL: nothing can be read */
    struct bk_status_daemon daemon;
    struct bk_totals totals;
    struct metrics_process process;
    int64_t wall_us; /* the wall clock where CLOCK_BOOTTIME is 0 */
    struct metrics_subject *subjects;
    size_t count;
};

/* Values of one label, or of a pair of them. */
struct metrics_axis {
    const char *keys; /* for people: "reason", "from, to" */
    size_t count;
    bool (*has)(size_t index); /* NULL: all */
    void (*put)(struct bk_text *out, size_t index);
    /* Instead of `put`: a value that is known only when it is told. */
    void (*tell)(struct bk_text *out, const struct metrics_scene *scene);
};

enum metrics_type {
    METRICS_GAUGE,
    METRICS_COUNTER,
    METRICS_HISTOGRAM,
    METRICS_SUMMARY
};

/* What a family tells of, and so when there is something to tell. */
enum metrics_of {
    METRICS_OF_ALL,    /* always there */
    METRICS_OF_DAEMON, /* while there is shared memory */
    METRICS_OF_LIFE,   /* while the daemon lives */
    METRICS_OF_SERVICE /* of each service */
};

/* A sample that is not there, and one without end. */
#define METRICS_NONE INT64_MIN
#define METRICS_ENDLESS BK_NEVER

/* `subject` is NULL for what is not of a service. */
typedef int64_t metrics_value(const struct metrics_scene *scene,
                              const struct metrics_subject *subject,
                              size_t index);

struct metrics_family {
    const char *name;
    enum metrics_type type;
    enum metrics_of of;
    bool is_millionths; /* of the unit in the name; else whole ones */
    const struct metrics_axis *axis; /* NULL: no label of its own */
    metrics_value *value; /* of histograms and summaries: the count */
    metrics_value *sum;   /* theirs alone, in millionths */
    const char *help;
};

struct metrics_table {
    const char *name;
    const char *service_label;
    const struct metrics_family *families;
    size_t count;
};
extern const struct metrics_table metrics_native;
extern const struct metrics_table metrics_resilience4j;

const char *metrics_type_name(enum metrics_type type);
void metrics_process_read(uint64_t pid, struct metrics_process *out);

#endif
