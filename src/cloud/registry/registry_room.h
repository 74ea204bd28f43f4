/* The registry's inside: what registry.c (the door, looking), registry_load.c (database to memory) and
 * registry_change.c (enrol, revoke, remove) share. */
#ifndef PORCH_CLOUD_REGISTRY_ROOM_H
#define PORCH_CLOUD_REGISTRY_ROOM_H

#include <pthread.h>

#include "cloud/registry/registry_memory.h"
#include "crypto/x509.h"

enum {
    PORCH_REGISTRY_OBSERVERS = 8,
    PORCH_REGISTRY_ISSUERS = 64,        /* ever, retired ones included */
    PORCH_REGISTRY_ISSUER_UNKNOWN = 255 /* no place */
};

typedef struct {
    porch_x509_info info;
    uint64_t in_force_ms, followed_ms, retired_ms, key_gone_ms;
} registry_issuer;

struct porch_registry {
    porch_store *store;
    porch_settings settings;
    /* Three locks, taken in this order. */
    pthread_mutex_t asking; /* one enrolment at a time; held across the signer, which may be away */
    pthread_mutex_t change; /* one change at a time; held across the store, never across the signer */
    pthread_rwlock_t lock;  /* the tables; held for moments only, and never while waiting for anything */
    registry_table devices, services, certificates, households;
    uint64_t births;                                 /* certificates that came into memory so far */
    registry_issuer issuers[PORCH_REGISTRY_ISSUERS]; /* under `lock`; places never change */
    size_t issuer_count;
    struct {
        porch_registry_change_fn fn;
        void *ctx;
    } observers[PORCH_REGISTRY_OBSERVERS];
    size_t observer_count;
    porch_registry_remove_fn in_remove;
    void *in_remove_ctx;
};

/* Reads everything from the database into empty tables. A porch_store_fn; ctx is the registry. */
porch_err porch_registry_load(porch_db *db, void *ctx, porch_why *why);
void porch_registry_tell(porch_registry *r, porch_principal_kind kind, const char *name,
                         porch_registry_what what);
/* registry_issuer.c. Part of the load; then: where it stands, or UNKNOWN. */
porch_err porch_registry_load_issuers(porch_registry *r, porch_db *db, porch_why *why);
uint8_t porch_registry_issuer_place(const porch_registry *r, const uint8_t fingerprint[32]);
/* The table of a kind. */
registry_table *porch_registry_principals(porch_registry *r, porch_principal_kind kind);
/* Copies a text that is known to fit; longer ones are cut. */
void porch_registry_copy_text(char *out, size_t cap, porch_bytes text);

/* ---- one enrolment on its way (registry_change.c): what the transaction needs ----
 * Devices are revoked and issuers retired while the signer is asked: nothing here points into the tables.
 */
enum { PORCH_REGISTRY_PENDING_MOST = 8 };
typedef struct {
    porch_registry *r;
    porch_principal_kind kind;
    const char *name, *product, *household, *who;
    /* renewing: what is known of the principal, for product and household to point to */
    char product_text[PORCH_REGISTRY_NAME_BYTES], household_text[PORCH_REGISTRY_NAME_BYTES];
    const uint8_t *shown; /* the certificate by which a device renews itself; NULL */
    bool any_client_id, renew;
    bool hardware; /* its key was shown to live in a TPM, now or for an earlier certificate of the same key
                    */
    porch_store_fn also;
    void *also_ctx;
    const char *factory;     /* the authority's name; NULL */
    uint8_t factory_key[32]; /* with factory */
    uint64_t now_ms;
    /* certificates of it that nobody has used: they die with the new one's birth */
    uint8_t in_use[32]; /* the certificate that it renews; zeros when none was ever used */
    uint8_t pending[PORCH_REGISTRY_PENDING_MOST][32];
    size_t pending_count;
    uint8_t key_hash[32]; /* of the request's key */
    char *pem;            /* the chain; becomes the caller's */
    uint8_t issuer[32];   /* who signed it: the second certificate of the chain */
    porch_x509_info info;
} registry_enrolment;
porch_err porch_registry_check_id(const char *what, const char *text, porch_why *why);
void porch_registry_enrol_begin(porch_registry *r); /* takes `asking` and `change` */
void porch_registry_enrol_end(porch_registry *r);
/* All with both held. The place: is the name free, or there when it renews? */
porch_err porch_registry_place(registry_enrolment *n, porch_why *why);
/* What the product asks for (DENIED), and whether an earlier certificate of this device with the request's
 * key was shown to live in a TPM, which goes on in n->hardware. */
porch_err porch_registry_meets(registry_enrolment *n, bool bound, porch_bytes csr, porch_why *why);
/* Issue, store, remember; *ret is the caller's. `change` is let go while the signer is asked, and what may
 * have changed is looked at again. */
porch_err porch_registry_complete(registry_enrolment *n, porch_signer_client *signer, porch_bytes csr,
                                  porch_registry_issued *ret, porch_why *why);

#endif
