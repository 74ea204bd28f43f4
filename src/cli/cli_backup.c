/* `backup --out FILE` and `restore FILE`: a hub in one encrypted file, and back on any machine.
 *
 *   first backup ─► recovery key: public half to DIR/recovery.pub, secret half printed once, kept nowhere
 *   backup  ─► hub copies its database ─► pack ─► FILE.part ─► sync ─► FILE
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
#include "base/text.h"
#include "cli/backup_archive.h"
#include "cli/backup_key.h"
#include "cli/cli_room.h"
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

typedef struct {
    uint8_t public_key[PORCH_BOX_PUBLIC_BYTES];
    uint8_t secret[PORCH_BOX_SECRET_BYTES]; /* of a fresh key only */
    bool fresh;
    char text[2 * PORCH_BOX_PUBLIC_BYTES + 2]; /* recovery.pub: hex and a line end */
    size_t text_len;
} recovery;

static void write_public_text(recovery *r) {
    porch_buf out = {(uint8_t *)r->text, 0, sizeof r->text - 1};
    (void)porch_hex_write(&out, (porch_bytes){r->public_key, sizeof r->public_key});
    r->text[out.len] = '\n';
    r->text_len = out.len + 1;
}

/* The hub's recovery key, or a fresh one when it has none yet. */
static porch_err load_recovery(const char *dir, recovery *r, porch_why *why) {
    char path[PORCH_CLI_PATH_BYTES];
    uint8_t *text = NULL;
    size_t len = 0;
    *r = (recovery){0};
    PORCH_TRY(porch_path_join(dir, "recovery.pub", path, sizeof path));
    porch_err e = porch_file_read(path, KEY_FILE_BYTES, &text, &len, why);
    if (e == PORCH_ERR_NOT_FOUND) {
        r->fresh = true;
        e = porch_box_generate(r->secret, r->public_key, why);
    } else if (e == PORCH_OK) {
        porch_buf out = PORCH_BUF_OF(r->public_key);
        bool line = len > 0 && text[len - 1] == '\n';
        e = porch_hex_read(&out, (porch_bytes){text, line ? len - 1 : len});
        if (e != PORCH_OK || out.len != out.cap)
            e = porch_fail(why, PORCH_ERR_MALFORMED,
                           "%s is not a recovery key; remove it to make a new one", path);
    }
    free(text);
    if (e == PORCH_OK) write_public_text(r);
    return e;
}

/* ---- backup ------------------------------------------------------------------------------------- */

static porch_err pack_into(int fd, const char *dir, const char *db, const recovery *r,
                           porch_backup_sums *sums, porch_why *why) {
    porch_backup_writer *w = NULL;
    PORCH_TRY(porch_backup_writer_new(fd, r->public_key, &w, why));
    porch_err e =
        porch_backup_pack(w, dir, db, (porch_bytes){(const uint8_t *)r->text, r->text_len}, sums, why);
    if (e == PORCH_OK) e = porch_backup_finish(w, why);
    porch_backup_writer_free(w);
    return e;
}

static porch_err sync_folder_of(const char *path, porch_why *why) {
    char folder[PORCH_CLI_PATH_BYTES];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
    if (len >= sizeof folder) return porch_fail(why, PORCH_ERR_LIMIT, "the path is too long");
    memcpy(folder, slash == NULL ? "." : path, len);
    folder[len] = '\0';
    return porch_dir_sync(folder, why);
}

/* Writes beside OUT and renames, so that OUT is a whole backup or not there. */
static porch_err write_archive(const char *dir, const char *db, const char *out, const recovery *r,
                               porch_backup_sums *sums, porch_why *why) {
    char part[PORCH_CLI_PATH_BYTES];
    if (access(out, F_OK) == 0)
        return porch_fail(why, PORCH_ERR_EXISTS, "%s is there already; choose another FILE", out);
    if (snprintf(part, sizeof part, "%s.part", out) >= (int)sizeof part)
        return porch_fail(why, PORCH_ERR_LIMIT, "the path of FILE is too long");
    int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return io_error(why, part, "open");
    porch_err e = pack_into(fd, dir, db, r, sums, why);
    if (e == PORCH_OK && fsync(fd) != 0) e = io_error(why, part, "fsync");
    if (close(fd) != 0 && e == PORCH_OK) e = io_error(why, part, "close");
    if (e == PORCH_OK && rename(part, out) != 0) e = io_error(why, out, "rename");
    if (e != PORCH_OK) (void)unlink(part);
    return e == PORCH_OK ? sync_folder_of(out, why) : e;
}

static void show_backup(const porch_cli *c, const char *out, const porch_backup_sums *sums,
                        const recovery *r) {
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
    (void)fflush(stdout);
    json_decref(result);
    porch_wipe(key, sizeof key);
}

/* After the secret was shown: were it lost before, later backups could never be opened. */
static porch_err remember_recovery(const char *dir, const recovery *r, porch_why *why) {
    char path[PORCH_CLI_PATH_BYTES];
    if (!r->fresh) return PORCH_OK;
    PORCH_TRY(porch_path_join(dir, "recovery.pub", path, sizeof path));
    PORCH_TRY(
        porch_file_write_atomic(path, (porch_bytes){(const uint8_t *)r->text, r->text_len}, 0600, why));
    /* Made by root for a hub that has a user of its own: what lies in DIR belongs to who has DIR. */
    struct stat st;
    if (geteuid() != 0) return PORCH_OK;
    if (stat(dir, &st) != 0) return io_error(why, dir, "stat");
    return lchown(path, st.st_uid, st.st_gid) == 0 ? PORCH_OK : io_error(why, path, "chown");
}

/* For `doctor`: when the last whole backup was made. */
static porch_err remember_time(const char *dir, porch_why *why) {
    char path[PORCH_CLI_PATH_BYTES], text[24];
    struct stat st;
    porch_buf out = PORCH_BUF_OF(text);
    PORCH_TRY(porch_path_join(dir, "last-backup", path, sizeof path));
    PORCH_TRY(porch_write_decimal(&out, porch_clock_ms()));
    PORCH_TRY(porch_file_write_atomic(path, porch_buf_bytes(&out), 0600, why));
    /* Root may back up a hub of another user: every file of the directory stays that user's. */
    if (stat(dir, &st) == 0 && st.st_uid != geteuid() && lchown(path, st.st_uid, st.st_gid) != 0)
        return io_error(why, path, "chown");
    return PORCH_OK;
}

static int backup(porch_cli *c) {
    porch_why why = {""};
    recovery r;
    porch_backup_sums sums = {0};
    json_t *answer = NULL;
    const char *out = porch_cli_text(c, "--out"), *db = "";
    porch_err e = load_recovery(c->dir, &r, &why);
    if (e == PORCH_OK) e = porch_cli_ask(c, "backup", NULL, &answer, &why);
    if (e == PORCH_OK) {
        db = porch_cli_member(answer, "db");
        e = write_archive(c->dir, db, out, &r, &sums, &why);
        (void)unlink(db);
    }
    if (e == PORCH_OK) {
        show_backup(c, out, &sums, &r);
        e = remember_recovery(c->dir, &r, &why);
        if (e == PORCH_OK) e = remember_time(c->dir, &why);
    }
    json_decref(answer);
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
    PORCH_TRY(porch_path_join(dir, "run", path, sizeof path));
    PORCH_TRY(porch_dir_make(path, 0700, why));
    return porch_dir_sync(dir, why);
}

static porch_err unpack_from(const char *file, const uint8_t secret[PORCH_BOX_SECRET_BYTES],
                             const char *dir, porch_backup_sums *sums, porch_why *why) {
    porch_backup_reader *r = NULL;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return io_error(why, file, "open");
    porch_err e = porch_backup_reader_new(fd, secret, &r, why);
    if (e == PORCH_OK) e = porch_backup_unpack(r, dir, sums, why);
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

/* DIR stays as it was (missing or empty) until everything was verified and is on the disk. */
static porch_err restore_into(const char *file, const uint8_t secret[PORCH_BOX_SECRET_BYTES],
                              const char *dir, porch_backup_sums *sums, porch_why *why) {
    char part[PORCH_CLI_PATH_BYTES];
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/')
        len--;
    if (snprintf(part, sizeof part, "%.*s.restoring", (int)len, dir) >= (int)sizeof part)
        return porch_fail(why, PORCH_ERR_LIMIT, "the path of DIR is too long");
    if (!new_or_empty(dir))
        return porch_fail(why, PORCH_ERR_EXISTS, "%s is not an empty directory; nothing was changed", dir);
    if (mkdir(part, 0700) != 0)
        return errno == EEXIST
                   ? porch_fail(why, PORCH_ERR_EXISTS, "%s is left from an earlier try; remove it", part)
                   : io_error(why, part, "mkdir");
    porch_err e = unpack_from(file, secret, part, sums, why);
    if (e == PORCH_OK && rename(part, dir) != 0) e = io_error(why, dir, "rename");
    if (e != PORCH_OK) (void)nftw(part, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    return e == PORCH_OK ? sync_folder_of(dir, why) : e;
}

static int restore(porch_cli *c) {
    porch_why why = {""};
    porch_backup_sums sums = {0};
    uint8_t secret[PORCH_BOX_SECRET_BYTES];
    porch_err e = read_key(porch_cli_text(c, "--key"), secret, &why);
    if (e == PORCH_OK) e = restore_into(c->argument, secret, c->dir, &sums, &why);
    porch_wipe(secret, sizeof secret);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    json_t *result = json_pack("{s:s, s:I, s:I}", "dir", c->dir, "files", (json_int_t)sums.files, "bytes",
                               (json_int_t)sums.bytes);
    if (!porch_cli_json(c, result))
        printf("%s holds the hub again (%llu files, %llu bytes). Start it: porchlightd %s\n", c->dir,
               (unsigned long long)sums.files, (unsigned long long)sums.bytes, c->dir);
    json_decref(result);
    return PORCH_CLI_DONE;
}

static const porch_cli_option backup_options[] = {
    {"--out", "FILE", true, false, "the backup: one file, encrypted to the hub's recovery key"},
    {0},
};

static const porch_cli_option restore_options[] = {
    {"--key", "FILE", false, false,
     "where the recovery key stands; without it, it is read from standard input"},
    {0},
};

const porch_cli_command porch_cli_backup_commands[] = {
    {"backup", NULL, false, backup_options, "write the whole hub into one encrypted file while it runs",
     backup},
    {"restore", "FILE", false, restore_options, "unpack a backup into DIR, which must be new or empty",
     restore},
    {0},
};
