/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/peers.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Addresses that are remembered, a power of two; one that is not is read anew. */
#define SEEN 1024
/* "localhost" and three numbers of 32 bits, with room to spare. */
#define ADDRESS_SIZE 64
/* Workers whose names are remembered, by pid; display only. */
#define NAMES 4096

struct seen {
    char address[ADDRESS_SIZE];
    struct peer peer;
};

struct name {
    uint32_t pid;
    char text[BK_WORKER_SIZE];
};

struct peers {
    struct seen seen[SEEN];
    struct name names[NAMES];
};

struct peers *
peers_new(void)
{
    return calloc(1, sizeof(struct peers));
}

void
peers_free(struct peers **p)
{
    free(*p);
    *p = NULL;
}

/* The next of the numbers behind colons. */
static uint32_t
next_number(const char **rest, uint32_t otherwise)
{
    const char *colon = *rest != NULL ? strchr(*rest, ':') : NULL;
    uint64_t number;
    if (colon == NULL) {
        *rest = NULL;
        return otherwise;
    }
    *rest = colon + 1;
    bool is_number = bk_read_number(*rest, strcspn(*rest, ":"), &number) &&
                     number <= UINT32_MAX;
    return is_number ? (uint32_t)number : otherwise;
}

static void
read_peer(const char *address, struct peer *peer)
{
    const char *rest = address;
    memset(peer, 0, sizeof(*peer));
    peer->uid = next_number(&rest, UINT32_MAX);
    peer->gid = next_number(&rest, UINT32_MAX);
    peer->pid = next_number(&rest, 0);
    snprintf(peer->actor, sizeof(peer->actor), "%u:%u:%u", peer->uid, peer->gid,
             peer->pid);
}

/* FNV-1a. */
static uint32_t
hash(const char *address)
{
    uint32_t h = UINT32_C(2166136261);
    for (; *address != '\0'; address++) {
        h = (h ^ (unsigned char)*address) * UINT32_C(16777619);
    }
    return h ^ (h >> 16);
}

/* For display. Of two whose place is the same the later has it, until the other says
 * HELLO again; a pid that comes back may find the name of its last life till then. */
static char *
name_of(struct peers *p, uint32_t pid)
{
    struct name *name = &p->names[pid % NAMES];
    if (name->pid != pid) {
        memset(name, 0, sizeof(*name));
        name->pid = pid;
    }
    return pid != 0 ? name->text : NULL;
}

const struct peer *
peers_find(struct peers *p, const char *address, bool is_operator)
{
    const char *text = address != NULL ? address : "";
    struct seen *seen = &p->seen[hash(text) % SEEN];
    size_t len = strlen(text);
    /* One that does not fit is read each time, as is none at all. */
    if (len == 0 || len >= ADDRESS_SIZE || strcmp(seen->address, text) != 0) {
        memset(seen->address, 0, sizeof(seen->address));
        memcpy(seen->address, text, len < ADDRESS_SIZE ? len : 0);
        read_peer(text, &seen->peer);
    }
    seen->peer.is_operator = is_operator;
    seen->peer.worker = name_of(p, seen->peer.pid);
    return &seen->peer;
}
