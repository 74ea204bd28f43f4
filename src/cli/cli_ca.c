#include "cli/cli_room.h"

#include <stdlib.h>
#include <unistd.h>

#include "os/file.h"

enum { KEY_MAX_BYTES = 16384 };

static const porch_cli_option options[] = {
    {"--out", "FILE", true, false, "where the root CA's key goes; best on a medium that you lock away"},
    {0},
};

/* Copies, syncs, and only then removes the original. */
static porch_err move_key(const char *from, const char *to, porch_why *why) {
    uint8_t *key = NULL;
    size_t len = 0;
    if (access(to, F_OK) == 0)
        return porch_fail(why, PORCH_ERR_EXISTS, "%s is there already; choose another FILE", to);
    PORCH_TRY(porch_file_read(from, KEY_MAX_BYTES, &key, &len, why));
    porch_err e = porch_file_write_atomic(to, (porch_bytes){key, len}, 0600, why);
    porch_wipe(key, len);
    free(key);
    if (e == PORCH_OK && unlink(from) != 0)
        e = porch_fail(why, PORCH_ERR_IO, "the key was copied, but %s could not be removed: do it by hand",
                       from);
    return e;
}

static int export_root(porch_cli *c) {
    porch_why why = {""};
    json_t *answer = NULL;
    char from[PORCH_CLI_PATH_BYTES];
    const char *to = porch_cli_text(c, "--out");
    porch_err e = porch_cli_ask(c, "ca.export-root", NULL, &answer, &why);
    if (e == PORCH_OK) e = porch_path_join(c->dir, "OFFLINE/root.key", from, sizeof from);
    if (e == PORCH_OK) e = move_key(from, to, &why);
    json_decref(answer);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    json_t *result = json_pack("{s:s}", "out", to);
    if (!porch_cli_json(c, result))
        printf("The root CA's key is now in %s and nowhere else. Lock it away: it is needed to replace the "
               "issuing CA.\n",
               to);
    json_decref(result);
    return PORCH_CLI_DONE;
}

static int renew_web(porch_cli *c) {
    const char *const words[] = {c->dir, "--renew-web-ca", NULL};
    porch_why why = {""};
    json_t *answer = NULL;
    porch_err e = porch_cli_run_daemon(words, &why);
    if (e == PORCH_OK) e = porch_cli_ask(c, "ca.renew-web", NULL, &answer, &why);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    if (!porch_cli_json(c, answer))
        printf("The hub has a new web CA, for the names in hub.conf. Its fingerprint (SHA-256):\n\n  %s\n\n"
               "Start the hub. Every phone and browser that trusted the old one warns until it trusts this "
               "one:\n"
               "open the hub's page /trust on each, remove the old profile or certificate, and push "
               "messages have "
               "to\nbe switched on anew where the address changes.\n",
               porch_cli_member(answer, "sha256"));
    json_decref(answer);
    return PORCH_CLI_DONE;
}

static const porch_cli_option https_options[] = {
    {"--cert", "FILE", true, false, "the certificate chain in PEM, the hub's own first (fullchain.pem)"},
    {"--key", "FILE", true, false, "its private key in PEM; it is kept readable for the hub's user alone"},
    {0},
};

static porch_err read_text(const char *path, uint8_t **ret, size_t *len, porch_why *why) {
    return porch_file_read(path, PORCH_X509_INPUT_BYTES, ret, len, why);
}

static int https_cert(porch_cli *c) {
    porch_why why = {""};
    uint8_t *cert = NULL, *key = NULL;
    size_t cert_len = 0, key_len = 0;
    json_t *answer = NULL;
    porch_err e = read_text(porch_cli_text(c, "--cert"), &cert, &cert_len, &why);
    if (e == PORCH_OK) e = read_text(porch_cli_text(c, "--key"), &key, &key_len, &why);
    json_t *args =
        e != PORCH_OK ? NULL : json_pack("{s:s#, s:s#}", "cert", cert, cert_len, "key", key, key_len);
    if (e == PORCH_OK && !args) e = porch_fail(&why, PORCH_ERR_MALFORMED, "the files are not PEM");
    if (e == PORCH_OK) e = porch_cli_ask(c, "https-cert", args, &answer, &why);
    if (key) porch_wipe(key, key_len);
    free(key);
    free(cert);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    if (!porch_cli_json(c, answer))
        printf("The people's page uses this certificate now, until %s. After the first one restart the hub "
               "once: "
               "then\nbrowsers are told to come by HTTPS only, and /trust is no longer needed.\n",
               porch_cli_time(porch_cli_number(answer, "ends_ms")).text);
    json_decref(answer);
    return PORCH_CLI_DONE;
}

const porch_cli_command porch_cli_ca_commands[] = {
    {"https-cert", NULL, false, https_options,
     "hand the hub a public name's certificate and key, now and at each renewal\n"
     "For an ACME client's deploy hook: root reads the files, the hub keeps a copy in tls/ and serves it "
     "at once.\n"
     "What does not fit, has ended or speaks for no name of the hub is refused, and the one from before "
     "stays.",
     https_cert},
    {"ca renew-web", NULL, false, NULL,
     "make a new web CA for the names in hub.conf (phones must trust it anew)\n"
     "For a name that was added after 'init': the web CA can vouch only for names it was made for. The hub "
     "must "
     "be\nstopped. Every phone and browser that trusted the old one has to trust the new one.",
     renew_web},
    {"ca export-root", NULL, false, options, "move the root CA's key out of the hub's directory",
     export_root},
    {0},
};
