/* The admin socket: how the command line speaks with a hub.
 *
 *   {"do":"device.add","args":{...}}\n   ─►   {"progress":0.4,"text":"..."}\n ...   (long ones only)
 *                                              {"ok":true,"result":{...}}\n
 *                                         or   {"ok":false,"error":"NOT_FOUND","message":"..."}\n
 *
 * A client is let in when its uid is the directory owner's or root's. One thread accepts, each client has
 * one of its own, so a command may block (store, signer) without holding up another; their number is
 * limited. Commands come as tables, one for each feature file. */
#ifndef PORCH_CLOUD_API_ADMIN_H
#define PORCH_CLOUD_API_ADMIN_H

#include <jansson.h>
#include <sys/types.h>

#include "base/error.h"
#include "cloud/grants/grants.h"
#include "cloud/registry/registry.h"
#include "cloud/settings/settings.h"
#include "cloud/store/store.h"
#include "crypto/x509.h"

typedef struct porch_admin porch_admin;
struct porch_accounts;
struct porch_broker;
struct porch_media;
struct porch_notify;
struct porch_listener;
struct porch_exports;
struct porch_updates;
struct porch_rollouts;

/* What commands work on. A pointer is NULL where the hub does not run that part (admin-only, tests); a
 * command that needs it answers PORCH_ERR_STATE. Everything outlives the admin server. */
typedef struct porch_admin_world {
    const char *dir;
    const porch_settings *settings;
    uint16_t port[3]; /* mqtt, device, people; 0 when not listening */
    bool admin_only;
    uint64_t started_ms;
    porch_store *store;
    porch_registry *registry;
    porch_grants *grants;
    porch_signer_client *signer;
    struct porch_accounts *accounts;
    struct porch_broker *broker;
    struct porch_media *media;
    struct porch_notify *notify;
    struct porch_listener *listener;
    struct porch_exports *exports;
    struct porch_updates *updates;
    struct porch_rollouts *rollouts;
    void (*drain)(void *ctx); /* asks the hub to stop in good order; returns at once */
    void *drain_ctx;
    /* Keeps a public name's certificate and key (PEM) and serves them; NULL: not offered. */
    porch_err (*install_https)(void *ctx, const char *cert, const char *key, porch_x509_info *ret,
                               porch_why *why);
    void *install_https_ctx;
    /* The next issuer comes into force; one of before goes. NULL: not offered. */
    porch_err (*issuer_activate)(void *ctx, const char *pem, porch_x509_info *ret, porch_why *why);
    porch_err (*issuer_retire)(void *ctx, const uint8_t fingerprint[32], bool force,
                               porch_registry_issuer *ret, porch_why *why);
    void *issuers_ctx;
    /* Adds what the hub knows to the object that `status` answers; may be NULL. */
    void (*status)(json_t *into, void *ctx);
    void *status_ctx;
} porch_admin_world;

typedef struct porch_admin_call {
    const porch_admin_world *world;
    const json_t *args; /* always an object */
    json_t *result;     /* an empty object to fill; a command may swap it for another value it owns */
    porch_why *why;
    struct porch_admin_client *client;
} porch_admin_call;

typedef porch_err (*porch_admin_fn)(porch_admin_call *call);
/* One row of a table; a table ends with {NULL, NULL}. */
typedef struct {
    const char *name;
    porch_admin_fn run;
} porch_admin_command;

/* A line of progress to the client now (0..1); lost silently when it has gone. */
void porch_admin_progress(porch_admin_call *call, double done, const char *text);
/* Arguments by name. The first two fail with PORCH_ERR_USAGE naming the argument: text must be a non-empty
 * string; optional text is NULL when it is not given. Views live as long as the call. */
porch_err porch_admin_text(porch_admin_call *call, const char *name, const char **ret);
porch_err porch_admin_text_optional(porch_admin_call *call, const char *name, const char **ret);
bool porch_admin_flag(porch_admin_call *call, const char *name);
/* PORCH_ERR_USAGE when an argument is none of these names (the list ends with NULL). */
porch_err porch_admin_only(porch_admin_call *call, const char *const *names);

typedef struct {
    int listen_fd;   /* a listening Unix stream socket; the server closes it */
    uid_t owner_uid; /* of the directory */
    const porch_admin_world *world;
    const porch_admin_command *const *tables; /* ends with NULL */
    void (*on_idle)(
        void *ctx); /* the last client has gone, or in admin.idle_ms none has come; NULL for none */
    void *on_idle_ctx;
} porch_admin_config;

/* Starts the server. The config's tables and world must outlive it. */
porch_err porch_admin_start(const porch_admin_config *config, porch_admin **ret, porch_why *why);
/* Serves one client that has been let in, on the caller's thread, until it goes: the door without the hall,
 * for fuzz targets. `fd` stays the caller's; config->listen_fd is not looked at. */
void porch_admin_serve(const porch_admin_config *config, int fd);
/* Lets running commands end, closes every client and the socket. */
void porch_admin_stop(porch_admin *a);

/* The tables of the feature files beside this one. */
extern const porch_admin_command porch_admin_registry_commands[]; /* device.*, household.* */
extern const porch_admin_command porch_admin_grants_commands[];   /* service.* */
extern const porch_admin_command porch_admin_policy_commands[];   /* policy.*, denials */
extern const porch_admin_command porch_admin_store_commands[]; /* status, drain, ca.export-root, backup */
extern const porch_admin_command porch_admin_ca_commands[];    /* ca.rotate, list, activate, retire */
extern const porch_admin_command porch_admin_accounts_commands[];  /* setup-link, user.* */
extern const porch_admin_command porch_admin_notify_commands[];    /* webhook.*, courier.allow */
extern const porch_admin_command porch_admin_enrol_commands[];     /* claim tokens, factories, products */
extern const porch_admin_command porch_admin_trust_commands[];     /* trust-log.* */
extern const porch_admin_command porch_admin_household_commands[]; /* household.erase */
extern const porch_admin_command porch_admin_updates_commands[];   /* ota.keys, have, put, commit */
extern const porch_admin_command porch_admin_rollout_commands[];   /* ota.rollout.*, history, audit */

#endif
