/* One connection: the library's state over a socket of the caller's. Reading and writing go through a BIO
 * of our own, since the library's would raise SIGPIPE. */
#include "crypto/tls.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "crypto/port/openssl/openssl.h"
#include "crypto/port/openssl/tls_port.h"

struct porch_tls_conn {
    SSL *ssl;
    porch_tls_server *server; /* one of the two */
    porch_tls_client *client;
    int fd;
    porch_buf *wire; /* while corked: where records gather */
    bool held;       /* ciphertext of an earlier write is with the caller: it must leave first */
    bool wants_write;
    bool drained;  /* what waits inside is less than a record: only the socket can help */
    bool emptied;  /* the last read took all that the socket had */
    bool gone;     /* the socket said end or error */
    bool broken;   /* TLS is over: nothing more may be asked of the library */
    bool finished; /* close_notify is sent */
    /* Of a server's connection, once the handshake is done: what the library need not keep for it. */
    porch_tls_peer_info *peer;
    porch_why error;
};

/* The BIO. */

static int bio_read(BIO *bio, char *at, size_t cap, size_t *got) {
    porch_tls_conn *c = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t n;
    do {
        n = recv(c->fd, at, cap, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        *got = (size_t)n;
        c->drained = false;
        c->emptied = (size_t)n < cap;
        return 1;
    }
    *got = 0;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        BIO_set_retry_read(bio);
    else
        c->gone = true;
    return 0;
}

/* OK: all of it was taken; AGAIN: a part, or nothing; CLOSED: the socket is gone. */
static porch_err send_some(porch_tls_conn *c, const uint8_t *at, size_t len, size_t *taken) {
    *taken = 0;
    while (*taken < len) {
        ssize_t n = send(c->fd, at + *taken, len - *taken, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return PORCH_ERR_AGAIN;
        if (n < 0) {
            c->gone = true;
            return PORCH_ERR_CLOSED;
        }
        *taken += (size_t)n;
    }
    return PORCH_OK;
}

/* Behind what has gathered; when there is no room, that leaves first. */
static size_t gather(porch_tls_conn *c, const char *at, size_t len) {
    porch_buf *wire = c->wire;
    if (len > wire->cap - wire->len) {
        size_t sent;
        (void)send_some(c, wire->at, wire->len, &sent);
        memmove(wire->at, wire->at + sent, wire->len - sent);
        wire->len -= sent;
    }
    size_t n = wire->cap - wire->len < len ? wire->cap - wire->len : len;
    memcpy(wire->at + wire->len, at, n);
    wire->len += n;
    return n;
}

static int bio_write(BIO *bio, const char *at, size_t len, size_t *taken) {
    porch_tls_conn *c = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *taken = 0;
    if (c->wire != NULL) {
        *taken = gather(c, at, len);
    } else if (!c->held) {
        (void)send_some(c, (const uint8_t *)at, len, taken);
    }
    if (*taken > 0) return 1;
    if (!c->gone) BIO_set_retry_write(bio);
    return 0;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
    (void)number, (void)pointer;
    const porch_tls_conn *c = BIO_get_data(bio);
    if (command == BIO_CTRL_FLUSH) return 1;
    if (command == BIO_CTRL_EOF) return c->gone;
    return 0;
}

static BIO_METHOD *bio_method;

static void make_bio_method(void) {
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "porchlight socket");
    if (m == NULL || BIO_meth_set_read_ex(m, bio_read) != 1 || BIO_meth_set_write_ex(m, bio_write) != 1 ||
        BIO_meth_set_ctrl(m, bio_control) != 1)
        porch_openssl_abort("making a socket method");
    bio_method = m; /* lives as long as the process */
}

porch_err porch_tls_conn_new(SSL_CTX *ctx, porch_tls_server *server, porch_tls_client *client, int fd,
                             porch_tls_conn **ret) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_bio_method);
    porch_tls_conn *c = calloc(1, sizeof *c);
    SSL *ssl = SSL_new(ctx);
    BIO *bio = BIO_new(bio_method);
    if (c == NULL || ssl == NULL || bio == NULL) {
        free(c);
        SSL_free(ssl);
        BIO_free(bio);
        ERR_clear_error();
        return PORCH_ERR_NO_SPACE;
    }
    c->ssl = ssl;
    c->fd = fd;
    BIO_set_data(bio, c);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    if (server != NULL) {
        c->server = porch_tls_server_ref(server);
        SSL_set_accept_state(ssl);
    } else {
        c->client = porch_tls_client_ref(client);
        SSL_set_connect_state(ssl);
    }
    *ret = c;
    return PORCH_OK;
}

SSL *porch_tls_conn_ssl(porch_tls_conn *c) {
    return c->ssl;
}

void porch_tls_free(porch_tls_conn *c) {
    if (c == NULL) return;
    /* The library forbids resumption after an end without farewell, a rule that TLS 1.2 dropped (RFC 5246,
     * 7.2.1) and that would cost every device a full handshake after each radio gap. */
    if (!c->broken || c->gone) SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(c->ssl);
    porch_tls_server_unref(c->server);
    porch_tls_client_unref(c->client);
    free(c->peer);
    free(c);
}

/* Errors. */

/* Reasons of the library that have a sentence of ours; every other one is the peer's bad TLS. */
static const struct {
    int reason;
    porch_err error;
    const char *text;
} reasons[] = {
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, PORCH_ERR_AUTH,
     "the peer showed no certificate; give it one"},
    {SSL_R_HTTP_REQUEST, PORCH_ERR_MALFORMED, "plaintext HTTP on a TLS port; use https"},
    {SSL_R_HTTPS_PROXY_REQUEST, PORCH_ERR_MALFORMED, "a plaintext proxy request on a TLS port"},
    {SSL_R_WRONG_VERSION_NUMBER, PORCH_ERR_MALFORMED, "plaintext on a TLS port; switch the peer to TLS"},
    {SSL_R_UNSUPPORTED_PROTOCOL, PORCH_ERR_UNSUPPORTED,
     "the peer's TLS version is too old; it needs TLS 1.3"},
    {SSL_R_VERSION_TOO_LOW, PORCH_ERR_UNSUPPORTED, "the peer's TLS version is too old; it needs TLS 1.3"},
    {SSL_R_WRONG_SSL_VERSION, PORCH_ERR_UNSUPPORTED, "the peer's TLS version is too old; it needs TLS 1.3"},
    {SSL_R_NO_SHARED_CIPHER, PORCH_ERR_UNSUPPORTED, "no cipher in common with the peer"},
    {SSL_R_NO_SUITABLE_KEY_SHARE, PORCH_ERR_UNSUPPORTED, "no key exchange group in common with the peer"},
    {SSL_R_NO_SHARED_GROUPS, PORCH_ERR_UNSUPPORTED, "no key exchange group in common with the peer"},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, PORCH_ERR_UNSUPPORTED,
     "no signature algorithm in common with the peer"},
    {SSL_R_NO_APPLICATION_PROTOCOL, PORCH_ERR_UNSUPPORTED,
     "no application protocol (ALPN) in common with the peer"},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, PORCH_ERR_UNSUPPORTED, "the peer refuses our TLS versions"},
    {SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, PORCH_ERR_UNSUPPORTED,
     "the peer refuses our application protocol"},
};

enum { ALERT_REASONS = 1000 }; /* the library numbers received alerts from here on */

static porch_err explain(porch_tls_conn *c) {
    unsigned long code = ERR_peek_error(); /* the first one is the cause, later ones its echo */
    int reason = ERR_GET_REASON(code);
    const char *text = code != 0 ? ERR_reason_error_string(code) : NULL;
    porch_err e = PORCH_ERR_MALFORMED;
    size_t row = 0;
    const size_t rows = sizeof reasons / sizeof reasons[0];
    bool of_ssl = code != 0 && ERR_GET_LIB(code) == ERR_LIB_SSL;
    while (of_ssl && row < rows && reasons[row].reason != reason)
        row++;
    if (of_ssl && reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        e = porch_fail(&c->error, PORCH_ERR_AUTH, "the peer's certificate is refused: %s",
                       X509_verify_cert_error_string(SSL_get_verify_result(c->ssl)));
    } else if (of_ssl && row < rows) {
        e = porch_fail(&c->error, reasons[row].error, "%s", reasons[row].text);
    } else if (of_ssl && reason >= ALERT_REASONS) {
        e = porch_fail(&c->error, PORCH_ERR_DENIED, "the peer refused us: %s",
                       text != NULL ? text : "alert");
    } else {
        e = porch_fail(&c->error, e, "the peer breaks TLS: %s", text != NULL ? text : "no reason given");
    }
    ERR_clear_error();
    return e;
}

/* Turns the library's answer to a call that gave `rc` into ours. */
static porch_err outcome(porch_tls_conn *c, int rc) {
    c->wants_write = false;
    switch (SSL_get_error(c->ssl, rc)) {
    case SSL_ERROR_NONE:
        return PORCH_OK;
    case SSL_ERROR_WANT_READ:
        return PORCH_ERR_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        c->wants_write = true;
        return PORCH_ERR_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return porch_fail(&c->error, PORCH_ERR_CLOSED, "the peer has closed");
    case SSL_ERROR_SSL:
        c->broken = true;
        return explain(c);
    default:
        break;
    }
    c->broken = true;
    ERR_clear_error();
    return porch_fail(&c->error, PORCH_ERR_CLOSED, "the peer went away");
}

/* Use. */

static void settle(porch_tls_conn *c);

porch_err porch_tls_handshake(porch_tls_conn *c, porch_why *why) {
    if (c->broken) return porch_fail(why, PORCH_ERR_CLOSED, "the handshake has failed before");
    ERR_clear_error();
    /* The library decodes a ticket's session in the thread's default context, whatever the connection's. */
    OSSL_LIB_CTX *before = OSSL_LIB_CTX_set0_default(porch_tls_library());
    int rc = SSL_do_handshake(c->ssl);
    (void)OSSL_LIB_CTX_set0_default(before);
    if (rc == 1) {
        c->wants_write = false;
        if (c->peer == NULL) settle(c);
        return PORCH_OK;
    }
    porch_err e = outcome(c, rc);
    if (e == PORCH_OK || e == PORCH_ERR_AGAIN) return e;
    c->broken = true;
    if (e == PORCH_ERR_CLOSED) (void)porch_fail(&c->error, e, "the peer went away in the handshake");
    return porch_fail(why, e, "%s", c->error.text);
}

bool porch_tls_wants_write(const porch_tls_conn *c) {
    return c->wants_write;
}

porch_err porch_tls_read(porch_tls_conn *c, uint8_t *at, size_t cap, size_t *got) {
    if (c->broken) return PORCH_ERR_CLOSED;
    ERR_clear_error();
    int rc = SSL_read_ex(c->ssl, at, cap, got);
    if (rc == 1) {
        c->wants_write = false;
        return PORCH_OK;
    }
    *got = 0;
    porch_err e = outcome(c, rc);
    c->drained = e == PORCH_ERR_AGAIN;
    return e;
}

porch_err porch_tls_write(porch_tls_conn *c, const uint8_t *at, size_t len, size_t *taken) {
    *taken = 0;
    if (c->broken || c->finished) return PORCH_ERR_CLOSED;
    if (len == 0) return PORCH_OK;
    ERR_clear_error();
    int rc = SSL_write_ex(c->ssl, at, len, taken);
    if (rc == 1) {
        c->wants_write = false;
        return PORCH_OK;
    }
    *taken = 0;
    return outcome(c, rc);
}

void porch_tls_cork(porch_tls_conn *c, porch_buf *wire) {
    if (!c->held) c->wire = wire;
}

porch_err porch_tls_uncork(porch_tls_conn *c, porch_bytes *left) {
    *left = (porch_bytes){NULL, 0};
    const porch_buf *wire = c->wire;
    c->wire = NULL;
    if (wire == NULL || wire->len == 0) return PORCH_OK;
    *left = (porch_bytes){wire->at, wire->len};
    return porch_tls_push(c, left);
}

porch_err porch_tls_push(porch_tls_conn *c, porch_bytes *left) {
    size_t sent;
    porch_err e = send_some(c, left->at, left->len, &sent);
    *left = (porch_bytes){left->at + sent, left->len - sent};
    c->held = e != PORCH_OK;
    return e;
}

bool porch_tls_pending(const porch_tls_conn *c) {
    return !c->broken && (SSL_pending(c->ssl) > 0 || (!c->drained && SSL_has_pending(c->ssl) == 1));
}

bool porch_tls_dry(const porch_tls_conn *c) {
    return c->emptied && SSL_has_pending(c->ssl) == 0;
}

void porch_tls_idle(porch_tls_conn *c) {
    if (!c->broken) (void)SSL_free_buffers(c->ssl);
}

void porch_tls_shutdown(porch_tls_conn *c) {
    if (c->broken || c->finished || SSL_is_init_finished(c->ssl) != 1) return;
    c->finished = true;
    ERR_clear_error();
    (void)SSL_shutdown(c->ssl);
    ERR_clear_error();
}

const char *porch_tls_error(const porch_tls_conn *c) {
    return c->error.text;
}

/* Who is there. */

/* The context that connections refer to once they are settled: nothing but the protocol's method, so that
 * the library lets a session go without beginning the protocol anew. */
static SSL_CTX *settled_context(porch_tls_server *s, const SSL *ssl) {
    SSL_CTX *have = atomic_load(&s->settled);
    if (have != NULL) return have;
    SSL_CTX *made = SSL_CTX_new_ex(porch_tls_library(), NULL, SSL_get_ssl_method(ssl));
    if (made == NULL) return NULL;
    if (atomic_compare_exchange_strong(&s->settled, &have, made)) return made;
    SSL_CTX_free(made);
    return have;
}

/* A connection of TLS 1.3 needs its session no more once its ticket has been sent: the certificates of the
 * peer's chain, parsed, are much of what a quiet connection weighs. What peers are asked about is read
 * before; what the session says about the size of records goes on. */
static void settle(porch_tls_conn *c) {
    if (c->server == NULL || SSL_version(c->ssl) < TLS1_3_VERSION) return;
    SSL_CTX *bare = settled_context(c->server, c->ssl);
    porch_tls_peer_info *info = bare != NULL ? malloc(sizeof *info) : NULL;
    if (info == NULL || porch_tls_peer_read(c->server, c->ssl, info) != PORCH_OK) {
        free(info); /* then the session stays, and it is read from there each time */
        ERR_clear_error();
        return;
    }
    c->peer = info;
    uint8_t fragment = SSL_SESSION_get_max_fragment_length(SSL_get0_session(c->ssl));
    if (fragment >= TLSEXT_max_fragment_length_512 && fragment <= TLSEXT_max_fragment_length_4096)
        (void)SSL_set_max_send_fragment(c->ssl, 256L << fragment);
    if (SSL_set_SSL_CTX(c->ssl, bare) == bare) (void)SSL_set_session(c->ssl, NULL);
    ERR_clear_error();
}

porch_err porch_tls_peer(const porch_tls_conn *c, porch_tls_peer_info *ret) {
    porch_tls_peer_info info;
    if (c->peer != NULL) {
        info = *c->peer;
    } else {
        PORCH_TRY(porch_tls_peer_read(c->server, c->ssl, &info));
    }
    if (info.has_certificate) {
        struct timespec t;
        (void)clock_gettime(CLOCK_REALTIME, &t);
        uint64_t now_ms = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
        info.expired = now_ms > info.x509.not_after_ms;
        info.not_yet_valid = now_ms < info.x509.not_before_ms;
    }
    *ret = info;
    return PORCH_OK;
}
