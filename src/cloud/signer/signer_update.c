/* Snapshot and timestamp of the hub's update repository (The Update Framework 1.0.34, sections 4.4
 * and 4.5). The signer writes both files itself, from names, versions, lengths and hashes; it remembers in
 * its journal the versions that it has put its name to, and none of them ever falls. Its two keys are
 * Ed25519, derived from the sealing key like that of the trust log: there under every seal, back with a
 * backup. They say what is newest; they cannot make a device install anything that targets or a product did
 * not sign. */
#include "cloud/signer/signer_room.h"

#include <stdio.h>
#include <string.h>

#include "base/cursor.h"
#include "base/text.h"
#include "cloud/signer/signer_update_ipc.h"
#include "crypto/sha256.h"
#include "os/clock.h"

enum { HOUR_MS = 3600000, KEY_TEXT = 160 };

/* One request raises no version by more: wide enough for versions that are seconds since 1970, too narrow
 * for a hub that was taken over to use up the numbers that clients read. */
#define STEP_MOST UINT64_C(10000000000)

porch_err porch_signer_update_keys(const uint8_t seal_key[PORCH_SIGNER_SEAL_KEY_BYTES],
                                   porch_signer_updates *u, porch_why *why) {
    PORCH_TRY(
        porch_signer_derive_key(seal_key, PORCH_LIT("porchlight update snapshot 1"), &u->snapshot, why));
    return porch_signer_derive_key(seal_key, PORCH_LIT("porchlight update timestamp 1"), &u->timestamp,
                                   why);
}

porch_err porch_signer_update_remember(porch_signer_updates *u, porch_bytes name, uint64_t version) {
    size_t i = 0;
    while (i < u->count && !porch_bytes_eq_text(name, u->roles[i].name))
        i++;
    if (i == PORCH_SIGNER_UPDATE_REMEMBERED) return PORCH_ERR_LIMIT;
    if (i == u->count) {
        if (!porch_bytes_to_text(name, u->roles[i].name, sizeof u->roles[i].name))
            return PORCH_ERR_MALFORMED;
        u->roles[i].version = 0;
        u->count++;
    }
    if (version < u->roles[i].version) return PORCH_ERR_ROLLBACK;
    u->roles[i].version = version;
    return PORCH_OK;
}

static uint64_t remembered(const porch_signer_updates *u, porch_bytes name) {
    for (size_t i = 0; i < u->count; i++)
        if (porch_bytes_eq_text(name, u->roles[i].name)) return u->roles[i].version;
    return 0;
}

static porch_err public_hex(const porch_key *key, char out[65], porch_why *why) {
    porch_public_key own;
    porch_buf hex = {(uint8_t *)out, 0, 64};
    PORCH_TRY(porch_key_public(key, &own, why));
    if (own.len < 32) return PORCH_ERR_INTERNAL;
    PORCH_TRY(porch_hex_write(&hex, (porch_bytes){own.der + own.len - 32, 32}));
    out[hex.len] = '\0';
    return PORCH_OK;
}

porch_err porch_signer_do_update_keys(porch_signer *s, porch_buf *data, porch_why *why) {
    char hex[65];
    PORCH_TRY(public_hex(s->updates.snapshot, hex, why));
    PORCH_TRY(porch_write_text(data, hex));
    PORCH_TRY(public_hex(s->updates.timestamp, hex, why));
    return porch_write_text(data, hex);
}

/* {"signatures":[{"keyid":...,"sig":...}],"signed":CONTENT}; the key's id is the SHA-256 of its canonical
 * form. */
static porch_err sign(const porch_key *key, porch_bytes content, porch_buf *out, porch_why *why) {
    char public[65], text[KEY_TEXT];
    uint8_t id[32], block[PORCH_SIGNATURE_MAX_BYTES];
    porch_buf signature = PORCH_BUF_OF(block);
    PORCH_TRY(public_hex(key, public, why));
    int n =
        snprintf(text, sizeof text,
                 "{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"%s\"},\"scheme\":\"ed25519\"}", public);
    if (n <= 0 || (size_t)n >= sizeof text) return PORCH_ERR_INTERNAL;
    porch_sha256((porch_bytes){(const uint8_t *)text, (size_t)n}, id);
    PORCH_TRY(porch_key_sign(key, PORCH_SIGN_ED25519, content, &signature, why));
    PORCH_TRY(porch_write_text(out, "{\"signatures\":[{\"keyid\":\""));
    PORCH_TRY(porch_hex_write(out, (porch_bytes){id, sizeof id}));
    PORCH_TRY(porch_write_text(out, "\",\"sig\":\""));
    PORCH_TRY(porch_hex_write(out, porch_buf_bytes(&signature)));
    PORCH_TRY(porch_write_text(out, "\"}],\"signed\":"));
    PORCH_TRY(porch_write_bytes(out, content));
    return porch_write_text(out, "}");
}

static porch_err write_head(porch_buf *b, const char *type, uint64_t ends_ms) {
    char ends[PORCH_CLOCK_TEXT_BYTES];
    porch_clock_rfc3339(ends_ms, ends);
    (void)snprintf(ends + 19, sizeof ends - 19, "Z"); /* whole seconds */
    PORCH_TRY(porch_write_text(b, "{\"_type\":\""));
    PORCH_TRY(porch_write_text(b, type));
    PORCH_TRY(porch_write_text(b, "\",\"expires\":\""));
    PORCH_TRY(porch_write_text(b, ends));
    return porch_write_text(b, "\",\"meta\":{");
}

static porch_err write_row(porch_buf *b, bool first, const porch_signer_update_row *row) {
    PORCH_TRY(porch_write_text(b, first ? "\"" : ",\""));
    PORCH_TRY(porch_write_bytes(b, row->name));
    PORCH_TRY(porch_write_text(b, "\":{\"hashes\":{\"sha256\":\""));
    PORCH_TRY(porch_hex_write(b, (porch_bytes){row->sha256, 32}));
    PORCH_TRY(porch_write_text(b, "\"},\"length\":"));
    PORCH_TRY(porch_write_decimal(b, row->length));
    PORCH_TRY(porch_write_text(b, ",\"version\":"));
    PORCH_TRY(porch_write_decimal(b, row->version));
    return porch_write_text(b, "}");
}

static porch_err write_end(porch_buf *b, uint64_t version) {
    PORCH_TRY(porch_write_text(b, "},\"spec_version\":\"1.0.34\",\"version\":"));
    PORCH_TRY(porch_write_decimal(b, version));
    return porch_write_text(b, "}");
}

/* Canonical JSON: members in the order of their names, which the rows are in already. */
static porch_err write_file(const porch_key *key, const char *type, const porch_signer_update_row *rows,
                            size_t count, uint64_t version, uint64_t ends_ms, porch_buf *out,
                            porch_why *why) {
    uint8_t block[PORCH_SIGNER_UPDATE_TEXT];
    porch_buf content = PORCH_BUF_OF(block);
    PORCH_TRY(write_head(&content, type, ends_ms));
    for (size_t i = 0; i < count; i++)
        PORCH_TRY(write_row(&content, i == 0, &rows[i]));
    PORCH_TRY(write_end(&content, version));
    return sign(key, porch_buf_bytes(&content), out, why);
}

static bool too_far(uint64_t known, uint64_t wanted) {
    return wanted > known && wanted - known > STEP_MOST;
}

/* Above all that came before, and not below the seconds since 1970: what the journal has forgotten, because
 * it was restored from a backup, was announced earlier than that, and devices hold on to the highest number
 * that they saw. The clock is one that is believed; a wild one that somebody confirmed uses up no numbers.
 */
static uint64_t next_version(uint64_t known, uint64_t least, uint64_t now_ms) {
    uint64_t next = 1 + (least > known ? least : known), now_s = now_ms / 1000;
    return now_s > next && !too_far(known, now_s) ? now_s : next;
}

static porch_err judge(const porch_signer_updates *u, const porch_signer_update *in, porch_why *why) {
    bool leaps = too_far(u->snapshot_version, in->least_snapshot) ||
                 too_far(u->timestamp_version, in->least_timestamp);
    for (size_t i = 0; i < in->count; i++)
        leaps |= too_far(remembered(u, in->rows[i].name), in->rows[i].version);
    if (leaps || u->snapshot_version >= PORCH_SIGNER_UPDATE_NUMBER_MOST ||
        u->timestamp_version >= PORCH_SIGNER_UPDATE_NUMBER_MOST)
        return porch_fail(
            why, PORCH_ERR_LIMIT,
            "a version of the update repository lies more than %llu above the last one that was "
            "announced: give the role a version near that",
            (unsigned long long)STEP_MOST);
    for (size_t i = 0; i < in->count; i++) {
        uint64_t known = remembered(u, in->rows[i].name);
        if (in->rows[i].version < known)
            return porch_fail(why, PORCH_ERR_ROLLBACK,
                              "the signer has announced version %llu of %.*s and announces no older one",
                              (unsigned long long)known, PORCH_FMT(in->rows[i].name));
    }
    for (size_t i = 0; i < u->count; i++) {
        bool there = false;
        for (size_t k = 0; k < in->count && !there; k++)
            there = porch_bytes_eq_text(in->rows[k].name, u->roles[i].name);
        /* A role that was announced stays in every later snapshot (5.5.5), or clients refuse it. */
        if (!there)
            return porch_fail(why, PORCH_ERR_ROLLBACK, "%s was announced before and is missing now",
                              u->roles[i].name);
    }
    return PORCH_OK;
}

/* On disk before anything is signed. */
static porch_err remember(porch_signer *s, const porch_signer_update *in, uint64_t snapshot,
                          uint64_t timestamp, uint64_t now_ms, porch_why *why) {
    for (size_t i = 0; i < in->count; i++) {
        const porch_signer_update_row *row = &in->rows[i];
        if (remembered(&s->updates, row->name) == row->version) continue;
        PORCH_TRY(porch_signer_journal_role(&s->journal, now_ms, row->name, row->version, why));
        PORCH_TRY(porch_signer_update_remember(&s->updates, row->name, row->version));
    }
    PORCH_TRY(porch_signer_journal_update(&s->journal, now_ms, snapshot, timestamp, why));
    s->updates.snapshot_version = snapshot;
    s->updates.timestamp_version = timestamp;
    return PORCH_OK;
}

porch_err porch_signer_do_update_sign(porch_signer *s, const porch_signer_request *r, porch_signer_now now,
                                      porch_buf *data, porch_why *why) {
    uint8_t snapshot_block[PORCH_SIGNER_UPDATE_TEXT], timestamp_block[1024];
    porch_buf snapshot = PORCH_BUF_OF(snapshot_block), timestamp = PORCH_BUF_OF(timestamp_block);
    porch_signer_update in;
    uint64_t wait_ms = 0;
    if (porch_signer_update_read(r->data, &in) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "a snapshot lists 1 to %d roles by name, version, length and hash, in order",
                          PORCH_SIGNER_UPDATE_ROLES);
    PORCH_TRY(judge(&s->updates, &in, why));
    if (!porch_signer_rate_take(&s->update_rate, now.mono_ms, &wait_ms))
        return porch_fail(why, PORCH_ERR_BUSY,
                          "too many snapshots; try again in %llu ms (signer.updates_per_minute)",
                          (unsigned long long)wait_ms);
    /* What it says of its end must not lie years ahead: until then it could be shown again. */
    PORCH_TRY(porch_signer_clock_tell(s, now, why));
    porch_signer_updated out = {
        .snapshot_version = next_version(s->updates.snapshot_version, in.least_snapshot, now.wall_ms),
        .timestamp_version = next_version(s->updates.timestamp_version, in.least_timestamp, now.wall_ms)};
    PORCH_TRY(remember(s, &in, out.snapshot_version, out.timestamp_version, now.wall_ms, why));
    PORCH_TRY(write_file(s->updates.snapshot, "snapshot", in.rows, in.count, out.snapshot_version,
                         now.wall_ms + s->settings.ota_snapshot_hours * (uint64_t)HOUR_MS, &snapshot, why));
    porch_signer_update_row row = {
        .name = PORCH_LIT("snapshot.json"), .version = out.snapshot_version, .length = snapshot.len};
    porch_sha256(porch_buf_bytes(&snapshot), row.sha256);
    PORCH_TRY(write_file(s->updates.timestamp, "timestamp", &row, 1, out.timestamp_version,
                         now.wall_ms + s->settings.ota_timestamp_hours * (uint64_t)HOUR_MS, &timestamp,
                         why));
    out.snapshot = porch_buf_bytes(&snapshot);
    out.timestamp = porch_buf_bytes(&timestamp);
    return porch_signer_updated_write(data, &out);
}
