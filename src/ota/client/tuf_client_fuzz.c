/* A repository and a storage that a stranger wrote: the input is cut into files, and the client refreshes
 * and searches over them with a crypto library that says yes to every signature, so that everything behind
 * the signatures is reached. It must end, say why it refused, and store only what it was given. The readers
 * of single fields are called on the same bytes, too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ota/client/tuf_client.h"
#include "ota/client/tuf_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static porch_bytes rest;

/* The next file: up to a byte 0x1e, which JSON does not hold. */
static porch_err next_file(porch_buf *out) {
    const uint8_t *end = rest.len > 0 ? memchr(rest.at, 0x1e, rest.len) : NULL;
    if (end == NULL) return PORCH_ERR_NOT_FOUND;
    size_t len = (size_t)(end - rest.at);
    if (len > out->cap) return PORCH_ERR_LIMIT;
    memcpy(out->at, rest.at, len);
    out->len = len;
    rest = (porch_bytes){end + 1, rest.len - len - 1};
    return PORCH_OK;
}

static void check_name(const char *name) {
    if (strchr(name, '/') != NULL || strlen(name) < 5 || strcmp(name + strlen(name) - 5, ".json") != 0)
        abort();
}

static porch_err on_fetch(void *self, const char *name, porch_buf *out, porch_why *why) {
    (void)self;
    check_name(name);
    return porch_fail(why, next_file(out), "no file");
}

static porch_err on_store(void *self, const char *name, porch_bytes bytes, porch_why *why) {
    (void)self;
    (void)why;
    check_name(name);
    if (bytes.len == 0) abort();
    return PORCH_OK;
}

static porch_err on_drop(void *self, const char *name, porch_why *why) {
    (void)self;
    (void)why;
    check_name(name);
    return PORCH_OK;
}

static porch_err yes(porch_verify_scheme scheme, porch_bytes key, porch_bytes message,
                     porch_bytes signature, uint8_t fingerprint[32]) {
    (void)scheme;
    (void)message;
    (void)signature;
    memset(fingerprint, key.len > 0 ? key.at[0] : 0, 32);
    return PORCH_OK;
}

static void nothing256(porch_bytes b, uint8_t out[32]) {
    (void)b;
    memset(out, 0, 32);
}

static void nothing512(porch_bytes b, uint8_t out[64]) {
    (void)b;
    memset(out, 0, 64);
}

static uint8_t raw[8192], work[8192], root[8192], snapshot[8192], targets[8192];
static uint32_t members[1024];
static porch_tuf_step steps[8];

static void fields(porch_bytes b) {
    porch_tuf_header header;
    porch_tuf_trust trust;
    porch_tuf_meta meta;
    porch_tuf_target target;
    uint64_t seconds;
    porch_why why;
    porch_buf out = PORCH_BUF_OF(work);
    (void)porch_tuf_time_read(b, &seconds);
    if (porch_tuf_json_canonical(b, (porch_tuf_json_scratch){members, 1024}, &out, &why) != PORCH_OK)
        return;
    b = porch_buf_bytes(&out);
    (void)porch_tuf_header_read(b, "targets", &header, &why);
    (void)porch_tuf_trust_read(b, b, &trust, &why);
    (void)porch_tuf_root_read(b, "root", &trust, &why);
    (void)porch_tuf_meta_read(b, PORCH_LIT("a.json"), &meta, &why);
    (void)porch_tuf_target_read(b, PORCH_LIT("a"), &target, &why);
    (void)porch_tuf_pattern_matches(b, b);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    static const porch_tuf_port port = {on_fetch, on_fetch, on_store, on_drop, NULL};
    static const porch_verify_ops crypto = {yes, nothing256, nothing512};
    porch_why why = {{0}};
    porch_tuf_target target;
    char path[256];
    if (len > sizeof raw) return 0;
    fields((porch_bytes){at, len});
    porch_tuf t = {.port = &port,
                   .crypto = &crypto,
                   .limits = {8192, 8192, 8192, 8192, 4, 8},
                   .memory = {PORCH_BUF_OF(raw),
                              PORCH_BUF_OF(work),
                              PORCH_BUF_OF(root),
                              PORCH_BUF_OF(snapshot),
                              PORCH_BUF_OF(targets),
                              {members, 1024},
                              steps,
                              8},
                   .now_s = 1000000000};
    rest = (porch_bytes){at, len};
    porch_err e = porch_tuf_refresh(&t, &why);
    if (e != PORCH_OK && why.text[0] == '\0') abort();
    if (e == PORCH_OK && porch_tuf_find(&t, PORCH_LIT("a/b"), &target, &why) == PORCH_OK)
        (void)porch_tuf_target_path(&t, PORCH_LIT("a/b"), &target, path, sizeof path);
    return 0;
}
