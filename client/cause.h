#ifndef CLIENT_CAUSE_H
#define CLIENT_CAUSE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Why a worker is not on the fast path: a code to compare, a clause to print. */
#include "core/text.h"

enum cause_code {
    CAUSE_NONE,
    CAUSE_NOT_TRIED,
    CAUSE_NO_DIRECTORY,
    CAUSE_PATH_TOO_LONG,
    CAUSE_SEGMENT_MISSING,
    CAUSE_SEGMENT_DENIED,
    CAUSE_SEGMENT_FAILED,  /* open or map: the system's word */
    CAUSE_SEGMENT_FOREIGN, /* owner or mode: not to be trusted */
    CAUSE_SEGMENT_UNSOUND,
    CAUSE_SEGMENT_BLANK,
    CAUSE_OTHER_BOOT,
    CAUSE_TIME_NAMESPACE,
    CAUSE_STOPPED,
    CAUSE_HEARTBEAT,
    CAUSE_SOCKET_MISSING,
    CAUSE_SOCKET_DENIED,
    CAUSE_DESCRIPTORS,
    CAUSE_THREADS,
    CAUSE_TRANSPORT,
    CAUSE_CONNECTING, /* never got through to the daemon in time */
    CAUSE_SILENT,     /* asked, no answer in time */
    CAUSE_REFUSED,    /* answered with an error */
    CAUSE_CHOSEN      /* mode local */
};

struct cause {
    enum cause_code code;
    char text[512];
};

static inline struct bk_text
cause_set(struct cause *cause, enum cause_code code)
{
    struct bk_text text;

    cause->code = code;
    bk_text_init(&text, cause->text, sizeof cause->text);
    return text;
}

#endif
