/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/web_socket.h"
#include "tools/link.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128
#define UNIX_PREFIX "unix:"

union any_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
    struct sockaddr_storage room;
};

/* "cannot listen on NAME: WHY". */
static enum web_socket_result
fail(struct web_socket *s, const char *name, const char *clause,
     struct bk_text *why)
{
    bk_text_put(why, "cannot listen on ");
    bk_text_put(why, name);
    bk_text_put(why, ": ");
    bk_text_put(why, clause);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    return WEB_SOCKET_FAILED;
}

static enum web_socket_result
refuse(const char *words, const char *clause, struct bk_text *why)
{
    bk_text_put(why, "--listen ");
    bk_text_put(why, words);
    bk_text_put(why, ": ");
    bk_text_put(why, clause);
    return WEB_SOCKET_BAD;
}

/* Port, address and name of a socket that is bound. */
static bool
describe(struct web_socket *s)
{
    union any_address a = {0};
    socklen_t size = sizeof a;
    char digits[INET6_ADDRSTRLEN] = "";
    bool is_v6;
    struct bk_text name;

    if (getsockname(s->fd, &a.any, &size) != 0)
        return false;
    if (a.any.sa_family == AF_UNIX) {
        bk_text_init(&name, s->name, sizeof s->name);
        bk_text_put(&name, UNIX_PREFIX);
        bk_text_put_n(&name, a.un.sun_path,
                      strnlen(a.un.sun_path, sizeof a.un.sun_path));
        return true;
    }
    is_v6 = a.any.sa_family == AF_INET6;
    if (!is_v6 && a.any.sa_family != AF_INET)
        return false;
    inet_ntop(a.any.sa_family,
              is_v6 ? (const void *)&a.v6.sin6_addr
                    : (const void *)&a.v4.sin_addr,
              digits, sizeof digits);
    s->port = ntohs(is_v6 ? a.v6.sin6_port : a.v4.sin_port);
    bk_text_init(&name, s->name, sizeof s->name);
    bk_text_put(&name, is_v6 ? "[" : "");
    bk_text_put(&name, digits);
    bk_text_put(&name, is_v6 ? "]" : "");
    if (strcmp(digits, "0.0.0.0") != 0 && strcmp(digits, "::") != 0)
        bk_copy_text(s->address, sizeof s->address, s->name, name.len);
    bk_text_put_char(&name, ':');
    bk_text_put_u64(&name, s->port);
    return true;
}

/* A file left behind by a server that was killed is taken away; one that is
 * listened on is not. */
static enum web_socket_result
open_unix(struct web_socket *s, const char *words, struct bk_text *why)
{
    const char *path = words + strlen(UNIX_PREFIX);
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    if (path[0] != '/')
        return refuse(words, "the path must be absolute", why);
    if (strlen(path) >= sizeof un.sun_path)
        return refuse(words, "the path is longer than 107 octets", why);
    bk_copy_text(un.sun_path, sizeof un.sun_path, path, strlen(path));
    if (link_probe(path) == LINK_DEAF)
        unlink(path);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0 || bind(s->fd, (const struct sockaddr *)&un, sizeof un) != 0)
        return fail(s, words, strerror(errno), why);
    bk_copy_text(s->unlinks, sizeof s->unlinks, path, strlen(path));
    if (chmod(path, 0660) != 0 || listen(s->fd, BACKLOG) != 0)
        return fail(s, words, strerror(errno), why);
    (void)describe(s);
    return WEB_SOCKET_OPEN;
}

/* "ADDRESS:PORT" or "[ADDRESS]:PORT"; 0 octets when it is neither. */
static socklen_t
read_address(const char *words, union any_address *out)
{
    const char *colon = strrchr(words, ':');
    char address[INET6_ADDRSTRLEN];
    uint64_t port;
    size_t len;

    if (colon == NULL || !bk_read_number(colon + 1, strlen(colon + 1), &port) ||
        port > UINT16_MAX)
        return 0;
    len = (size_t)(colon - words);
    if (len > 2 && words[0] == '[' && words[len - 1] == ']' &&
        len - 2 < sizeof address) {
        bk_copy_text(address, sizeof address, words + 1, len - 2);
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons((uint16_t)port);
        return inet_pton(AF_INET6, address, &out->v6.sin6_addr) == 1
                   ? sizeof out->v6
                   : 0;
    }
    if (len == 0 || len >= sizeof address)
        return 0;
    bk_copy_text(address, sizeof address, words, len);
    if (strcmp(address, "localhost") == 0)
        bk_copy_text(address, sizeof address, "127.0.0.1", 9);
    out->v4.sin_family = AF_INET;
    out->v4.sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, address, &out->v4.sin_addr) == 1 ? sizeof out->v4
                                                               : 0;
}

enum web_socket_result
web_socket_open(struct web_socket *s, const char *words, struct bk_text *why)
{
    const int yes = 1;
    union any_address address = {0};
    socklen_t size;

    *s = (struct web_socket){.fd = -1};
    if (strncmp(words, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
        return open_unix(s, words, why);
    size = read_address(words, &address);
    if (size == 0)
        return refuse(words,
                      "give ADDRESS:PORT with a numeric address, "
                      "[ADDRESS]:PORT for IPv6, or unix:/PATH",
                      why);
    s->fd = socket(address.any.sa_family,
                   SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0 ||
        setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(s->fd, &address.any, size) != 0 || listen(s->fd, BACKLOG) != 0)
        return fail(s, words,
                    errno == EADDRINUSE
                        ? "something listens there already; give --listen "
                          "another port"
                        : strerror(errno),
                    why);
    (void)describe(s);
    return WEB_SOCKET_OPEN;
}

bool
web_socket_adopt(struct web_socket *s, int fd, struct bk_text *why)
{
    int is_listening = 0;
    socklen_t size = sizeof is_listening;

    *s = (struct web_socket){.fd = fd};
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) == 0 &&
        is_listening != 0 && describe(s))
        return true;
    bk_text_put(why, "$LISTEN_FDS: descriptor ");
    bk_text_put_i64(why, fd);
    bk_text_put(why, " is no listening stream socket");
    return false;
}

void
web_socket_forget(struct web_socket *s)
{
    if (s->unlinks[0] != '\0')
        unlink(s->unlinks);
}
