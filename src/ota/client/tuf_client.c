#include "ota/client/tuf_client.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "ota/client/tuf_client_room.h"
#include "ota/client/tuf_name.h"

/* ---- files in and out ---- */

static porch_err canonical(porch_tuf *t, porch_why *why) {
    return porch_tuf_json_canonical(porch_buf_bytes(&t->memory.raw), t->memory.scratch, &t->memory.work,
                                    why);
}

/* A file of the repository into memory.raw, no longer than `most`. */
static porch_err fetch(porch_tuf *t, const char *name, uint64_t most, porch_why *why) {
    porch_buf *raw = &t->memory.raw;
    porch_buf window = {raw->at, 0, most < raw->cap ? (size_t)most : raw->cap};
    raw->len = 0;
    PORCH_TRY(t->port->fetch(t->self, name, &window, why));
    raw->len = window.len;
    return PORCH_OK;
}

/* A stored file into memory.raw and, canonical, memory.work. One that is not there or not whole is
 * NOT_FOUND: it is fetched anew. */
static porch_err load(porch_tuf *t, const char *name) {
    porch_buf *raw = &t->memory.raw;
    porch_why unused;
    raw->len = 0;
    if (t->port->load(t->self, name, raw, &unused) != PORCH_OK || canonical(t, &unused) != PORCH_OK)
        return PORCH_ERR_NOT_FOUND;
    return PORCH_OK;
}

static porch_err store(porch_tuf *t, const char *name, porch_why *why) {
    return t->port->store(t->self, name, porch_buf_bytes(&t->memory.raw), why);
}

static porch_err keep(const porch_buf *from, porch_buf *to, const char *what, porch_why *why) {
    if (from->len > to->cap)
        return porch_fail(why, PORCH_ERR_LIMIT, "the %s metadata is longer than the %zu bytes for it", what,
                          to->cap);
    memcpy(to->at, from->at, from->len);
    to->len = from->len;
    return PORCH_OK;
}

/* "42.name.json" where versions stand in file names, else "name.json". */
static porch_err file_name(const char *role, uint64_t version, bool versioned,
                           char out[PORCH_TUF_FILE_BYTES], porch_why *why) {
    porch_buf b = {(uint8_t *)out, 0, PORCH_TUF_FILE_BYTES};
    char quoted[PORCH_TUF_FILE_BYTES];
    if (versioned) {
        PORCH_TRY(porch_write_decimal(&b, version));
        PORCH_TRY(porch_write_u8(&b, '.'));
    }
    if (!porch_tuf_quote(porch_bytes_of(role), true, quoted, sizeof quoted) ||
        porch_write_text(&b, quoted) != PORCH_OK || porch_write_text(&b, ".json") != PORCH_OK ||
        porch_write_u8(&b, 0) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_LIMIT, "a role's name is longer than %d bytes",
                          PORCH_TUF_NAME_BYTES);
    return PORCH_OK;
}

static porch_err freeze(const char *role, porch_why *why) {
    return porch_fail(
        why, PORCH_ERR_EXPIRED,
        "the repository's %s metadata has expired: its keepers must sign anew, or somebody holds back "
        "what they signed",
        role);
}

static porch_err older(const char *role, uint64_t version, uint64_t trusted, porch_why *why) {
    return porch_fail(why, PORCH_ERR_ROLLBACK,
                      "the %s metadata is of version %llu, and %llu was seen before", role,
                      (unsigned long long)version, (unsigned long long)trusted);
}

/* The trust in a top-level role that the trusted root sets. */
static porch_err root_trust(const porch_tuf *t, const char *role, porch_tuf_trust *ret, porch_why *why) {
    porch_tuf_header root;
    PORCH_TRY(porch_tuf_header_read(porch_buf_bytes(&t->memory.root), "root", &root, why));
    return porch_tuf_root_read(root.content, role, ret, why);
}

/* ---- freshness without a clock ---- */

/* The root's own word on who tells the time: "time": {keytype, scheme, keyval: {public}}. MALFORMED when it
 * is no Ed25519 key; *there false when it names none. */
static porch_err time_key(const porch_tuf *t, bool *there, uint8_t key[32], porch_why *why) {
    porch_tuf_header root;
    porch_bytes member, value, scheme, text;
    porch_buf raw = {key, 0, 32};
    PORCH_TRY(porch_tuf_header_read(porch_buf_bytes(&t->memory.root), "root", &root, why));
    *there = porch_tuf_json_member(root.content, "time", &member);
    if (!*there) return PORCH_OK;
    if (porch_tuf_json_plain(member, "scheme", &scheme) && porch_bytes_eq_text(scheme, "ed25519") &&
        porch_tuf_json_object(member, "keyval", &value) && porch_tuf_json_plain(value, "public", &text) &&
        porch_hex_read(&raw, text) == PORCH_OK && raw.len == 32)
        return PORCH_OK;
    return porch_fail(why, PORCH_ERR_MALFORMED, "the root's time key is no Ed25519 key");
}

static porch_err ask_fresh(porch_tuf *t, porch_why *why) {
    uint8_t key[32];
    bool there = false;
    t->vouched = false;
    if (t->port->fresh == NULL) return PORCH_OK;
    PORCH_TRY(time_key(t, &there, key, why));
    if (!there) return PORCH_OK;
    PORCH_TRY(t->port->fresh(t->self, key, &t->said, why));
    t->now_s = t->said.now_s;
    t->vouched = true;
    return PORCH_OK;
}

/* memory.raw: is it the timestamp that is vouched for? AGAIN when not. */
static porch_err check_fresh(const porch_tuf *t, porch_why *why) {
    uint8_t sha256[32];
    if (!t->vouched) return PORCH_OK;
    t->crypto->sha256(porch_buf_bytes(&t->memory.raw), sha256);
    if (t->said.has_timestamp && memcmp(sha256, t->said.timestamp, sizeof sha256) == 0) return PORCH_OK;
    return porch_fail(
        why, PORCH_ERR_AGAIN,
        "the timestamp metadata is not the newest that the signer vouches for: somebody holds "
        "back what was signed since");
}

/* ---- root: 5.2 and 5.3 ---- */

/* memory.work: is it a root, signed by a threshold of its own keys? */
static porch_err judge_root(const porch_tuf *t, porch_tuf_header *ret, porch_why *why) {
    porch_bytes doc = porch_buf_bytes(&t->memory.work);
    porch_tuf_trust own;
    PORCH_TRY(porch_tuf_header_read(doc, "root", ret, why));
    PORCH_TRY(porch_tuf_root_read(ret->content, "root", &own, why));
    return porch_tuf_signatures_check(t->crypto, doc, &own, why);
}

static porch_err set_root(porch_tuf *t, const porch_tuf_header *root, porch_why *why) {
    bool consistent = false;
    uint64_t version = root->version;
    (void)porch_tuf_json_bool(root->content, "consistent_snapshot", &consistent);
    PORCH_TRY(keep(&t->memory.work, &t->memory.root, "root", why));
    t->root_version = version;
    t->consistent = consistent;
    return PORCH_OK;
}

porch_err porch_tuf_init(porch_tuf *t, porch_bytes root, porch_why *why) {
    porch_tuf_header header;
    if (root.len > t->limits.root_bytes || root.len > t->memory.raw.cap)
        return porch_fail(why, PORCH_ERR_LIMIT, "the root metadata is longer than %zu bytes",
                          t->limits.root_bytes);
    memcpy(t->memory.raw.at, root.at, root.len);
    t->memory.raw.len = root.len;
    PORCH_TRY(canonical(t, why));
    PORCH_TRY(judge_root(t, &header, why));
    return store(t, "root.json", why);
}

static porch_err load_root(porch_tuf *t, porch_why *why) {
    porch_tuf_header header;
    porch_err e = t->port->load(t->self, "root.json", &t->memory.raw, why);
    if (e == PORCH_ERR_NOT_FOUND)
        return porch_fail(
            why, e, "there is no trusted root metadata; begin with the root that came with the product");
    PORCH_TRY(e);
    PORCH_TRY(canonical(t, why));
    PORCH_TRY(judge_root(t, &header, why));
    return set_root(t, &header, why);
}

/* 5.3.11: has a role lost a key on the way to the root in memory.work? Then what it signed may be a
 * fast-forward, and goes before the new root is stored: a power cut between the two costs one fetch, not
 * the recovery. */
static porch_err recover(porch_tuf *t, porch_bytes new_content, porch_why *why) {
    static const char *const roles[] = {"timestamp", "snapshot"};
    for (size_t i = 0; i < 2; i++) {
        porch_tuf_trust before, now;
        PORCH_TRY(root_trust(t, roles[i], &before, why));
        PORCH_TRY(porch_tuf_root_read(new_content, roles[i], &now, why));
        if (!porch_tuf_trust_lost_key(&before, &now)) continue;
        PORCH_TRY(t->port->drop(t->self, "timestamp.json", why));
        return t->port->drop(t->self, "snapshot.json", why);
    }
    return PORCH_OK;
}

static porch_err step_root(porch_tuf *t, bool *more, porch_why *why) {
    char name[PORCH_TUF_FILE_BYTES];
    porch_tuf_trust trusted;
    porch_tuf_header next;
    *more = false;
    PORCH_TRY(file_name("root", t->root_version + 1, true, name, why));
    porch_err e = fetch(t, name, t->limits.root_bytes, why);
    if (e == PORCH_ERR_NOT_FOUND) return PORCH_OK; /* 5.3.3: this is the newest */
    PORCH_TRY(e);
    PORCH_TRY(canonical(t, why));
    PORCH_TRY(root_trust(t, "root", &trusted, why));
    PORCH_TRY(
        porch_tuf_signatures_check(t->crypto, porch_buf_bytes(&t->memory.work), &trusted, why)); /* 5.3.4 */
    PORCH_TRY(judge_root(t, &next, why));
    if (next.version == t->root_version) return PORCH_OK; /* 5.3.5: discarded, no error */
    if (next.version < t->root_version) return older("root", next.version, t->root_version, why);
    if (next.version != t->root_version + 1)
        return porch_fail(why, PORCH_ERR_MALFORMED, "%s says that it is version %llu", name,
                          (unsigned long long)next.version);
    PORCH_TRY(recover(t, next.content, why));
    PORCH_TRY(store(t, "root.json", why)); /* 5.3.8 */
    *more = true;
    return set_root(t, &next, why);
}

static porch_err update_root(porch_tuf *t, porch_why *why) {
    porch_tuf_header root;
    bool more = true;
    for (unsigned i = 0; more && i < t->limits.root_steps; i++)
        PORCH_TRY(step_root(t, &more, why));
    PORCH_TRY(ask_fresh(t, why));
    PORCH_TRY(porch_tuf_header_read(porch_buf_bytes(&t->memory.root), "root", &root, why));
    return root.expires_s > t->now_s ? PORCH_OK : freeze("root", why); /* 5.3.10 */
}

/* ---- timestamp: 5.4 ---- */

typedef struct {
    porch_tuf_header header;
    porch_tuf_meta snapshot;
} timestamp;

/* memory.work: is it a timestamp, signed as the root wants? */
static porch_err judge_timestamp(const porch_tuf *t, timestamp *ret, porch_why *why) {
    porch_bytes doc = porch_buf_bytes(&t->memory.work);
    porch_tuf_trust trust;
    PORCH_TRY(root_trust(t, "timestamp", &trust, why));
    PORCH_TRY(porch_tuf_signatures_check(t->crypto, doc, &trust, why));
    PORCH_TRY(porch_tuf_header_read(doc, "timestamp", &ret->header, why));
    return porch_tuf_meta_read(ret->header.content, PORCH_LIT("snapshot.json"), &ret->snapshot, why);
}

static porch_err update_timestamp(porch_tuf *t, porch_why *why) {
    timestamp old = {0}, new = {0};
    porch_why unused;
    bool has_old = load(t, "timestamp.json") == PORCH_OK && judge_timestamp(t, &old, &unused) == PORCH_OK;
    PORCH_TRY(fetch(t, "timestamp.json", t->limits.timestamp_bytes, why));
    PORCH_TRY(check_fresh(t, why));
    PORCH_TRY(canonical(t, why));
    PORCH_TRY(judge_timestamp(t, &new, why));
    if (has_old && new.header.version < old.header.version)
        return older("timestamp", new.header.version, old.header.version, why);
    if (has_old && new.header.version == old.header.version) { /* 5.4.3.1: the one that is trusted stays */
        t->snapshot_meta = old.snapshot;
        return old.header.expires_s > t->now_s ? PORCH_OK : freeze("timestamp", why);
    }
    if (has_old && new.snapshot.version < old.snapshot.version)
        return older("snapshot", new.snapshot.version, old.snapshot.version, why);
    if (new.header.expires_s <= t->now_s) return freeze("timestamp", why);
    t->snapshot_meta = new.snapshot;
    return store(t, "timestamp.json", why);
}

/* ---- snapshot: 5.5 ---- */

static porch_err wrong_bytes(const char *role, porch_why *why) {
    return porch_fail(
        why, PORCH_ERR_HASH,
        "the %s metadata has not the length or hash that was announced: files of different times are "
        "mixed, or somebody changed it",
        role);
}

static bool as_announced(const porch_tuf *t, const porch_tuf_meta *meta) {
    porch_bytes raw = porch_buf_bytes(&t->memory.raw);
    return (!meta->has_length || raw.len == meta->length) &&
           porch_tuf_hashes_fit(t->crypto, &meta->hashes, raw);
}

static uint64_t most_bytes(const porch_tuf_meta *meta, size_t limit) {
    return meta->has_length && meta->length < limit ? meta->length : limit;
}

static porch_err judge_snapshot(const porch_tuf *t, porch_tuf_header *ret, porch_why *why) {
    porch_bytes doc = porch_buf_bytes(&t->memory.work);
    porch_tuf_trust trust;
    PORCH_TRY(root_trust(t, "snapshot", &trust, why));
    PORCH_TRY(porch_tuf_signatures_check(t->crypto, doc, &trust, why));
    return porch_tuf_header_read(doc, "snapshot", ret, why);
}

static bool version_of(porch_bytes meta, uint64_t *ret) {
    return porch_tuf_json_number(meta, "version", ret) && *ret > 0;
}

/* 5.5.5: every file that was listed still is, and none is older. Both lists stand in the same order. */
static porch_err compare_snapshots(porch_bytes old_content, porch_bytes new_content, porch_why *why) {
    porch_bytes old_meta, new_meta, old_name, new_name, old_value, new_value;
    if (!porch_tuf_json_object(new_content, "meta", &new_meta))
        return porch_fail(why, PORCH_ERR_MALFORMED, "the snapshot metadata lists no files");
    if (!porch_tuf_json_object(old_content, "meta", &old_meta)) return PORCH_OK;
    porch_tuf_json_walk a = porch_tuf_json_open(old_meta), b = porch_tuf_json_open(new_meta);
    while (porch_tuf_json_next(&a, &old_name, &old_value)) {
        uint64_t old_version = 0, new_version = 0;
        int order = 1;
        while (order > 0 && porch_tuf_json_next(&b, &new_name, &new_value))
            order = porch_tuf_json_compare(old_name, new_name);
        if (order != 0)
            return porch_fail(why, PORCH_ERR_ROLLBACK,
                              "the new snapshot leaves out %.*s, which the old one names",
                              (int)(old_name.len < 128 ? old_name.len : 128), (const char *)old_name.at);
        if (version_of(old_value, &old_version) &&
            (!version_of(new_value, &new_version) || new_version < old_version))
            return porch_fail(
                why, PORCH_ERR_ROLLBACK, "the new snapshot names version %llu of %.*s, the old one %llu",
                (unsigned long long)new_version, (int)(old_name.len < 128 ? old_name.len : 128),
                (const char *)old_name.at, (unsigned long long)old_version);
    }
    return PORCH_OK;
}

static porch_err update_snapshot(porch_tuf *t, porch_why *why) {
    const porch_tuf_meta *meta = &t->snapshot_meta;
    char name[PORCH_TUF_FILE_BYTES];
    porch_tuf_header old = {0}, new = {0};
    porch_why unused;
    bool has_old = load(t, "snapshot.json") == PORCH_OK && judge_snapshot(t, &old, &unused) == PORCH_OK &&
                   keep(&t->memory.work, &t->memory.snapshot, "snapshot", &unused) == PORCH_OK;
    if (has_old && old.version == meta->version && old.expires_s > t->now_s && as_announced(t, meta))
        return PORCH_OK;
    PORCH_TRY(file_name("snapshot", meta->version, t->consistent, name, why));
    PORCH_TRY(fetch(t, name, most_bytes(meta, t->limits.snapshot_bytes), why));
    if (!as_announced(t, meta)) return wrong_bytes("snapshot", why); /* 5.5.2 */
    PORCH_TRY(canonical(t, why));
    PORCH_TRY(judge_snapshot(t, &new, why)); /* 5.5.3 */
    if (new.version != meta->version)
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "the timestamp announces snapshot %llu, and this is %llu",
                          (unsigned long long)meta->version, (unsigned long long)new.version);
    if (has_old) {
        PORCH_TRY(porch_tuf_header_read(porch_buf_bytes(&t->memory.snapshot), "snapshot", &old, why));
        PORCH_TRY(compare_snapshots(old.content, new.content, why));
    }
    if (new.expires_s <= t->now_s) return freeze("snapshot", why); /* 5.5.6 */
    PORCH_TRY(store(t, "snapshot.json", why));
    return keep(&t->memory.work, &t->memory.snapshot, "snapshot", why);
}

/* ---- targets: 5.6.1 to 5.6.6, for the top-level role and for delegated ones ---- */

static porch_err announced(const porch_tuf *t, const char *role, porch_tuf_meta *ret, porch_why *why) {
    char name[PORCH_TUF_NAME_BYTES + 6];
    porch_tuf_header snapshot;
    int len = snprintf(name, sizeof name, "%s.json", role);
    if (len < 0 || (size_t)len >= sizeof name)
        return porch_fail(why, PORCH_ERR_LIMIT, "a role's name is longer than %d bytes",
                          PORCH_TUF_NAME_BYTES);
    PORCH_TRY(porch_tuf_header_read(porch_buf_bytes(&t->memory.snapshot), "snapshot", &snapshot, why));
    return porch_tuf_meta_read(snapshot.content, porch_bytes_of(name), ret, why);
}

/* memory.work, whose bytes were as announced: signed, of that version, and not expired? */
static porch_err judge_targets(const porch_tuf *t, const char *role, const porch_tuf_trust *trust,
                               const porch_tuf_meta *meta, porch_why *why) {
    porch_bytes doc = porch_buf_bytes(&t->memory.work);
    porch_tuf_header header;
    PORCH_TRY(porch_tuf_signatures_check(t->crypto, doc, trust, why));
    PORCH_TRY(porch_tuf_header_read(doc, "targets", &header, why));
    if (header.version != meta->version)
        return porch_fail(why, PORCH_ERR_MALFORMED, "the snapshot announces %.64s %llu, and this is %llu",
                          role, (unsigned long long)meta->version, (unsigned long long)header.version);
    return header.expires_s > t->now_s ? PORCH_OK : freeze(role, why);
}

porch_err porch_tuf_take_targets(porch_tuf *t, const char *role, const porch_tuf_trust *trust,
                                 uint8_t sha256[32], porch_why *why) {
    char stored[PORCH_TUF_FILE_BYTES], name[PORCH_TUF_FILE_BYTES];
    porch_tuf_meta meta;
    porch_why unused;
    PORCH_TRY(announced(t, role, &meta, why));
    PORCH_TRY(file_name(role, meta.version, false, stored, why));
    PORCH_TRY(file_name(role, meta.version, t->consistent, name, why));
    bool local = load(t, stored) == PORCH_OK && as_announced(t, &meta) &&
                 judge_targets(t, role, trust, &meta, &unused) == PORCH_OK;
    if (!local) {
        PORCH_TRY(fetch(t, name, most_bytes(&meta, t->limits.targets_bytes), why));
        if (!as_announced(t, &meta)) return wrong_bytes(role, why);
        PORCH_TRY(canonical(t, why));
        PORCH_TRY(judge_targets(t, role, trust, &meta, why));
        PORCH_TRY(store(t, stored, why));
    }
    t->crypto->sha256(porch_buf_bytes(&t->memory.raw), sha256);
    return keep(&t->memory.work, &t->memory.targets, role, why);
}

porch_err porch_tuf_retake_targets(porch_tuf *t, const char *role, const uint8_t sha256[32],
                                   porch_why *why) {
    char stored[PORCH_TUF_FILE_BYTES];
    uint8_t now[32];
    PORCH_TRY(file_name(role, 0, false, stored, why));
    PORCH_TRY(load(t, stored));
    t->crypto->sha256(porch_buf_bytes(&t->memory.raw), now);
    if (memcmp(now, sha256, sizeof now) != 0)
        return porch_fail(why, PORCH_ERR_HASH, "the stored metadata of %.64s changed during the search",
                          role);
    return keep(&t->memory.work, &t->memory.targets, role, why);
}

porch_err porch_tuf_refresh(porch_tuf *t, porch_why *why) {
    porch_tuf_trust trust;
    t->fresh = false;
    PORCH_TRY(load_root(t, why));
    PORCH_TRY(update_root(t, why));
    porch_err e = update_timestamp(t, why);
    if (e == PORCH_ERR_AGAIN && t->vouched) { /* signed anew between the two questions: once more */
        PORCH_TRY(ask_fresh(t, why));
        e = update_timestamp(t, why);
        if (e == PORCH_ERR_AGAIN) e = PORCH_ERR_EXPIRED;
    }
    PORCH_TRY(e);
    PORCH_TRY(update_snapshot(t, why));
    PORCH_TRY(root_trust(t, "targets", &trust, why));
    if (t->memory.step_cap == 0)
        return porch_fail(why, PORCH_ERR_NO_SPACE, "there is no room for a role's step");
    t->memory.steps[0] = (porch_tuf_step){.name = "targets"};
    PORCH_TRY(porch_tuf_take_targets(t, "targets", &trust, t->memory.steps[0].sha256, why));
    t->held = 0;
    t->fresh = true;
    return PORCH_OK;
}
