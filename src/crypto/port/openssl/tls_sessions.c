/* Resumption out of a table in memory, for clients with certificates over TLS 1.3: the client's ticket is
 * 32 random bytes, the name of a row here.
 *
 *   end of a full handshake    ─► a row: resumption secret, cipher, what the certificate said, when it
 * began ticket comes back          ─► a session made of the row: no certificate is parsed, nothing is
 * unsealed end of that handshake      ─► another row, of the same beginning
 *
 * A ticket that carries the session itself (tls_ticket.c) has the certificate in it, and reading that again
 * and sealing it again were a third of a resumption. Neither kind outlives the process: the keys of tickets
 * are in memory, too.
 *
 * Rows are written one after the other, round and round: the oldest makes room, memory is bounded and only
 * what was used weighs. A name finds its row through an index, four places for each hash of a name. A
 * client whose row is gone does a full handshake. Only clients that have shown a certificate get a row. A
 * chain of resumptions cannot outlive one lifetime: a row remembers when the full handshake was. */
#include "crypto/port/openssl/tls_port.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>

#include "crypto/random.h"

enum { WAYS = 4 };

typedef struct {
    uint8_t id[SSL_MAX_SSL_SESSION_ID_LENGTH];
    uint8_t secret[64];
    size_t secret_len; /* 0: a free row */
    uint32_t cipher;   /* the library's number of it */
    porch_tls_kept kept;
} row;

struct porch_tls_sessions {
    pthread_mutex_t lock;
    porch_tickets *life; /* lifetime and clock, and the server's */
    size_t most, next;   /* rows, and the one to write next */
    row *rows;
    size_t sets;
    uint32_t *index; /* WAYS for each set: a row's number and one; 0: none */
};

porch_tls_sessions *porch_tls_sessions_new(uint32_t most) {
    porch_tls_sessions *t = calloc(1, sizeof *t);
    if (t == NULL) return NULL;
    t->most = most;
    t->sets = ((size_t)most + 1) / 2; /* twice as many places as rows: a set is seldom full */
    t->rows = calloc(t->most, sizeof *t->rows);
    t->index = calloc(t->sets * WAYS, sizeof *t->index);
    if (t->rows == NULL || t->index == NULL || pthread_mutex_init(&t->lock, NULL) != 0) {
        free(t->rows);
        free(t->index);
        free(t);
        return NULL;
    }
    return t;
}

void porch_tls_sessions_free(porch_tls_sessions *t) {
    if (t == NULL) return;
    for (size_t i = 0; i < t->most && t->rows[i].secret_len > 0; i++)
        porch_wipe(&t->rows[i], sizeof t->rows[i]);
    (void)pthread_mutex_destroy(&t->lock);
    free(t->rows);
    free(t->index);
    free(t);
}

static uint32_t *set_of(const porch_tls_sessions *t, const uint8_t *id) {
    uint64_t n;
    memcpy(&n, id, sizeof n);
    return t->index + (size_t)(n % t->sets) * WAYS;
}

/* How many rows ago the one of this place was written; SIZE_MAX when it is of this set no more. */
static size_t age_of(const porch_tls_sessions *t, const uint32_t *set, uint32_t place) {
    if (place == 0 || set_of(t, t->rows[place - 1].id) != set) return SIZE_MAX;
    return (t->next + t->most - place) % t->most;
}

static void keep(porch_tls_sessions *t, const row *made) {
    (void)pthread_mutex_lock(&t->lock);
    uint32_t *set = set_of(t, made->id), *place = set;
    for (size_t i = 1; i < WAYS; i++)
        if (age_of(t, set, set[i]) > age_of(t, set, *place)) place = &set[i];
    t->rows[t->next] = *made;
    *place = (uint32_t)t->next + 1;
    t->next = (t->next + 1) % t->most;
    (void)pthread_mutex_unlock(&t->lock);
}

static bool find(porch_tls_sessions *t, const uint8_t *id, row *ret) {
    bool found = false;
    (void)pthread_mutex_lock(&t->lock);
    const uint32_t *set = set_of(t, id);
    for (size_t i = 0; i < WAYS && !found; i++) {
        if (set[i] == 0 || memcmp(t->rows[set[i] - 1].id, id, sizeof ret->id) != 0) continue;
        *ret = t->rows[set[i] - 1];
        found = true;
    }
    (void)pthread_mutex_unlock(&t->lock);
    return found;
}

static bool kept_of(const SSL_SESSION *session, porch_tls_kept *ret) {
    void *at = NULL;
    size_t len = 0;
    /* The library's getter takes a session that it does not change. */
    if (session == NULL || SSL_SESSION_get0_ticket_appdata((SSL_SESSION *)session, &at, &len) != 1 ||
        len != sizeof *ret)
        return false;
    memcpy(ret, at, sizeof *ret);
    return true;
}

bool porch_tls_session_who(const SSL_SESSION *session, porch_tls_who *ret) {
    porch_tls_kept kept;
    if (!kept_of(session, &kept)) return false;
    *ret = kept.who;
    return true;
}

static porch_tls_server *server_of(SSL *ssl) {
    return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

/* Before a ticket is made. Of a full handshake: notes in the session who is there and when that was. */
static int on_make(SSL *ssl, void *ctx) {
    const porch_tls_sessions *t = ctx;
    porch_tls_kept kept;
    memset(&kept, 0, sizeof kept);
    if (kept_of(SSL_get_session(ssl), &kept)) return 1;
    kept.began_s = t->life->now_s();
    if (porch_tls_who_read(server_of(ssl), ssl, &kept.who) != PORCH_OK || !kept.who.has_certificate)
        return 1;
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), &kept, sizeof kept);
}

/* A ticket was sent. 0: the library keeps its reference. */
static int on_made(SSL *ssl, SSL_SESSION *session) {
    porch_tls_sessions *t = server_of(ssl)->sessions;
    row made;
    memset(&made, 0, sizeof made);
    unsigned id_len = 0;
    const unsigned char *id = SSL_SESSION_get_id(session, &id_len);
    size_t secret_len = SSL_SESSION_get_master_key(session, NULL, 0);
    if (id_len != sizeof made.id || secret_len == 0 || secret_len > sizeof made.secret ||
        !kept_of(session, &made.kept))
        return 0;
    memcpy(made.id, id, sizeof made.id);
    made.secret_len = SSL_SESSION_get_master_key(session, made.secret, sizeof made.secret);
    made.cipher = SSL_CIPHER_get_id(SSL_SESSION_get0_cipher(session));
    keep(t, &made);
    porch_wipe(&made, sizeof made);
    return 0;
}

static SSL_SESSION *session_of(SSL *ssl, const row *r, uint64_t left_s) {
    const uint8_t number[2] = {(uint8_t)(r->cipher >> 8), (uint8_t)r->cipher};
    const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, number);
    const porch_tls_server *server = server_of(ssl);
    SSL_SESSION *session = SSL_SESSION_new();
    if (session != NULL && cipher != NULL && SSL_SESSION_set_cipher(session, cipher) == 1 &&
        SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1 &&
        SSL_SESSION_set1_master_key(session, r->secret, r->secret_len) == 1 &&
        SSL_SESSION_set1_id(session, r->id, sizeof r->id) == 1 &&
        SSL_SESSION_set1_id_context(session, server->context, server->context_len) == 1 &&
        SSL_SESSION_set1_ticket_appdata(session, &r->kept, sizeof r->kept) == 1) {
        (void)SSL_SESSION_set_time(session, (long)time(NULL));
        (void)SSL_SESSION_set_timeout(session, (long)left_s);
        return session;
    }
    SSL_SESSION_free(session);
    ERR_clear_error();
    return NULL;
}

/* A ticket came back. NULL: a full handshake follows. */
static SSL_SESSION *on_ticket(SSL *ssl, const unsigned char *id, int len, int *copy) {
    porch_tls_sessions *t = server_of(ssl)->sessions;
    row r;
    SSL_SESSION *session = NULL;
    *copy = 0;
    if (len != (int)sizeof r.id || !find(t, id, &r)) return NULL;
    uint64_t age_s = t->life->now_s() - r.kept.began_s;
    if (age_s < t->life->lifetime_s) session = session_of(ssl, &r, t->life->lifetime_s - age_s);
    porch_wipe(&r, sizeof r);
    return session;
}

bool porch_tls_sessions_use(porch_tls_sessions *t, porch_tickets *life, SSL_CTX *ctx) {
    t->life = life;
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL |
                                            SSL_SESS_CACHE_NO_AUTO_CLEAR);
    SSL_CTX_sess_set_new_cb(ctx, on_made);
    SSL_CTX_sess_set_get_cb(ctx, on_ticket);
    return SSL_CTX_set_session_ticket_cb(ctx, on_make, NULL, t) == 1;
}
