/* What is signed beside a release: deltas to it, and how wide its rollout is. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/cli_ota.h"
#include "cli/cli_room.h"
#include "cli/progress.h"
#include "crypto/sha256.h"
#include "os/file.h"

enum { IMAGE_MOST = 1 << 30, DEFAULT_BASES = 3 };

static const char *sha256_of(const json_t *target) {
    return json_string_value(json_object_get(json_object_get(target, "hashes"), "sha256"));
}

static porch_err read_image(const porch_cli_ota *o, const char *product, const char *version,
                            const char *sha256, uint8_t **ret, size_t *len, porch_why *why) {
    char name[400], path[PORCH_CLI_PATH_BYTES];
    (void)snprintf(name, sizeof name, "repository/targets/%s/%s/%s.image", product, version, sha256);
    if (porch_path_join(o->folder, name, path, sizeof path) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_USAGE, "the folder's name is too long");
    return porch_file_read(path, IMAGE_MOST, ret, len, why);
}

static void hex_of(porch_bytes b, char out[65]) {
    uint8_t hash[32];
    porch_buf hex = {(uint8_t *)out, 0, 64};
    porch_sha256(b, hash);
    (void)porch_hex_write(&hex, (porch_bytes){hash, sizeof hash});
    out[64] = '\0';
}

static porch_err keep(porch_cli_ota *o, const porch_cli_ota_delta *d, const char *old_version,
                      const char *old_sha256, porch_bytes patch, porch_why *why) {
    char name[600], path[PORCH_CLI_PATH_BYTES], sha256[65];
    hex_of(patch, sha256);
    (void)snprintf(name, sizeof name, "repository/targets/%s/%s/%s.delta-from-%s", d->product, d->version,
                   sha256, old_sha256);
    if (porch_path_join(o->folder, name, path, sizeof path) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_USAGE, "the folder's name is too long");
    PORCH_TRY(porch_file_write_atomic(path, patch, 0644, why));
    json_t *custom = json_pack("{s:s,s:s}", "from", old_version, "from_sha256", old_sha256);
    porch_err e = custom != NULL ? porch_author_delta_add(&o->repo, d->product, d->version, old_sha256,
                                                          patch.len, sha256, custom, why)
                                 : porch_fail(why, PORCH_ERR_NO_SPACE, "no memory");
    json_decref(custom);
    return e;
}

static void on_tick(void *ctx, uint64_t done) {
    porch_progress_at(ctx, done);
}

/* One delta; one that saves less than a fifth is not worth its place, and is said so. */
static porch_err one(porch_cli_ota *o, const porch_cli_ota_delta *d, const char *old_version,
                     porch_bytes fresh, porch_why *why) {
    const char *old_sha256 = sha256_of(porch_author_released(&o->repo, d->product, old_version));
    uint8_t *old = NULL;
    size_t old_len = 0;
    porch_buf patch = {0};
    if (old_sha256 == NULL)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "%s has no release %s", d->product, old_version);
    PORCH_TRY(read_image(o, d->product, old_version, old_sha256, &old, &old_len, why));
    porch_progress bar = porch_progress_begin(fresh.len);
    porch_err e =
        porch_author_delta((porch_bytes){old, old_len}, fresh, d->size, &patch, on_tick, &bar, why);
    porch_progress_end(&bar);
    bool worth = patch.len < fresh.len - fresh.len / 5;
    if (e == PORCH_OK && worth && !d->dry)
        e = keep(o, d, old_version, old_sha256, porch_buf_bytes(&patch), why);
    if (e == PORCH_OK && !d->quiet)
        (void)printf("delta from %s: %zu bytes, %.1f %% of the image%s\n", old_version, patch.len,
                     100.0 * (double)patch.len / (double)fresh.len,
                     worth ? "" : "; too little saved, left out");
    free(patch.at);
    free(old);
    return e;
}

/* The newest releases before this one, by serial. */
static json_t *newest(const porch_cli_ota *o, const porch_cli_ota_delta *d) {
    json_t *ret = json_array(), *target;
    json_int_t below = INT64_MAX;
    while (json_array_size(ret) < DEFAULT_BASES) {
        const char *path, *version = NULL;
        json_int_t best = 0;
        json_object_foreach(json_object_get(json_object_get(o->repo.products, d->product), "targets"), path,
                            target) {
            const json_t *custom = json_object_get(target, "custom");
            json_int_t serial = json_integer_value(json_object_get(custom, "serial"));
            const char *name = json_string_value(json_object_get(custom, "version"));
            if (serial <= best || serial >= below || name == NULL || strcmp(name, d->version) == 0)
                continue;
            best = serial;
            version = name;
        }
        if (version == NULL) break;
        below = best;
        json_array_append_new(ret, json_string(version));
    }
    return ret;
}

porch_err porch_cli_ota_deltas(porch_cli_ota *o, const porch_cli_ota_delta *d, porch_why *why) {
    uint8_t *fresh = NULL;
    size_t len = 0, i;
    json_t *from = json_array_size(d->from) > 0 ? json_incref((json_t *)d->from) : newest(o, d), *each;
    bool chosen = json_array_size(d->from) > 0;
    porch_err e = PORCH_OK;
    if (json_array_size(from) > 0)
        e = read_image(o, d->product, d->version,
                       sha256_of(porch_author_released(&o->repo, d->product, d->version)), &fresh, &len,
                       why);
    json_array_foreach(from, i, each) {
        if (e != PORCH_OK) break;
        e = one(o, d, json_string_value(each), (porch_bytes){fresh, len}, why);
        if (e == PORCH_ERR_NOT_FOUND && !chosen)
            e = PORCH_OK; /* an old image that is not at hand any more */
    }
    free(fresh);
    json_decref(from);
    return e;
}

/* ---- the role `rollout` ---- */

static porch_err keep_said(const porch_cli_ota *o, const char *product, const char *version,
                           porch_bytes text, char sha256[65], porch_why *why) {
    char name[400], path[PORCH_CLI_PATH_BYTES];
    hex_of(text, sha256);
    for (unsigned i = 0; i < 3; i++) {
        (void)(i == 0   ? snprintf(name, sizeof name, "repository/targets/" PORCH_AUTHOR_ROLLOUT)
               : i == 1 ? snprintf(name, sizeof name, "repository/targets/" PORCH_AUTHOR_ROLLOUT "/%.100s",
                                   product)
                        : snprintf(name, sizeof name,
                                   "repository/targets/" PORCH_AUTHOR_ROLLOUT "/%.100s/%s.%.100s", product,
                                   sha256, version));
        if (porch_path_join(o->folder, name, path, sizeof path) != PORCH_OK)
            return porch_fail(why, PORCH_ERR_USAGE, "the folder's name is too long");
        PORCH_TRY(i < 2 ? porch_dir_make(path, 0755, why) : porch_file_write_atomic(path, text, 0644, why));
    }
    return PORCH_OK;
}

porch_err porch_cli_ota_widen(porch_cli_ota *o, const char *product, const char *version, uint32_t share,
                              porch_why *why) {
    const char *image = sha256_of(porch_author_released(&o->repo, product, version));
    char sha256[65];
    if (image == NULL)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "%.64s has no release %.64s", product, version);
    json_t *said = json_pack("{s:i,s:s}", "share", (int)share, "sha256", image);
    char *text = said != NULL ? json_dumps(said, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    porch_err e = text != NULL ? keep_said(o, product, version, porch_bytes_of(text), sha256, why)
                               : porch_fail(why, PORCH_ERR_NO_SPACE, "no memory");
    if (e == PORCH_OK) e = porch_author_widen(&o->repo, product, version, said, strlen(text), sha256, why);
    free(text);
    json_decref(said);
    return e;
}
