/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets between breakerd and its prober, of both directions: whatever comes, it
 * is refused or it is a message that can be said again. */
#include "daemon/prober/message.h"
#include "target.h"
#include <string.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message m;
    struct message again;
    char packet[MESSAGE_MAX];
    if (!message_read((const char *)data, size, &m))
        return 0;
    PROMISE(m.kind < MESSAGE_KIND_COUNT);
    PROMISE(m.place < BK_CONFIG_SERVICES_MAX);
    PROMISE(m.kind != MESSAGE_HOOK || m.place < BK_WEBHOOKS_MAX);
    PROMISE(m.format < BK_WEBHOOK_FORMAT_COUNT && m.outcome <= BK_TIMEOUT);
    PROMISE(m.from < BK_STATE_COUNT && m.to < BK_STATE_COUNT);
    PROMISE(m.mode < BK_MODE_COUNT && m.cause < BK_CAUSE_COUNT);
    PROMISE(memchr(m.name, 0, sizeof(m.name)) != NULL);
    PROMISE(memchr(m.url, 0, sizeof(m.url)) != NULL);
    PROMISE(memchr(m.services, 0, sizeof(m.services)) != NULL);
    PROMISE(memchr(m.actor, 0, sizeof(m.actor)) != NULL);
    PROMISE(memchr(m.text, 0, sizeof(m.text)) != NULL);
    int len = message_write(&m, packet);
    PROMISE(len > 0);
    PROMISE(message_read(packet, (size_t)len, &again));
    PROMISE(memcmp(&m, &again, sizeof(m)) == 0);
    return 0;
}
