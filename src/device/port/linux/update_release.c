#include "device/port/linux/update_release.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/random.h"
#include "device/port/linux/device_private.h"
#include "os/file.h"
#include "ota/port/linux/tuf_memory.h"
#include "wire/signed_time.h"

enum { PATH_BYTES = 4096, ROOT_MOST = 512 * 1024 };

static const char metadata_at[] = "/api/v1/device/updates/metadata/",
                  targets_at[] = "/api/v1/device/updates/targets/";

static porch_err take_piece(void *ctx, porch_bytes piece, porch_why *why) {
    porch_buf *out = ctx;
    if (piece.len > out->cap - out->len)
        return porch_fail(why, PORCH_ERR_LIMIT, "the hub sends more than the %zu bytes that may come",
                          out->cap);
    memcpy(out->at + out->len, piece.at, piece.len);
    out->len += piece.len;
    return PORCH_OK;
}

static porch_err on_fetch(void *self, const char *name, porch_buf *out, porch_why *why) {
    porch_update_repository *u = self;
    char path[PORCH_UPDATE_NAME_BYTES];
    out->len = 0;
    int n = snprintf(path, sizeof path, "%s%s", metadata_at, name);
    if (n < 0 || (size_t)n >= sizeof path)
        return porch_fail(why, PORCH_ERR_LIMIT, "a role's name is too long");
    porch_err e = porch_update_fetch_get(u->fetch, path, 0, take_piece, out, why);
    u->fetched += out->len;
    return e;
}

static porch_err on_load(void *self, const char *name, porch_buf *out, porch_why *why) {
    return porch_tuf_folder_load(((porch_update_repository *)self)->folder, name, out, why);
}

static porch_err on_store(void *self, const char *name, porch_bytes bytes, porch_why *why) {
    return porch_tuf_folder_store(((porch_update_repository *)self)->folder, name, bytes, why);
}

static porch_err on_drop(void *self, const char *name, porch_why *why) {
    return porch_tuf_folder_drop(((porch_update_repository *)self)->folder, name, why);
}

/* The hub's signed time, by the key that the root names, to a question of our own. */
static porch_err on_fresh(void *self, const uint8_t key[32], porch_tuf_fresh *ret, porch_why *why) {
    porch_update_repository *u = self;
    char path[sizeof PORCH_SIGNED_TIME_PATH + 80] = PORCH_SIGNED_TIME_PATH "?nonce=";
    uint8_t nonce[PORCH_SIGNED_TIME_NONCE_BYTES], block[PORCH_SIGNED_TIME_BYTES];
    porch_buf name = {(uint8_t *)path, strlen(path), sizeof path - 1}, answer = PORCH_BUF_OF(block);
    porch_signed_time t;
    porch_random(nonce, sizeof nonce);
    PORCH_TRY(porch_hex_write(&name, (porch_bytes){nonce, sizeof nonce}));
    path[name.len] = '\0';
    porch_err e = porch_update_fetch_get(u->fetch, path, 0, take_piece, &answer, why);
    if (e == PORCH_ERR_NOT_FOUND)
        return porch_fail(why, PORCH_ERR_IO, "the hub does not tell the time, which the root demands");
    PORCH_TRY(e);
    PORCH_TRY(porch_device_clock_take(u->device, porch_buf_bytes(&answer), key, nonce, &t, why));
    *ret = (porch_tuf_fresh){.now_s = t.at_ms / 1000, .has_timestamp = t.has_timestamp};
    memcpy(ret->timestamp, t.timestamp, sizeof ret->timestamp);
    return PORCH_OK;
}

static bool lists(porch_bytes custom, const char *member, const char *wanted) {
    porch_bytes list, name, value, inner;
    if (!porch_tuf_json_array(custom, member, &list)) return false;
    porch_tuf_json_walk w = porch_tuf_json_open(list);
    while (porch_tuf_json_next(&w, &name, &value))
        if (porch_tuf_json_string(value, &inner) && porch_tuf_json_equals(inner, porch_bytes_of(wanted)))
            return true;
    return false;
}

static porch_err hub_path(const porch_tuf *t, porch_bytes name, const porch_tuf_target *target,
                          char out[PORCH_UPDATE_NAME_BYTES], porch_why *why) {
    size_t n = sizeof targets_at - 1;
    memcpy(out, targets_at, n);
    if (porch_tuf_target_path(t, name, target, out + n, PORCH_UPDATE_NAME_BYTES - n) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_LIMIT, "the release's name is too long");
    return PORCH_OK;
}

/* The release that the hub speaks of, as its product's role signed it: for this product, this hardware,
 * this image. */
static porch_err read_release(porch_update_repository *u, porch_tuf *t, porch_bytes name,
                              porch_update_release *r, porch_why *why) {
    porch_tuf_target target;
    porch_bytes product, custom;
    PORCH_TRY(porch_tuf_find(t, name, &target, why));
    custom = target.custom;
    if (!target.hashes.has_sha256 || memcmp(target.hashes.sha256, u->desired->sha256, 32) != 0)
        return porch_fail(why, PORCH_ERR_HASH,
                          "the hub speaks of another image than the one that is signed");
    if (!porch_tuf_json_plain(custom, "product", &product) ||
        !porch_bytes_eq_text(product, u->device->conf.product))
        return porch_fail(why, PORCH_ERR_DENIED, "the release is for another product");
    r->unfit = !lists(custom, "hardware", u->hardware);
    if (r->unfit)
        return porch_fail(why, PORCH_ERR_DENIED, "the release is not for hardware %.100s", u->hardware);
    if (!porch_tuf_json_number(custom, "counter", &r->image.counter))
        return porch_fail(why, PORCH_ERR_MALFORMED, "the release has no counter");
    PORCH_TRY(porch_policy_read(custom, &r->policy, why));
    r->image.length = target.length;
    memcpy(r->image.sha256, target.hashes.sha256, 32);
    return hub_path(t, name, &target, r->image_path, why);
}

/* A delta from the image that runs, if one is signed. */
static porch_err read_delta(porch_tuf *t, porch_bytes product, porch_bytes version,
                            const uint8_t running[32], porch_update_release *r, porch_why *why) {
    char name[PORCH_UPDATE_NAME_BYTES], hex[65] = "";
    porch_buf out = {(uint8_t *)hex, 0, 64};
    porch_tuf_target target;
    (void)porch_hex_write(&out, (porch_bytes){running, 32});
    (void)snprintf(name, sizeof name, "%.*s/%.*s/delta-from-%s", PORCH_FMT(product), PORCH_FMT(version),
                   hex);
    porch_err e = porch_tuf_find(t, porch_bytes_of(name), &target, why);
    if (e == PORCH_ERR_NOT_FOUND) return PORCH_OK;
    if (e == PORCH_OK && target.hashes.has_sha256 && target.length > 0) {
        e = hub_path(t, porch_bytes_of(name), &target, r->delta_path, why);
        r->delta_bytes = target.length;
        memcpy(r->delta_sha256, target.hashes.sha256, 32);
    }
    return e;
}

static porch_err read_widened(porch_tuf *t, porch_bytes product, porch_bytes version,
                              porch_update_release *r, porch_why *why) {
    char name[PORCH_UPDATE_NAME_BYTES], hex[65] = "";
    porch_buf out = {(uint8_t *)hex, 0, 64};
    porch_tuf_target target;
    porch_bytes image;
    uint64_t share = 0;
    (void)porch_hex_write(&out, (porch_bytes){r->image.sha256, 32});
    (void)snprintf(name, sizeof name, "rollout/%.*s/%.*s", PORCH_FMT(product), PORCH_FMT(version));
    porch_err e = porch_tuf_find(t, porch_bytes_of(name), &target, why);
    if (e == PORCH_ERR_NOT_FOUND) return PORCH_OK;
    if (e == PORCH_OK && porch_tuf_json_plain(target.custom, "sha256", &image) &&
        porch_bytes_eq_text(image, hex) && porch_tuf_json_number(target.custom, "share", &share) &&
        share <= PORCH_POLICY_ALL)
        r->widened = (uint32_t)share;
    return e;
}

static porch_err trust_root(porch_update_repository *u, porch_tuf *t, porch_why *why) {
    uint8_t *root = NULL, byte = 0;
    size_t len = 0;
    porch_buf probe = {&byte, 0, 1};
    if (porch_tuf_folder_load(u->folder, "root.json", &probe, NULL) != PORCH_ERR_NOT_FOUND) return PORCH_OK;
    PORCH_TRY(porch_file_read(u->root, ROOT_MOST, &root, &len, why));
    porch_err e = porch_tuf_init(t, (porch_bytes){root, len}, why);
    free(root);
    return e;
}

porch_err porch_update_release_find(porch_update_repository *u, const porch_update_desired *desired,
                                    const uint8_t running[32], porch_update_release *r, porch_why *why) {
    static const porch_tuf_port port = {on_fetch, on_load, on_store, on_drop, on_fresh};
    porch_tuf t = {.port = &port,
                   .self = u,
                   .crypto = porch_verify_library(),
                   .now_s = porch_device_clock_ms(u->device) / 1000};
    porch_tuf_folder folder;
    char path[PATH_BYTES], name[PORCH_UPDATE_NAME_BYTES];
    porch_bytes product = porch_bytes_of(desired->product.text), version = desired->version;
    u->desired = desired;
    if (porch_path_join(u->state, "tuf", path, sizeof path) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_NO_SPACE, "the path is too long");
    PORCH_TRY(porch_dir_make(path, 0700, why));
    PORCH_TRY(porch_tuf_folder_open(&folder, path, why));
    u->folder = &folder;
    (void)snprintf(name, sizeof name, "%.*s/%.*s/image", PORCH_FMT(product), PORCH_FMT(version));
    porch_err e = porch_tuf_memory_make(&t, why);
    if (e == PORCH_OK) e = trust_root(u, &t, why);
    if (e == PORCH_OK) e = porch_tuf_refresh(&t, why);
    if (e == PORCH_OK) e = read_release(u, &t, porch_bytes_of(name), r, why);
    if (e == PORCH_OK && u->deltas) e = read_delta(&t, product, version, running, r, why);
    if (e == PORCH_OK) e = read_widened(&t, product, version, r, why);
    porch_tuf_memory_free(&t);
    porch_tuf_folder_close(&folder);
    u->folder = NULL;
    return e;
}
