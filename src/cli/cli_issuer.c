/* `ca rotate`, `ca sign-issuing`, `ca activate`, `ca list`, `ca retire`: the next authority that issues
 * certificates, while the one before still counts.
 *
 *   hub: rotate ─► request + root certificate ─► offline machine: sign-issuing with the root's key
 *   ─► certificate ─► hub: activate ─► ... devices renew ... ─► retire */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/text.h"
#include "cli/cli_room.h"
#include "crypto/sha256.h"
#include "os/clock.h"
#include "os/file.h"

enum { FILE_BYTES = 65536, YEARS = 10, BACKDATE_MS = 3600000 };

#define YEAR_MS UINT64_C(31557600000)

/* ---- the request ---- */

/* People compare it on both machines: what was signed is what the hub asked for. */
static void print_of(const porch_public_key *key, char out[PORCH_X509_FINGERPRINT_TEXT_BYTES]) {
    uint8_t hash[32];
    porch_sha256((porch_bytes){key->der, key->len}, hash);
    porch_x509_fingerprint_text(hash, out);
}

static porch_err write_new(const char *path, const char *first, const char *second, porch_why *why) {
    uint8_t block[FILE_BYTES];
    porch_buf text = PORCH_BUF_OF(block);
    if (access(path, F_OK) == 0)
        return porch_fail(why, PORCH_ERR_EXISTS, "%s is there already; choose another FILE", path);
    porch_err e = porch_write_text(&text, first);
    if (e == PORCH_OK) e = porch_write_text(&text, second);
    if (e != PORCH_OK) return porch_fail(why, e, "the file would be too long");
    return porch_file_write_atomic(path, porch_buf_bytes(&text), 0644, why);
}

static const porch_cli_option rotate_options[] = {
    {"--out", "FILE", true, false, "where the request goes, with the root's certificate beside it"},
    {0},
};

static int rotate(porch_cli *c) {
    porch_why why = {""};
    json_t *answer = NULL;
    const char *to = porch_cli_text(c, "--out");
    char print[PORCH_X509_FINGERPRINT_TEXT_BYTES];
    porch_public_key key;
    porch_err e = porch_cli_ask(c, "ca.rotate", NULL, &answer, &why);
    const char *csr = porch_cli_member(answer, "csr");
    if (e == PORCH_OK) e = porch_csr_read(porch_bytes_of(csr), &key, &why);
    if (e == PORCH_OK) e = write_new(to, csr, porch_cli_member(answer, "root"), &why);
    json_decref(answer);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    print_of(&key, print);
    json_t *result = json_pack("{s:s, s:s}", "out", to, "key_sha256", print);
    if (!porch_cli_json(c, result))
        printf("The hub has made its next issuing key. Carry %s to where the root's key is, and there:\n\n"
               "  porchlight ca sign-issuing %s --root ROOT.key --out issuing.pem\n\n"
               "It shows this key, else somebody changed the request on its way:\n\n  %s\n\n"
               "Then, here: porchlight -C %s ca activate issuing.pem\n",
               to, to, print, c->dir);
    json_decref(result);
    return PORCH_CLI_DONE;
}

/* ---- the root's signature, on a machine that need not have a hub ---- */

static const porch_cli_option sign_options[] = {
    {"--root", "FILE", true, false, "the root CA's key, as ca export-root wrote it"},
    {"--out", "FILE", true, false, "where the certificate goes"},
    {0},
};

/* "CN=Porchlight devices hub-1" becomes "Porchlight issuing hub-1 4F2A91C0": each successor has a name of
 * its own, so that nobody mistakes one for the other. */
static void name_of(const porch_x509_info *root, const char *print, char out[65]) {
    static const char before[] = "Porchlight devices ";
    const char *hub = strstr(root->subject, before);
    char digits[9];
    size_t n = 0;
    for (size_t i = 0; print[i] != '\0' && n < 8; i++)
        if (print[i] != ':') digits[n++] = print[i];
    digits[n] = '\0';
    (void)snprintf(out, 65, "Porchlight issuing %.32s %s", hub != NULL ? hub + sizeof before - 1 : "hub",
                   digits);
}

static porch_err sign(porch_bytes request, porch_bytes root_key, porch_buf *out, char print[],
                      porch_why *why) {
    porch_public_key subject;
    porch_x509_info root;
    porch_key *key = NULL;
    char name[65];
    const uint64_t from_ms = porch_clock_ms() - BACKDATE_MS;
    PORCH_TRY(porch_csr_read(request, &subject, why));
    PORCH_TRY(porch_x509_read(request, &root, why));
    print_of(&subject, print);
    name_of(&root, print, name);
    uint64_t left = root.not_after_ms > from_ms ? (root.not_after_ms - from_ms) / YEAR_MS : 0;
    if (left == 0)
        return porch_fail(why, PORCH_ERR_EXPIRED,
                          "the root ends within a year: make a new hub, whose devices enrol anew");
    PORCH_TRY(porch_key_load_pem(root_key, &key, why));
    const porch_ca ca = {request, key};
    porch_err e = porch_x509_check_key(request, key, NULL);
    if (e != PORCH_OK)
        e = porch_fail(why, e, "this is not the key of the root that the request came with");
    else
        e = porch_ca_make_issuing(&ca, name, &subject, from_ms, left < YEARS ? (unsigned)left : YEARS, out,
                                  why);
    porch_key_free(key);
    return e;
}

static int sign_issuing(porch_cli *c) {
    porch_why why = {""};
    uint8_t *request = NULL, *root = NULL, block[PORCH_X509_PEM_BYTES];
    size_t request_len = 0, root_len = 0;
    porch_buf out = {block, 0, sizeof block - 1};
    char print[PORCH_X509_FINGERPRINT_TEXT_BYTES] = "";
    const char *to = porch_cli_text(c, "--out");
    porch_err e = porch_file_read(c->argument, FILE_BYTES, &request, &request_len, &why);
    if (e == PORCH_OK) e = porch_file_read(porch_cli_text(c, "--root"), FILE_BYTES, &root, &root_len, &why);
    if (e == PORCH_OK)
        e = sign((porch_bytes){request, request_len}, (porch_bytes){root, root_len}, &out, print, &why);
    if (root != NULL) porch_wipe(root, root_len);
    free(root);
    free(request);
    if (e == PORCH_OK) {
        block[out.len] = '\0';
        e = write_new(to, (const char *)block, "", &why);
    }
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    json_t *result = json_pack("{s:s, s:s}", "out", to, "key_sha256", print);
    if (!porch_cli_json(c, result))
        printf("The root has signed this key; it must be the one that the hub showed:\n\n  %s\n\nThe "
               "certificate is in %s. Carry it to the hub: porchlight -C DIR ca activate %s\n",
               print, to, to);
    json_decref(result);
    return PORCH_CLI_DONE;
}

/* ---- in force ---- */

static void show_activated(const json_t *answer) {
    printf("%s issues from now on, until %s. Devices get its certificates as they renew theirs; 'ca list' "
           "shows how many still hang on the one before.\n",
           porch_cli_safe(porch_cli_member(answer, "subject")).text,
           porch_cli_time(porch_cli_number(answer, "ends_ms")).text);
}

static int activate(porch_cli *c) {
    porch_why why = {""};
    uint8_t *pem = NULL;
    size_t len = 0;
    porch_err e = porch_file_read(c->argument, PORCH_X509_INPUT_BYTES, &pem, &len, &why);
    json_t *args = e == PORCH_OK ? json_pack("{s:s#}", "pem", pem, len) : NULL;
    free(pem);
    if (e == PORCH_OK && args == NULL)
        e = porch_fail(&why, PORCH_ERR_MALFORMED, "%s is no PEM text", c->argument);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    return porch_cli_ask_and_show(c, "ca.activate", args, show_activated);
}

/* ---- looking ---- */

static void show_list(const json_t *answer) {
    const json_t *one;
    size_t i;
    printf("%-12s %-9s %-20s %6s %6s  %s\n", "ISSUER", "STATE", "ENDS", "LIVE", "ENDED", "SUBJECT");
    for (i = 0; (one = json_array_get(json_object_get(answer, "issuers"), i)) != NULL; i++)
        printf("%-12.11s %-9s %-20s %6llu %6llu  %s\n", porch_cli_member(one, "sha256"),
               porch_cli_member(one, "state"), porch_cli_time(porch_cli_number(one, "ends_ms")).text,
               (unsigned long long)porch_cli_number(one, "live"),
               (unsigned long long)porch_cli_number(one, "ended"),
               porch_cli_safe(porch_cli_member(one, "subject")).text);
}

static int list(porch_cli *c) {
    return porch_cli_ask_and_show(c, "ca.list", NULL, show_list);
}

/* ---- the end ---- */

static const porch_cli_option retire_options[] = {
    {"--cut-off-live-certificates", NULL, false, false,
     "retire it although devices or services still hang on it: their sessions end, and each has to be "
     "enrolled anew by hand"},
    {0},
};

static void show_retired(const json_t *answer) {
    printf("%s is retired: nothing that it issued comes in any more. Cut off: %llu.\n",
           porch_cli_safe(porch_cli_member(answer, "subject")).text,
           (unsigned long long)porch_cli_number(answer, "cut_off"));
    puts(json_is_true(json_object_get(answer, "key_destroyed"))
             ? "Its key is destroyed; backups that were made before still hold it."
             : "Its key could not be destroyed now, the hub's log says why: ask again.");
}

static int retire(porch_cli *c) {
    return porch_cli_ask_and_show(c, "ca.retire",
                                  json_pack("{s:s, s:b}", "issuer", c->argument, "cut_off",
                                            porch_cli_flag(c, "--cut-off-live-certificates")),
                                  show_retired);
}

const porch_cli_command porch_cli_issuer_commands[] = {
    {"ca rotate", NULL, false, rotate_options,
     "make the next issuing key in the signer, and a request for its certificate\n"
     "Asked again before that key is in force, it writes the same request.",
     rotate},
    {"ca sign-issuing", "REQUEST", false, sign_options,
     "sign it with the root's key, on a machine that need be on no network\n"
     "Needs no hub: the request brings the root's certificate along.",
     sign_issuing},
    {"ca activate", "FILE", false, NULL,
     "let that certificate's key issue from now on; what the one before issued stays good", activate},
    {"ca list", NULL, false, NULL, "every issuer: its state, its end, what hangs on it", list},
    {"ca retire", "ISSUER", false, retire_options,
     "refuse all that an issuer of before has issued\n"
     "ISSUER is the beginning of its fingerprint, as ca list shows it. Refused while certificates of it "
     "are "
     "live.",
     retire},
    {0},
};
