/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/prober/address.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool
is_within_v4(uint32_t address, uint32_t network, unsigned bits)
{
    return bits == 0 || (address ^ network) >> (32 - bits) == 0;
}

static bool
is_loopback_v4(uint32_t address)
{
    return is_within_v4(address, 0x7f000000, 8);
}

static bool
is_allowed_v4(uint32_t address, bool may_be_loopback)
{
    static const struct {
        uint32_t network;
        unsigned bits;
    } barred[] = {
        {0x00000000, 8},  /* this host, this network */
        {0xa9fe0000, 16}, /* link-local 169.254/16 */
        {0xe0000000, 4},  /* multicast */
        {0xf0000000, 4},  /* reserved, broadcast */
    };
    for (size_t i = 0; i < sizeof(barred) / sizeof(barred[0]); i++) {
        if (is_within_v4(address, barred[i].network, barred[i].bits)) {
            return false;
        }
    }
    return may_be_loopback || !is_loopback_v4(address);
}

static bool
begins_with(const struct in6_addr *a, const uint8_t *octets, size_t count)
{
    return memcmp(a->s6_addr, octets, count) == 0;
}

/* An IPv4 address that an IPv6 one carries: mapped, compatible, translated. */
static bool
carries_v4(const struct in6_addr *a, uint32_t *out)
{
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    if (!IN6_IS_ADDR_V4MAPPED(a) && !IN6_IS_ADDR_V4COMPAT(a) &&
        !begins_with(a, nat64, sizeof(nat64))) {
        return false;
    }
    memcpy(out, a->s6_addr + 12, sizeof(*out));
    *out = ntohl(*out);
    return true;
}

static bool
is_allowed_v6(const struct in6_addr *a, bool may_be_loopback)
{
    /* fd00:ec2::254, where one cloud keeps what others keep link-local. */
    static const uint8_t metadata[16] = {0xfd, 0x00,        0x0e,
                                         0xc2, [14] = 0x02, [15] = 0x54};
    uint32_t v4;
    if (IN6_IS_ADDR_LOOPBACK(a)) {
        return may_be_loopback;
    }
    if (carries_v4(a, &v4)) {
        return is_allowed_v4(v4, may_be_loopback);
    }
    return !IN6_IS_ADDR_UNSPECIFIED(a) && !IN6_IS_ADDR_LINKLOCAL(a) &&
           !IN6_IS_ADDR_SITELOCAL(a) && !IN6_IS_ADDR_MULTICAST(a) &&
           !begins_with(a, metadata, sizeof(metadata));
}

bool
address_is_allowed(const struct sockaddr *address, bool may_be_loopback)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    switch (address->sa_family) {
    case AF_INET:
        memcpy(&v4, address, sizeof(v4));
        return is_allowed_v4(ntohl(v4.sin_addr.s_addr), may_be_loopback);
    case AF_INET6:
        memcpy(&v6, address, sizeof(v6));
        return is_allowed_v6(&v6.sin6_addr, may_be_loopback);
    default:
        return false;
    }
}

bool
address_names_loopback(const char *host)
{
    char bare[64];
    struct in_addr v4;
    struct in6_addr v6;
    size_t len = strlen(host);
    if (strcasecmp(host, "localhost") == 0) {
        return true;
    }
    if (len > 2 && host[0] == '[' && len - 2 < sizeof(bare)) {
        snprintf(bare, sizeof(bare), "%.*s", (int)(len - 2), host + 1);
        return inet_pton(AF_INET6, bare, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
    }
    return inet_pton(AF_INET, host, &v4) == 1 &&
           is_loopback_v4(ntohl(v4.s_addr));
}
