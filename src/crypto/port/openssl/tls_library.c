/* The library context of all TLS: one provider of our own that hands on, out of the default provider, the
 * few algorithms that TLS with this project's certificates uses.
 *
 *   SSL_CTX ─► this context ─► "porchlight-tls" ─► (a short list) ─► the default provider's functions
 *
 * Nothing is implemented here. OpenSSL 3.0 looks through every decoder and key type that a context has each
 * time it reads a certificate's public key, which made up two fifths of a full handshake: a context with
 * few of them is that much faster, and a peer cannot make the hub read a kind of key that it never uses. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/provider.h>

#include "crypto/port/openssl/openssl.h"
#include "crypto/port/openssl/tls_port.h"
#include "crypto/random.h"

enum { ROWS_MOST = 16, KEPT_MOST = 16 };

/* What each operation may have: an algorithm by its first name; a decoder also by its input. */
static struct {
    int operation;
    const char *names[ROWS_MOST];
    const char *property; /* must stand in the definition; NULL: any */
    OSSL_ALGORITHM kept[KEPT_MOST + 1];
} rows[] = {
    {OSSL_OP_DIGEST, {"SHA1", "SHA2-224", "SHA2-256", "SHA2-384", "SHA2-512"}, NULL, {{0}}},
    {OSSL_OP_CIPHER, {"AES-256-GCM", "AES-128-GCM", "ChaCha20-Poly1305", "AES-256-CBC"}, NULL, {{0}}},
    {OSSL_OP_MAC, {"HMAC", "POLY1305"}, NULL, {{0}}},
    {OSSL_OP_KDF, {"HKDF", "TLS13-KDF", "TLS1-PRF"}, NULL, {{0}}},
    {OSSL_OP_RAND, {"CTR-DRBG", "SEED-SRC"}, NULL, {{0}}},
    {OSSL_OP_KEYMGMT, {"EC", "X25519", "ED25519", "RSA", "HMAC"}, NULL, {{0}}},
    {OSSL_OP_KEYEXCH, {"X25519", "ECDH"}, NULL, {{0}}},
    {OSSL_OP_SIGNATURE, {"ECDSA", "ED25519", "RSA", "HMAC"}, NULL, {{0}}},
    {OSSL_OP_DECODER, {"EC", "ED25519", "RSA"}, "structure=SubjectPublicKeyInfo", {{0}}},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static OSSL_PROVIDER *source;
static OSSL_LIB_CTX *library;

/* Is `name` the first of "NAME:alias:alias"? */
static bool is_named(const OSSL_ALGORITHM *a, const char *name) {
    size_t len = strlen(name);
    return OPENSSL_strncasecmp(a->algorithm_names, name, len) == 0 &&
           (a->algorithm_names[len] == ':' || a->algorithm_names[len] == '\0');
}

static void keep(size_t row) {
    int no_cache = 0;
    size_t kept = 0;
    const OSSL_ALGORITHM *all = OSSL_PROVIDER_query_operation(source, rows[row].operation, &no_cache);
    for (const OSSL_ALGORITHM *a = all; a != NULL && a->algorithm_names != NULL; a++) {
        if (rows[row].property != NULL && strstr(a->property_definition, rows[row].property) == NULL)
            continue;
        for (size_t i = 0; i < ROWS_MOST && rows[row].names[i] != NULL; i++)
            if (is_named(a, rows[row].names[i]) && kept < KEPT_MOST) rows[row].kept[kept++] = *a;
    }
}

static const OSSL_ALGORITHM *on_query(void *provctx, int operation, int *no_cache) {
    (void)provctx;
    *no_cache = 0;
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].operation == operation) return rows[i].kept;
    return NULL;
}

static int on_capabilities(void *provctx, const char *capability, OSSL_CALLBACK *each, void *arg) {
    (void)provctx;
    return OSSL_PROVIDER_get_capabilities(source, capability, each, arg);
}

static int on_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                   void **provctx) {
    (void)handle, (void)in;
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))on_query},
        {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))on_capabilities},
        {0, NULL},
    };
    *out = functions;
    *provctx = OSSL_PROVIDER_get0_provider_ctx(source); /* the functions handed on are its own */
    return 1;
}

static void make_library(void) {
    porch_crypto_init();
    source = OSSL_PROVIDER_load(NULL, "default");
    library = OSSL_LIB_CTX_new();
    if (source == NULL || library == NULL) porch_openssl_abort("making the library context of TLS");
    for (size_t i = 0; i < ROWS; i++)
        keep(i);
    if (OSSL_PROVIDER_add_builtin(library, "porchlight-tls", on_init) != 1 ||
        OSSL_PROVIDER_load(library, "porchlight-tls") == NULL)
        porch_openssl_abort("loading the provider of TLS");
}

OSSL_LIB_CTX *porch_tls_library(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_library);
    return library;
}
