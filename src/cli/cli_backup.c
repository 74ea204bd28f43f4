/* `backup --out FILE` and `restore FILE`: a hub in one encrypted file, and back on any machine.
 *
 *   first backup ─► recovery key: public half to DIR/recovery.pub, secret half printed once, kept nowhere
 *   backup  ─► run/backup.lock ─► hub copies its database ─► pack ─► FILE.part ─► sync ─► FILE
 *   restore ─► key ─► unpack into DIR.restoring ─► DIR */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cursor.h"
#include "cli/backup_archive.h"
#include "cli/backup_key.h"
#include "cli/cli_room.h"
#include "cli/progress.h"
#include "cli/recovery.h"
#include "cloud/settings/folders.h"
#include "os/clock.h"
#include "os/file.h"

enum { KEY_FILE_BYTES = 1024 };

static porch_err io_error(porch_why *why, const char *path, const char *call) {
    return porch_fail(why, errno == ENOSPC ? PORCH_ERR_FULL : PORCH_ERR_IO, "%s: %s failed: %s", path, call,
                      strerror(errno));
}

/* ---- the recovery key --------------------------------------------------------------------------- */

/* The file's text, or a line of standard input. */
static porch_err read_key(const char *file, uint8_t secret[PORCH_BOX_SECRET_BYTES], porch_why *why) {
    if (file != NULL && strcmp(file, "-") != 0) {
        uint8_t *text = NULL;
        size_t len = 0;
        PORCH_TRY(porch_file_read(file, KEY_FILE_BYTES, &text, &len, why));
        porch_err e = porch_backup_key_parse((porch_bytes){text, len}, secret, why);
        porch_wipe(text, len);
        free(text);
        return e;
    }
    char line[KEY_FILE_BYTES];
    if (isatty(STDIN_FILENO)) (void)fprintf(stderr, "Recovery key: ");
    if (fgets(line, sizeof line, stdin) == NULL)
        return porch_fail(why, PORCH_ERR_USAGE,
                          "the recovery key is read from standard input or --key FILE");
    porch_err e = porch_backup_key_parse(porch_bytes_of(line), secret, why);
    porch_wipe(line, sizeof line);
    return e;
}

/* Of a sealed hub a backup is of use elsewhere because its vault opens with the recovery key: so the
 * vault's must be the one that the backup is encrypted to. */
static porch_err check_vault(const char *dir, const porch_recovery *r, porch_why *why) {
    porch_seal_kind kind;
    uint8_t vaults[PORCH_BOX_PUBLIC_BYTES];
    PORCH_TRY(porch_cli_seal_look(dir, &kind, vaults, why));
    if (kind == PORCH_SEAL_FILE || (!r->fresh && memcmp(vaults, r->public_key, sizeof vaults) == 0))
        return PORCH_OK;
    return porch_fail(
        why, PORCH_ERR_STATE,
        "the keys are sealed for another recovery key than recovery.pub: stop the hub and run "
        "porchlight -C %s seal %s, which wraps them anew",
        dir, porch_seal_word(kind));
}

/* ---- backup ------------------------------------------------------------------------------------- */

static void tell(void *ctx, uint64_t bytes) {
    porch_progress_at(ctx, bytes);
}

static porch_err pack_into(int fd, const char *dir, const char *db, const porch_recovery *r, bool updates,
                           porch_backup_sums *sums, porch_why *why) {
    porch_backup_writer *w = NULL;
    PORCH_TRY(porch_backup_writer_new(fd, r->public_key, &w, why));
    porch_progress bar = porch_progress_begin(porch_backup_weigh(dir, db, updates));
    sums->at = tell;
    /* cppcheck-suppress autoVariables ; taken back below, before this function returns */
    sums->ctx = &bar;
    porch_err e = porch_backup_pack(w, dir, db, (porch_bytes){(const uint8_t *)r->text, r->text_len},
                                    updates, sums, why);
    porch_progress_end(&bar);
    sums->at = NULL;
    sums->ctx = NULL;
    if (e == PORCH_OK) e = porch_backup_finish(w, why);
    porch_backup_writer_free(w);
    return e;
}

static porch_err folder_of(const char *path, char folder[PORCH_CLI_PATH_BYTES], porch_why *why) {
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
    if (len >= PORCH_CLI_PATH_BYTES) return porch_fail(why, PORCH_ERR_LIMIT, "the path is too long");
    memcpy(folder, slash == NULL ? "." : path, len);
    folder[len] = '\0';
    return PORCH_OK;
}

static porch_err sync_folder_of(const char *path, porch_why *why) {
    char folder[PORCH_CLI_PATH_BYTES];
    PORCH_TRY(folder_of(path, folder, why));
    return porch_dir_sync(folder, why);
}

/* The backup gets its name when it is whole; until then it has none, and a kill or a power cut leaves
 * nothing behind. File systems that know no nameless files (some network ones) get FILE.part. */
static porch_err open_nameless(const char *out, char part[PORCH_CLI_PATH_BYTES], int *fd, porch_why *why) {
    char folder[PORCH_CLI_PATH_BYTES];
    PORCH_TRY(folder_of(out, folder, why));
    part[0] = '\0';
    *fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (*fd >= 0) return PORCH_OK;
    if (errno != EOPNOTSUPP && errno != EISDIR) return io_error(why, folder, "open");
    if (snprintf(part, PORCH_CLI_PATH_BYTES, "%s.part", out) >= PORCH_CLI_PATH_BYTES)
        return porch_fail(why, PORCH_ERR_LIMIT, "the path of FILE is too long");
    *fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    return *fd >= 0 ? PORCH_OK : io_error(why, part, "open");
}

static porch_err give_name(int fd, const char *part, const char *out, porch_why *why) {
    char nameless[64];
    if (part[0] != '\0') return rename(part, out) == 0 ? PORCH_OK : io_error(why, out, "rename");
    (void)snprintf(nameless, sizeof nameless, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, nameless, AT_FDCWD, out, AT_SYMLINK_FOLLOW) == 0 ? PORCH_OK
                                                                             : io_error(why, out, "link");
}

static porch_err write_archive(const char *dir, const char *db, const char *out, const porch_recovery *r,
                               bool updates, porch_backup_sums *sums, porch_why *why) {
    char part[PORCH_CLI_PATH_BYTES];
    int fd = -1;
    if (access(out, F_OK) == 0)
        return porch_fail(why, PORCH_ERR_EXISTS, "%s is there already; choose another FILE", out);
    PORCH_TRY(open_nameless(out, part, &fd, why));
    porch_err e = pack_into(fd, dir, db, r, updates, sums, why);
    if (e == PORCH_OK && fsync(fd) != 0) e = io_error(why, out, "fsync");
    if (e == PORCH_OK) e = give_name(fd, part, out, why);
    if (close(fd) != 0 && e == PORCH_OK) e = io_error(why, out, "close");
    if (e != PORCH_OK && part[0] != '\0') (void)unlink(part);
    return e == PORCH_OK ? sync_folder_of(out, why) : e;
}

static porch_err show_backup(const porch_cli *c, const char *out, const porch_backup_sums *sums,
                             const porch_recovery *r, porch_why *why) {
    char key[PORCH_BACKUP_KEY_TEXT] = "";
    if (r->fresh) porch_backup_key_text(r->secret, key);
    json_t *result = json_pack("{s:s, s:I, s:I}", "out", out, "files", (json_int_t)sums->files, "bytes",
                               (json_int_t)sums->bytes);
    if (r->fresh) (void)json_object_set_new(result, "recovery_key", json_string(key));
    if (!porch_cli_json(c, result)) {
        printf("%s holds %llu files, %llu bytes, encrypted to this hub's recovery key.\n", out,
               (unsigned long long)sums->files, (unsigned long long)sums->bytes);
        if (r->fresh)
            printf("\nThis is the recovery key. It is shown once and kept nowhere: without it no backup of "
                   "this hub "
                   "can be opened.\nWrite it down now:\n\n    %s\n\n",
                   key);
    }
    json_decref(result);
    porch_wipe(key, sizeof key);
    if (porch_cli_shown() || !r->fresh) return PORCH_OK;
    return porch_fail(
        why, PORCH_ERR_IO,
        "the recovery key could not be shown: standard output takes nothing; remove %s, which "
        "nobody can open, and make another",
        out);
}

/* For `doctor`: when the last whole backup was made. */
static porch_err remember_time(const char *dir, porch_why *why) {
    char path[PORCH_CLI_PATH_BYTES], text[24];
    porch_buf out = PORCH_BUF_OF(text);
    PORCH_TRY(porch_path_join(dir, "last-backup", path, sizeof path));
    PORCH_TRY(porch_write_decimal(&out, porch_clock_ms()));
    return porch_file_write_owned(path, porch_buf_bytes(&out), 0600, why);
}

/* The hub's copy of the database has one name: while it is there, no other backup may have it replaced, and
 * the hub knows by the lock that it was not left behind. */
static porch_err take_turn(const char *dir, int *lock, porch_why *why) {
    char path[PORCH_CLI_PATH_BYTES];
    PORCH_TRY(porch_path_join(dir, "run/backup.lock", path, sizeof path));
    porch_err e = porch_file_lock(path, lock, why);
    if (e == PORCH_ERR_BUSY)
        return porch_fail(why, e, "another backup of %s is under way; try again when it is done", dir);
    return e;
}

/* Where the copy lies is ours to know: this may be root, and the hub's word could name any file. */
static porch_err copy_and_pack(const porch_cli *c, const char *out, const porch_recovery *r,
                               porch_backup_sums *sums, porch_why *why) {
    char db[PORCH_CLI_PATH_BYTES];
    json_t *answer = NULL;
    int lock = -1;
    PORCH_TRY(porch_path_join(c->dir, "run/backup.db", db, sizeof db));
    porch_err e = take_turn(c->dir, &lock, why);
    if (e == PORCH_OK) e = porch_cli_ask(c, "backup", NULL, &answer, why);
    if (e == PORCH_OK) {
        e = write_archive(c->dir, db, out, r, !porch_cli_flag(c, "--no-updates"), sums, why);
        (void)unlink(db);
    }
    json_decref(answer);
    if (lock >= 0) close(lock);
    return e;
}

static int backup(porch_cli *c) {
    porch_why why = {""};
    porch_recovery r;
    porch_backup_sums sums = {0};
    const char *out = porch_cli_text(c, "--out");
    porch_err e = porch_recovery_load(c->dir, &r, &why);
    if (e == PORCH_OK) e = check_vault(c->dir, &r, &why);
    if (e == PORCH_OK) e = copy_and_pack(c, out, &r, &sums, &why);
    /* The secret is shown first: were it lost before, later backups could never be opened. */
    if (e == PORCH_OK) e = show_backup(c, out, &sums, &r, &why);
    if (e == PORCH_OK) e = porch_recovery_remember(c->dir, &r, &why);
    if (e == PORCH_OK) e = remember_time(c->dir, &why);
    porch_wipe(&r, sizeof r);
    return e == PORCH_OK ? PORCH_CLI_DONE : porch_cli_fail(e, &why);
}

/* ---- restore ------------------------------------------------------------------------------------ */

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

/* What a hub's directory must hold besides what was packed. */
static porch_err complete(const char *dir, porch_why *why) {
    static const char *const needed[] = {"hub.conf", "hub.db", "signer", "tls", "clips"};
    char path[PORCH_CLI_PATH_BYTES];
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        PORCH_TRY(porch_path_join(dir, needed[i], path, sizeof path));
        if (access(path, F_OK) != 0)
            return porch_fail(why, PORCH_ERR_MALFORMED, "the backup has no %s", needed[i]);
    }
    PORCH_TRY(porch_path_join(dir, "clips/" PORCH_HUB_RESTORED, path, sizeof path));
    PORCH_TRY(porch_file_write_atomic(path, (porch_bytes){NULL, 0}, 0600, why));
    PORCH_TRY(porch_path_join(dir, "run", path, sizeof path));
    PORCH_TRY(porch_dir_make(path, 0700, why));
    return porch_dir_sync(dir, why);
}

static porch_err unpack_from(const char *file, const uint8_t secret[PORCH_BOX_SECRET_BYTES],
                             const char *dir, porch_backup_sums *sums, porch_why *why) {
    porch_backup_reader *r = NULL;
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return io_error(why, file, "open");
    porch_err e = porch_backup_reader_new(fd, secret, &r, why);
    porch_progress bar = porch_progress_begin(fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0);
    sums->at = tell;
    /* cppcheck-suppress autoVariables ; taken back below, before this function returns */
    sums->ctx = &bar;
    if (e == PORCH_OK) e = porch_backup_unpack(r, dir, sums, why);
    porch_progress_end(&bar);
    sums->at = NULL;
    sums->ctx = NULL;
    porch_backup_reader_free(r);
    close(fd);
    return e == PORCH_OK ? complete(dir, why) : e;
}

static bool new_or_empty(const char *dir) {
    DIR *d = opendir(dir);
    if (d == NULL) return errno == ENOENT;
    unsigned entries = 0;
    while (readdir(d) != NULL && entries <= 2)
        entries++;
    closedir(d);
    return entries <= 2; /* "." and ".." */
}

/* DIR.restoring, ours until it becomes DIR; the lock in it tells another restore under way from what a
 * killed one left behind, which goes. */
static porch_err open_part(const char *part, int *lock, porch_why *why) {
    char path[PORCH_CLI_PATH_BYTES];
    for (int tries = 0; tries < 2; tries++) {
        bool made = mkdir(part, 0700) == 0;
        if (!made && errno != EEXIST) return io_error(why, part, "mkdir");
        PORCH_TRY(porch_path_join(part, "lock", path, sizeof path));
        porch_err e = porch_file_lock(path, lock, why);
        if (e == PORCH_ERR_BUSY) return porch_fail(why, e, "another restore into %s is under way", part);
        if (e != PORCH_OK || made) return e;
        (void)nftw(part, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        close(*lock);
        *lock = -1;
    }
    return porch_fail(why, PORCH_ERR_EXISTS, "%s is in the way; remove it", part);
}

/* The secrets of another machine's hub, sealed for this one. */
static porch_err seal_here(const porch_cli *c, const char *dir, const uint8_t *secret,
                           porch_cli_seal_done *done, porch_why *why) {
    const porch_cli_seal_wish wish = {porch_cli_text(c, "--seal"), porch_cli_text(c, "--tpm"), secret};
    porch_why inner = {""};
    porch_err e = porch_cli_reseal(dir, &wish, NULL, NULL, done, &inner);
    if (e == PORCH_OK || wish.kind != NULL) {
        if (e != PORCH_OK) (void)porch_fail(why, e, "%s", porch_why_text(&inner, e));
        return e;
    }
    return porch_fail(
        why, e, "the hub's keys cannot be sealed here as they were: %.300s; choose another with --seal",
        porch_why_text(&inner, e));
}

/* The folder gets its name by a rename, which no mount point gives up: better told before hours of
 * unpacking. */
static porch_err check_place(const char *dir, porch_why *why) {
    char parent[PORCH_CLI_PATH_BYTES];
    struct stat here, above;
    if (!new_or_empty(dir))
        return porch_fail(why, PORCH_ERR_EXISTS, "%s is not an empty directory; nothing was changed", dir);
    PORCH_TRY(folder_of(dir, parent, why));
    if (stat(dir, &here) != 0 || stat(parent, &above) != 0 || here.st_dev == above.st_dev) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_USAGE,
                      "%s is a disk of its own, whose place no restored folder can take: restore into "
                      "%s/hub, stop there, and move what is in it up; nothing was changed",
                      dir, dir);
}

/* DIR stays as it was (missing or empty) until everything was verified, sealed and is on the disk. */
static porch_err restore_into(const porch_cli *c, const uint8_t secret[PORCH_BOX_SECRET_BYTES],
                              porch_backup_sums *sums, porch_cli_seal_done *done, porch_why *why) {
    char dir[PORCH_CLI_PATH_BYTES], part[PORCH_CLI_PATH_BYTES];
    int lock = -1;
    size_t len = strlen(c->dir);
    while (len > 1 && c->dir[len - 1] == '/')
        len--;
    if (snprintf(dir, sizeof dir, "%.*s", (int)len, c->dir) >= (int)sizeof dir ||
        snprintf(part, sizeof part, "%s.restoring", dir) >= (int)sizeof part)
        return porch_fail(why, PORCH_ERR_LIMIT, "the path of DIR is too long");
    PORCH_TRY(check_place(dir, why));
    PORCH_TRY(open_part(part, &lock, why));
    porch_err e = unpack_from(c->argument, secret, part, sums, why);
    if (e == PORCH_OK) e = seal_here(c, part, secret, done, why);
    if (e == PORCH_OK && rename(part, dir) != 0) e = io_error(why, dir, "rename");
    if (e != PORCH_OK) (void)nftw(part, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    if (lock >= 0) close(lock);
    return e == PORCH_OK ? sync_folder_of(dir, why) : e;
}

static int restore(porch_cli *c) {
    porch_why why = {""};
    porch_backup_sums sums = {0};
    porch_cli_seal_done done = {0};
    uint8_t secret[PORCH_BOX_SECRET_BYTES];
    porch_err e = read_key(porch_cli_text(c, "--key"), secret, &why);
    if (e == PORCH_OK) e = restore_into(c, secret, &sums, &done, &why);
    porch_wipe(secret, sizeof secret);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    json_t *result = json_pack("{s:s, s:I, s:I, s:s}", "dir", c->dir, "files", (json_int_t)sums.files,
                               "bytes", (json_int_t)sums.bytes, "seal", porch_seal_word(done.to));
    if (!porch_cli_json(c, result))
        printf("%s holds the hub again (%llu files, %llu bytes), its keys sealed by %s. Start it: "
               "porchlightd %s\n",
               c->dir, (unsigned long long)sums.files, (unsigned long long)sums.bytes,
               porch_seal_word(done.to), c->dir);
    json_decref(result);
    return PORCH_CLI_DONE;
}

static const porch_cli_option backup_options[] = {
    {"--out", "FILE", true, false, "the backup: one file, encrypted to the hub's recovery key"},
    {"--no-updates", NULL, false, false,
     "without the update repository and its images: publish the team's folder again after a restore"},
    {0},
};

static const porch_cli_option restore_options[] = {
    {"--key", "FILE", false, false,
     "where the recovery key stands; without it, it is read from standard input"},
    {"--seal", "KIND", false, false,
     "what guards the keys here: tpm, systemd or file (default: as it was)"},
    {"--tpm", "TCTI", false, false, "how the TPM is reached (default: the setting hub.tpm)"},
    {0},
};

const porch_cli_command porch_cli_backup_commands[] = {
    {"backup", NULL, false, backup_options, "write the whole hub into one encrypted file while it runs",
     backup},
    {"restore", "FILE", false, restore_options, "unpack a backup into DIR, which must be new or empty",
     restore},
    {0},
};
