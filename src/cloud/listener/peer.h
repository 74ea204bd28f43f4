/* Who is at the other end of a connection, as far as TLS and the registry know.
 *
 * The handshake proves possession of a key under one of our CAs; the verdict about it (expired, not yet
 * valid, revoked, unknown) is made right after, on full and resumed handshakes alike, by the `admit` hook,
 * and is carried here so that each protocol can answer with a reason instead of hanging up. */
#ifndef PORCH_CLOUD_LISTENER_PEER_H
#define PORCH_CLOUD_LISTENER_PEER_H

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/tls.h"

typedef enum {
    PORCH_LISTEN_MQTT = 0,
    PORCH_LISTEN_DEVICE = 1,
    PORCH_LISTEN_PEOPLE = 2,
    PORCH_LISTEN_ROLES = 3
} porch_listen_role;
#define PORCH_ON_DEVICE (1u << PORCH_LISTEN_DEVICE)
#define PORCH_ON_PEOPLE (1u << PORCH_LISTEN_PEOPLE)

/* What the registry knows of a device or service, filled by the admit hook; or a person whom a sign-in
 * proved (porch_http_mqtt_person). */
typedef struct {
    porch_identity_kind kind;
    char name[65];
    char product[65];
    char household[65];
    bool quarantined;    /* a device that is let in for diagnostics and the signed update only */
    uint8_t role;        /* person: a porch_role */
    uint8_t sign_in[32]; /* person: which one speaks for them */
} porch_principal;

typedef struct {
    char address[64]; /* text of the IP address, no port */
    porch_listen_role role;
    porch_tls_peer_info tls;
    /* PORCH_OK: `principal` is who it is. PORCH_ERR_NOT_FOUND: no certificate was shown. Otherwise AUTH
     * (unknown), EXPIRED, STATE (not yet valid) or REVOKED, with the sentence in verdict_why. */
    porch_err verdict;
    porch_why verdict_why;
    bool admitted; /* verdict == PORCH_OK */
    porch_principal principal;
} porch_peer;

#endif
