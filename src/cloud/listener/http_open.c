#include "cloud/listener/http_open.h"

#include <stdio.h>
#include <string.h>

#include "crypto/sha256.h"

/* Whose request it is, as a key of porch_addresses: never an address's text, and no secret. "" for nobody.
 * A cookie that opens nothing counts as well, so that finding out is not needed; it takes from its address.
 */
static void owner_of(const porch_http_exchange *x, char out[PORCH_HTTP_OWNER_BYTES]) {
    uint8_t hash[PORCH_SHA256_BYTES];
    out[0] = '\0';
    if (x->peer.role == PORCH_LISTEN_DEVICE) {
        char text[PORCH_HTTP_OWNER_BYTES + 64];
        if (!x->peer.admitted) return;
        int len = snprintf(text, sizeof text, "%d %s", (int)x->peer.principal.kind, x->peer.principal.name);
        porch_sha256((porch_bytes){(const uint8_t *)text, (size_t)len}, hash);
    } else {
        porch_bytes cookie = porch_http_cookie(x, "__Host-porchlight");
        if (cookie.at == NULL) return;
        porch_sha256(cookie, hash);
    }
    out[0] = '=';
    for (size_t i = 0; i < (PORCH_HTTP_OWNER_BYTES - 2) / 2; i++)
        (void)snprintf(out + 1 + 2 * i, 3, "%02x", hash[i]);
}

const char *porch_http_open_enter(porch_http_exchange *x) {
    porch_listener *l = x->shard->listener;
    if (atomic_fetch_add(&l->open_requests, 1) >= l->settings.http_open) {
        atomic_fetch_sub(&l->open_requests, 1);
        return "http.open";
    }
    if (!porch_addresses_enter(l->open_addresses, x->peer.address)) {
        atomic_fetch_sub(&l->open_requests, 1);
        return "http.open_per_address";
    }
    x->open = true;
    return NULL;
}

const char *porch_http_open_enter_owner(porch_http_exchange *x) {
    char owner[PORCH_HTTP_OWNER_BYTES];
    owner_of(x, owner);
    if (owner[0] != '\0' && !porch_addresses_enter(x->shard->listener->open_owners, owner))
        return "http.open_per_session";
    memcpy(x->owner, owner, sizeof owner);
    return NULL;
}

void porch_http_open_leave(porch_http_exchange *x) {
    porch_listener *l = x->shard->listener;
    if (!x->open) return;
    x->open = false;
    if (x->owner[0] != '\0') porch_addresses_leave(l->open_owners, x->owner);
    porch_addresses_leave(l->open_addresses, x->peer.address);
    atomic_fetch_sub(&l->open_requests, 1);
}
