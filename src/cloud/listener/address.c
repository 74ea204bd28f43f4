#include "cloud/listener/address.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/random.h"

enum { BUCKETS = 4096, TEXT_BYTES = 64 };

typedef struct entry {
    struct entry *next;
    uint32_t count;
    char address[TEXT_BYTES];
} entry;

struct porch_addresses {
    pthread_mutex_t lock;
    uint32_t most;
    uint64_t seed; /* strangers choose IPv6 addresses, but not the bucket */
    entry *buckets[BUCKETS];
};

porch_addresses *porch_addresses_new(uint32_t most_per_address) {
    porch_addresses *a = calloc(1, sizeof *a);
    if (a == NULL) return NULL;
    pthread_mutex_init(&a->lock, NULL);
    a->most = most_per_address;
    porch_random(&a->seed, sizeof a->seed);
    return a;
}

void porch_addresses_free(porch_addresses *a) {
    if (a == NULL) return;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (entry *e = a->buckets[i], *next; e != NULL; e = next) {
            next = e->next;
            free(e);
        }
    }
    pthread_mutex_destroy(&a->lock);
    free(a);
}

static entry **find(porch_addresses *a, const char *address) {
    uint64_t h = a->seed;
    for (const char *c = address; *c != 0; c++) {
        h = (h ^ (uint8_t)*c) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    entry **at = &a->buckets[h % BUCKETS];
    while (*at != NULL && strncmp((*at)->address, address, TEXT_BYTES) != 0)
        at = &(*at)->next;
    return at;
}

/* IPv6 customers get a /64 or more: all its addresses are one. */
static void group_of(const char *address, char out[TEXT_BYTES]) {
    struct in6_addr six;
    if (inet_pton(AF_INET6, address, &six) == 1 && !IN6_IS_ADDR_V4MAPPED(&six)) {
        memset(six.s6_addr + 8, 0, 8);
        if (inet_ntop(AF_INET6, &six, out, TEXT_BYTES) != NULL) return;
    }
    memset(out, 0, TEXT_BYTES);
    strncpy(out, address, TEXT_BYTES - 1);
}

bool porch_addresses_enter(porch_addresses *a, const char *full_address) {
    char address[TEXT_BYTES];
    bool ok = false;
    group_of(full_address, address);
    pthread_mutex_lock(&a->lock);
    entry **at = find(a, address);
    if (*at == NULL) {
        entry *e = calloc(1, sizeof *e);
        if (e == NULL) goto out;
        (void)porch_bytes_to_text(porch_bytes_of(address), e->address, sizeof e->address);
        *at = e;
    }
    if ((*at)->count < a->most) {
        (*at)->count++;
        ok = true;
    }
out:
    pthread_mutex_unlock(&a->lock);
    return ok;
}

void porch_addresses_leave(porch_addresses *a, const char *full_address) {
    char address[TEXT_BYTES];
    group_of(full_address, address);
    pthread_mutex_lock(&a->lock);
    entry **at = find(a, address);
    entry *e = *at;
    if (e != NULL && --e->count == 0) {
        *at = e->next;
        free(e);
    }
    pthread_mutex_unlock(&a->lock);
}
