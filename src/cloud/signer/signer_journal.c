/* The journal: one text line for each certificate issued, each second-factor step accepted and each token
 * for a push service.
 *
 *   issue 1767225600000 device porch-cam 4be1...07 1775001600000
 *   totp  1767225600123 acct-1 58907520
 *   vapid 1767225600456 https://push.example 1767268800000
 *   forget 1767225600789 2
 *   head  1767225600999 41 9f86...08              the trust log up to row 41
 *   issuer 1767225601000 7c21...9a made          an issuing key, or that it signs from now on
 *   role  1767225601000 camera.json 7             the update repository's roles, as announced
 *   update 1767225601001 12 40                    its snapshot and timestamp
 *   time  1767225601002 86400000 5f0e...b1        the time was told, so long after that start of the
 * machine clock 1767225601003 86400001 5f0e...b1        an operator has confirmed that it is this
 *
 * Opened append-only and synced line by line, so a line that was answered is there after any crash. The
 * names of a household that was erased become dashes in their places; the lines stay, and a forget line
 * says how many. */
#include "cloud/signer/signer_room.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/text.h"

enum { LINE_MAX_BYTES = 512 };

static porch_err io_error(porch_why *why, const char *call) {
    int e = errno;
    return porch_fail(why, e == ENOSPC || e == EDQUOT ? PORCH_ERR_FULL : PORCH_ERR_IO,
                      "the signer's journal: %s failed: %s", call, strerror(e));
}

/* ---- reading ---- */

/* Cuts the next word off the line. */
static porch_bytes next_word(porch_bytes *rest) {
    size_t n = 0;
    while (n < rest->len && rest->at[n] != ' ')
        n++;
    porch_bytes word = {rest->at, n};
    size_t skip = n < rest->len ? n + 1 : n;
    rest->at += skip;
    rest->len -= skip;
    return word;
}

static porch_err replay_update(bool role, porch_bytes line, porch_signer_updates *u) {
    porch_bytes first = next_word(&line);
    uint64_t a = 0, b = 0;
    PORCH_TRY(porch_decimal_read(line, UINT64_MAX, &b));
    if (role) return porch_signer_update_remember(u, first, b);
    PORCH_TRY(porch_decimal_read(first, UINT64_MAX, &a));
    if (a <= u->snapshot_version || b <= u->timestamp_version) return PORCH_ERR_MALFORMED;
    u->snapshot_version = a;
    u->timestamp_version = b;
    return PORCH_OK;
}

/* A start of the machine begins with the first time that was told in it; an operator's word begins all
 * anew. */
static porch_err replay_told(bool confirmed, uint64_t wall_ms, porch_bytes line, porch_signer_head *head) {
    porch_signer_told got = {.wall_ms = wall_ms};
    PORCH_TRY(porch_decimal_read(next_word(&line), UINT64_MAX, &got.boot_ms));
    if (line.len == 0 || !porch_bytes_to_text(line, got.boot, sizeof got.boot)) return PORCH_ERR_MALFORMED;
    if (confirmed || strcmp(head->anchor.boot, got.boot) != 0) head->anchor = got;
    if (confirmed || wall_ms > head->told.wall_ms) head->told = got;
    return PORCH_OK;
}

static porch_err replay_line(porch_bytes line, porch_signer_step_fn step, void *ctx,
                             porch_signer_head *head) {
    porch_bytes kind = next_word(&line);
    uint64_t at_ms = 0;
    uint64_t number = 0;
    PORCH_TRY(porch_decimal_read(next_word(&line), UINT64_MAX, &at_ms));
    if (porch_bytes_eq_text(kind, "issue") || porch_bytes_eq_text(kind, "vapid") ||
        porch_bytes_eq_text(kind, "forget") || porch_bytes_eq_text(kind, "issuer"))
        return PORCH_OK;
    if (porch_bytes_eq_text(kind, "head")) {
        porch_signer_head got;
        porch_buf hash = PORCH_BUF_OF(got.hash);
        PORCH_TRY(porch_decimal_read(next_word(&line), UINT64_MAX, &got.seq));
        PORCH_TRY(porch_hex_read(&hash, line));
        if (hash.len != sizeof got.hash || got.seq <= head->seq) return PORCH_ERR_MALFORMED;
        head->seq = got.seq;
        memcpy(head->hash, got.hash, sizeof head->hash);
        return PORCH_OK;
    }
    if (porch_bytes_eq_text(kind, "time") || porch_bytes_eq_text(kind, "clock"))
        return replay_told(porch_bytes_eq_text(kind, "clock"), at_ms, line, head);
    if (porch_bytes_eq_text(kind, "role") || porch_bytes_eq_text(kind, "update"))
        return replay_update(porch_bytes_eq_text(kind, "role"), line, &head->updates);
    if (!porch_bytes_eq_text(kind, "totp")) return PORCH_ERR_MALFORMED;
    porch_bytes account = next_word(&line);
    PORCH_TRY(porch_decimal_read(next_word(&line), UINT64_MAX, &number));
    if (account.len == 0 || line.len != 0) return PORCH_ERR_MALFORMED;
    if (account.at[0] != '-') step(account, number, ctx); /* else it was forgotten */
    return PORCH_OK;
}

typedef struct {
    uint8_t bytes[LINE_MAX_BYTES];
    size_t len;
    uint64_t number;
} line_reader;

static porch_err replay_bytes(line_reader *l, porch_bytes in, porch_signer_step_fn step, void *ctx,
                              porch_signer_head *head, porch_why *why) {
    for (size_t i = 0; i < in.len; i++) {
        bool end = in.at[i] == '\n';
        if (!end && l->len < sizeof l->bytes) {
            l->bytes[l->len++] = in.at[i];
            continue;
        }
        l->number++;
        if (!end ||
            (l->len > 0 && replay_line((porch_bytes){l->bytes, l->len}, step, ctx, head) != PORCH_OK))
            return porch_fail(
                why, PORCH_ERR_STATE,
                "line %llu of the signer's journal cannot be read; restore DIR/signer/journal "
                "from a backup, or remove that line knowing that its code could be used again",
                (unsigned long long)l->number);
        l->len = 0;
    }
    return PORCH_OK;
}

/* A line without its end was cut by a power loss before it was answered: it is cut off again. */
static porch_err replay(int fd, porch_signer_step_fn step, void *ctx, porch_signer_head *head,
                        porch_why *why) {
    uint8_t block[16384];
    line_reader line = {.len = 0};
    off_t whole = 0;
    for (;;) {
        ssize_t n = pread(fd, block, sizeof block, whole);
        if (n < 0) return io_error(why, "pread");
        if (n == 0) break;
        PORCH_TRY(replay_bytes(&line, (porch_bytes){block, (size_t)n}, step, ctx, head, why));
        whole += n;
    }
    if (line.len == 0) return PORCH_OK;
    if (ftruncate(fd, whole - (off_t)line.len) != 0) return io_error(why, "ftruncate");
    if (fsync(fd) != 0) return io_error(why, "fsync");
    return PORCH_OK;
}

porch_err porch_signer_journal_open(int dir_fd, porch_signer_step_fn step, void *ctx,
                                    porch_signer_head *head, porch_signer_journal *ret, porch_why *why) {
    int fd = openat(dir_fd, "journal", O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return io_error(why, "open");
    porch_err e = replay(fd, step, ctx, head, why);
    if (e == PORCH_OK && fsync(dir_fd) != 0) e = io_error(why, "fsync of its folder");
    if (e != PORCH_OK) {
        close(fd);
        return e;
    }
    ret->edit_fd = openat(dir_fd, "journal", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (ret->edit_fd < 0) {
        e = io_error(why, "open");
        close(fd);
        return e;
    }
    ret->fd = fd;
    return PORCH_OK;
}

void porch_signer_journal_close(porch_signer_journal *j) {
    if (j->fd >= 0) {
        close(j->fd);
        close(j->edit_fd);
    }
    j->fd = j->edit_fd = -1;
}

/* ---- writing ---- */

static porch_err append(porch_signer_journal *j, porch_bytes line, porch_why *why) {
    struct stat before;
    if (fstat(j->fd, &before) != 0) return io_error(why, "fstat");
    ssize_t n = write(j->fd, line.at, line.len);
    if (n == (ssize_t)line.len && fdatasync(j->fd) == 0) return PORCH_OK;
    porch_err e =
        n >= 0 && n < (ssize_t)line.len
            ? porch_fail(why, PORCH_ERR_FULL, "the signer's journal: the disk is full; free some space")
            : io_error(why, "write");
    /* What was not answered must not stand there half: the next line would be glued to it. */
    if (ftruncate(j->fd, before.st_size) != 0) e = io_error(why, "ftruncate after a failed write");
    return e;
}

static porch_err begin(porch_buf *line, const char *kind, uint64_t now_ms) {
    PORCH_TRY(porch_write_text(line, kind));
    PORCH_TRY(porch_write_text(line, " "));
    return porch_write_decimal(line, now_ms);
}

static porch_err word(porch_buf *line, porch_bytes text) {
    PORCH_TRY(porch_write_text(line, " "));
    return porch_write_bytes(line, text);
}

static porch_err number(porch_buf *line, uint64_t v) {
    PORCH_TRY(porch_write_text(line, " "));
    return porch_write_decimal(line, v);
}

porch_err porch_signer_journal_issue(porch_signer_journal *j, uint64_t now_ms, const char *profile,
                                     porch_bytes name, const char *serial, uint64_t not_after_ms,
                                     porch_why *why) {
    uint8_t block[LINE_MAX_BYTES];
    porch_buf line = PORCH_BUF_OF(block);
    PORCH_TRY(begin(&line, "issue", now_ms));
    PORCH_TRY(word(&line, porch_bytes_of(profile)));
    PORCH_TRY(word(&line, name));
    PORCH_TRY(word(&line, porch_bytes_of(serial)));
    PORCH_TRY(number(&line, not_after_ms));
    PORCH_TRY(porch_write_text(&line, "\n"));
    return append(j, porch_buf_bytes(&line), why);
}

porch_err porch_signer_journal_step(porch_signer_journal *j, uint64_t now_ms, porch_bytes account,
                                    uint64_t step, porch_why *why) {
    uint8_t block[LINE_MAX_BYTES];
    porch_buf line = PORCH_BUF_OF(block);
    PORCH_TRY(begin(&line, "totp", now_ms));
    PORCH_TRY(word(&line, account));
    PORCH_TRY(number(&line, step));
    PORCH_TRY(porch_write_text(&line, "\n"));
    return append(j, porch_buf_bytes(&line), why);
}

porch_err porch_signer_journal_vapid(porch_signer_journal *j, uint64_t now_ms, porch_bytes audience,
                                     uint64_t ends_ms, porch_why *why) {
    uint8_t block[LINE_MAX_BYTES];
    porch_buf line = PORCH_BUF_OF(block);
    PORCH_TRY(begin(&line, "vapid", now_ms));
    PORCH_TRY(word(&line, audience));
    PORCH_TRY(number(&line, ends_ms));
    PORCH_TRY(porch_write_text(&line, "\n"));
    return append(j, porch_buf_bytes(&line), why);
}

porch_err porch_signer_journal_head(porch_signer_journal *j, uint64_t now_ms, uint64_t seq,
                                    const uint8_t hash[32], porch_why *why) {
    uint8_t block[LINE_MAX_BYTES];
    porch_buf line = PORCH_BUF_OF(block);
    PORCH_TRY(begin(&line, "head", now_ms));
    PORCH_TRY(number(&line, seq));
    PORCH_TRY(porch_write_text(&line, " "));
    PORCH_TRY(porch_hex_write(&line, (porch_bytes){hash, 32}));
    PORCH_TRY(porch_write_text(&line, "\n"));
    return append(j, porch_buf_bytes(&line), why);
}

porch_err porch_signer_journal_issuer(porch_signer_journal *j, uint64_t now_ms, const char *key,
                                      const char *what, porch_why *why) {
    uint8_t block[LINE_MAX_BYTES];
    porch_buf line = PORCH_BUF_OF(block);
    PORCH_TRY(begin(&line, "issuer", now_ms));
    PORCH_TRY(word(&line, porch_bytes_of(key)));
    PORCH_TRY(word(&line, porch_bytes_of(what)));
    PORCH_TRY(porch_write_text(&line, "\n"));
    return append(j, porch_buf_bytes(&line), why);
}

porch_err porch_signer_journal_told(porch_signer_journal *j, const char *kind,
                                    const porch_signer_told *told, porch_why *why) {
    uint8_t block[LINE_MAX_BYTES];
    porch_buf line = PORCH_BUF_OF(block);
    PORCH_TRY(begin(&line, kind, told->wall_ms));
    PORCH_TRY(number(&line, told->boot_ms));
    PORCH_TRY(word(&line, porch_bytes_of(told->boot)));
    PORCH_TRY(porch_write_text(&line, "\n"));
    return append(j, porch_buf_bytes(&line), why);
}

porch_err porch_signer_journal_role(porch_signer_journal *j, uint64_t now_ms, porch_bytes name,
                                    uint64_t version, porch_why *why) {
    uint8_t block[LINE_MAX_BYTES];
    porch_buf line = PORCH_BUF_OF(block);
    PORCH_TRY(begin(&line, "role", now_ms));
    PORCH_TRY(word(&line, name));
    PORCH_TRY(number(&line, version));
    PORCH_TRY(porch_write_text(&line, "\n"));
    return append(j, porch_buf_bytes(&line), why);
}

porch_err porch_signer_journal_update(porch_signer_journal *j, uint64_t now_ms, uint64_t snapshot,
                                      uint64_t timestamp, porch_why *why) {
    uint8_t block[LINE_MAX_BYTES];
    porch_buf line = PORCH_BUF_OF(block);
    PORCH_TRY(begin(&line, "update", now_ms));
    PORCH_TRY(number(&line, snapshot));
    PORCH_TRY(number(&line, timestamp));
    PORCH_TRY(porch_write_text(&line, "\n"));
    return append(j, porch_buf_bytes(&line), why);
}

/* ---- forgetting ---- */

/* Where in the line the name stands that is to go; at == NULL when the line is about something else. */
static porch_bytes name_in(porch_bytes line, bool device, porch_bytes name) {
    porch_bytes kind = next_word(&line);
    (void)next_word(&line);
    if (device ? !porch_bytes_eq_text(kind, "issue") || !porch_bytes_eq_text(next_word(&line), "device")
               : !porch_bytes_eq_text(kind, "totp"))
        return (porch_bytes){NULL, 0};
    porch_bytes found = next_word(&line);
    return porch_bytes_eq(found, name) ? found : (porch_bytes){NULL, 0};
}

static porch_err blank(porch_signer_journal *j, off_t at, size_t len, porch_why *why) {
    static const char dashes[] = "----------------------------------------------------------------";
    for (size_t done = 0; done < len;) {
        size_t want = len - done < sizeof dashes - 1 ? len - done : sizeof dashes - 1;
        ssize_t n = pwrite(j->edit_fd, dashes, want, at + (off_t)done);
        if (n < 0) return io_error(why, "pwrite");
        done += (size_t)n;
    }
    return PORCH_OK;
}

/* Whole lines of the file, one after the other, in a block that always holds the longest. */
static porch_err blank_all(porch_signer_journal *j, bool device, porch_bytes name, uint64_t *count,
                           porch_why *why) {
    uint8_t block[LINE_MAX_BYTES * 16];
    off_t at = 0;
    for (;;) {
        ssize_t n = pread(j->edit_fd, block, sizeof block, at);
        if (n < 0) return io_error(why, "pread");
        size_t whole = 0;
        for (size_t i = 0; i < (size_t)n; i++) {
            if (block[i] != '\n') continue;
            porch_bytes found = name_in((porch_bytes){block + whole, i - whole}, device, name);
            if (found.at != NULL) {
                PORCH_TRY(blank(j, at + (off_t)(found.at - block), found.len, why));
                (*count)++;
            }
            whole = i + 1;
        }
        if (whole == 0) return PORCH_OK;
        at += (off_t)whole;
    }
}

porch_err porch_signer_journal_forget(porch_signer_journal *j, uint64_t now_ms, porch_bytes what,
                                      porch_why *why) {
    static const char *const kinds[] = {"account:", "device:"};
    uint8_t line_block[LINE_MAX_BYTES];
    porch_buf line = PORCH_BUF_OF(line_block);
    for (size_t device = 0; device < 2; device++) {
        size_t len = strlen(kinds[device]);
        uint64_t count = 0;
        if (what.len <= len || memcmp(what.at, kinds[device], len) != 0) continue;
        PORCH_TRY(blank_all(j, device == 1, (porch_bytes){what.at + len, what.len - len}, &count, why));
        if (count == 0) return PORCH_OK;
        if (fdatasync(j->edit_fd) != 0) return io_error(why, "fdatasync");
        PORCH_TRY(begin(&line, "forget", now_ms));
        PORCH_TRY(number(&line, count));
        PORCH_TRY(porch_write_text(&line, "\n"));
        return append(j, porch_buf_bytes(&line), why);
    }
    return porch_fail(why, PORCH_ERR_MALFORMED, "only a device or an account can be forgotten");
}
