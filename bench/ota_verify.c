/* What verifying an update costs a device, on this machine, in processor time: a refresh from nothing
 * (root, timestamp, snapshot, targets and the product's role, each signature and hash), a device manifest,
 * and the hash of an image. One JSON line, for bench/ota_verify.py.
 *
 *   ota_verify REPOSITORY PRODUCT VERSION POINT ROUNDS   POINT: the product's P-256 key, uncompressed, in
 *                                                        hex; with ROUNDS 1 it does what a device does once
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cursor.h"
#include "base/text.h"
#include "os/clock.h"
#include "os/file.h"
#include "ota/client/manifest.h"
#include "ota/client/tuf_client.h"
#include "ota/port/linux/tuf_memory.h"

enum { PATH_BYTES = 4096, FILE_MOST = 1 << 30, ROUNDS_MOST = 100000, KEPT_MOST = 16 };

static const char *folder;
static unsigned rounds;

static _Noreturn void end(const char *what, const porch_why *why, porch_err e) {
    (void)fprintf(stderr, "ota_verify: %s: %s\n", what, porch_why_text(why, e));
    exit(1);
}

static porch_err on_fetch(void *self, const char *name, porch_buf *out, porch_why *why) {
    char path[PATH_BYTES];
    uint8_t *text = NULL;
    size_t len = 0;
    (void)self;
    (void)snprintf(path, sizeof path, "%s/metadata/%s", folder, name);
    PORCH_TRY(porch_file_read(path, out->cap, &text, &len, why));
    memcpy(out->at, text, len);
    out->len = len;
    free(text);
    return PORCH_OK;
}

/* What a refresh stored; forgotten before the next, so that each verifies everything from the first root.
 */
static struct {
    char name[PORCH_TUF_FILE_BYTES];
    porch_bytes bytes;
} kept[KEPT_MOST];
static size_t kept_count;

static void forget_kept(void) {
    for (size_t i = 0; i < kept_count; i++)
        free((void *)kept[i].bytes.at);
    kept_count = 0;
}

static porch_err on_load(void *self, const char *name, porch_buf *out, porch_why *why) {
    for (size_t i = 0; i < kept_count; i++)
        if (strcmp(kept[i].name, name) == 0) return porch_write_bytes(out, kept[i].bytes);
    return strcmp(name, "root.json") == 0 ? on_fetch(self, "1.root.json", out, why)
                                          : porch_fail(why, PORCH_ERR_NOT_FOUND, "not kept");
}
static porch_err on_store(void *self, const char *name, porch_bytes bytes, porch_why *why) {
    (void)self;
    uint8_t *copy = malloc(bytes.len);
    if (copy == NULL || kept_count == KEPT_MOST) {
        free(copy);
        return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory");
    }
    memcpy(copy, bytes.at, bytes.len);
    (void)snprintf(kept[kept_count].name, sizeof kept[0].name, "%s", name);
    kept[kept_count++].bytes = (porch_bytes){copy, bytes.len};
    return PORCH_OK;
}
static porch_err on_drop(void *self, const char *name, porch_why *why) {
    (void)self, (void)name, (void)why;
    return PORCH_OK;
}

/* A file of the release, found through its target. */
static porch_bytes target_of(porch_tuf *t, const char *product, const char *version, const char *kind) {
    char name[512], path[1024], file[PATH_BYTES];
    porch_tuf_target target;
    porch_why why = {""};
    uint8_t *bytes = NULL;
    size_t len = 0;
    (void)snprintf(name, sizeof name, "%s/%s/%s", product, version, kind);
    porch_err e = porch_tuf_find(t, porch_bytes_of(name), &target, &why);
    if (e == PORCH_OK) e = porch_tuf_target_path(t, porch_bytes_of(name), &target, path, sizeof path);
    if (e == PORCH_OK) {
        (void)snprintf(file, sizeof file, "%s/targets/%s", folder, path);
        e = porch_file_read(file, FILE_MOST, &bytes, &len, &why);
    }
    if (e == PORCH_OK &&
        (len != target.length ||
         !porch_tuf_hashes_fit(porch_verify_library(), &target.hashes, (porch_bytes){bytes, len})))
        e = PORCH_ERR_HASH;
    if (e != PORCH_OK) end(name, &why, e);
    return (porch_bytes){bytes, len};
}

static double cpu_us(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double metadata_us(porch_tuf *t, const char *product, const char *version) {
    char name[512];
    porch_tuf_target target;
    porch_why why = {""};
    (void)snprintf(name, sizeof name, "%s/%s/image", product, version);
    double begun = cpu_us();
    for (unsigned i = 0; i < rounds; i++) {
        forget_kept();
        porch_err e = porch_tuf_refresh(t, &why);
        if (e == PORCH_OK) e = porch_tuf_find(t, porch_bytes_of(name), &target, &why);
        if (e != PORCH_OK) end("refresh", &why, e);
    }
    return (cpu_us() - begun) / rounds;
}

static double manifest_us(porch_bytes text, const char *point_hex) {
    static uint8_t points[1][PORCH_MANIFEST_POINT_BYTES];
    const porch_manifest_keys keys = {(const uint8_t(*)[PORCH_MANIFEST_POINT_BYTES])points, 1, 1};
    porch_buf point = PORCH_BUF_OF(points[0]);
    porch_manifest m;
    porch_why why = {""};
    porch_err e = porch_hex_read(&point, porch_bytes_of(point_hex));
    double begun = cpu_us();
    for (unsigned i = 0; e == PORCH_OK && i < rounds; i++)
        e = porch_manifest_read(porch_verify_library(), &keys, text, &m, &why);
    if (e != PORCH_OK) end("manifest", &why, e);
    return (cpu_us() - begun) / rounds;
}

int main(int argc, char **argv) {
    static const porch_tuf_port port = {on_fetch, on_load, on_store, on_drop, NULL};
    porch_tuf t = {.port = &port, .crypto = porch_verify_library(), .now_s = porch_clock_ms() / 1000};
    porch_why why = {""};
    uint64_t asked = 0;
    if (argc != 6 || porch_decimal_read(porch_bytes_of(argv[5]), ROUNDS_MOST, &asked) != PORCH_OK ||
        asked == 0) {
        (void)fprintf(stderr, "usage: ota_verify REPOSITORY PRODUCT VERSION POINT ROUNDS\n");
        return 2;
    }
    folder = argv[1];
    rounds = (unsigned)asked;
    porch_err e = porch_tuf_memory_make(&t, &why);
    if (e != PORCH_OK) end("memory", &why, e);
    double metadata = metadata_us(&t, argv[2], argv[3]);
    porch_bytes manifest = target_of(&t, argv[2], argv[3], "manifest");
    double read = manifest_us(manifest, argv[4]), begun = cpu_us();
    porch_bytes image = target_of(&t, argv[2], argv[3], "image"); /* reads it, and compares its hash */
    (void)printf("{\"metadata_us\":%.1f,\"manifest_us\":%.1f,\"image_us\":%.0f,\"image_bytes\":%zu}\n",
                 metadata, read, cpu_us() - begun, image.len);
    free((void *)manifest.at);
    free((void *)image.at);
    forget_kept();
    porch_tuf_memory_free(&t);
    return 0;
}
