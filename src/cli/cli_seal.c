/* `seal KIND`: another guard for the keys of a hub that does not run; and what `restore` does with them.
 *
 *   open as they lie (or by the recovery key) ─► vault or key files anew ─► a fresh recovery key is shown
 * ─► recovery.pub ─► hub.conf ─► old server keys away
 *
 * Each step leaves a hub that starts or says that `seal KIND` must be run again, which then completes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/backup_key.h"
#include "cli/cli_room.h"
#include "cli/recovery.h"
#include "cloud/seal/seal.h"
#include "cloud/settings/settings.h"
#include "crypto/keystore.h"
#include "os/file.h"

static porch_err open_folder(const char *dir, const char *name, int *ret, porch_why *why) {
    char path[PORCH_CLI_PATH_BYTES];
    PORCH_TRY(porch_path_join(dir, name, path, sizeof path));
    *ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (*ret >= 0) return PORCH_OK;
    if (errno == EACCES)
        return porch_fail(why, PORCH_ERR_IO,
                          "%s belongs to another user, which guards its keys: run this as root", path);
    return porch_fail(why, PORCH_ERR_IO, "%s: open failed: %s", path, strerror(errno));
}

porch_err porch_cli_seal_look(const char *dir, porch_seal_kind *kind,
                              uint8_t recovery[PORCH_BOX_PUBLIC_BYTES], porch_why *why) {
    int fd = -1;
    PORCH_TRY(open_folder(dir, "signer", &fd, why));
    porch_err e = porch_seal_look(fd, kind, recovery, why);
    close(fd);
    return e;
}

/* Hubs of before had it made at their first start. */
static porch_err add_vapid(porch_vault *vault, porch_why *why) {
    porch_vault_secret *into = &vault->of[PORCH_VAULT_VAPID];
    porch_buf pem = PORCH_BUF_OF(into->at);
    porch_key *key = NULL;
    if (into->len > 0) return PORCH_OK;
    PORCH_TRY(porch_key_generate_p256(&key, why));
    porch_err e = porch_key_pem(key, &pem, why);
    into->len = pem.len;
    porch_key_free(key);
    return e;
}

static porch_err change_conf(const char *dir, const char *name, const char *value, porch_why *why) {
    char path[PORCH_CLI_PATH_BYTES];
    PORCH_TRY(porch_path_join(dir, "hub.conf", path, sizeof path));
    return porch_settings_change(path, name, value, why);
}

/* The hub's server keys as they lay under the other kind of seal: it makes new ones at its next start. */
static porch_err drop_server_keys(const char *dir, porch_seal_kind kind, porch_why *why) {
    static const char *const plain[] = {"hub.key", "web.key"}, *const sealed[] = {"hub.key.sealed",
                                                                                  "web.key.sealed"};
    int fd = -1;
    PORCH_TRY(open_folder(dir, "tls", &fd, why));
    porch_err e = PORCH_OK;
    for (size_t i = 0; i < 2 && e == PORCH_OK; i++)
        e = porch_seal_forget(fd, kind == PORCH_SEAL_FILE ? sealed[i] : plain[i], why);
    close(fd);
    return e;
}

typedef struct {
    const char *dir;
    porch_cli_seal_show show;
    const void *show_ctx;
    porch_settings settings;
    porch_seal_means means; /* of the new seal; the old one's are the settings' */
    porch_seal_kind from, to;
    int fd;
    porch_recovery recovery;
    porch_vault vault;
    porch_cli_seal_done done;
} change;

static porch_err begin(change *ch, const porch_cli_seal_wish *wish, porch_why *why) {
    char path[PORCH_CLI_PATH_BYTES];
    PORCH_TRY(porch_path_join(ch->dir, "hub.conf", path, sizeof path));
    PORCH_TRY(porch_settings_load(path, &ch->settings, why));
    PORCH_TRY(porch_seal_kind_of(wish->kind ? wish->kind : ch->settings.hub_seal, &ch->to, why));
    PORCH_TRY(open_folder(ch->dir, "signer", &ch->fd, why));
    ch->means =
        (porch_seal_means){wish->tpm ? wish->tpm : ch->settings.hub_tpm, porch_seal_open_credential()};
    return porch_recovery_load(ch->dir, &ch->recovery, why);
}

static porch_err read_old(change *ch, const porch_cli_seal_wish *wish, porch_why *why) {
    PORCH_TRY(porch_seal_look(ch->fd, &ch->from, NULL, why));
    if (wish->recovery_secret != NULL && ch->from != PORCH_SEAL_FILE)
        return porch_seal_read_by_recovery(ch->fd, wish->recovery_secret, &ch->vault, why);
    const porch_seal_means old = {ch->settings.hub_tpm, ch->means.credential_fd};
    return porch_seal_read(ch->fd, &old, &ch->vault, &ch->from, why);
}

static porch_err show_done(change *ch, porch_why *why) {
    ch->done = (porch_cli_seal_done){.from = ch->from, .to = ch->to};
    if (ch->recovery.fresh && ch->to != PORCH_SEAL_FILE)
        porch_backup_key_text(ch->recovery.secret, ch->done.recovery_key);
    return ch->show ? ch->show(ch->show_ctx, &ch->done, why) : PORCH_OK;
}

static porch_err carry_out(change *ch, const porch_cli_seal_wish *wish, porch_why *why) {
    PORCH_TRY(read_old(ch, wish, why));
    PORCH_TRY(add_vapid(&ch->vault, why));
    PORCH_TRY(porch_seal_write(ch->fd, ch->to, &ch->means, ch->recovery.public_key, &ch->vault, why));
    PORCH_TRY(show_done(ch, why));
    if (ch->to != PORCH_SEAL_FILE) PORCH_TRY(porch_recovery_remember(ch->dir, &ch->recovery, why));
    if (strcmp(ch->settings.hub_seal, porch_seal_word(ch->to)) != 0)
        PORCH_TRY(change_conf(ch->dir, "hub.seal", porch_seal_word(ch->to), why));
    if (wish->tpm && strcmp(ch->settings.hub_tpm, wish->tpm) != 0)
        PORCH_TRY(change_conf(ch->dir, "hub.tpm", wish->tpm, why));
    return drop_server_keys(ch->dir, ch->to, why);
}

porch_err porch_cli_reseal(const char *dir, const porch_cli_seal_wish *wish, porch_cli_seal_show show,
                           const void *ctx, porch_cli_seal_done *ret, porch_why *why) {
    change *ch = calloc(1, sizeof *ch);
    if (ch == NULL) return porch_fail(why, PORCH_ERR_BUSY, "out of memory");
    ch->dir = dir;
    ch->show = show;
    ch->show_ctx = ctx;
    ch->fd = ch->means.credential_fd = -1;
    porch_err e = begin(ch, wish, why);
    if (e == PORCH_OK) e = carry_out(ch, wish, why);
    if (e == PORCH_OK) *ret = ch->done;
    if (ch->fd >= 0) close(ch->fd);
    if (ch->means.credential_fd >= 0) close(ch->means.credential_fd);
    porch_wipe(ch, sizeof *ch);
    free(ch);
    return e;
}

/* ---- the command -------------------------------------------------------------------------------- */

static porch_err take_lock(const char *dir, int *fd, porch_why *why) {
    char path[PORCH_CLI_PATH_BYTES];
    PORCH_TRY(porch_path_join(dir, "hub.conf", path, sizeof path));
    if (access(path, F_OK) != 0)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "%s is not a hub's directory; name it with -C DIR",
                          dir);
    PORCH_TRY(porch_path_join(dir, "lock", path, sizeof path));
    porch_err e = porch_file_lock(path, fd, why);
    if (e == PORCH_ERR_BUSY) return porch_fail(why, e, "a hub is running in %s; stop it first", dir);
    return e;
}

static void show_words(const porch_cli *c, const porch_cli_seal_done *done) {
    printf("The keys of %s were sealed by %s and are now sealed by %s.\n", c->dir,
           porch_seal_word(done->from), porch_seal_word(done->to));
    if (done->to == PORCH_SEAL_FILE)
        printf("They lie in the clear in %s/signer: keep the directory on an encrypted disk.\n", c->dir);
    else if (done->from == PORCH_SEAL_FILE)
        printf("Copies and backups of the directory from before hold them in the clear, and a disk may "
               "keep old\n"
               "blocks: if somebody may have had them, make a new hub.\n");
    if (done->recovery_key[0] != '\0')
        printf("\nThis is the recovery key. It is shown once and kept nowhere. Without it the keys die "
               "with this\n"
               "machine, and no backup of this hub can be opened. Write it down now:\n\n    %s\n",
               done->recovery_key);
}

static porch_err show(const void *ctx, const porch_cli_seal_done *done, porch_why *why) {
    const porch_cli *c = ctx;
    json_t *result =
        json_pack("{s:s, s:s, s:s*}", "from", porch_seal_word(done->from), "to", porch_seal_word(done->to),
                  "recovery_key", done->recovery_key[0] ? done->recovery_key : NULL);
    if (!porch_cli_json(c, result)) show_words(c, done);
    json_decref(result);
    if (porch_cli_shown() || done->recovery_key[0] == '\0') return PORCH_OK;
    return porch_fail(why, PORCH_ERR_IO,
                      "the recovery key could not be shown: standard output takes nothing; run the same "
                      "command again, which makes another");
}

static int seal(porch_cli *c) {
    porch_why why = {""};
    porch_cli_seal_done done = {0};
    int lock = -1;
    const porch_cli_seal_wish wish = {.kind = c->argument, .tpm = porch_cli_text(c, "--tpm")};
    porch_err e = take_lock(c->dir, &lock, &why);
    if (e == PORCH_OK) e = porch_cli_reseal(c->dir, &wish, show, c, &done, &why);
    if (lock >= 0) close(lock);
    porch_wipe(&done, sizeof done);
    return e == PORCH_OK ? PORCH_CLI_DONE : porch_cli_fail(e, &why);
}

static const porch_cli_option options[] = {
    {"--tpm", "TCTI", false, false, "how the TPM is reached (default: the setting hub.tpm)"},
    {0},
};

const porch_cli_command porch_cli_seal_commands[] = {
    {"seal", "KIND", false, options,
     "guard the keys of a hub that does not run by tpm, systemd or file\n"
     "tpm: only this machine's TPM opens them. systemd: only the credential porchlight-seal does; run this "
     "where\n"
     "systemd gives it. file: nothing guards them. A first seal makes the recovery key and shows it once.",
     seal},
    {0},
};
