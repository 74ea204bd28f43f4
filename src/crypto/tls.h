/* TLS 1.3 (RFC 8446; 1.2 only where a setting asks for it) over a non-blocking socket.
 *
 *   porch_tls_server ──accept──► porch_tls_conn ──handshake──► peer info ──read / write──► shutdown, free
 *   porch_tls_client ──connect─►
 *
 * Server and client objects are immutable, reference-counted and shared by threads; a reloaded certificate
 * is a new object, and connections keep the old one alive. A connection is used by one thread at a time and
 * may move between threads. The socket stays the caller's: it is neither closed nor made non-blocking here.
 *
 * Client certificates: a foreign CA, a bad chain, a usage other than clientAuth fail the handshake with a
 * TLS alert. A leaf that has ended or not begun passes and is flagged in the peer info, so that the caller
 * can answer with a reason; so do revocation and registry state, which only the caller knows. The flags are
 * judged anew at each porch_tls_peer, on resumed connections too.
 *
 * Read until AGAIN: a record may hold more than one read takes, and the socket then shows nothing. */
#ifndef PORCH_CRYPTO_TLS_H
#define PORCH_CRYPTO_TLS_H

#include "crypto/x509.h"

typedef struct porch_tls_server porch_tls_server;
typedef struct porch_tls_client porch_tls_client;
typedef struct porch_tls_conn porch_tls_conn;

typedef enum {
    PORCH_TLS_CLIENT_NONE,
    PORCH_TLS_CLIENT_REQUEST,
    PORCH_TLS_CLIENT_REQUIRE
} porch_tls_client_mode;
typedef enum { PORCH_TLS_1_3 = 0, PORCH_TLS_1_2 = 1 } porch_tls_version;

#define PORCH_TLS_MAX_ALPN 4
#define PORCH_TLS_RECORD_BYTES                                                 \
    16384 /* the most that one record carries: writes of this size waste least \
           */
/* Room for four full records with what encryption adds. */
#define PORCH_TLS_WIRE_BYTES ((size_t)4 * (PORCH_TLS_RECORD_BYTES + 64))

typedef struct {
    porch_bytes chain_pem;     /* leaf, then its issuers without the root */
    const porch_key *key;      /* of the leaf; not needed after porch_tls_server_new */
    porch_bytes client_ca_pem; /* roots (self-signed) that client chains must reach; issuing CAs may stand
                                  beside them to complete chains, and then whoever signed a client's
                                  certificate must be among all these: what a root signed besides is
                                  refused. Required unless client_mode is NONE */
    porch_tls_client_mode client_mode;
    bool any_usage; /* clients' certificates without extended key usage pass, too (factories make such);
                       what they may do is for the caller to say */
    porch_tls_version min_version;
    const char *alpn[PORCH_TLS_MAX_ALPN]; /* in order of preference; a client that offers ALPN, but none of
                                             these, is refused. Unused places NULL */
    uint32_t ticket_lifetime_s; /* 0: no resumption. At most 7 days. Ticket keys are made here, live in
                                   memory only and rotate twice a lifetime */
    /* Of clients with certificates over TLS 1.3: sessions kept in memory, about 700 bytes each once used,
     * which makes resuming cheaper. 0: they travel in sealed tickets, as those of all others do. */
    uint32_t sessions_most;
    porch_bytes session_context; /* 1..32 bytes: sessions of another context are not resumed here */
} porch_tls_server_config;

/* CRYPTO or STATE with a sentence when chain and key do not fit each other. */
porch_err porch_tls_server_new(const porch_tls_server_config *config, porch_tls_server **ret,
                               porch_why *why);
porch_tls_server *porch_tls_server_ref(porch_tls_server *s);
void porch_tls_server_unref(porch_tls_server *s); /* NULL is fine */

typedef struct {
    porch_bytes ca_pem;    /* roots that the server's chain must reach */
    porch_bytes chain_pem; /* our certificate and its issuers; empty: none is shown */
    const porch_key *key;
    const char *name; /* the DNS name or IP address that the server's certificate must cover. Required */
    porch_tls_version min_version;
    const char *alpn[PORCH_TLS_MAX_ALPN];
    bool resume; /* keep the last ticket in memory and use it at the next connection */
    /* The time by which the server's chain is judged; NULL: the system's. For devices whose clock is wrong.
     */
    uint64_t (*clock_ms)(void *ctx);
    void *clock_ctx;
    /* A server's certificate whose time has not begun by that clock passes: the clock may be late by years.
     * The caller then owes porch_tls_chain_at with a time that it can believe. Not together with resume. */
    bool may_be_early;
} porch_tls_client_config;

porch_err porch_tls_client_new(const porch_tls_client_config *config, porch_tls_client **ret,
                               porch_why *why);
porch_tls_client *porch_tls_client_ref(porch_tls_client *c);
void porch_tls_client_unref(porch_tls_client *c);

/* Make a connection over `fd`; nothing is sent yet. Each takes a reference. */
porch_err porch_tls_accept(porch_tls_server *server, int fd, porch_tls_conn **ret);
porch_err porch_tls_connect(porch_tls_client *client, int fd, porch_tls_conn **ret);

/* OK when done; AGAIN: call again when the socket is readable (or, see porch_tls_wants_write, writable).
 * Failures, with a sentence fit for the operator's log:
 *   AUTH         the peer's certificate is missing or was refused by us
 *   DENIED       the peer refused ours (it sent an alert)
 *   UNSUPPORTED  no common version, cipher or application protocol
 *   MALFORMED    the peer does not speak TLS
 *   CLOSED       it went away
 * On failure an alert has been sent where TLS has one. Before closing, shut the socket down for writing and
 * read what still comes for a moment: closing over unread bytes makes TCP reset and the alert is lost. */
porch_err porch_tls_handshake(porch_tls_conn *c, porch_why *why);
/* After AGAIN of any call: wait for writable instead of readable. */
bool porch_tls_wants_write(const porch_tls_conn *c);

/* Up to `cap` bytes. OK (*got > 0), AGAIN, CLOSED (end, announced or not), or an error with
 * porch_tls_error. */
porch_err porch_tls_read(porch_tls_conn *c, uint8_t *at, size_t cap, size_t *got);
/* Takes a prefix, *taken > 0 on OK. After AGAIN the next call must offer the same bytes again (elsewhere in
 * memory is fine, and more may follow them). */
porch_err porch_tls_write(porch_tls_conn *c, const uint8_t *at, size_t len, size_t *taken);
/* Many records, one call to the kernel: from porch_tls_cork on, what writes produce gathers in `wire`,
 * which is the caller's (PORCH_TLS_WIRE_BYTES are four full records), and porch_tls_uncork sends it. OK:
 * all of it left. AGAIN: the socket took a part; `*left` lies in `wire`, and until the caller has moved it
 * elsewhere and porch_tls_push has sent it from there, nothing else of this connection leaves. CLOSED: the
 * socket is gone. */
void porch_tls_cork(porch_tls_conn *c, porch_buf *wire);
porch_err porch_tls_uncork(porch_tls_conn *c, porch_bytes *left);
/* Sends what uncork has left; `*left` shrinks from its front. OK when nothing is left of it. */
porch_err porch_tls_push(porch_tls_conn *c, porch_bytes *left);
/* Bytes wait inside, decrypted or not yet tried: porch_tls_read may give something without the socket.
 * False once a read has said AGAIN, even if part of a record is held. */
bool porch_tls_pending(const porch_tls_conn *c);
/* The last read took all that the socket had, and nothing waits inside: a caller that polls need not read
 * on until it is told AGAIN. */
bool porch_tls_dry(const porch_tls_conn *c);
/* Gives back record buffers of an idle connection (about 34 KiB); harmless when they are in use. */
void porch_tls_idle(porch_tls_conn *c);
/* Sends close_notify, once, as far as the socket takes it. Does not wait. */
void porch_tls_shutdown(porch_tls_conn *c);
void porch_tls_free(porch_tls_conn *c); /* NULL is fine */
/* The sentence of the last failed read or write, "" when there is none. */
const char *porch_tls_error(const porch_tls_conn *c);

typedef struct {
    bool has_certificate;
    porch_x509_info x509; /* zero without a certificate */
    bool expired;         /* judged now */
    bool not_yet_valid;
    bool resumed;
    bool has_issuer;     /* one of our trusted authorities signed the certificate itself */
    uint8_t issuer[32];  /* that one's SHA-256 */
    bool has_binding;    /* TLS 1.3 */
    uint8_t binding[32]; /* tls-exporter (RFC 9266): the same at both ends of this connection alone */
    char version[8];     /* "1.3", "1.2" */
    char cipher[40];
    char alpn[16]; /* "" when none was agreed */
} porch_tls_peer_info;

/* After the handshake. INTERNAL if a certificate that passed cannot be read. */
porch_err porch_tls_peer(const porch_tls_conn *c, porch_tls_peer_info *ret);

/* Of a client's connection that was not resumed: was every certificate of the server's chain, up to our
 * root, valid at that time? EXPIRED or STATE (not yet) with a sentence when not. */
porch_err porch_tls_chain_at(const porch_tls_conn *c, uint64_t at_ms, porch_why *why);

#endif
