#include <string.h>

#include "base/text.h"
#include "cloud/courier/courier_room.h"

/* IANA's special-purpose registries (RFC 6890 and its successors), as of 2024: what is not globally
 * reachable, and what wraps another address. */
static const struct {
    uint32_t net;
    unsigned bits;
} not_public_4[] = {
    {0x00000000, 8},  /* this network */
    {0x0a000000, 8},  /* private */
    {0x64400000, 10}, /* shared, carrier NAT */
    {0x7f000000, 8},  /* loopback */
    {0xa9fe0000, 16}, /* link-local, cloud metadata services */
    {0xac100000, 12}, /* private */
    {0xc0000000, 24}, /* protocol assignments */
    {0xc0000200, 24}, /* documentation */
    {0xc0586300, 24}, /* 6to4 relays */
    {0xc0a80000, 16}, /* private */
    {0xc6120000, 15}, /* benchmarking */
    {0xc6336400, 24}, /* documentation */
    {0xcb007100, 24}, /* documentation */
    {0xe0000000, 4},  /* multicast */
    {0xf0000000, 4},  /* reserved, broadcast */
};

/* Within 2000::/3, which is all that is public of IPv6. */
static const struct {
    uint8_t net[4];
    unsigned bits;
} not_public_6[] = {
    {{0x20, 0x01, 0x00, 0x00}, 23}, /* protocol assignments, Teredo, benchmarking */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x20, 0x02, 0x00, 0x00}, 16}, /* 6to4: wraps IPv4 */
    {{0x3f, 0xff, 0x00, 0x00}, 20}, /* documentation */
};

static bool is_public_4(uint32_t address) {
    for (size_t i = 0; i < sizeof not_public_4 / sizeof *not_public_4; i++)
        if ((address ^ not_public_4[i].net) >> (32 - not_public_4[i].bits) == 0) return false;
    return true;
}

static uint32_t first_word(const uint8_t at[4]) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static bool is_public_6(const uint8_t address[16]) {
    uint32_t head = first_word(address);
    if (head >> 29 != 1) return false; /* 2000::/3 */
    for (size_t i = 0; i < sizeof not_public_6 / sizeof *not_public_6; i++)
        if ((head ^ first_word(not_public_6[i].net)) >> (32 - not_public_6[i].bits) == 0) return false;
    return true;
}

bool porch_courier_is_public(const struct sockaddr *address) {
    if (address->sa_family == AF_INET) {
        struct sockaddr_in a;
        memcpy(&a, address, sizeof a);
        return is_public_4(ntohl(a.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 a;
        memcpy(&a, address, sizeof a);
        return is_public_6(a.sin6_addr.s6_addr);
    }
    return false;
}

/* One "HOST:PORT" word. */
static bool word_allows(porch_bytes word, const char *host, uint16_t port) {
    size_t n = word.len;
    uint64_t number = 0;
    while (n > 0 && word.at[n - 1] != ':')
        n--;
    if (n < 2) return false;
    porch_bytes digits = {word.at + n, word.len - n};
    porch_bytes name = {word.at, n - 1};
    if (porch_decimal_read(digits, 65535, &number) != PORCH_OK || number != port) return false;
    return porch_bytes_eq_nocase(name, porch_bytes_of(host));
}

bool porch_courier_allows(const char *allow, const char *host, uint16_t port) {
    while (allow && *allow) {
        size_t n = strcspn(allow, " ");
        if (n > 0 && word_allows((porch_bytes){(const uint8_t *)allow, n}, host, port)) return true;
        allow += n + (allow[n] == ' ');
    }
    return false;
}
