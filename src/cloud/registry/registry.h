/* Who may come in: households, devices, services and every certificate that was ever issued.
 *
 * The database holds all of it; memory holds what a decision at the door needs. Shards call
 * porch_registry_admit at CONNECT and on requests: no SQL, no heap, one short shared lock. Changes go
 * through the store first and reach memory once they are durable.
 *
 *   admin ─► device_add ─► signer issues ─► one transaction: device, certificate, trust row ─► memory ─►
 * observers
 *
 * An identity is (kind, name); the certificate that was shown must be one that this registry issued for
 * exactly that identity. Removing a device keeps its certificates as revoked rows: the same name enrolled
 * again never revives an old key. */
#ifndef PORCH_CLOUD_REGISTRY_H
#define PORCH_CLOUD_REGISTRY_H

#include "cloud/store/store.h"
#include "crypto/identity.h"
#include "crypto/x509.h"

typedef struct porch_registry porch_registry;
typedef struct porch_signer_client porch_signer_client;

enum { PORCH_REGISTRY_NAME_BYTES = 65, PORCH_REGISTRY_TEXT_BYTES = 129 };

/* A principal is what a certificate speaks for: NONE, DEVICE or SERVICE; or a PERSON, whom the registry
 * does not know: accounts do, and the app's sign-in speaks for them. */
typedef porch_identity_kind porch_principal_kind;
#define PORCH_PRINCIPAL_NONE    PORCH_IDENTITY_NONE
#define PORCH_PRINCIPAL_DEVICE  PORCH_IDENTITY_DEVICE
#define PORCH_PRINCIPAL_SERVICE PORCH_IDENTITY_SERVICE
#define PORCH_PRINCIPAL_PERSON  PORCH_IDENTITY_PERSON

/* What a connection is admitted as. A copy; it does not change with the registry. */
typedef struct porch_registry_entry {
    porch_principal_kind kind;
    char name[PORCH_REGISTRY_NAME_BYTES];
    char product[PORCH_REGISTRY_NAME_BYTES];   /* device only, else "" */
    char household[PORCH_REGISTRY_NAME_BYTES]; /* of a device or person, else "" */
    bool any_client_id;                        /* service added with --client-ids any */
    bool quarantined;                          /* device only: diagnostics and the signed update, no more */
    uint8_t role;                              /* person only: a porch_role */
    uint8_t issuer;                            /* of its certificate: a porch_registry_issuer's place */
    uint8_t sign_in[32];                       /* person only: which one it is that speaks for them */
    uint64_t certificate_ends_ms;
} porch_registry_entry;

/* "device", "service", "person". */
const char *porch_principal_kind_name(porch_principal_kind kind);

/* Loads memory from the store and registers for its ticks. The signer client may be NULL when nothing will
 * be issued. The store must outlive the registry. */
porch_err porch_registry_open(porch_store *store, const porch_settings *settings, porch_registry **ret,
                              porch_why *why);
void porch_registry_close(porch_registry *r);

/* ---- at the door (any thread, shards too) ------------------------------------------------------- */

/* PORCH_OK, or PORCH_ERR_AUTH: no such device/service, or the certificate is not one issued to it;
 * PORCH_ERR_REVOKED: the certificate or the device was withdrawn; PORCH_ERR_EXPIRED: its time is over;
 * PORCH_ERR_STATE: its time has not begun; PORCH_ERR_BUSY: the disk refuses to note that this certificate
 * replaces another. The first use of such a one waits for its commit. *ret is of use on success only. */
porch_err porch_registry_admit(porch_registry *r, porch_principal_kind kind, const char *name,
                               const uint8_t fingerprint[32], uint64_t now_ms, porch_registry_entry *ret,
                               porch_why *why);
/* A device came or went, or was heard of. Cheap: memory now, the database with the next tick. A change of
 * `online` reaches the observers on the calling thread. */
void porch_registry_seen(porch_registry *r, const char *device, bool online, uint64_t at_ms);

/* ---- changes (block; any thread but shards) -----------------------------------------------------
 * Enrolments wait for the signer, one behind the other; nothing else does. */

typedef struct {
    const char *cert_pem; /* leaf, then the issuing certificate */
    uint64_t starts_ms, ends_ms;
    char serial[65];
    uint8_t fingerprint[32];
} porch_registry_issued; /* porch_registry_issued_free */
void porch_registry_issued_free(porch_registry_issued *i);

typedef struct {
    const char *id;
    const char *product;
    const char *household; /* NULL: "home" */
    const char *csr_pem;   /* proves possession; the hub never sees the key */
    bool renew;            /* a new certificate for a device that exists; product and household are kept */
    bool hardware_proved;  /* the request's key was shown to live in a TPM */
    const char *who;       /* for the trust log: "operator" */
} porch_registry_device_spec;

/* How a device proves, at the hub's enrolment doors, that it may have a certificate. Its id comes from what
 * is set here and from the registry, never from the request. */
typedef struct {
    porch_bytes csr; /* PEM or DER */
    /* First enrolment, one or both: */
    const char *claim;              /* a claim token's text; NULL: none */
    const porch_x509_info *factory; /* a certificate that `issuer`, an imported authority, signed; NULL */
    const uint8_t *issuer;
    /* Renewal: the device and the certificate that it showed; may have ended, see est.renew_only_days. */
    const char *device;
    const uint8_t *fingerprint;
    bool bound;           /* the request carries this connection's channel binding, and it was right */
    bool hardware_proved; /* its key was shown to live in a TPM */
} porch_registry_enrolment;

/* PORCH_ERR_AUTH: an unknown, spent or unfit proof; PORCH_ERR_EXPIRED: the token's or the certificate's
 * time is over; PORCH_ERR_REVOKED; PORCH_ERR_DENIED: the product asks for more than was shown; BUSY: it
 * renewed itself est.certificates_per_day times within a day; else as porch_registry_device_add. A token
 * that was spent by the same key works again until its end or until the certificate was used: the answer
 * may have been lost. `id` is the device's. */
porch_err porch_registry_enrol(porch_registry *r, porch_signer_client *signer,
                               const porch_registry_enrolment *in, char id[PORCH_REGISTRY_NAME_BYTES],
                               porch_registry_issued *ret, porch_why *why);
/* Whether this certificate may still be renewed though it has ended: OK, or as porch_registry_admit. */
porch_err porch_registry_may_renew(porch_registry *r, const char *device, const uint8_t fingerprint[32],
                                   uint64_t now_ms, porch_registry_entry *ret, porch_why *why);

/* A token with which one device may enrol once. `device` NULL: its id is made up, from the product's name.
 * life_s 0: est.claim_token_s. */
typedef struct {
    const char *device, *product, *household, *who;
    uint32_t life_s;
} porch_registry_claim_spec;
enum { PORCH_REGISTRY_CLAIM_BYTES = 33 };
porch_err porch_registry_claim_make(porch_registry *r, const porch_registry_claim_spec *spec,
                                    char token[PORCH_REGISTRY_CLAIM_BYTES],
                                    char device[PORCH_REGISTRY_NAME_BYTES], uint64_t *ends_ms,
                                    porch_why *why);

/* Authorities of factories. `pem`: the one that signs devices first, its issuers up to a root after it. */
porch_err porch_registry_factory_add(porch_registry *r, const char *name, const char *pem,
                                     const char *product, const char *household, const char *who,
                                     porch_why *why);
porch_err porch_registry_factory_remove(porch_registry *r, const char *name, const char *who,
                                        porch_why *why);
typedef struct {
    char name[PORCH_REGISTRY_NAME_BYTES], product[PORCH_REGISTRY_NAME_BYTES],
        household[PORCH_REGISTRY_NAME_BYTES];
    uint8_t fingerprint[32];
    uint64_t added_ms;
    const char *pem;
} porch_registry_factory;
/* Visits in order of name while fn answers true. Reads the database. */
porch_err porch_registry_factories(porch_registry *r, bool (*fn)(const porch_registry_factory *, void *),
                                   void *ctx, porch_why *why);

/* Makers of TPMs. `pem`: their authorities, each of which may be where a chain ends. */
porch_err porch_registry_tpm_ca_add(porch_registry *r, const char *name, const char *pem, const char *who,
                                    porch_why *why);
porch_err porch_registry_tpm_ca_remove(porch_registry *r, const char *name, const char *who,
                                       porch_why *why);
typedef struct {
    char name[PORCH_REGISTRY_NAME_BYTES];
    uint64_t added_ms;
    const char *pem;
} porch_registry_tpm_ca;
/* Visits in order of name while fn answers true. Reads the database. */
porch_err porch_registry_tpm_cas(porch_registry *r, bool (*fn)(const porch_registry_tpm_ca *, void *),
                                 void *ctx, porch_why *why);

/* ---- the authorities that issue ---- */

enum { PORCH_REGISTRY_ISSUER_NAMES = 8 };
typedef struct {
    porch_x509_info info;
    uint8_t place;                                 /* never changes while the registry is open */
    uint64_t in_force_ms, followed_ms, retired_ms; /* followed_ms 0: it issues now */
    uint64_t key_gone_ms;                          /* its key is destroyed since then */
    size_t live, ended; /* certificates in force; ended, but may renew themselves */
    char names[PORCH_REGISTRY_ISSUER_NAMES][PORCH_REGISTRY_NAME_BYTES]; /* some of whom they are */
    size_t named;
} porch_registry_issuer;
/* Visits in the order in which they came while fn answers true. */
void porch_registry_issuers(porch_registry *r, bool (*fn)(const porch_registry_issuer *, void *),
                            void *ctx);
/* The first certificate of `pem` issues from now on; the one before goes on to count. The very first takes
 * over all that there is. Harmless to repeat. REVOKED: it is retired; LIMIT. */
porch_err porch_registry_issuer_force(porch_registry *r, porch_bytes pem, const char *who, porch_why *why);
/* What it issued is refused from now on, and the sessions of those who have nothing else end. STATE: it
 * issues now, or, unless forced, certificates hang on it. *ret: as it was before. Harmless to repeat. */
porch_err porch_registry_issuer_retire(porch_registry *r, const uint8_t fingerprint[32], bool force,
                                       const char *who, porch_registry_issuer *ret, porch_why *why);
/* The retired issuer's key is destroyed: remembered, and in the trust log. Harmless to repeat. */
porch_err porch_registry_issuer_key_gone(porch_registry *r, const uint8_t fingerprint[32], const char *who,
                                         porch_why *why);

/* What a product asks of enrolments. */
typedef struct {
    bool channel_binding, hardware_keys;
} porch_registry_product;
porch_err porch_registry_product_set(porch_registry *r, const char *product,
                                     const porch_registry_product *flags, const char *who, porch_why *why);
/* All false for one that was never set. */
porch_err porch_registry_product_get(porch_registry *r, const char *product, porch_registry_product *ret,
                                     porch_why *why);

/* PORCH_ERR_EXISTS: already there (or its key is); PORCH_ERR_NOT_FOUND: no such household, or renew of an
 * unknown device; PORCH_ERR_REVOKED: renew of a revoked device; PORCH_ERR_MALFORMED: id, product or CSR. */
porch_err porch_registry_device_add(porch_registry *r, porch_signer_client *signer,
                                    const porch_registry_device_spec *spec, porch_registry_issued *ret,
                                    porch_why *why);
porch_err porch_registry_device_revoke(porch_registry *r, const char *id, const char *who, porch_why *why);
/* Under quarantine the link stays, for diagnostics and the signed update only; live sessions are judged
 * anew. PORCH_ERR_STATE: it is so already; PORCH_ERR_REVOKED. */
porch_err porch_registry_device_quarantine(porch_registry *r, const char *id, const char *who,
                                           porch_why *why);
porch_err porch_registry_device_readmit(porch_registry *r, const char *id, const char *who, porch_why *why);
/* From one household into another, with what `also` writes in the same transaction; NOT_FOUND when it is
 * another's by now. Sessions keep the entry that they were admitted as: revoke it first. */
porch_err porch_registry_device_move(porch_registry *r, const char *id, const char *from, const char *to,
                                     porch_store_fn also, void *also_ctx, porch_why *why);
porch_err porch_registry_device_remove(porch_registry *r, const char *id, const char *who, porch_why *why);

typedef struct {
    const char *name;
    const char *csr_pem;
    bool any_client_id;
    bool renew;
    const char *who;
    porch_store_fn also; /* run in the same transaction (the service's group); may be NULL */
    void *also_ctx;
} porch_registry_service_spec;

porch_err porch_registry_service_add(porch_registry *r, porch_signer_client *signer,
                                     const porch_registry_service_spec *spec, porch_registry_issued *ret,
                                     porch_why *why);
/* `also` as above: what belongs to the service goes with it. */
porch_err porch_registry_service_remove(porch_registry *r, const char *name, const char *who,
                                        porch_store_fn also, void *also_ctx, porch_why *why);

/* timezone: an IANA name such as "Europe/Berlin"; NULL means "UTC". `id` follows the grammar of ids and is
 * made from the name when NULL; `made` (may be NULL) gets it. */
porch_err porch_registry_household_add(porch_registry *r, const char *id, const char *name,
                                       const char *zone, const char *who,
                                       char made[PORCH_REGISTRY_NAME_BYTES], porch_why *why);
porch_err porch_registry_household_set_timezone(porch_registry *r, const char *id, const char *zone,
                                                const char *who, porch_why *why);

/* A household's end (registry_erase.c). Begin: every device of it is removed, its connections end, and the
 * names stand in the table erasure. End: its devices' certificates and the household itself are gone, in
 * one transaction with `also`; "home" is there again, empty. NOT_FOUND. */
porch_err porch_registry_erase_begin(porch_registry *r, const char *household, porch_why *why);
porch_err porch_registry_erase_end(porch_registry *r, const char *household, porch_store_fn also,
                                   void *also_ctx, porch_why *why);

/* ---- looking (memory; any thread) --------------------------------------------------------------- */

typedef struct porch_registry_device {
    char id[PORCH_REGISTRY_NAME_BYTES];
    char product[PORCH_REGISTRY_NAME_BYTES];
    char household[PORCH_REGISTRY_NAME_BYTES];
    uint64_t added_ms;
    uint64_t revoked_ms;     /* 0: in force */
    uint64_t quarantined_ms; /* 0: not */
    uint64_t last_seen_ms;   /* 0: never */
    bool online;
    uint64_t certificate_ends_ms; /* of the newest certificate */
    uint8_t fingerprint[32];
} porch_registry_device;

typedef struct {
    char name[PORCH_REGISTRY_NAME_BYTES];
    bool any_client_id;
    uint64_t added_ms;
    uint64_t certificate_ends_ms;
    uint8_t fingerprint[32];
} porch_registry_service;

typedef struct {
    char id[PORCH_REGISTRY_NAME_BYTES];
    char name[PORCH_REGISTRY_TEXT_BYTES];
    char timezone[PORCH_REGISTRY_NAME_BYTES];
    uint64_t added_ms;
} porch_registry_household;

/* Visits in order of name while fn answers true; fn must not call back into the registry. NULL household:
 * all. */
void porch_registry_devices(porch_registry *r, const char *household,
                            bool (*fn)(const porch_registry_device *, void *), void *ctx);
void porch_registry_services(porch_registry *r, bool (*fn)(const porch_registry_service *, void *),
                             void *ctx);
void porch_registry_households(porch_registry *r, bool (*fn)(const porch_registry_household *, void *),
                               void *ctx);
/* PORCH_ERR_NOT_FOUND or a copy in *ret. */
porch_err porch_registry_device_get(porch_registry *r, const char *id, porch_registry_device *ret);
porch_err porch_registry_service_get(porch_registry *r, const char *name, porch_registry_service *ret);
porch_err porch_registry_household_get(porch_registry *r, const char *id, porch_registry_household *ret);

typedef struct {
    size_t devices, devices_online, services, households;
} porch_registry_counts;
void porch_registry_count(porch_registry *r, porch_registry_counts *ret);

/* ---- observers ---------------------------------------------------------------------------------- */

typedef enum {
    PORCH_REGISTRY_ADDED,
    PORCH_REGISTRY_RENEWED,
    PORCH_REGISTRY_REVOKED,     /* live sessions of it must end */
    PORCH_REGISTRY_REMOVED,     /* live sessions of it must end */
    PORCH_REGISTRY_QUARANTINED, /* live sessions must be judged anew, uploads end */
    PORCH_REGISTRY_READMITTED,
    PORCH_REGISTRY_FACTORIES, /* authorities came or went; the name is the authority's, the kind NONE */
    PORCH_REGISTRY_ISSUER_RETIRED, /* of one whose certificate hangs on it: live sessions must end */
    PORCH_REGISTRY_ONLINE,         /* on the shard that said so: must not block */
    PORCH_REGISTRY_OFFLINE
} porch_registry_what;

typedef void (*porch_registry_change_fn)(porch_principal_kind kind, const char *name,
                                         porch_registry_what what, void *ctx);
/* Register before the first change. Called after the change is durable and in memory. */
void porch_registry_on_change(porch_registry *r, porch_registry_change_fn fn, void *ctx);
/* Called in the transaction that removes a device, so that what other rooms keep of it goes with it or not
 * at all. Register before the first change. */
typedef porch_err (*porch_registry_remove_fn)(porch_db *db, const char *device, void *ctx, porch_why *why);
void porch_registry_in_remove(porch_registry *r, porch_registry_remove_fn fn, void *ctx);

#endif
