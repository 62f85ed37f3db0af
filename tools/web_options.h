#ifndef WEB_OPTIONS_H
#define WEB_OPTIONS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of breakerweb. */
#include "tools/web_request.h"

#define WEB_LISTEN_MAX 4
#define WEB_LISTEN_DEFAULT "127.0.0.1:9465"

/* Strings point into argv. */
struct web_options {
    const char *dir; /* NULL: not given */
    const char *listen[WEB_LISTEN_MAX];
    size_t listen_count;
    const char *hosts[WEB_HOSTS_MAX];
    size_t host_count;
    bool wants_help;
    bool wants_version;
};

/* False: the mistake has been told on stderr. */
bool web_options_read(struct web_options *o, int argc, char **argv);
/* --help, with the paths served. */
void web_options_help(void);

#endif
