/* The keys that certificates are issued with, one after the other. A key is made here and never leaves; its
 * certificate comes from the root, which is somewhere else (signer_root.c judges that it does).
 *
 *   DIR/signer/issuers, a line a key, the oldest first:
 *   key 1767225600000 <SHA-256 of its public half> <the key in a box, base64>
 *
 * The first key of all lies where `init` put it (seal.h). Which one signs is said by the first certificate
 * of DIR/tls/issuing.pem. Keys from before it go at the next start: overwritten, or with the vault written
 * anew; an operator who retires an issuer has that start made at once. One behind it waits for its
 * certificate. Opened append-only and synced line by line, as the journal is: no crash leaves half a
 * key. A line that is damaged all the same costs the key in it, no other. */
#include "cloud/signer/signer_room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/text.h"
#include "cloud/seal/seal.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "crypto/x509.h"
#include "os/file.h"
#include "os/log.h"

enum { LINE_BYTES = 1024, FILE_BYTES = 256 * 1024, BOX_BYTES = PORCH_KEY_PEM_BYTES + 64, HASH_TEXT = 64 };

static porch_err io_error(porch_why *why, const char *call) {
    int e = errno;
    return porch_fail(why, e == ENOSPC || e == EDQUOT ? PORCH_ERR_FULL : PORCH_ERR_IO,
                      "DIR/signer/issuers: %s failed: %s", call, strerror(e));
}

static porch_err hash_of(const porch_key *key, uint8_t hash[32], porch_why *why) {
    porch_public_key public;
    PORCH_TRY(porch_key_public(key, &public, why));
    porch_sha256((porch_bytes){public.der, public.len}, hash);
    return PORCH_OK;
}

static void hex_of(const uint8_t hash[32], char out[HASH_TEXT + 1]) {
    porch_buf b = {(uint8_t *)out, 0, HASH_TEXT};
    (void)porch_hex_write(&b, (porch_bytes){hash, 32});
    out[b.len] = '\0';
}

/* Takes over made.key. */
static porch_err remember(porch_signer_issuers *all, porch_signer_issuer_key made, porch_why *why) {
    porch_err e = all->count < PORCH_SIGNER_ISSUER_KEYS
                      ? hash_of(made.key, made.hash, why)
                      : porch_fail(why, PORCH_ERR_LIMIT,
                                   "the signer holds %d issuing keys already; restart the hub, which drops "
                                   "those of before",
                                   PORCH_SIGNER_ISSUER_KEYS);
    if (e != PORCH_OK)
        porch_key_free(made.key);
    else
        all->of[all->count++] = made;
    return e;
}

/* ---- overwriting ---- */

static porch_err put_dashes(int fd, off_t at, size_t len, porch_why *why) {
    uint8_t dashes[LINE_BYTES + 128];
    memset(dashes, '-', sizeof dashes);
    for (size_t done = 0; done < len;) {
        size_t want = len - done < sizeof dashes ? len - done : sizeof dashes;
        ssize_t n = pwrite(fd, dashes, want, at + (off_t)done);
        if (n <= 0) return io_error(why, "pwrite");
        done += (size_t)n;
    }
    return fdatasync(fd) == 0 ? PORCH_OK : io_error(why, "fdatasync");
}

/* A line may lie in two sectors, which reach the disk in any order. So its first byte goes alone: a power
 * cut leaves the whole line, or one that says itself that the rest is to go, too. */
static porch_err overwrite(const porch_signer_issuers *all, off_t at, size_t len, porch_why *why) {
    PORCH_TRY(put_dashes(all->edit_fd, at, 1, why));
    return put_dashes(all->edit_fd, at, len, why);
}

/* ---- reading ---- */

static porch_err open_box(const porch_signer *s, porch_bytes name, porch_bytes text, porch_key **ret,
                          porch_why *why) {
    uint8_t box_block[BOX_BYTES], pem_block[PORCH_KEY_PEM_BYTES];
    porch_buf box = PORCH_BUF_OF(box_block), pem = PORCH_BUF_OF(pem_block);
    porch_err e = porch_base64_read(&box, text, false);
    if (e == PORCH_OK) e = porch_signer_box_open(s->seal_key, "issuer", name, porch_buf_bytes(&box), &pem);
    if (e == PORCH_OK) e = porch_key_load_pem(porch_buf_bytes(&pem), ret, why);
    porch_wipe(pem_block, sizeof pem_block);
    return e;
}

static bool cut(porch_bytes *rest, const char *word, size_t most, porch_bytes *ret) {
    size_t skip = strlen(word), n = 0;
    if (rest->len < skip || memcmp(rest->at, word, skip) != 0) return false;
    *rest = (porch_bytes){rest->at + skip, rest->len - skip};
    while (n < rest->len && rest->at[n] != ' ')
        n++;
    *ret = (porch_bytes){rest->at, n};
    *rest = (porch_bytes){rest->at + n, rest->len - n};
    return n > 0 && n <= most;
}

/* Was the line overwritten, or is it on the way there? Then the rest goes, too. */
static bool is_overwritten(const porch_signer *s, porch_bytes line, off_t at) {
    porch_why why = {""};
    size_t dashes = 0;
    if (line.len > 0 && line.at[0] != '-') return false;
    while (dashes < line.len && line.at[dashes] == '-')
        dashes++;
    porch_err e = dashes < line.len ? overwrite(&s->issuers, at, line.len, &why) : PORCH_OK;
    if (e != PORCH_OK)
        porch_log(PORCH_LOG_WARN, "signer.key-kept", "key", "-", "error", porch_err_name(e), "reason",
                  porch_why_text(&why, e), NULL);
    return true;
}

/* No key comes of it, but it has its place among the others: before the one in force it is one of before
 * and goes as they do. Were it the one in force, no key fits tls/issuing.pem, which stops the signer. */
static void note_damaged(porch_signer_issuers *all, porch_bytes hash, off_t at, size_t len) {
    porch_signer_issuer_key damaged = {.at = at, .len = len};
    porch_buf raw = PORCH_BUF_OF(damaged.hash);
    if (hash.len != HASH_TEXT || porch_hex_read(&raw, hash) != PORCH_OK)
        memset(damaged.hash, 0, sizeof damaged.hash);
    if (all->count < PORCH_SIGNER_ISSUER_KEYS) all->of[all->count++] = damaged;
    porch_log(
        PORCH_LOG_ERROR, "signer.key-damaged", "at", porch_log_number((uint64_t)at).text, "hint",
        "a line of DIR/signer/issuers cannot be read: it was changed, or belongs to another hub. A key "
        "that waited for its certificate is made anew by 'ca rotate'",
        NULL);
}

static porch_err take_line(porch_signer *s, porch_bytes line, off_t at, porch_why *why) {
    porch_bytes rest = line, time, hash = {NULL, 0}, box;
    porch_key *key = NULL;
    if (is_overwritten(s, line, at)) return PORCH_OK;
    bool good = cut(&rest, "key ", 20, &time) && cut(&rest, " ", HASH_TEXT, &hash) &&
                cut(&rest, " ", LINE_BYTES, &box) && rest.len == 0;
    if (good && open_box(s, hash, box, &key, NULL) == PORCH_OK)
        return remember(&s->issuers, (porch_signer_issuer_key){.key = key, .at = at, .len = line.len}, why);
    note_damaged(&s->issuers, hash, at, line.len);
    return PORCH_OK;
}

static porch_err take_lines(porch_signer *s, porch_bytes all, size_t *whole, porch_why *why) {
    *whole = 0;
    for (size_t i = 0; i < all.len; i++) {
        if (all.at[i] != '\n') continue;
        PORCH_TRY(take_line(s, (porch_bytes){all.at + *whole, i - *whole}, (off_t)*whole, why));
        *whole = i + 1;
    }
    return PORCH_OK;
}

/* A line without its end was cut by a power loss before anybody heard of its key: it is cut off again. */
static porch_err read_all(porch_signer *s, int dir_fd, porch_why *why) {
    uint8_t *bytes = NULL;
    size_t len = 0, whole = 0;
    PORCH_TRY(porch_file_read_at(dir_fd, "issuers", FILE_BYTES, &bytes, &len, why));
    porch_err e = take_lines(s, (porch_bytes){bytes, len}, &whole, why);
    free(bytes);
    if (e == PORCH_OK && whole < len &&
        (ftruncate(s->issuers.fd, (off_t)whole) != 0 || fsync(s->issuers.fd) != 0))
        e = io_error(why, "ftruncate");
    return e;
}

static porch_err open_file(porch_signer_issuers *all, int dir_fd, porch_why *why) {
    all->fd = openat(dir_fd, "issuers", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    all->edit_fd = openat(dir_fd, "issuers", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (all->fd < 0 || all->edit_fd < 0) return io_error(why, "open");
    return fsync(dir_fd) == 0 ? PORCH_OK : io_error(why, "fsync of its folder");
}

/* ---- which one signs ---- */

static porch_err find_fitting(const porch_signer_issuers *all, porch_bytes cert, size_t *ret) {
    for (size_t i = all->count; i > 0; i--)
        if (all->of[i - 1].key != NULL &&
            porch_x509_check_key(cert, all->of[i - 1].key, NULL) == PORCH_OK) {
            *ret = i - 1;
            return PORCH_OK;
        }
    return PORCH_ERR_NOT_FOUND;
}

/* The first certificate of `pem` goes to *ret (the caller frees it): what is judged is what signs. */
static porch_err pick_first(porch_bytes pem, porch_buf *ret, porch_why *why) {
    *ret = (porch_buf){malloc(PORCH_X509_PEM_BYTES), 0, PORCH_X509_PEM_BYTES};
    if (ret->at == NULL) return porch_fail(why, PORCH_ERR_BUSY, "out of memory");
    return porch_x509_pick(pem, 0, ret, why);
}

/* The certificate, which becomes ours, and its key sign from now on. */
static void put_in_force(porch_signer *s, porch_buf *cert, size_t index) {
    free(s->issuing.cert_pem);
    s->issuing = (porch_signer_issuer){s->issuers.of[index].key, cert->at, cert->len};
    s->issuers.current = index;
    *cert = (porch_buf){NULL, 0, 0};
}

/* ---- those of before go ---- */

static void keep(porch_signer_issuers *all, const porch_signer_issuer_key *k) {
    if (all->kept_count == PORCH_SIGNER_ISSUER_KEYS) return; /* no more than there were keys */
    porch_signer_issuer_key *kept = &all->kept[all->kept_count++];
    *kept = *k;
    kept->key = NULL;
}

static void unkeep(porch_signer_issuers *all, size_t i) {
    memmove(all->kept + i, all->kept + i + 1, (all->kept_count - i - 1) * sizeof all->kept[0]);
    all->kept_count--;
}

void porch_signer_issuers_first_gone(porch_signer_issuers *all) {
    for (size_t i = 0; i < all->kept_count; i++)
        if (all->kept[i].len == 0) {
            unkeep(all, i);
            return;
        }
}

/* One that cannot be destroyed must not keep the others from issuing: it is told, and whoever asks whether
 * it is gone hears that it is not. */
static void drop(porch_signer_issuers *all, porch_signer_issuer_key *k, int dir_fd, bool in_files,
                 bool *first_went) {
    porch_why why = {""};
    porch_err e = PORCH_OK;
    char name[HASH_TEXT + 1];
    bool in_vault = k->len == 0 && !in_files;
    if (k->len > 0)
        e = overwrite(all, k->at, k->len, &why);
    else if (in_files)
        e = porch_seal_forget(dir_fd, porch_vault_name(PORCH_VAULT_ISSUING), &why);
    if (in_vault) *first_went = true;
    if (in_vault || e != PORCH_OK) keep(all, k);
    hex_of(k->hash, name);
    if (e != PORCH_OK)
        porch_log(PORCH_LOG_WARN, "signer.key-kept", "key", name, "error", porch_err_name(e), "reason",
                  porch_why_text(&why, e), NULL);
    porch_key_free(k->key);
    k->key = NULL;
}

/* Those from before are of no more use to anybody but a thief. */
static void drop_former(porch_signer_issuers *all, int dir_fd, bool in_files, bool *first_went) {
    const size_t gone = all->current;
    for (size_t i = 0; i < gone; i++)
        drop(all, &all->of[i], dir_fd, in_files, first_went);
    memmove(all->of, all->of + gone, (all->count - gone) * sizeof all->of[0]);
    all->count -= gone;
    all->current = 0;
}

/* A clock that is wrong must not keep a hub from starting, so the time is not asked here: a certificate
 * that has ended is still the root's word. */
static porch_err judge_at_start(const porch_signer *s, porch_bytes cert, size_t *index, porch_why *why) {
    porch_why inner = {""};
    if (find_fitting(&s->issuers, cert, index) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_STATE,
                          "no key of DIR/signer fits the first certificate of DIR/tls/issuing.pem; restore "
                          "both folders from one backup");
    porch_err e = porch_signer_root_check(&s->root, cert, PORCH_X509_ANY_TIME, &inner);
    if (e == PORCH_OK) return e;
    return porch_fail(why, PORCH_ERR_STATE,
                      "the first certificate of DIR/tls/issuing.pem does not count: %s (DIR/%s); restore "
                      "DIR/signer and DIR/tls from one backup",
                      porch_why_text(&inner, e),
                      s->root.kept ? "signer/" PORCH_SIGNER_ROOT_FILE : "tls/device-root.pem");
}

static porch_err take_force(porch_signer *s, int dir_fd, porch_bytes certs, porch_why *why) {
    porch_buf cert;
    size_t index = 0;
    porch_err e = pick_first(certs, &cert, why);
    if (e == PORCH_OK) e = judge_at_start(s, porch_buf_bytes(&cert), &index, why);
    if (e == PORCH_OK) e = porch_signer_root_keep(&s->root, dir_fd, why);
    if (e == PORCH_OK) put_in_force(s, &cert, index);
    free(cert.at);
    return e;
}

porch_err porch_signer_issuers_load(porch_signer *s, const porch_signer_files *files, porch_bytes first_pem,
                                    bool in_files, porch_bytes cert_pem, bool *first_went, porch_why *why) {
    porch_key *first = NULL;
    *first_went = false;
    if (first_pem.len > 0) {
        PORCH_TRY(porch_key_load_pem(first_pem, &first, why));
        PORCH_TRY(remember(&s->issuers, (porch_signer_issuer_key){.key = first}, why));
    }
    PORCH_TRY(open_file(&s->issuers, files->dir_fd, why));
    PORCH_TRY(read_all(s, files->dir_fd, why));
    PORCH_TRY(porch_signer_root_load(&s->root, files, why));
    PORCH_TRY(take_force(s, files->dir_fd, cert_pem, why));
    drop_former(&s->issuers, files->dir_fd, in_files, first_went);
    return PORCH_OK;
}

void porch_signer_issuers_unload(porch_signer *s) {
    for (size_t i = 0; i < s->issuers.count; i++)
        porch_key_free(s->issuers.of[i].key);
    if (s->issuers.fd >= 0) close(s->issuers.fd);
    if (s->issuers.edit_fd >= 0) close(s->issuers.edit_fd);
    free(s->issuing.cert_pem);
    s->issuing = (porch_signer_issuer){0};
    porch_signer_root_free(&s->root);
    s->issuers = (porch_signer_issuers){.fd = -1, .edit_fd = -1};
}

/* ---- the next one ---- */

static porch_err append(const porch_signer_issuers *all, porch_bytes line, off_t *at, porch_why *why) {
    struct stat before;
    if (fstat(all->fd, &before) != 0) return io_error(why, "fstat");
    *at = before.st_size;
    if (before.st_size > FILE_BYTES - LINE_BYTES)
        return porch_fail(why, PORCH_ERR_FULL, "DIR/signer/issuers is full");
    if (write(all->fd, line.at, line.len) == (ssize_t)line.len && fdatasync(all->fd) == 0) return PORCH_OK;
    porch_err e = io_error(why, "write");
    if (ftruncate(all->fd, before.st_size) != 0) e = io_error(why, "ftruncate after a failed write");
    return e;
}

static porch_err write_line(const porch_signer *s, const porch_key *key, const char *name, uint64_t now_ms,
                            porch_buf *line, porch_why *why) {
    uint8_t pem_block[PORCH_KEY_PEM_BYTES], box_block[BOX_BYTES];
    porch_buf pem = PORCH_BUF_OF(pem_block), box = PORCH_BUF_OF(box_block);
    porch_err e = porch_key_pem(key, &pem, why);
    if (e == PORCH_OK)
        e = porch_signer_box_close(s->seal_key, "issuer", porch_bytes_of(name), porch_buf_bytes(&pem),
                                   &box);
    porch_wipe(pem_block, sizeof pem_block);
    if (e == PORCH_OK) e = porch_write_text(line, "key ");
    if (e == PORCH_OK) e = porch_write_decimal(line, now_ms);
    if (e == PORCH_OK) e = porch_write_text(line, " ");
    if (e == PORCH_OK) e = porch_write_text(line, name);
    if (e == PORCH_OK) e = porch_write_text(line, " ");
    if (e == PORCH_OK) e = porch_base64_write(line, porch_buf_bytes(&box), false);
    if (e == PORCH_OK) e = porch_write_text(line, "\n");
    return e;
}

static porch_err make_next(porch_signer *s, uint64_t now_ms, porch_why *why) {
    uint8_t block[LINE_BYTES], hash[32];
    porch_buf line = PORCH_BUF_OF(block);
    porch_key *key = NULL;
    char name[HASH_TEXT + 1];
    off_t at = 0;
    if (s->issuers.count == PORCH_SIGNER_ISSUER_KEYS)
        return porch_fail(why, PORCH_ERR_LIMIT, "restart the hub first: it drops the keys of before");
    PORCH_TRY(porch_key_generate_p256(&key, why));
    porch_err e = hash_of(key, hash, why);
    if (e == PORCH_OK) {
        hex_of(hash, name);
        e = write_line(s, key, name, now_ms, &line, why);
    }
    if (e == PORCH_OK) e = porch_signer_journal_issuer(&s->journal, now_ms, name, "made", why);
    if (e == PORCH_OK) e = append(&s->issuers, porch_buf_bytes(&line), &at, why);
    if (e == PORCH_OK)
        return remember(&s->issuers, (porch_signer_issuer_key){.key = key, .at = at, .len = line.len - 1},
                        why);
    porch_key_free(key);
    return e;
}

porch_err porch_signer_do_issuer_next(porch_signer *s, porch_signer_now now, porch_buf *data,
                                      porch_why *why) {
    const size_t newest = s->issuers.count - 1;
    if (s->issuers.current == newest || s->issuers.of[newest].key == NULL)
        PORCH_TRY(make_next(s, now.wall_ms, why));
    return porch_csr_make(s->issuers.of[s->issuers.count - 1].key, data, why);
}

static porch_err judge_next(const porch_signer *s, porch_bytes cert, uint64_t now_ms, size_t *index,
                            porch_why *why) {
    porch_why inner = {""};
    porch_err e = porch_signer_root_check(&s->root, cert, now_ms, &inner);
    if (e != PORCH_OK)
        return porch_fail(why, PORCH_ERR_DENIED,
                          "the certificate is none of an authority that is valid now: %s",
                          porch_why_text(&inner, e));
    if (find_fitting(&s->issuers, cert, index) == PORCH_OK) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_NOT_FOUND,
                      "the certificate is for no key of this hub; have the newest request of 'ca rotate' "
                      "signed");
}

porch_err porch_signer_do_issuer_use(porch_signer *s, const porch_signer_request *r, porch_signer_now now,
                                     porch_why *why) {
    porch_buf cert;
    size_t index = 0;
    char name[HASH_TEXT + 1];
    porch_err e = pick_first(r->data, &cert, why);
    if (e == PORCH_OK) e = judge_next(s, porch_buf_bytes(&cert), now.wall_ms, &index, why);
    if (e == PORCH_OK) {
        hex_of(s->issuers.of[index].hash, name);
        e = porch_signer_journal_issuer(&s->journal, now.wall_ms, name, "signs", why);
    }
    if (e == PORCH_OK) put_in_force(s, &cert, index);
    free(cert.at);
    return e;
}

/* ---- one is over for good ---- */

/* The vault and a file of its own are written at a start alone. */
static porch_err drop_again(porch_signer_issuers *all, size_t kept, porch_why *why) {
    if (all->kept[kept].len == 0)
        return porch_fail(why, PORCH_ERR_IO,
                          "that key could not be destroyed when the signer started; its log says why "
                          "(signer.key-kept). Mend it, then restart the hub, which tries again");
    PORCH_TRY(overwrite(all, all->kept[kept].at, all->kept[kept].len, why));
    unkeep(all, kept);
    return PORCH_OK;
}

porch_err porch_signer_do_issuer_forget(porch_signer *s, const porch_signer_request *r,
                                        porch_signer_now now, porch_why *why) {
    porch_signer_issuers *all = &s->issuers;
    size_t i = 0;
    char name[HASH_TEXT + 1];
    if (r->data.len != 32)
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "a key is named by 32 bytes, its public half's SHA-256");
    for (size_t k = 0; k < all->kept_count; k++)
        if (memcmp(all->kept[k].hash, r->data.at, 32) == 0) return drop_again(all, k, why);
    while (i < all->count && memcmp(all->of[i].hash, r->data.at, 32) != 0)
        i++;
    if (i == all->count) return PORCH_OK;
    if (i >= all->current)
        return porch_fail(why, PORCH_ERR_STATE,
                          "that key signs today's certificates or will sign the next");
    hex_of(all->of[i].hash, name);
    PORCH_TRY(porch_signer_journal_issuer(&s->journal, now.wall_ms, name, "over", why));
    s->ending = true;
    return PORCH_OK;
}
