/* `doctor`: looks at the directory, the machine and the hub, and says what is amiss with the command that
 * mends it. Changes nothing. Works beside a running hub and without one. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/cli_room.h"
#include "cli/doctor.h"
#include "cloud/settings/folders.h"
#include "cloud/settings/settings.h"
#include "crypto/x509.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/socket.h"

enum {
    NOTICE_DAYS = 14,
    ISSUER_NOTICE_DAYS = 30,
    WEB_CA_NOTICE_DAYS = 90,
    ROOT_NOTICE_DAYS = 365,
    NAMES_TEXT = PORCH_SETTINGS_TEXT_BYTES
};

typedef struct {
    const porch_cli *c;
    porch_settings settings;
    bool has_settings, running;
    const char *seal; /* how the keys lie, "" when that cannot be seen */
    uid_t owner;
    uint64_t now_ms, known_ms; /* the latest moment that a certificate says has been */
    porch_doctor_report *report;
} visit;

static bool place(const visit *v, const char *name, char out[PORCH_CLI_PATH_BYTES]) {
    return porch_path_join(v->c->dir, name, out, PORCH_CLI_PATH_BYTES) == PORCH_OK;
}

/* ---- the directory ------------------------------------------------------------------------------ */

static void look_at_settings(visit *v) {
    char path[PORCH_CLI_PATH_BYTES], mend[PORCH_CLI_PATH_BYTES + 64];
    porch_why why = {""};
    if (!place(v, "hub.conf", path)) return;
    porch_err e = porch_settings_load(path, &v->settings, &why);
    v->has_settings = e == PORCH_OK;
    (void)snprintf(mend, sizeof mend, "mend the line in %s", path);
    if (e != PORCH_OK) porch_doctor_add(v->report, "settings", porch_why_text(&why, e), mend);
}

static void look_at_mode(visit *v, const char *path, uid_t owner, mode_t most) {
    porch_why why = {""};
    porch_err e = porch_file_check_mode(path, owner, most, &why);
    if (e == PORCH_ERR_MODE)
        porch_doctor_add_refusal(v->report, "modes", why.text, "put a file of the hub's own in its place");
}

/* By the table that the hub's own check at its start has. */
static void look_at_folder(visit *v, const porch_hub_folder *f) {
    char folder[PORCH_CLI_PATH_BYTES], path[PORCH_CLI_PATH_BYTES];
    if (!place(v, f->name[0] ? f->name : ".", folder)) return;
    /* The signer may have a user of its own; whether it is the right one, the hub's start judges. */
    struct stat own;
    uid_t owner = f->signers && lstat(folder, &own) == 0 ? own.st_uid : v->owner;
    look_at_mode(v, folder, owner, PORCH_HUB_FOLDER_MODE);
    DIR *d = f->many ? NULL : opendir(folder);
    for (struct dirent *entry = d ? readdir(d) : NULL; entry; entry = readdir(d)) {
        struct stat st;
        if (entry->d_name[0] == '.' ||
            porch_path_join(folder, entry->d_name, path, sizeof path) != PORCH_OK || lstat(path, &st) != 0)
            continue;
        if (!S_ISDIR(st.st_mode)) look_at_mode(v, path, owner, porch_hub_file_mode(f, entry->d_name));
    }
    if (d) closedir(d);
}

static void look_at_modes(visit *v) {
    for (size_t i = 0; i < PORCH_HUB_FOLDERS; i++)
        look_at_folder(v, &porch_hub_folders[i]);
}

static void look_at_root(visit *v) {
    char path[PORCH_CLI_PATH_BYTES], mend[2 * PORCH_CLI_PATH_BYTES + 128];
    (void)snprintf(mend, sizeof mend, "porchlight -C %s ca export-root --out FILE", v->c->dir);
    if (place(v, "OFFLINE/root.key", path) && access(path, F_OK) == 0)
        porch_doctor_add(v->report, "root-key",
                         "the root CA's key still lies in OFFLINE/: who copies it can "
                         "make devices of this hub",
                         mend);
    if (v->owner == 0 && v->has_settings && v->settings.hub_user[0] == '\0') {
        (void)snprintf(mend, sizeof mend,
                       "useradd --system porchlight && chown -R porchlight: %s && "
                       "echo 'hub.user = porchlight' >> %s/hub.conf",
                       v->c->dir, v->c->dir);
        porch_doctor_add(v->report, "user", "the hub runs as root", mend);
    }
}

/* What hub.conf says and what lies there; the signer's user may keep the second from us. */
static void look_at_seal(visit *v) {
    char text[PORCH_DOCTOR_TEXT_BYTES], mend[PORCH_CLI_PATH_BYTES + 64];
    porch_seal_kind found;
    porch_why why = {""};
    porch_err e = porch_cli_seal_look(v->c->dir, &found, NULL, &why);
    if (e == PORCH_OK) v->seal = porch_seal_word(found);
    if (e == PORCH_ERR_IO || !v->has_settings) return;
    (void)snprintf(mend, sizeof mend, "porchlight -C %s seal %s", v->c->dir, v->settings.hub_seal);
    if (e != PORCH_OK) {
        porch_doctor_add(v->report, "seal", porch_why_text(&why, e),
                         "restore the hub from a backup into a new directory");
    } else if (strcmp(v->seal, v->settings.hub_seal) != 0) {
        (void)snprintf(text, sizeof text,
                       "hub.conf says that the keys are sealed by %.16s, they are by %.16s",
                       v->settings.hub_seal, v->seal);
        porch_doctor_add(v->report, "seal", text, mend);
    }
}

static void look_at_disk(visit *v) {
    struct statvfs s;
    if (statvfs(v->c->dir, &s) == 0)
        porch_doctor_disk(v->report, (uint64_t)s.f_bavail * s.f_frsize, (uint64_t)s.f_blocks * s.f_frsize);
}

static void look_at_backup(visit *v) {
    char path[PORCH_CLI_PATH_BYTES];
    uint8_t *text = NULL;
    size_t len = 0;
    uint64_t last = 0;
    if (place(v, "last-backup", path) && porch_file_read(path, 64, &text, &len, NULL) == PORCH_OK)
        (void)porch_decimal_read((porch_bytes){text, len}, INT64_MAX, &last);
    free(text);
    porch_doctor_backup(v->report, v->c->dir, v->now_ms, last);
}

/* ---- certificates and names --------------------------------------------------------------------- */

static void look_at_names(visit *v, porch_bytes pem, const char *file, bool first_only, const char *mend) {
    char names[NAMES_TEXT], text[NAMES_TEXT + PORCH_CLI_PATH_BYTES + 64];
    (void)snprintf(names, sizeof names, "%s", v->settings.hub_name);
    char *rest = names;
    for (char *name = strsep(&rest, " "); name; name = strsep(&rest, " ")) {
        if (*name == '\0') continue;
        if (porch_x509_covers(pem, name, NULL) != PORCH_OK) {
            (void)snprintf(text, sizeof text, "%s does not speak for %s, a name of hub.name", file, name);
            porch_doctor_add(v->report, "names", text, mend);
        }
        if (first_only) return;
    }
}

/* A file that is not there yet is made at the hub's next start. */
static void look_at_certificate(visit *v, const char *path, const char *what, bool first_only,
                                const char *mend, const char *names_mend) {
    uint8_t *text = NULL;
    size_t len = 0;
    porch_x509_info info;
    porch_why why = {""};
    porch_err e = porch_file_read(path, PORCH_X509_INPUT_BYTES, &text, &len, &why);
    if (e == PORCH_ERR_NOT_FOUND && !first_only) return;
    if (e == PORCH_OK) e = porch_x509_read((porch_bytes){text, len}, &info, &why);
    if (e != PORCH_OK) {
        porch_doctor_add(v->report, "certificates", porch_why_text(&why, e), mend);
    } else {
        if (info.not_before_ms > v->known_ms) v->known_ms = info.not_before_ms;
        porch_doctor_end(v->report, what, v->now_ms, info.not_after_ms, NOTICE_DAYS, mend);
        look_at_names(v, (porch_bytes){text, len}, path, first_only, names_mend);
    }
    free(text);
}

/* An authority of tls/: told with as many days left as an operator needs. */
static void look_at_authority(visit *v, const char *name, const char *what, unsigned notice_days,
                              const char *mend) {
    char path[PORCH_CLI_PATH_BYTES];
    uint8_t *text = NULL;
    size_t len = 0;
    porch_x509_info info;
    porch_why why = {""};
    if (!place(v, name, path)) return;
    porch_err e = porch_file_read(path, PORCH_X509_INPUT_BYTES, &text, &len, &why);
    if (e == PORCH_OK) e = porch_x509_read((porch_bytes){text, len}, &info, &why);
    free(text);
    if (e != PORCH_OK)
        porch_doctor_add(v->report, "certificates", porch_why_text(&why, e),
                         "restore the hub from a backup into a new directory");
    else
        porch_doctor_end(v->report, what, v->now_ms, info.not_after_ms, notice_days, mend);
}

static void look_at_authorities(visit *v) {
    char mend[PORCH_CLI_PATH_BYTES + 160];
    look_at_authority(
        v, "tls/device-root.pem", "the root (tls/device-root.pem)",
        v->settings.hub_certificate_days + ROOT_NOTICE_DAYS,
        "a root has no successor: porchlight init NEW-DIR, and enrol each device there before "
        "this one ends");
    /* It stops issuing when a certificate would outlive it. */
    (void)snprintf(mend, sizeof mend, "porchlight -C %s ca rotate --out request.pem; it says what follows",
                   v->c->dir);
    look_at_authority(v, "tls/issuing.pem", "the authority that issues (tls/issuing.pem)",
                      v->settings.hub_certificate_days + ISSUER_NOTICE_DAYS, mend);
    (void)snprintf(mend, sizeof mend,
                   "stop the hub and run: porchlight -C %s ca renew-web (phones then trust the new one)",
                   v->c->dir);
    char public[PORCH_CLI_PATH_BYTES];
    bool own = v->settings.hub_https_cert[0] == '\0' && place(v, "tls/https-cert.pem", public) &&
               access(public, F_OK) != 0;
    if (own)
        look_at_authority(v, "tls/web-ca.pem", "the hub's own web authority (tls/web-ca.pem)",
                          WEB_CA_NOTICE_DAYS, mend);
}

static void look_at_certificates(visit *v) {
    char path[PORCH_CLI_PATH_BYTES], mend[PORCH_CLI_PATH_BYTES + 64];
    (void)snprintf(mend, sizeof mend, "start the hub anew, it renews its own: porchlightd %s", v->c->dir);
    if (place(v, "tls/hub-cert.pem", path))
        look_at_certificate(v, path, "the hub (tls/hub-cert.pem)", false, mend, mend);
    if (v->settings.hub_https_cert[0] != '\0')
        look_at_certificate(v, v->settings.hub_https_cert, "the people's page (hub.https_cert)", true,
                            "renew it where it comes from, as: certbot renew",
                            "get one for the first name of hub.name, or change that line");
    else if (place(v, "tls/https-cert.pem", path) && access(path, F_OK) == 0)
        look_at_certificate(
            v, path, "the people's page (tls/https-cert.pem)", true,
            "have the ACME client's hook hand it over: porchlight https-cert --cert FILE --key FILE",
            "get one for the first name of hub.name, or change that line");
    else if (place(v, "tls/web-cert.pem", path))
        look_at_certificate(
            v, path, "the people's page (tls/web-cert.pem)", false, mend,
            "the hub's web CA can vouch for the names that it was made for: take the name out "
            "of hub.name, or stop the hub and run: porchlight ca renew-web (phones then trust "
            "the new one), or use a public name: porchlight https-cert");
}

/* ---- the machine -------------------------------------------------------------------------------- */

static void look_at_port(visit *v, uint32_t port, const char *key) {
    char text[PORCH_DOCTOR_TEXT_BYTES], mend[PORCH_DOCTOR_TEXT_BYTES];
    int fd = -1;
    uint16_t bound = 0;
    porch_why why = {""};
    const char *host = v->settings.hub_bind[0] != '\0' ? v->settings.hub_bind : "*";
    if (port == 0) return; /* any free one */
    porch_err e = porch_socket_listen_tcp(host, (uint16_t)port, 1, &fd, &bound, &why);
    if (e == PORCH_OK) {
        close(fd);
        return;
    }
    (void)snprintf(text, sizeof text, "the hub could not listen: %s", porch_why_text(&why, e));
    (void)snprintf(mend, sizeof mend,
                   "see who has it: ss -ltnp 'sport = :%u'; or choose another %s in hub.conf",
                   (unsigned)port, key);
    porch_doctor_add(v->report, "ports", text, mend);
}

static void look_at_ports(visit *v) {
    if (v->running) return; /* they are its own */
    look_at_port(v, v->settings.hub_mqtt_port, "hub.mqtt_port");
    look_at_port(v, v->settings.hub_device_port, "hub.device_port");
    look_at_port(v, v->settings.hub_https_port, "hub.https_port");
}

/* ---- the hub ------------------------------------------------------------------------------------ */

static void look_at_members(visit *v, const json_t *list, const char *kind, const char *name_key) {
    char what[200], mend[PORCH_DOCTOR_TEXT_BYTES];
    const json_t *one;
    for (size_t i = 0; (one = json_array_get(list, i)) != NULL; i++) {
        porch_cli_safe_text name = porch_cli_safe(porch_cli_member(one, name_key));
        if (strcmp(porch_cli_member(one, "state"), "revoked") == 0) continue;
        (void)snprintf(what, sizeof what, "%s %.100s", kind, name.text);
        (void)snprintf(mend, sizeof mend, "porchlight -C %s %s add %.100s --renew --out NEW-FOLDER",
                       v->c->dir, kind, name.text);
        porch_doctor_end(v->report, what, v->now_ms, porch_cli_number(one, "certificate_ends_ms"),
                         NOTICE_DAYS, mend);
    }
}

static void look_at_retired_issuer(visit *v, const json_t *one) {
    char mend[PORCH_DOCTOR_TEXT_BYTES], text[PORCH_DOCTOR_TEXT_BYTES];
    porch_cli_safe_text print = porch_cli_safe(porch_cli_member(one, "sha256"));
    if (strcmp(porch_cli_member(one, "state"), "retired") != 0 || porch_cli_number(one, "key_gone_ms") != 0)
        return;
    (void)snprintf(text, sizeof text,
                   "the key of the retired issuer %.11s may still lie in the signer's files", print.text);
    (void)snprintf(mend, sizeof mend, "porchlight -C %.200s ca retire %.11s", v->c->dir, print.text);
    porch_doctor_add(v->report, "issuers", text, mend);
}

/* Those from before that still count: one that ends with what hangs on it, one on which nothing does. */
static void look_at_former_issuers(visit *v, const json_t *list) {
    char what[200], mend[PORCH_DOCTOR_TEXT_BYTES], text[PORCH_DOCTOR_TEXT_BYTES];
    const json_t *one;
    const uint64_t life_ms = (uint64_t)v->settings.hub_certificate_days * 86400000;
    for (size_t i = 0; (one = json_array_get(list, i)) != NULL; i++) {
        look_at_retired_issuer(v, one);
        if (strcmp(porch_cli_member(one, "state"), "overlap") != 0) continue;
        unsigned long long hang = porch_cli_number(one, "live") + porch_cli_number(one, "ended");
        porch_cli_safe_text print = porch_cli_safe(porch_cli_member(one, "sha256"));
        uint64_t followed_ms = porch_cli_number(one, "followed_ms");
        if (hang > 0) {
            (void)snprintf(what, sizeof what, "a former issuer (%.11s) on which %llu certificates hang",
                           print.text, hang);
            (void)snprintf(mend, sizeof mend,
                           "porchlight -C %.200s ca list names them; for each: device add ID --renew",
                           v->c->dir);
            porch_doctor_end(v->report, what, v->now_ms, porch_cli_number(one, "ends_ms"), NOTICE_DAYS,
                             mend);
        } else if (v->now_ms > followed_ms && v->now_ms - followed_ms > life_ms) {
            (void)snprintf(text, sizeof text,
                           "nothing hangs on the former issuer %.11s any more, and its certificates would "
                           "still be taken",
                           print.text);
            (void)snprintf(mend, sizeof mend, "porchlight -C %.200s ca retire %.11s", v->c->dir,
                           print.text);
            porch_doctor_add(v->report, "issuers", text, mend);
        }
    }
}

static void look_at_updates(visit *v, const json_t *updates) {
    char text[PORCH_DOCTOR_TEXT_BYTES], mend[PORCH_CLI_PATH_BYTES + 64];
    const char *damage = porch_cli_member(updates, "damage"),
               *trouble = porch_cli_member(updates, "trouble");
    const json_t *bad = json_object_get(updates, "damaged_images"), *name;
    (void)snprintf(mend, sizeof mend, "porchlight -C %s ota publish FOLDER", v->c->dir);
    (void)snprintf(text, sizeof text, "the update repository is damaged, nothing of it is served: %.250s",
                   porch_cli_safe(damage).text);
    if (damage[0] != '\0') porch_doctor_add(v->report, "updates", text, mend);
    (void)snprintf(text, sizeof text, "the update repository ends in time unless this is mended: %.300s",
                   porch_cli_safe(trouble).text);
    if (trouble[0] != '\0') porch_doctor_add(v->report, "updates", text, mend);
    for (size_t i = 0; (name = json_array_get(bad, i)) != NULL; i++) {
        (void)snprintf(text, sizeof text,
                       "an update's image is not what was signed, no device gets it: %.300s",
                       porch_cli_safe(json_string_value(name)).text);
        porch_doctor_add(v->report, "updates", text, mend);
    }
}

/* No signer, no answer: that is said elsewhere. */
static void look_at_told_time(visit *v, porch_cli_hub *hub) {
    char text[PORCH_DOCTOR_TEXT_BYTES], mend[PORCH_DOCTOR_TEXT_BYTES];
    json_t *clock = NULL;
    if (porch_cli_hub_ask(hub, "clock", NULL, &clock, NULL) != PORCH_OK) return;
    const char *reason = porch_cli_member(clock, "reason");
    (void)snprintf(text, sizeof text, "the hub's clock is not believed, devices are told no time: %.220s",
                   porch_cli_safe(reason).text);
    (void)snprintf(mend, sizeof mend,
                   "timedatectl set-ntp true; or, when it is right: porchlight -C %.200s clock confirm",
                   v->c->dir);
    if (reason[0] != '\0') porch_doctor_add(v->report, "clock", text, mend);
    json_decref(clock);
}

static porch_err ask_all(visit *v, porch_cli_hub *hub, porch_why *why) {
    json_t *status = NULL, *devices = NULL, *services = NULL, *updates = NULL, *issuers = NULL;
    porch_err e = porch_cli_hub_ask(hub, "status", NULL, &status, why);
    if (e == PORCH_OK) e = porch_cli_hub_ask(hub, "ota.status", NULL, &updates, why);
    if (e == PORCH_OK) e = porch_cli_hub_ask(hub, "device.list", NULL, &devices, why);
    if (e == PORCH_OK) e = porch_cli_hub_ask(hub, "service.list", NULL, &services, why);
    if (e == PORCH_OK) e = porch_cli_hub_ask(hub, "ca.list", NULL, &issuers, why);
    if (e == PORCH_OK) {
        const char *state = porch_cli_member(json_object_get(status, "store"), "state");
        if (strcasecmp(state, porch_err_name(PORCH_OK)) != 0)
            porch_doctor_add(v->report, "store", "the disk refuses what the store writes",
                             "make room on the disk, or look at it: dmesg | tail");
        look_at_members(v, json_object_get(devices, "devices"), "device", "id");
        look_at_members(v, json_object_get(services, "services"), "service", "name");
        if (v->has_settings) look_at_former_issuers(v, json_object_get(issuers, "issuers"));
        look_at_updates(v, updates);
        look_at_told_time(v, hub);
    }
    json_decref(issuers);
    json_decref(updates);
    json_decref(status);
    json_decref(devices);
    json_decref(services);
    return e;
}

static void look_at_hub(visit *v) {
    char mend[PORCH_CLI_PATH_BYTES + 64];
    porch_why why = {""};
    porch_cli_hub *hub = NULL;
    porch_err e = porch_cli_hub_open(v->c->dir, &hub, &why);
    if (e == PORCH_OK) e = ask_all(v, hub, &why);
    porch_cli_hub_close(hub);
    (void)snprintf(mend, sizeof mend, "porchlightd %s and read what it says", v->c->dir);
    if (e != PORCH_OK) porch_doctor_add_refusal(v->report, "hub", porch_why_text(&why, e), mend);
}

/* ---- the command -------------------------------------------------------------------------------- */

static void look(visit *v) {
    char path[PORCH_CLI_PATH_BYTES];
    int fd = -1;
    if (place(v, "run/admin.sock", path) && porch_socket_connect_unix(path, &fd, NULL) == PORCH_OK) {
        v->running = true;
        close(fd);
    }
    look_at_settings(v);
    look_at_modes(v);
    if (v->has_settings) look_at_certificates(v);
    if (v->has_settings) look_at_authorities(v);
    if (v->has_settings) look_at_ports(v);
    porch_doctor_clock(v->report, v->now_ms, v->known_ms);
    look_at_root(v);
    look_at_seal(v);
    look_at_disk(v);
    look_at_backup(v);
    look_at_hub(v);
}

static json_t *report_json(const visit *v) {
    json_t *list = json_array();
    for (size_t i = 0; i < v->report->count; i++) {
        const porch_doctor_finding *f = &v->report->findings[i];
        (void)json_array_append_new(
            list, json_pack("{s:s, s:s, s:s}", "check", f->check, "text", f->text, "mend", f->mend));
    }
    return json_pack("{s:s, s:b, s:b, s:o, s:I}", "seal", v->seal, "well", v->report->count == 0, "running",
                     (int)v->running, "findings", list, "more", (json_int_t)v->report->more);
}

static const char *seal_meaning(const char *seal) {
    if (strcmp(seal, "tpm") == 0) return "opened by this machine's TPM alone";
    if (strcmp(seal, "systemd") == 0)
        return "opened by systemd's credential " PORCH_SEAL_CREDENTIAL " alone";
    return "in the clear: who copies the directory has them";
}

static void show(const visit *v) {
    const porch_doctor_report *r = v->report;
    if (v->seal[0] != '\0') printf("Keys sealed by %s (%s).\n", v->seal, seal_meaning(v->seal));
    for (size_t i = 0; i < r->count; i++) {
        printf("%-13s%s\n", r->findings[i].check, porch_cli_safe(r->findings[i].text).text);
        printf("%-13s%s\n", "", porch_cli_safe(r->findings[i].mend).text);
    }
    if (r->more > 0) printf("and %zu more\n", r->more);
    if (r->count == 0) printf("All is well; the hub %s.\n", v->running ? "is running" : "is not running");
}

static int run(porch_cli *c) {
    porch_why why = {""};
    struct stat st;
    char conf[PORCH_CLI_PATH_BYTES];
    visit v = {.c = c, .seal = "", .now_ms = porch_clock_ms()};
    if (!place(&v, "hub.conf", conf) || stat(c->dir, &st) != 0 || access(conf, F_OK) != 0)
        return porch_cli_fail(porch_fail(&why, PORCH_ERR_NOT_FOUND,
                                         "%s is not a hub's directory; name it with -C DIR", c->dir),
                              &why);
    v.owner = st.st_uid;
    v.report = calloc(1, sizeof *v.report);
    if (v.report == NULL) return porch_cli_fail(porch_fail(&why, PORCH_ERR_BUSY, "out of memory"), &why);
    look(&v);
    json_t *all = report_json(&v);
    if (!porch_cli_json(c, all)) show(&v);
    json_decref(all);
    int code = v.report->count == 0 ? PORCH_CLI_DONE : PORCH_CLI_REFUSED;
    free(v.report);
    return code;
}

const porch_cli_command porch_cli_doctor_commands[] = {
    {"doctor", NULL, false, NULL,
     "what is amiss with hub, directory and machine, and what mends it\n"
     "Changes nothing. Ends with 0 when all is well, with 1 when there are findings.",
     run},
    {0},
};
