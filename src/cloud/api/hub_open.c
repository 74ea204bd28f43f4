/* Opening the hub's rooms in the order in which they need each other, and closing them backwards. */
#include "cloud/api/api_household.h"
#include "cloud/api/api_sight.h"
#include "cloud/api/attestation.h"
#include "cloud/api/backup_copy.h"
#include "cloud/api/hub_room.h"
#include "cloud/api/turns.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crypto/random.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"
#include "os/process.h"
#include "os/sandbox.h"

/* ---- before the wall ---- */

static porch_err load_app(porch_hub *h, porch_why *why) {
    char folder[PORCH_HUB_PATH_BYTES], own[1024];
    if (h->settings.people_app_dir[0] != '\0') {
        (void)snprintf(folder, sizeof folder, "%s", h->settings.people_app_dir);
    } else {
        PORCH_TRY(porch_process_own_folder(own, sizeof own, why));
        (void)snprintf(folder, sizeof folder, "%s/../share/porchlight/app", own);
    }
    PORCH_TRY(porch_app_load(folder, h->settings.people_app_bytes, &h->app, why));
    if (porch_app_find(h->app, "/") == NULL)
        porch_log(PORCH_LOG_WARN, "app.missing", "folder", folder, "reason", "people get the API alone",
                  NULL);
    return PORCH_OK;
}

/* The database's files must be there before the wall: inside, the hub cannot make files in DIR, where the
 * signer's folder is. */
static porch_err prepare_database(const porch_hub *h, porch_why *why) {
    static const char *const names[] = {"hub.db-wal", "hub.db-shm"};
    porch_store *store = NULL;
    char path[PORCH_HUB_PATH_BYTES];
    PORCH_TRY(porch_store_open(h->start->dir, &h->settings, &store, why));
    porch_store_close(store);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        PORCH_TRY(porch_path_join(h->start->dir, names[i], path, sizeof path));
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) return porch_fail(why, PORCH_ERR_IO, "%s cannot be made", path);
        (void)close(fd);
    }
    return PORCH_OK;
}

/* Where an operator's certificate and what it links to are: renewals replace files there. */
static void folder_of(const char *file, bool follow, char out[PORCH_HUB_PATH_BYTES]) {
    char *real = follow ? realpath(file, NULL) : NULL;
    char copy[PORCH_HUB_PATH_BYTES];
    (void)snprintf(copy, sizeof copy, "%s", real != NULL ? real : file);
    (void)snprintf(out, PORCH_HUB_PATH_BYTES, "%s", dirname(copy));
    free(real);
}

static porch_err enter_sandbox(const porch_hub *h, porch_why *why) {
    static const char *const parts[] = {"hub.db", "hub.db-wal", "hub.db-shm", "clips",
                                        "tls",    "run",        "updates"};
    enum { PARTS = sizeof parts / sizeof parts[0], READ_MOST = 16 };
    char paths[PARTS][PORCH_HUB_PATH_BYTES], public[4][PORCH_HUB_PATH_BYTES];
    const char *read_write[PARTS + 1] = {NULL}, *read_only[READ_MOST + 1] = {NULL};
    porch_sandbox_profile profile = porch_sandbox_hub;
    size_t n = 0;
    for (size_t i = 0; i < PARTS; i++) {
        PORCH_TRY(porch_path_join(h->start->dir, parts[i], paths[i], sizeof paths[i]));
        read_write[i] = paths[i];
    }
    for (; profile.read_only != NULL && profile.read_only[n] != NULL && n < READ_MOST - 4; n++)
        read_only[n] = profile.read_only[n];
    for (int i = 0; i < 4 && h->settings.hub_https_cert[0] != '\0'; i++) {
        folder_of(i < 2 ? h->settings.hub_https_cert : h->settings.hub_https_key, i % 2 == 1, public[i]);
        read_only[n++] = public[i];
    }
    profile.read_write = read_write;
    profile.read_only = read_only;
    porch_err e = porch_sandbox_enter(&profile, why);
    /* The store's writer was joined a moment ago; the kernel may still be taking it off its list. */
    for (int i = 0; e == PORCH_ERR_STATE && i < 1000; i++) {
        const struct timespec moment = {0, 1000000};
        (void)nanosleep(&moment, NULL);
        e = porch_sandbox_enter(&profile, why);
    }
    return e;
}

/* What work that was cut off has left and nobody may find. */
static porch_err sweep(const porch_hub *h, porch_why *why) {
    char path[PORCH_HUB_PATH_BYTES];
    PORCH_TRY(porch_path_join(h->start->dir, "tls", path, sizeof path));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return porch_fail(why, PORCH_ERR_IO, "%s cannot be opened", path);
    porch_err e = porch_file_forget_rest_at(fd, why);
    (void)close(fd);
    porch_backup_copy_sweep(h->start->dir);
    return e;
}

static porch_err make_url(porch_hub *h, porch_why *why) {
    PORCH_TRY(porch_guard_names_read(h->settings.hub_name, &h->names, why));
    if (h->names.count == 0) return porch_fail(why, PORCH_ERR_CONFIG, "hub.name names no host");
    const char *name = h->names.names[0];
    bool six = strchr(name, ':') != NULL;
    (void)snprintf(h->url, sizeof h->url, "https://%s%s%s:%u", six ? "[" : "", name, six ? "]" : "",
                   h->start->port[PORCH_LISTEN_PEOPLE]);
    return PORCH_OK;
}

/* ---- rooms ---- */

static porch_err owner_of(void *ctx, const char *device, porch_media_owner *ret) {
    porch_registry_device d;
    PORCH_TRY(porch_registry_device_get(ctx, device, &d));
    (void)snprintf(ret->device, sizeof ret->device, "%s", d.id);
    (void)snprintf(ret->product, sizeof ret->product, "%s", d.product);
    (void)snprintf(ret->household, sizeof ret->household, "%s", d.household);
    return PORCH_OK;
}

static porch_err admit(void *ctx, const porch_tls_peer_info *tls, uint64_t now_ms, porch_principal *ret,
                       porch_why *why) {
    porch_registry_entry entry;
    PORCH_TRY(porch_registry_admit(ctx, tls->x509.identity.kind, tls->x509.identity.name,
                                   tls->x509.fingerprint, now_ms, &entry, why));
    porch_principal p = {.kind = entry.kind, .quarantined = entry.quarantined};
    memcpy(p.name, entry.name, sizeof p.name);
    memcpy(p.product, entry.product, sizeof p.product);
    memcpy(p.household, entry.household, sizeof p.household);
    *ret = p;
    return PORCH_OK;
}

static bool is_online(void *ctx, const char *device) {
    porch_registry_device d;
    return porch_registry_device_get(ctx, device, &d) == PORCH_OK && d.online;
}

static porch_err updates_ready(void *ctx, porch_why *why) {
    return porch_updates_ready(ctx, why);
}

static bool may_tell(const porch_person *person, const char *device, void *ctx) {
    const porch_hub *h = ctx;
    return porch_sight_of(&h->api, person, device, PORCH_SEES_PERSON, NULL) == PORCH_SEES_PERSON;
}

static porch_err open_core(porch_hub *h, porch_why *why) {
    const char *dir = h->start->dir;
    PORCH_TRY(porch_store_open(dir, &h->settings, &h->store, why));
    PORCH_TRY(porch_registry_open(h->store, &h->settings, &h->registry, why));
    PORCH_TRY(porch_hub_issuers_settle(h, why));
    PORCH_TRY(porch_grants_open(h->store, h->registry, &h->settings, &h->grants, why));
    PORCH_TRY(porch_accounts_open(h->store, &h->settings, h->signer, &h->accounts, why));
    const porch_updates_config updates = {dir, h->store, h->signer, &h->settings};
    PORCH_TRY(porch_updates_open(&updates, &h->updates, why));
    const porch_notify_config notify = {.store = h->store,
                                        .signer = h->signer,
                                        .courier = h->courier,
                                        .settings = &h->settings,
                                        .public_url = h->url,
                                        .may_tell = may_tell,
                                        .may_tell_ctx = h};
    return porch_notify_open(&notify, &h->notify, why);
}

static porch_err open_serving(porch_hub *h, porch_why *why) {
    const porch_media_config media = {
        .dir = h->start->dir,
        .store = h->store,
        .signer = h->signer,
        .analyst = h->analyst,
        .settings = &h->settings,
        .owner_of = owner_of,
        .owner_ctx = h->registry,
    };
    const porch_broker_config broker = {&h->settings, h->registry, h->grants, h->store};
    PORCH_TRY(porch_updates_check_start(h->updates, why));
    PORCH_TRY(porch_media_open(&media, &h->media, why));
    PORCH_TRY(porch_twins_open(h->store, &h->twins, why));
    const porch_rollouts_config rollouts = {h->store,    &h->settings,  is_online,
                                            h->registry, updates_ready, h->updates};
    PORCH_TRY(porch_rollouts_open(&rollouts, &h->rollouts, why));
    PORCH_TRY(porch_broker_new(&broker, &h->broker, why));
    h->api = (porch_api){.settings = &h->settings,
                         .store = h->store,
                         .registry = h->registry,
                         .accounts = h->accounts,
                         .media = h->media,
                         .notify = h->notify,
                         .signer = h->signer,
                         .dir = h->start->dir,
                         .app = h->app,
                         .grants = h->grants,
                         .broker = h->broker,
                         .updates = h->updates,
                         .measure = porch_hub_measure,
                         .measure_ctx = h};
    PORCH_TRY(porch_live_new(&h->api, &h->live, why));
    h->api.live = h->live;
    PORCH_TRY(porch_exports_new(&h->api, &h->exports, why));
    h->api.exports = h->exports;
    h->attestations = porch_attestations_new(h->settings.est_attestations,
                                             (uint64_t)h->settings.est_attestation_s * 1000);
    if (h->attestations == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for attestations");
    h->api.attestations = h->attestations;
    h->time_turns = porch_turns_new(h->settings.est_time_askers, h->settings.est_times_per_minute);
    if (h->time_turns == NULL)
        return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for who asks the time");
    h->api.time_turns = h->time_turns;
    return PORCH_OK;
}

static porch_err open_listener(porch_hub *h, porch_why *why) {
    porch_tls_server *tls[PORCH_LISTEN_ROLES] = {NULL};
    porch_err e = porch_hub_tls_servers(h, tls, why);
    if (h->web_ca != NULL) h->api.web_ca_pem = (porch_bytes){h->web_ca, h->web_ca_len};
    porch_listener_config config = {
        .settings = &h->settings,
        .shards = h->settings.hub_shards,
        .routes = h->routes,
        .route_count = porch_api_routes(&h->api, h->routes),
        .headers = {NULL, porch_guard_device_headers(), porch_guard_people_headers(h->https.serving)},
        .guard = {NULL, porch_guard_device, porch_guard_people},
        .guard_ctx = &h->names,
        .admit = admit,
        .admit_ctx = h->registry,
        .mqtt = porch_broker_hooks(),
        .mqtt_ctx = h->broker,
    };
    for (unsigned role = 0; role < PORCH_LISTEN_ROLES; role++) {
        config.listen_fd[role] = h->start->listen_fd[role];
        config.tls[role] = tls[role];
    }
    if (e == PORCH_OK) e = porch_listener_new(&config, &h->listener, why);
    for (unsigned role = 0; role < PORCH_LISTEN_ROLES; role++)
        porch_tls_server_unref(tls[role]);
    return e;
}

void porch_hub_stop(void *ctx) {
    const porch_hub *h = ctx;
    uint64_t one = 1;
    (void)!write(h->stop_fd, &one, sizeof one);
}

/* The uid that owns DIR may use the admin socket. */
static uid_t owner_uid(const char *dir) {
    struct stat st;
    return stat(dir, &st) == 0 ? st.st_uid : geteuid();
}

static porch_err open_admin(porch_hub *h, porch_why *why) {
    static const porch_admin_command *const tables[] = {porch_admin_registry_commands,
                                                        porch_admin_grants_commands,
                                                        porch_admin_enrol_commands,
                                                        porch_admin_policy_commands,
                                                        porch_admin_store_commands,
                                                        porch_admin_accounts_commands,
                                                        porch_admin_trust_commands,
                                                        porch_admin_notify_commands,
                                                        porch_admin_household_commands,
                                                        porch_admin_updates_commands,
                                                        porch_admin_rollout_commands,
                                                        porch_admin_ca_commands,
                                                        NULL};
    h->world = (porch_admin_world){
        .dir = h->start->dir,
        .settings = &h->settings,
        .admin_only = h->start->admin_only,
        .started_ms = h->started_ms,
        .store = h->store,
        .registry = h->registry,
        .grants = h->grants,
        .signer = h->signer,
        .accounts = h->accounts,
        .broker = h->broker,
        .media = h->media,
        .notify = h->notify,
        .listener = h->listener,
        .exports = h->exports,
        .updates = h->updates,
        .rollouts = h->rollouts,
        .drain = porch_hub_stop,
        .drain_ctx = h,
        .install_https = porch_hub_https_install,
        .install_https_ctx = h,
        .issuer_activate = porch_hub_issuer_activate,
        .issuer_retire = porch_hub_issuer_retire,
        .issuers_ctx = h,
        .status = porch_hub_status,
        .status_ctx = h,
    };
    memcpy(h->world.port, h->start->port, sizeof h->world.port);
    const porch_admin_config config = {
        .listen_fd = h->start->admin_fd,
        .owner_uid = owner_uid(h->start->dir),
        .world = &h->world,
        .tables = tables,
        .on_idle = h->start->admin_only ? porch_hub_stop : NULL,
        .on_idle_ctx = h,
    };
    return porch_admin_start(&config, &h->admin, why);
}

porch_err porch_hub_open(porch_hub *h, porch_why *why) {
    porch_crypto_init();
    h->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    h->tend_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (h->stop_fd < 0 || h->tend_fd < 0) return porch_fail(why, PORCH_ERR_IO, "eventfd failed");
    PORCH_TRY(make_url(h, why));
    if (!h->start->admin_only) PORCH_TRY(load_app(h, why));
    PORCH_TRY(prepare_database(h, why));
    PORCH_TRY(enter_sandbox(h, why));
    PORCH_TRY(sweep(h, why));
    PORCH_TRY(open_core(h, why));
    if (!h->start->admin_only) PORCH_TRY(open_serving(h, why));
    porch_hub_connect_news(h);
    return PORCH_OK;
}

porch_err porch_hub_serve(porch_hub *h, porch_why *why) {
    if (!h->start->admin_only) {
        PORCH_TRY(open_listener(h, why));
        PORCH_TRY(porch_media_start(h->media, why));
        PORCH_TRY(porch_live_start(h->live, why));
        PORCH_TRY(porch_notify_start(h->notify, why));
        PORCH_TRY(porch_listener_start(h->listener, why));
        const porch_erase_rooms rooms = porch_api_erase_rooms(&h->api);
        PORCH_TRY(porch_finisher_start(&rooms, &h->finisher, why));
    }
    return open_admin(h, why);
}

void porch_hub_close(porch_hub *h) {
    /* New work stops first, then what is under way, then what it stood on. */
    if (h->admin != NULL) porch_admin_stop(h->admin);
    porch_live_stop(h->live);
    if (h->listener != NULL) {
        porch_listener_drain(h->listener, h->settings.supervisor_drain_ms / 2);
        porch_listener_stop(h->listener);
    }
    if (h->media != NULL) porch_media_stop(h->media);
    porch_finisher_stop(h->finisher);
    if (h->notify != NULL) {
        porch_store_forget(h->store, h->notify);
        porch_notify_close(h->notify);
    }
    if (h->listener != NULL) porch_listener_free(h->listener);
    if (h->broker != NULL) porch_broker_free(h->broker);
    porch_live_free(h->live);
    porch_exports_free(h->exports);
    porch_attestations_free(h->attestations);
    porch_turns_free(h->time_turns);
    porch_accounts_close(h->accounts);
    if (h->grants != NULL) porch_grants_close(h->grants);
    if (h->registry != NULL) porch_registry_close(h->registry);
    if (h->store != NULL) porch_store_close(h->store);
    /* The store called it to its end. */
    if (h->media != NULL) porch_media_close(h->media);
    porch_twins_close(h->twins);
    porch_rollouts_close(h->rollouts);
    porch_updates_close(h->updates);
    porch_app_free(h->app);
    free(h->web_ca);
    if (h->stop_fd >= 0) (void)close(h->stop_fd);
    if (h->tend_fd >= 0) (void)close(h->tend_fd);
}
