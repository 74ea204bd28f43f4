/* A signer in a folder of its own, with clocks that a test turns. */
#ifndef PORCH_CLOUD_SIGNER_TESTING_H
#define PORCH_CLOUD_SIGNER_TESTING_H

#include "cloud/signer/signer_room.h"

#include <dirent.h>
#include <fcntl.h>
#include <liboath/oath.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/random.h"
#include "crypto/x509.h"
#include "os/file.h"

enum { NOW_S = 1767225600 };
static const uint64_t now_ms = NOW_S * 1000ull;

typedef struct {
    char dir[64];
    int dir_fd;
    porch_signer signer;
    uint8_t root_block[PORCH_X509_PEM_BYTES];
    porch_buf root;
    porch_key *root_key;
    uint8_t csr_block[PORCH_X509_PEM_BYTES];
    porch_buf csr;
    uint64_t mono_ms;
    uint64_t wall_ms;
} place;

static inline void put(const place *p, const char *name, porch_bytes bytes) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", p->dir, name);
    assert_int_equal(porch_file_write_atomic(path, bytes, 0600, NULL), PORCH_OK);
}

static inline porch_key *new_key(const place *p, const char *name) {
    uint8_t block[PORCH_KEY_PEM_BYTES];
    porch_buf pem = PORCH_BUF_OF(block);
    porch_key *key = NULL;
    assert_int_equal(porch_key_generate_p256(&key, NULL), PORCH_OK);
    assert_int_equal(porch_key_pem(key, &pem, NULL), PORCH_OK);
    if (name) put(p, name, porch_buf_bytes(&pem));
    return key;
}

static inline void make_authorities(place *p) {
    uint8_t block[PORCH_X509_PEM_BYTES];
    porch_buf pem = PORCH_BUF_OF(block);
    porch_public_key issuing_public;
    porch_key *root = new_key(p, NULL), *issuing = new_key(p, "signer/issuing.key"),
              *web = new_key(p, "signer/web-ca.key");
    porch_key *device = new_key(p, NULL);
    porch_ca_names names = {{"localhost", "127.0.0.1"}, 2};
    assert_int_equal(porch_ca_make_root("r", root, now_ms - 1000, 20, &p->root, NULL), PORCH_OK);
    put(p, "tls/device-root.pem", porch_buf_bytes(&p->root));
    porch_ca ca = {porch_buf_bytes(&p->root), root};
    assert_int_equal(porch_key_public(issuing, &issuing_public, NULL), PORCH_OK);
    assert_int_equal(porch_ca_make_issuing(&ca, "i", &issuing_public, now_ms - 1000, 10, &pem, NULL),
                     PORCH_OK);
    put(p, "tls/issuing.pem", porch_buf_bytes(&pem));
    pem.len = 0;
    assert_int_equal(porch_ca_make_web("w", web, &names, now_ms - 1000, 10, &pem, NULL), PORCH_OK);
    put(p, "tls/web-ca.pem", porch_buf_bytes(&pem));
    assert_int_equal(porch_csr_make(device, &p->csr, NULL), PORCH_OK);
    p->root_key = root;
    porch_key_free(issuing);
    porch_key_free(web);
    porch_key_free(device);
}

static inline porch_signer_now now(const place *p) {
    return (porch_signer_now){p->wall_ms, p->mono_ms};
}

static inline porch_err try_load(place *p, porch_why *why) {
    static const char *const names[4] = {"hub.conf", "tls/issuing.pem", "tls/web-ca.pem",
                                         "tls/device-root.pem"};
    int fds[4];
    for (int i = 0; i < 4; i++) {
        char path[128];
        snprintf(path, sizeof path, "%.63s/%s", p->dir, names[i]);
        fds[i] = open(path, O_RDONLY | O_CLOEXEC);
    }
    porch_signer_files files = {.dir_fd = p->dir_fd,
                                .conf_fd = fds[0],
                                .issuing_fd = fds[1],
                                .web_fd = fds[2],
                                .root_fd = fds[3],
                                .credential_fd = -1};
    porch_err e = porch_signer_load(&p->signer, &files, now(p), why);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    return e;
}

static inline void load(place *p) {
    porch_why why = {""};
    if (try_load(p, &why) != PORCH_OK) fail_msg("%s", why.text);
}

static inline int arrive(void **state) {
    static const char *const folders[] = {"", "/tls", "/signer"};
    uint8_t seal[PORCH_SIGNER_SEAL_KEY_BYTES];
    static place the_place;
    place *p = &the_place;
    char path[128];
    memset(p, 0, sizeof *p);
    snprintf(p->dir, sizeof p->dir, "/tmp/porch-signer-XXXXXX");
    if (!mkdtemp(p->dir)) return -1;
    for (int i = 1; i < 3; i++) {
        snprintf(path, sizeof path, "%.63s%s", p->dir, folders[i]);
        if (mkdir(path, 0700) != 0) return -1;
    }
    p->root = (porch_buf){p->root_block, 0, sizeof p->root_block};
    p->csr = (porch_buf){p->csr_block, 0, sizeof p->csr_block};
    p->wall_ms = now_ms;
    p->mono_ms = 5000;
    porch_random(seal, sizeof seal);
    put(p, "signer/seal.key", (porch_bytes){seal, sizeof seal});
    put(p, "hub.conf",
        PORCH_LIT("hub.id = hub-1\nhub.name = localhost 127.0.0.1\nsigner.device_issues_per_minute = "
                  "3\nsigner.totp_free_tries = 2\nsigner.vapid_per_minute = 2\n"));
    make_authorities(p);
    snprintf(path, sizeof path, "%.63s/signer", p->dir);
    p->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    load(p);
    *state = p;
    return oath_init() == OATH_OK ? 0 : -1;
}

static inline void remove_tree(const char *path) {
    DIR *d = opendir(path);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        char inner[512];
        if (e->d_name[0] == '.') continue;
        if (snprintf(inner, sizeof inner, "%s/%s", path, e->d_name) >= (int)sizeof inner) continue;
        if (unlink(inner) != 0) remove_tree(inner);
    }
    if (d) closedir(d);
    (void)rmdir(path);
}

static inline int leave(void **state) {
    place *p = *state;
    porch_signer_unload(&p->signer);
    porch_key_free(p->root_key);
    close(p->dir_fd);
    remove_tree(p->dir);
    return 0;
}

/* One exchange as the hub makes it. The answer's views look into `block`. */
static inline porch_signer_answer ask(place *p, const porch_signer_request *request) {
    static uint8_t out_block[PORCH_SIGNER_MESSAGE_MAX];
    static uint8_t block[PORCH_SIGNER_MESSAGE_MAX];
    porch_buf out = PORCH_BUF_OF(out_block);
    porch_buf answer = PORCH_BUF_OF(block);
    porch_signer_answer got;
    assert_int_equal(porch_signer_request_write(&out, request), PORCH_OK);
    porch_signer_serve(&p->signer, porch_buf_bytes(&out), now(p), &answer);
    assert_int_equal(porch_signer_answer_read(porch_buf_bytes(&answer), &got), PORCH_OK);
    assert_int_equal(got.number, request->number);
    return got;
}

static inline porch_signer_answer issue(place *p, porch_signer_profile profile, const char *name,
                                        uint32_t days) {
    porch_signer_request r = {
        .number = 3, .op = PORCH_SIGNER_OP_ISSUE, .profile = profile, .days = days, .names_count = 1};
    r.names[0] = porch_bytes_of(name);
    r.data = porch_buf_bytes(&p->csr);
    return ask(p, &r);
}

static inline size_t journal_lines(const place *p, const char *kind) {
    uint8_t *text = NULL;
    size_t len = 0, lines = 0;
    assert_int_equal(porch_file_read_at(p->dir_fd, "journal", 1 << 20, &text, &len, NULL), PORCH_OK);
    for (char *at = strstr((char *)text, kind); at; at = strstr(at + 1, kind))
        lines++;
    free(text);
    return lines;
}

static inline void restart(place *p) {
    porch_signer_unload(&p->signer);
    load(p);
}

#endif
