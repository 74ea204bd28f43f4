#include "cli/backup_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cursor.h"
#include "crypto/aead.h"
#include "crypto/random.h"
#include "crypto/sha256.h"

#define MAGIC "porchbk1"
#define INFO  PORCH_LIT("porchlight backup stream key 1")
#define LAST  0x80000000u

enum {
    MAGIC_BYTES = 8,
    BOXED_BYTES = PORCH_AEAD_KEY_BYTES + PORCH_BOX_EXTRA_BYTES,
    HEAD_BYTES = MAGIC_BYTES + PORCH_BOX_PUBLIC_BYTES + BOXED_BYTES,
    SEALED_BYTES = PORCH_BACKUP_CHUNK_BYTES + PORCH_AEAD_TAG_BYTES,
    AAD_BYTES = PORCH_SHA256_BYTES + 8 + 4,
};

/* What both sides keep. */
typedef struct {
    int fd;
    porch_aead *aead;
    uint8_t head_hash[PORCH_SHA256_BYTES];
    uint64_t number; /* of the next chunk */
} stream;

struct porch_backup_writer {
    stream s;
    size_t filled;
    uint8_t plain[PORCH_BACKUP_CHUNK_BYTES];
    uint8_t sealed[4 + SEALED_BYTES];
};

struct porch_backup_reader {
    stream s;
    bool last; /* the chunk in `plain` is the stream's last */
    size_t filled, taken;
    uint8_t plain[PORCH_BACKUP_CHUNK_BYTES];
    uint8_t sealed[SEALED_BYTES];
};

/* ---- the file ----------------------------------------------------------------------------------- */

static porch_err write_all(int fd, const uint8_t *at, size_t len, porch_why *why) {
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return porch_fail(why, errno == ENOSPC ? PORCH_ERR_FULL : PORCH_ERR_IO,
                              "the backup cannot be written: %s", strerror(errno));
        at += n;
        len -= (size_t)n;
    }
    return PORCH_OK;
}

static porch_err read_all(int fd, uint8_t *at, size_t len, porch_why *why) {
    while (len > 0) {
        ssize_t n = read(fd, at, len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return porch_fail(why, PORCH_ERR_IO, "the backup cannot be read: %s", strerror(errno));
        if (n == 0)
            return porch_fail(why, PORCH_ERR_TRUNCATED, "the backup ends too early: it was cut off");
        at += n;
        len -= (size_t)n;
    }
    return PORCH_OK;
}

static void chunk_words(const stream *s, uint32_t word, uint8_t nonce[PORCH_AEAD_NONCE_BYTES],
                        uint8_t aad[AAD_BYTES]) {
    porch_buf n = {nonce, 0, PORCH_AEAD_NONCE_BYTES}, a = {aad, 0, AAD_BYTES};
    (void)porch_write_u32(&n, 0);
    (void)porch_write_u64(&n, s->number); /* the key is this stream's own: a counter never repeats */
    (void)porch_write_bytes(&a, (porch_bytes){s->head_hash, sizeof s->head_hash});
    (void)porch_write_u64(&a, s->number);
    (void)porch_write_u32(&a, word);
}

/* ---- writing ------------------------------------------------------------------------------------ */

porch_err porch_backup_writer_new(int fd, const uint8_t recovery[PORCH_BOX_PUBLIC_BYTES],
                                  porch_backup_writer **ret, porch_why *why) {
    uint8_t key[PORCH_AEAD_KEY_BYTES], block[HEAD_BYTES];
    porch_buf head = PORCH_BUF_OF(block);
    porch_random(key, sizeof key);
    (void)porch_write_text(&head, MAGIC);
    (void)porch_write_bytes(&head, (porch_bytes){recovery, PORCH_BOX_PUBLIC_BYTES});
    porch_backup_writer *w = NULL;
    porch_err e = porch_box_seal(recovery, INFO, (porch_bytes){key, sizeof key}, &head, why);
    if (e == PORCH_OK) e = write_all(fd, block, head.len, why);
    if (e == PORCH_OK) w = calloc(1, sizeof *w);
    if (w != NULL) {
        w->s.fd = fd;
        w->s.aead = porch_aead_new(key);
        porch_sha256(porch_buf_bytes(&head), w->s.head_hash);
        *ret = w;
    } else if (e == PORCH_OK) {
        e = porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the backup");
    }
    porch_wipe(key, sizeof key);
    return e;
}

static porch_err send_chunk(porch_backup_writer *w, bool last, porch_why *why) {
    uint8_t nonce[PORCH_AEAD_NONCE_BYTES], aad[AAD_BYTES];
    uint32_t word = (uint32_t)w->filled | (last ? LAST : 0);
    chunk_words(&w->s, word, nonce, aad);
    porch_buf out = PORCH_BUF_OF(w->sealed);
    (void)porch_write_u32(&out, word);
    PORCH_TRY(porch_aead_seal_with(w->s.aead, nonce, (porch_bytes){aad, sizeof aad},
                                   (porch_bytes){w->plain, w->filled}, &out));
    w->s.number++;
    w->filled = 0;
    return write_all(w->s.fd, w->sealed, out.len, why);
}

porch_err porch_backup_write(porch_backup_writer *w, porch_bytes bytes, porch_why *why) {
    while (bytes.len > 0) {
        if (w->filled == sizeof w->plain) PORCH_TRY(send_chunk(w, false, why));
        size_t room = sizeof w->plain - w->filled;
        size_t n = bytes.len < room ? bytes.len : room;
        memcpy(w->plain + w->filled, bytes.at, n);
        w->filled += n;
        bytes.at += n;
        bytes.len -= n;
    }
    return PORCH_OK;
}

porch_err porch_backup_finish(porch_backup_writer *w, porch_why *why) {
    return send_chunk(w, true, why);
}

void porch_backup_writer_free(porch_backup_writer *w) {
    if (w == NULL) return;
    porch_aead_free(w->s.aead);
    porch_wipe(w->plain, sizeof w->plain);
    free(w);
}

/* ---- reading ------------------------------------------------------------------------------------ */

static porch_err open_head(porch_bytes head, const uint8_t secret[PORCH_BOX_SECRET_BYTES],
                           uint8_t key[PORCH_AEAD_KEY_BYTES], porch_why *why) {
    porch_reader r = porch_reader_of(head);
    porch_bytes magic, made_for;
    PORCH_TRY(porch_read_bytes(&r, MAGIC_BYTES, &magic));
    PORCH_TRY(porch_read_bytes(&r, PORCH_BOX_PUBLIC_BYTES, &made_for));
    if (!porch_bytes_starts(magic, PORCH_LIT("porchbk")))
        return porch_fail(why, PORCH_ERR_MALFORMED, "this is not a backup of a hub");
    if (!porch_bytes_eq_text(magic, MAGIC))
        return porch_fail(why, PORCH_ERR_UNSUPPORTED,
                          "this backup was made by another version of the program; use that one");
    porch_buf out = {key, 0, PORCH_AEAD_KEY_BYTES};
    porch_err e = porch_box_open(secret, INFO, r.rest, &out, why);
    if (e == PORCH_ERR_SIGNATURE || (e == PORCH_OK && out.len != PORCH_AEAD_KEY_BYTES))
        return porch_fail(why, PORCH_ERR_AUTH, "this recovery key does not open this backup");
    return e;
}

porch_err porch_backup_reader_new(int fd, const uint8_t secret[PORCH_BOX_SECRET_BYTES],
                                  porch_backup_reader **ret, porch_why *why) {
    uint8_t key[PORCH_AEAD_KEY_BYTES] = {0}, head[HEAD_BYTES];
    porch_backup_reader *r = NULL;
    porch_err e = read_all(fd, head, sizeof head, why);
    if (e == PORCH_ERR_TRUNCATED) e = porch_fail(why, PORCH_ERR_MALFORMED, "this is not a backup of a hub");
    if (e == PORCH_OK) e = open_head((porch_bytes){head, sizeof head}, secret, key, why);
    if (e == PORCH_OK) r = calloc(1, sizeof *r);
    if (r != NULL) {
        r->s.fd = fd;
        r->s.aead = porch_aead_new(key);
        porch_sha256((porch_bytes){head, sizeof head}, r->s.head_hash);
        *ret = r;
    } else if (e == PORCH_OK) {
        e = porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the backup");
    }
    porch_wipe(key, sizeof key);
    return e;
}

static porch_err next_chunk(porch_backup_reader *r, porch_why *why) {
    uint8_t raw[4], nonce[PORCH_AEAD_NONCE_BYTES], aad[AAD_BYTES];
    uint32_t word = 0;
    if (r->last) return porch_fail(why, PORCH_ERR_TRUNCATED, "the backup holds less than it says");
    PORCH_TRY(read_all(r->s.fd, raw, sizeof raw, why));
    porch_reader words = porch_reader_of((porch_bytes){raw, sizeof raw});
    PORCH_TRY(porch_read_u32(&words, &word));
    size_t len = word & ~LAST;
    if (len > PORCH_BACKUP_CHUNK_BYTES)
        return porch_fail(why, PORCH_ERR_SIGNATURE, "the backup was changed");
    PORCH_TRY(read_all(r->s.fd, r->sealed, len + PORCH_AEAD_TAG_BYTES, why));
    chunk_words(&r->s, word, nonce, aad);
    porch_buf out = PORCH_BUF_OF(r->plain);
    if (porch_aead_open_with(r->s.aead, nonce, (porch_bytes){aad, sizeof aad},
                             (porch_bytes){r->sealed, len + PORCH_AEAD_TAG_BYTES}, &out) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_SIGNATURE,
                          "the backup was changed: piece %llu does not fit its seal",
                          (unsigned long long)r->s.number);
    r->s.number++;
    r->last = (word & LAST) != 0;
    r->filled = out.len;
    r->taken = 0;
    return PORCH_OK;
}

porch_err porch_backup_read(porch_backup_reader *r, void *at, size_t len, porch_why *why) {
    uint8_t *to = at;
    while (len > 0) {
        if (r->taken == r->filled) {
            PORCH_TRY(next_chunk(r, why));
            continue;
        }
        size_t n = r->filled - r->taken < len ? r->filled - r->taken : len;
        memcpy(to, r->plain + r->taken, n);
        r->taken += n;
        to += n;
        len -= n;
    }
    return PORCH_OK;
}

porch_err porch_backup_at_end(porch_backup_reader *r, porch_why *why) {
    uint8_t more;
    if (r->taken == r->filled && !r->last) PORCH_TRY(next_chunk(r, why));
    if (r->taken != r->filled || !r->last || read(r->s.fd, &more, 1) != 0)
        return porch_fail(why, PORCH_ERR_SIGNATURE,
                          "something stands behind the backup's end: it was changed");
    return PORCH_OK;
}

void porch_backup_reader_free(porch_backup_reader *r) {
    if (r == NULL) return;
    porch_aead_free(r->s.aead);
    porch_wipe(r->plain, sizeof r->plain);
    free(r);
}
