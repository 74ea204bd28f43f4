/* What the TLS files of this port share. */
#ifndef PORCH_CRYPTO_PORT_OPENSSL_TLS_PORT_H
#define PORCH_CRYPTO_PORT_OPENSSL_TLS_PORT_H

#include <pthread.h>
#include <stdatomic.h>

#include <openssl/ssl.h>

#include "crypto/tls.h"

/* Ticket keys, newest first: one seals, all that are young enough open. */
enum { PORCH_TICKET_KEYS = 4 };

typedef struct {
    uint8_t name[16], cipher_key[32], mac_key[32];
    uint64_t made_s;
} porch_ticket_key;

typedef struct {
    pthread_mutex_t lock;
    uint32_t lifetime_s;
    size_t count;
    porch_ticket_key key[PORCH_TICKET_KEYS];
    uint64_t (*now_s)(void); /* monotonic seconds; tests turn it by hand */
} porch_tickets;

/* Makes `ctx` resume by stateless tickets. The object must outlive the context. */
bool porch_tickets_use(porch_tickets *t, SSL_CTX *ctx, uint32_t lifetime_s);
void porch_tickets_wipe(porch_tickets *t);
/* The key to seal with: a new one when the newest has sealed for half a lifetime. */
void porch_tickets_sealing_key(porch_tickets *t, porch_ticket_key *ret);
/* The key of that name, unless every ticket it sealed has ended. *newest tells whether it still seals. */
bool porch_tickets_opening_key(porch_tickets *t, const uint8_t name[16], porch_ticket_key *ret,
                               bool *newest);

/* tls_verified.c */
enum { PORCH_VERIFIED_SLOTS = 2048 };

typedef struct {
    uint8_t fingerprint[32];
    uint64_t from_ms, until_ms;
} porch_verified_slot;

typedef struct {
    pthread_mutex_t lock;
    porch_verified_slot slot[PORCH_VERIFIED_SLOTS]; /* a newer certificate takes an older one's place */
} porch_verified;

bool porch_verified_knows(porch_verified *v, const uint8_t fingerprint[32], uint64_t now_ms);
void porch_verified_note(porch_verified *v, const uint8_t fingerprint[32], uint64_t from_ms,
                         uint64_t until_ms);
/* For SSL_CTX_set_cert_verify_callback, with a porch_verified. */
int porch_verified_check(X509_STORE_CTX *store, void *ctx);

/* tls_peer.c: what the certificate says, which a resumed connection must still know. */
typedef struct {
    bool has_certificate, has_issuer;
    porch_x509_info x509;
    uint8_t issuer[32];
} porch_tls_who;

/* Of the certificate that this connection's peer has shown. INTERNAL when it cannot be read. */
porch_err porch_tls_who_read(const porch_tls_server *server, const SSL *ssl, porch_tls_who *ret);
/* All of it, after the handshake. `server` is NULL for a client's connection. */
porch_err porch_tls_peer_read(const porch_tls_server *server, SSL *ssl, porch_tls_peer_info *ret);

/* tls_sessions.c */
typedef struct {
    uint64_t began_s; /* when the full handshake was */
    porch_tls_who who;
} porch_tls_kept;

typedef struct porch_tls_sessions porch_tls_sessions;

porch_tls_sessions *porch_tls_sessions_new(uint32_t most); /* NULL without memory */
void porch_tls_sessions_free(porch_tls_sessions *t);       /* NULL is fine; wipes */
/* Makes `ctx`, of TLS 1.3 alone, resume out of the table instead of by sealed tickets. `life` is in use. */
bool porch_tls_sessions_use(porch_tls_sessions *t, porch_tickets *life, SSL_CTX *ctx);
/* Who was there at the full handshake of a session of the table; false for any other. */
bool porch_tls_session_who(const SSL_SESSION *session, porch_tls_who *ret);

struct porch_tls_server {
    atomic_uint references;
    SSL_CTX *ctx;
    _Atomic(SSL_CTX *) settled;   /* what connections refer to after their handshake; made by the first */
    STACK_OF(X509) * authorities; /* what clients' certificates must reach; NULL: none is asked for */
    porch_verified *verified;     /* NULL: no client shows a certificate */
    bool has_tickets, any_usage, names_issuers;
    porch_tickets tickets;
    porch_tls_sessions *sessions; /* NULL: tickets carry the sessions */
    uint8_t context[SSL_MAX_SID_CTX_LENGTH];
    unsigned context_len;
    uint8_t alpn[PORCH_TLS_MAX_ALPN * 16]; /* length-prefixed names (RFC 7301, 3.1) */
    unsigned alpn_len;
};

struct porch_tls_client {
    atomic_uint references;
    SSL_CTX *ctx;
    bool name_is_ip, resume;
    uint64_t (*clock_ms)(void *ctx); /* NULL: the system's */
    void *clock_ctx;
    char name[254];
    pthread_mutex_t lock;
    SSL_SESSION *session; /* the last ticket; taken by the next connection */
};

/* The library context that TLS works in; lives as long as the process. */
OSSL_LIB_CTX *porch_tls_library(void);
/* A context with what both sides share: versions, ciphers, groups, options; no trust and no certificate
 * yet. */
porch_err porch_tls_context(const SSL_METHOD *method, porch_tls_version least, SSL_CTX **ret,
                            porch_why *why);
/* Our chain and key into the context. */
porch_err porch_tls_use_chain(SSL_CTX *ctx, porch_bytes chain_pem, const porch_key *key, porch_why *why);
/* ALPN names in wire form. */
porch_err porch_tls_alpn_wire(const char *const names[PORCH_TLS_MAX_ALPN], uint8_t *out, size_t cap,
                              unsigned *len, porch_why *why);
/* A connection over `fd`, taking over neither. Exactly one of server and client is set. */
porch_err porch_tls_conn_new(SSL_CTX *ctx, porch_tls_server *server, porch_tls_client *client, int fd,
                             porch_tls_conn **ret);
SSL *porch_tls_conn_ssl(porch_tls_conn *c);

#endif
