#ifndef WEB_SOCKET_H
#define WEB_SOCKET_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening sockets: ADDRESS:PORT, unix:PATH, or one that was handed over. */
#include "core/text.h"

#define WEB_SOCKET_PATH_SIZE 108
#define WEB_SOCKET_NAME_SIZE 128

struct web_socket {
    int fd;
    uint16_t port;                      /* 0: no port (unix) */
    char address[WEB_SOCKET_NAME_SIZE]; /* as a browser writes it, without the
                                            port; "" for unix and "any" */
    char name[WEB_SOCKET_NAME_SIZE];    /* for people */
    char unlinks[WEB_SOCKET_PATH_SIZE]; /* the file to remove at the end */
};

enum web_socket_result {
    WEB_SOCKET_OPEN,
    WEB_SOCKET_BAD, /* the words mean nothing: a mistake of usage */
    WEB_SOCKET_FAILED
};

/* Opens what `words` say. Anything but OPEN comes with a sentence in `why`. */
enum web_socket_result web_socket_open(struct web_socket *s, const char *words,
                                       struct bk_text *why);
/* Takes one that listens already. */
bool web_socket_adopt(struct web_socket *s, int fd, struct bk_text *why);
/* Removes the file of a unix socket. Closing is MHD's, who has the descriptor. */
void web_socket_forget(struct web_socket *s);

#endif
