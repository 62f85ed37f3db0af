#ifndef QUICKSTART_OPTIONS_H
#define QUICKSTART_OPTIONS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What quickstart_worker is told to do. */
#include "core/text.h"

#define QUICKSTART_WORKERS_MAX 64

enum quickstart_mode {
    QUICKSTART_NONE, /* no breakerd: every worker on its own */
    QUICKSTART_AUTO,
    QUICKSTART_ZMQ,
    QUICKSTART_LOCAL,
    QUICKSTART_MODE_COUNT
};
const char *quickstart_mode_name(enum quickstart_mode mode);

struct quickstart_options {
    const char *url;     /* called by every worker */
    const char *service; /* its name at breakerd */
    const char *dir;     /* breakerd's runtime directory; NULL: searched */
    const char
        *control;       /* flaky-upstream's control port as a URL; NULL: none */
    const char *script; /* given to it at the start; NULL: its own again */
    const char *result; /* file for the JSON; NULL: standard output */
    enum quickstart_mode mode;
    bool is_live; /* a line a second on standard error */
    uint32_t workers;
    uint32_t attempts;     /* of one call, the first included */
    uint64_t seed;         /* of the arrival times */
    uint64_t rate;         /* calls a second, of the whole fleet */
    int64_t duration_ns;   /* arrivals end after it */
    int64_t base_delay_ns; /* before the second attempt; doubles */
    int64_t patience_ns;   /* how long a denied call waits for the circuit */
    int64_t timeout_ns;    /* of one attempt */
};

/* 0: go on. Otherwise the program is to exit with the result - 1; what is wrong
 * has been said. */
int quickstart_options_read(int argc, char **argv,
                            struct quickstart_options *out);

#endif
