/* The hub process's inside: everything it holds, for its own files only. */
#ifndef PORCH_CLOUD_API_HUB_ROOM_H
#define PORCH_CLOUD_API_HUB_ROOM_H

#include <stdatomic.h>

#include "cloud/analyst/analyst_client.h"
#include "cloud/api/admin.h"
#include "cloud/api/api_app.h"
#include "cloud/api/api_guard.h"
#include "cloud/api/api_live.h"
#include "cloud/api/api_routes.h"
#include "cloud/api/household_export.h"
#include "cloud/api/household_finish.h"
#include "cloud/api/hub.h"
#include "cloud/broker/broker.h"
#include "cloud/courier/courier_client.h"
#include "cloud/grants/grants.h"
#include "cloud/listener/listener.h"
#include "cloud/media/media.h"
#include "cloud/notify/notify.h"
#include "cloud/rollout/rollout.h"
#include "cloud/rollout/updates.h"
#include "os/clock_trust.h"

enum { PORCH_HUB_PATH_BYTES = 1200, PORCH_HUB_PEM_MOST = 65536 };

/* The pair of a public name (hub_https.c); empty paths: there is none. */
typedef struct {
    char cert[PORCH_HUB_PATH_BYTES], key[PORCH_HUB_PATH_BYTES];
    bool handed_over; /* the pair in tls/, its key sealed; else the operator's files */
    uint64_t state;   /* of both files when they were last tried; 0: try again */
    bool serving;     /* it is what people see; else the web CA's is */
} porch_hub_https;

typedef struct {
    const porch_hub_start *start;
    porch_settings settings;
    porch_guard_names names;
    uint64_t started_ms;
    int stop_fd; /* an eventfd: whoever writes it ends the hub in good order */
    int tend_fd; /* an eventfd: whoever writes it has the certificates looked at now */

    porch_signer_client *signer;
    porch_analyst_client *analyst;
    porch_courier_client *courier;

    porch_store *store;
    porch_registry *registry;
    porch_grants *grants;
    porch_accounts *accounts;
    porch_media *media;
    porch_notify *notify;
    porch_twins *twins;
    porch_updates *updates;
    porch_clock_trust prune_clock;
    porch_rollouts *rollouts;
    porch_broker *broker;
    porch_app *app;
    porch_live *live;
    porch_exports *exports;
    porch_finisher *finisher;
    struct porch_attestations *attestations;
    struct porch_turns *time_turns;
    porch_api api;
    porch_http_route routes[PORCH_API_ROUTES_MOST];
    porch_listener *listener;
    porch_admin_world world;
    porch_admin *admin;

    atomic_bool issuers_changed;   /* the devices' doors trust others now */
    atomic_bool factories_changed; /* the devices' HTTPS door asks for others now */
    atomic_ullong notifications;   /* made since start */
    char url[300];                 /* https://HOST:PORT of the people's door */
    uint8_t *web_ca;
    size_t web_ca_len;
    uint64_t store_rounds; /* at the supervisor's last pulse */
    porch_hub_https https;
    uint64_t ends_told_ms; /* since the machine started; 0: never */
} porch_hub;

/* hub_open.c: from settings to a listener that is not started yet, and back. */
porch_err porch_hub_open(porch_hub *h, porch_why *why);
void porch_hub_close(porch_hub *h);
/* Starts threads that serve: observers are set, everything is open. */
porch_err porch_hub_serve(porch_hub *h, porch_why *why);
/* Asks the main loop to end. Any thread. */
void porch_hub_stop(void *hub);

/* hub_tls.c: certificates of the hub's own doors. */
porch_err porch_hub_tls_servers(porch_hub *h, porch_tls_server *servers[PORCH_LISTEN_ROLES],
                                porch_why *why);
/* Renews what is past two thirds of its life and takes up a changed certificate of a public name. */
void porch_hub_tls_tend(porch_hub *h);
/* Has the main thread do so and waits for it, so that the next handshake is judged anew. False: it takes
 * long. Any other thread; nothing to do where no door is open. */
bool porch_hub_tls_tend_now(porch_hub *h);

/* hub_issuers.c: who issues certificates. Settle: before anything is served. The others: for the admin
 * socket; harmless to repeat. */
porch_err porch_hub_issuers_settle(porch_hub *h, porch_why *why);
porch_err porch_hub_issuer_activate(void *hub, const char *pem, porch_x509_info *ret, porch_why *why);
/* ret->key_gone_ms 0: its key could not be destroyed now, as the log says; asked again, it is tried again.
 */
porch_err porch_hub_issuer_retire(void *hub, const uint8_t fingerprint[32], bool force,
                                  porch_registry_issuer *ret, porch_why *why);

/* hub_https.c: the certificate of a public name. */
void porch_hub_https_find(porch_hub *h);
uint64_t porch_hub_https_state(const porch_hub *h);
/* *key and *chain (malloc'ed) on success only, and only what can be served. */
porch_err porch_hub_https_load(const porch_hub *h, porch_key **key, uint8_t **chain, size_t *chain_len,
                               porch_why *why);
/* For the admin socket: keeps the pair in tls/ and has it served. *ret is the certificate's. Any thread. */
porch_err porch_hub_https_install(void *hub, const char *cert, const char *key, porch_x509_info *ret,
                                  porch_why *why);

/* hub_ends.c: when certificates end; each 0 where there is none. */
void porch_hub_ends(porch_hub *h, uint64_t ends_ms[PORCH_METRICS_ENDS]);
/* At most once a day, a line for each that ends soon. The main thread. */
void porch_hub_ends_tell(porch_hub *h);

/* hub_news.c: what one room says and others want to hear. Before anything is started. */
void porch_hub_connect_news(porch_hub *h);
/* For /metrics. */
void porch_hub_measure(porch_metrics *ret, void *hub);
/* For `status`. */
void porch_hub_status(json_t *into, void *hub);

#endif
