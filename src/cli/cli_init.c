#include "cli/cli_room.h"

#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/backup_key.h"
#include "crypto/box.h"
#include "os/file.h"

static const porch_cli_option options[] = {
    {"--name", "HOST", false, true,
     "a name or address that devices and browsers use (default: localhost 127.0.0.1 ::1)"},
    {"--bind", "ADDR", false, false, "address to listen on (default: every address)"},
    {"--mqtt-port", "PORT", false, false, "MQTT over TLS (default 8883; 0: any free port)"},
    {"--device-port", "PORT", false, false, "HTTPS for devices (default 8444)"},
    {"--https-port", "PORT", false, false, "HTTPS for people (default 8443)"},
    {"--https-cert", "FILE", false, false, "certificate chain of a public name for the people's port"},
    {"--https-key", "FILE", false, false, "its private key"},
    {"--user", "NAME", false, false,
     "the user the hub runs as when started as root; it gets the directory (default in " PORCH_CLI_STATE_DIR
     ": porchlight)"},
    {"--seal", "KIND", false, false,
     "what guards the keys: tpm, systemd or file (default; guards nothing)"},
    {"--tpm", "TCTI", false, false, "how the TPM is reached (default: device:/dev/tpmrm0)"},
    {0},
};

static const struct {
    const char *option, *setting;
} settings[] = {
    {"--bind", "hub.bind"},
    {"--mqtt-port", "hub.mqtt_port"},
    {"--device-port", "hub.device_port"},
    {"--https-port", "hub.https_port"},
    {"--https-cert", "hub.https_cert"},
    {"--https-key", "hub.https_key"},
    {"--user", "hub.user"},
    {"--seal", "hub.seal"},
    {"--tpm", "hub.tpm"},
};

enum { SETTING_BYTES = 1200, SETTINGS_MAX = sizeof settings / sizeof *settings + 1 };

/* The words for porchlightd, with the text they point into. */
typedef struct {
    char texts[SETTINGS_MAX][SETTING_BYTES];
    const char *words[2 * SETTINGS_MAX + 5];
    char recovery_text[2 * PORCH_BOX_PUBLIC_BYTES + 1];
    uint8_t recovery_secret[PORCH_BOX_SECRET_BYTES];
    bool sealed;
    size_t texts_count, words_count;
} plan;

static porch_err add_setting(plan *p, const char *setting, const char *value, porch_why *why) {
    char *text = p->texts[p->texts_count++];
    int n = snprintf(text, SETTING_BYTES, "%s=%s", setting, value);
    if (n < 0 || n >= SETTING_BYTES)
        return porch_fail(why, PORCH_ERR_USAGE, "the value for %s is too long", setting);
    p->words[p->words_count++] = "--set";
    p->words[p->words_count++] = text;
    return PORCH_OK;
}

static bool is_file_option(const char *option) {
    return strncmp(option, "--https-c", 9) == 0 || strcmp(option, "--https-key") == 0;
}

/* The hub may be started from elsewhere, so the folder is made absolute. The last name stays as it was
 * given: ACME clients hand out a link and let it lead to the next file at each renewal. */
static bool absolute_path(const char *value, char out[PATH_MAX]) {
    char folder[PATH_MAX], real[PATH_MAX];
    const char *slash = strrchr(value, '/'), *name = slash ? slash + 1 : value;
    int n = slash ? snprintf(folder, sizeof folder, "%.*s", (int)(name - value), value)
                  : snprintf(folder, sizeof folder, ".");
    if (n < 0 || n >= (int)sizeof folder || access(value, F_OK) != 0 || !realpath(folder, real))
        return false;
    return porch_path_join(strcmp(real, "/") == 0 ? "" : real, name, out, PATH_MAX) == PORCH_OK;
}

static porch_err add_option(plan *p, const char *option, const char *setting, const char *value,
                            porch_why *why) {
    char absolute[PATH_MAX];
    if (!is_file_option(option)) return add_setting(p, setting, value, why);
    if (!absolute_path(value, absolute))
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "%s %s: there is no such file", option, value);
    return add_setting(p, setting, absolute, why);
}

static porch_err add_names(plan *p, const porch_cli *c, porch_why *why) {
    char names[SETTING_BYTES] = "";
    size_t used = 0;
    for (size_t i = 0; i < c->given_count; i++) {
        if (strcmp(c->given[i].name, "--name") != 0) continue;
        int n = snprintf(names + used, sizeof names - used, "%s%s", used ? " " : "", c->given[i].value);
        if (n < 0 || (size_t)n >= sizeof names - used)
            return porch_fail(why, PORCH_ERR_USAGE, "too many names");
        used += (size_t)n;
    }
    return used ? add_setting(p, "hub.name", names, why) : PORCH_OK;
}

/* The Debian packages make the user and the directory: whoever uses both need not say so. */
static bool takes_package_user(const porch_cli *c) {
    return geteuid() == 0 && !porch_cli_text(c, "--user") && strcmp(c->dir, PORCH_CLI_STATE_DIR) == 0 &&
           getpwnam("porchlight") != NULL;
}

/* A sealed hub gets its recovery key at once: were the TPM to die before the first backup, it would be the
 * only way to its keys. The hub sees the public half alone. */
static porch_err add_recovery(plan *p, const porch_cli *c, porch_why *why) {
    uint8_t public_key[PORCH_BOX_PUBLIC_BYTES];
    porch_buf text = {(uint8_t *)p->recovery_text, 0, sizeof p->recovery_text - 1};
    const char *kind = porch_cli_text(c, "--seal");
    p->sealed = kind && strcmp(kind, "file") != 0;
    if (!p->sealed) return PORCH_OK;
    PORCH_TRY(porch_box_generate(p->recovery_secret, public_key, why));
    PORCH_TRY(porch_hex_write(&text, (porch_bytes){public_key, sizeof public_key}));
    p->words[p->words_count++] = "--recovery";
    p->words[p->words_count++] = p->recovery_text;
    return PORCH_OK;
}

static porch_err make_plan(plan *p, const porch_cli *c, porch_why *why) {
    p->words[p->words_count++] = c->dir;
    p->words[p->words_count++] = "--init";
    PORCH_TRY(add_names(p, c, why));
    if (takes_package_user(c)) PORCH_TRY(add_setting(p, "hub.user", "porchlight", why));
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const char *value = porch_cli_text(c, settings[i].option);
        if (value) PORCH_TRY(add_option(p, settings[i].option, settings[i].setting, value, why));
    }
    return add_recovery(p, c, why);
}

static bool port_is_open_question(const porch_cli *c) {
    const char *port = porch_cli_text(c, "--https-port");
    return port && strcmp(port, "0") == 0;
}

static bool is_packaged(const porch_cli *c) {
    return strcmp(c->dir, PORCH_CLI_STATE_DIR) == 0 && access("/run/systemd/system", F_OK) == 0;
}

/* https://HOST:PORT of a link, without what it leads to. */
static int origin_bytes(const char *link) {
    const char *path = strstr(link, "/setup");
    return path ? (int)(path - link) : 0;
}

static void show_trust(const porch_cli *c, const char *link) {
    char print[PORCH_CLI_FINGERPRINT_BYTES];
    if (porch_cli_text(c, "--https-cert") || !porch_cli_web_ca(c->dir, print)) return;
    printf("Phones and browsers trust the hub once they have its own certificate authority. ");
    if (link)
        printf("%.*s/trust\nshows each of them how.", origin_bytes(link), link);
    else
        printf("The page\n/trust of the hub shows each of them how.");
    printf(" Compare this fingerprint there (SHA-256):\n\n  %s\n\n", print);
}

static void show_open_keys(const porch_cli *c) {
    printf("The keys lie in the clear in %s/signer: seal them (porchlight -C %s seal tpm), or keep the\n"
           "directory on an encrypted disk.\n",
           c->dir, c->dir);
}

static void show_recovery(const porch_cli *c, const char *recovery) {
    printf(
        "The keys are sealed by %s: the directory is of no use on another machine.\n\n"
        "This is the recovery key. It is shown once and kept nowhere. Without it the keys die with this\n"
        "machine, and no backup of this hub can be opened. Write it down now:\n\n    %s\n\n",
        porch_cli_text(c, "--seal"), recovery);
}

static void show(const porch_cli *c, const char *link) {
    if (is_packaged(c))
        printf("1. Start it:              systemctl enable --now porchlight\n");
    else
        printf("1. Start it:              porchlightd %s\n", c->dir);
    if (link) {
        printf("2. Open within the hour:  %s\n", link);
        if (isatty(STDOUT_FILENO)) porch_cli_qr(stdout, link);
    } else {
        printf("2. Get the setup link:    porchlight -C %s setup-link\n", c->dir);
    }
    printf("3. Enrol a device:        porchlight -C %s device add ID --product NAME --out FOLDER\n"
           "4. Lock the root CA away: porchlight -C %s ca export-root --out FILE\n\n",
           c->dir, c->dir);
    show_trust(c, link);
}

/* Until an owner exists a link may be made any time; with a port still to be chosen there is none to name.
 */
static porch_err make_link(const porch_cli *c, json_t **ret, porch_why *why) {
    *ret = NULL;
    return port_is_open_question(c) ? PORCH_OK : porch_cli_ask(c, "setup-link", NULL, ret, why);
}

static porch_err choose_dir(porch_cli *c, porch_why *why) {
    if (c->argument) c->dir = c->argument;
    if (c->argument || strcmp(c->dir, ".") != 0) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_USAGE, "'init' needs a DIR; see porchlight init --help");
}

static porch_err not_shown(const porch_cli *c, porch_why *why) {
    return porch_fail(
        why, PORCH_ERR_IO,
        "the recovery key could not be shown: standard output takes nothing; remove %s and run "
        "init again",
        c->dir);
}

/* The hub is made, and its recovery key is nowhere but here: it is shown before anything else can fail. */
static porch_err show_made(const porch_cli *c, const char *recovery, porch_why *why) {
    if (c->json) return PORCH_OK; /* all of it in one line, at the end */
    printf("A new hub is in %s.\n\n", c->dir);
    if (recovery[0] == '\0') return PORCH_OK;
    show_recovery(c, recovery);
    return porch_cli_shown() ? PORCH_OK : not_shown(c, why);
}

static porch_err show_all(const porch_cli *c, const json_t *link, const char *recovery, porch_why *why) {
    char print[PORCH_CLI_FINGERPRINT_BYTES];
    const char *url = link ? porch_cli_member(link, "url") : NULL;
    json_t *result = json_pack("{s:s, s:s*, s:s*, s:s*}", "dir", c->dir, "url", url, "web_ca_fingerprint",
                               porch_cli_web_ca(c->dir, print) ? print : NULL, "recovery_key",
                               recovery[0] ? recovery : NULL);
    if (!porch_cli_json(c, result)) {
        show(c, url);
        if (recovery[0] == '\0') show_open_keys(c);
    }
    json_decref(result);
    return porch_cli_shown() || !c->json || recovery[0] == '\0' ? PORCH_OK : not_shown(c, why);
}

/* The recovery key must be shown in any case; a link can be had any time. */
static porch_err add_link(const porch_cli *c, const char *recovery, json_t **ret, porch_why *why) {
    porch_err e = make_link(c, ret, why);
    if (e == PORCH_OK || recovery[0] == '\0') return e;
    (void)fprintf(stderr, "porchlight: there is no setup link yet: %s\n", why->text);
    return PORCH_OK;
}

/* From when the hub has the public half of its recovery key until somebody has the other one. */
static void hold_signals(sigset_t *before) {
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    sigaddset(&held, SIGTERM);
    sigaddset(&held, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &held, before);
}

static porch_err make_hub(const porch_cli *c, char recovery[PORCH_BACKUP_KEY_TEXT], porch_why *why) {
    plan *p = calloc(1, sizeof *p);
    if (!p) return porch_fail(why, PORCH_ERR_BUSY, "out of memory");
    porch_err e = make_plan(p, c, why);
    if (e == PORCH_OK) e = porch_cli_run_daemon(p->words, why);
    if (e == PORCH_OK && p->sealed) porch_backup_key_text(p->recovery_secret, recovery);
    porch_wipe(p, sizeof *p);
    free(p);
    return e;
}

static int run(porch_cli *c) {
    porch_why why = {""};
    json_t *link = NULL;
    char recovery[PORCH_BACKUP_KEY_TEXT] = "";
    sigset_t before;
    porch_err e = choose_dir(c, &why);
    hold_signals(&before);
    if (e == PORCH_OK) e = make_hub(c, recovery, &why);
    if (e == PORCH_OK) e = show_made(c, recovery, &why);
    if (!c->json || recovery[0] == '\0') (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (e == PORCH_OK) e = add_link(c, recovery, &link, &why);
    if (e == PORCH_OK) e = show_all(c, link, recovery, &why);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    porch_wipe(recovery, sizeof recovery);
    json_decref(link);
    return e == PORCH_OK ? PORCH_CLI_DONE : porch_cli_fail(e, &why);
}

const porch_cli_command porch_cli_init_commands[] = {
    {"init", "DIR", true, options,
     "make a new hub in DIR and print its setup link\n"
     "DIR must be missing or empty; without it, that of -C or of the Debian packages is taken. Nothing is "
     "asked\n"
     "and there is no default password: the first person makes the owner's account by the setup link, "
     "which\n"
     "works for one hour.",
     run},
    {0},
};
