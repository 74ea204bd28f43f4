/* A signed repository: it comes into force however often its publish breaks off behind the signer. That one
 * is a double that remembers as the real one does. */
#include "cloud/rollout/updates_room.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/text.h"
#include "cloud/signer/signer_ipc.h"
#include "cloud/signer/signer_update_ipc.h"
#include "cloud/store/store_testing.h"
#include "crypto/keystore.h"
#include "crypto/sha256.h"
#include "os/channel.h"
#include "os/file.h"

#define ENDS    "\"expires\":\"2099-01-01T00:00:00Z\""
#define ENDS_MS UINT64_C(4070908800000)

enum { TEXT = 4096 };

typedef struct {
    store_lab lab;
    porch_updates *updates;
    porch_key *key;          /* of every role */
    char public[65], id[65]; /* in hex */
    int signer_fd;           /* the signer's end */
    pthread_t signer;
    uint64_t remembered, version; /* of targets; of what it signs */
} place;

/* ---- signing ---- */

static void hex(porch_bytes bytes, char *out) {
    porch_buf b = {(uint8_t *)out, 0, 2 * bytes.len};
    assert_int_equal(porch_hex_write(&b, bytes), PORCH_OK);
    out[b.len] = '\0';
}

static void make_key(place *p) {
    static const char pem[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MC4CAQAwBQYDK2VwBCIEIOUaRyydrDm3h8FIOeqY3KcFQjYeVIekLGV7I9XF2+gf\n"
                              "-----END PRIVATE KEY-----\n";
    porch_public_key own;
    char text[200];
    uint8_t hash[32];
    assert_int_equal(porch_key_load_pem(PORCH_LIT(pem), &p->key, NULL), PORCH_OK);
    assert_int_equal(porch_key_public(p->key, &own, NULL), PORCH_OK);
    hex((porch_bytes){own.der + own.len - 32, 32}, p->public);
    (void)snprintf(text, sizeof text,
                   "{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"%s\"},\"scheme\":\"ed25519\"}",
                   p->public);
    porch_sha256(porch_bytes_of(text), hash);
    hex((porch_bytes){hash, sizeof hash}, p->id);
}

static void sign(const place *p, const char *content, char out[TEXT]) {
    uint8_t block[PORCH_SIGNATURE_MAX_BYTES];
    porch_buf signature = PORCH_BUF_OF(block);
    char text[2 * sizeof block + 1];
    assert_int_equal(porch_key_sign(p->key, PORCH_SIGN_ED25519, porch_bytes_of(content), &signature, NULL),
                     PORCH_OK);
    hex(porch_buf_bytes(&signature), text);
    (void)snprintf(out, TEXT, "{\"signatures\":[{\"keyid\":\"%s\",\"sig\":\"%s\"}],\"signed\":%s}", p->id,
                   text, content);
}

/* Snapshot or timestamp over one file. */
static void announce(const place *p, const char *type, const char *file, uint64_t version, char out[TEXT]) {
    char content[1000];
    (void)snprintf(
        content, sizeof content,
        "{\"_type\":\"%s\"," ENDS
        ",\"meta\":{\"%s.json\":{\"version\":%llu}},\"spec_version\":\"1.0.34\",\"version\":%llu}",
        type, file, (unsigned long long)version, (unsigned long long)p->version);
    sign(p, content, out);
}

static porch_err answer(place *p, const porch_signer_request *r, porch_buf *data) {
    porch_signer_update in;
    char snapshot[TEXT], timestamp[TEXT];
    if (r->op == PORCH_SIGNER_OP_UPDATE_KEYS) {
        assert_int_equal(porch_write_text(data, p->public), PORCH_OK);
        return porch_write_text(data, p->public);
    }
    assert_int_equal(porch_signer_update_read(r->data, &in), PORCH_OK);
    if (in.rows[0].version < p->remembered) return PORCH_ERR_ROLLBACK;
    p->remembered = in.rows[0].version;
    p->version++;
    announce(p, "snapshot", "targets", in.rows[0].version, snapshot);
    announce(p, "timestamp", "snapshot", p->version, timestamp);
    const porch_signer_updated out = {p->version, p->version, porch_bytes_of(snapshot),
                                      porch_bytes_of(timestamp)};
    return porch_signer_updated_write(data, &out);
}

static void *run_signer(void *ctx) {
    static uint8_t in_block[PORCH_SIGNER_MESSAGE_MAX], out_block[PORCH_SIGNER_MESSAGE_MAX],
        data_block[PORCH_SIGNER_MESSAGE_MAX];
    place *p = ctx;
    porch_buf in = PORCH_BUF_OF(in_block);
    while (porch_channel_receive(p->signer_fd, &in, NULL, 0, NULL, -1, NULL) == PORCH_OK) {
        porch_buf out = PORCH_BUF_OF(out_block), data = PORCH_BUF_OF(data_block);
        porch_signer_request r;
        assert_int_equal(porch_signer_request_read(porch_buf_bytes(&in), &r), PORCH_OK);
        porch_signer_answer a = {.number = r.number, .error = answer(p, &r, &data)};
        a.data = porch_buf_bytes(&data);
        assert_int_equal(porch_signer_answer_write(&out, &a), PORCH_OK);
        assert_int_equal(porch_channel_send(p->signer_fd, porch_buf_bytes(&out), NULL, 0, -1, NULL),
                         PORCH_OK);
    }
    return NULL;
}

/* ---- a hub ---- */

static void open_updates(place *p, porch_signer_client *client) {
    const porch_updates_config config = {p->lab.dir, p->lab.store, client, &p->lab.settings};
    if (porch_updates_open(&config, &p->updates, &p->lab.why) != PORCH_OK) fail_msg("%s", p->lab.why.text);
}

static porch_signer_client *client;

static int setup(void **state) {
    place *p = calloc(1, sizeof *p);
    int fds[2];
    if (p == NULL) return -1;
    make_key(p);
    store_lab_make(&p->lab);
    client = porch_signer_client_new();
    if (client == NULL || store_lab_open(&p->lab) != PORCH_OK || porch_channel_pair(fds, NULL) != PORCH_OK)
        return -1;
    p->signer_fd = fds[0];
    porch_signer_client_attach(client, fds[1]);
    if (pthread_create(&p->signer, NULL, run_signer, p) != 0) return -1;
    open_updates(p, client);
    *state = p;
    return 0;
}

static int teardown(void **state) {
    place *p = *state;
    porch_updates_close(p->updates);
    porch_signer_client_free(client); /* the signer sees the end */
    (void)pthread_join(p->signer, NULL);
    (void)close(p->signer_fd);
    store_lab_remove(&p->lab);
    porch_key_free(p->key);
    free(p);
    return 0;
}

static void put(place *p, const char *name, const char *content) {
    char text[TEXT];
    sign(p, content, text);
    assert_int_equal(porch_updates_put(p->updates, name, 0, porch_bytes_of(text), &p->lab.why), PORCH_OK);
}

static void put_root(place *p) {
    char content[2000], role[120];
    (void)snprintf(role, sizeof role, "{\"keyids\":[\"%s\"],\"threshold\":1}", p->id);
    (void)snprintf(content, sizeof content,
                   "{\"_type\":\"root\",\"consistent_snapshot\":true," ENDS
                   ",\"keys\":{\"%s\":{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"%s\"},\"scheme\":"
                   "\"ed25519\"}},"
                   "\"roles\":{\"root\":%s,\"snapshot\":%s,\"targets\":%s,\"timestamp\":%s},"
                   "\"spec_version\":\"1.0.34\",\"version\":1}",
                   p->id, p->public, role, role, role, role);
    put(p, "metadata/1.root.json", content);
}

static porch_err publish(place *p, uint64_t version) {
    char content[300], name[64];
    porch_updates_outcome outcome;
    porch_updates_plan plan = {.root = 1, .count = 1, .roles = {{.name = "targets", .version = version}}};
    (void)snprintf(name, sizeof name, "metadata/%llu.targets.json", (unsigned long long)version);
    (void)snprintf(content, sizeof content,
                   "{\"_type\":\"targets\"," ENDS
                   ",\"spec_version\":\"1.0.34\",\"targets\":{},\"version\":%llu}",
                   (unsigned long long)version);
    put_root(p);
    put(p, name, content);
    p->lab.why.text[0] = '\0';
    return porch_updates_commit(p->updates, "operator", &plan, &outcome, &p->lab.why);
}

static porch_updates_state look(place *p) {
    porch_updates_state s;
    porch_updates_state_get(p->updates, &s);
    return s;
}

/* timestamp.json cannot be replaced: a folder has its name, or its own name again. */
static void bar(place *p, bool barred) {
    char path[160], aside[160];
    (void)snprintf(path, sizeof path, "%s/updates/metadata/timestamp.json", p->lab.dir);
    (void)snprintf(aside, sizeof aside, "%s/aside", p->lab.dir);
    if (barred) {
        assert_int_equal(rename(path, aside), 0);
        assert_int_equal(mkdir(path, 0700), 0);
    } else {
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(rename(aside, path), 0);
    }
}

static bool serves(place *p, const char *name) {
    int fd = -1;
    uint64_t bytes = 0;
    porch_err e = porch_updates_file(p->updates, name, &fd, &bytes, NULL);
    if (fd >= 0) (void)close(fd);
    return e == PORCH_OK;
}

/* ---- the tests ---- */

static void break_off(place *p) {
    assert_int_equal(publish(p, 1), PORCH_OK);
    bar(p, true);
    assert_int_not_equal(publish(p, 2), PORCH_OK);
    bar(p, false);
    porch_updates_state s = look(p);
    assert_int_equal(s.timestamp, 1);
    assert_non_null(strstr(s.trouble, "not in force yet"));
}

static void must_be_renewed(place *p) {
    bool renewed = false;
    if (porch_updates_tend(p->updates, ENDS_MS - 3600000, &renewed, &p->lab.why) != PORCH_OK)
        fail_msg("%s", p->lab.why.text);
    assert_true(renewed);
}

static void a_publish_that_broke_off_behind_the_signer_is_finished_by_the_hub(void **state) {
    place *p = *state;
    bool renewed = false;
    break_off(p);
    porch_updates_pruned pruned;
    assert_int_equal(porch_updates_prune(p->updates, true, "operator", &pruned, &p->lab.why),
                     PORCH_ERR_STATE);
    assert_int_equal(porch_updates_tend(p->updates, 1, &renewed, &p->lab.why), PORCH_OK);
    porch_updates_state s = look(p);
    assert_true(renewed && s.timestamp == p->version);
    assert_string_equal(s.trouble, "");
    assert_true(serves(p, "metadata/2.targets.json"));
    must_be_renewed(p);
    assert_true(look(p).timestamp > s.timestamp);
    assert_int_equal(publish(p, 3), PORCH_OK);
}

static void as_long_as_it_cannot_be_finished_the_state_says_why(void **state) {
    place *p = *state;
    bool renewed = true;
    break_off(p);
    bar(p, true);
    assert_int_not_equal(porch_updates_tend(p->updates, 1, &renewed, &p->lab.why), PORCH_OK);
    assert_false(renewed);
    assert_non_null(strstr(look(p).trouble, "timestamp.json"));
    bar(p, false);
    must_be_renewed(p);
    assert_string_equal(look(p).trouble, "");
}

static void a_hub_that_stopped_in_the_middle_finishes_when_it_is_there_again(void **state) {
    place *p = *state;
    break_off(p);
    porch_updates_close(p->updates);
    open_updates(p, client);
    assert_non_null(strstr(look(p).trouble, "the hub stopped"));
    must_be_renewed(p);
    assert_string_equal(look(p).trouble, "");
    assert_true(serves(p, "metadata/2.targets.json"));
    porch_updates_close(p->updates);
    open_updates(p, client);
    assert_string_equal(look(p).trouble, "");
}

/* A backup has no plan in it, and the signer's memory. */
static void what_cannot_be_renewed_is_said(void **state) {
    place *p = *state;
    bool renewed = true;
    assert_int_equal(publish(p, 1), PORCH_OK);
    p->remembered = 2;
    assert_int_equal(porch_updates_tend(p->updates, ENDS_MS - 3600000, &renewed, &p->lab.why),
                     PORCH_ERR_ROLLBACK);
    assert_false(renewed);
    assert_non_null(strstr(look(p).trouble, "could not be signed anew"));
    assert_int_equal(publish(p, 2), PORCH_OK);
    assert_string_equal(look(p).trouble, "");
}

static void what_the_signer_refuses_is_not_kept(void **state) {
    place *p = *state;
    bool renewed = true;
    assert_int_equal(publish(p, 1), PORCH_OK);
    p->remembered = 9;
    assert_int_equal(publish(p, 2), PORCH_ERR_ROLLBACK);
    assert_string_equal(look(p).trouble, "");
    assert_int_equal(porch_updates_tend(p->updates, 1, &renewed, &p->lab.why), PORCH_OK);
    assert_false(renewed);
    assert_int_equal(publish(p, 10), PORCH_OK);
}

/* Two people went on in copies of the folder, and both came to the same version. */
static void another_file_of_a_published_version_is_not_taken_for_it(void **state) {
    place *p = *state;
    porch_updates_outcome outcome;
    char path[160];
    uint8_t *text = NULL;
    size_t len = 0;
    assert_int_equal(publish(p, 1), PORCH_OK);
    const porch_updates_file_hash other = {.said = true, .sha256 = {1}};
    porch_updates_plan plan = {
        .root = 1, .count = 1, .roles = {{.name = "targets", .version = 1, .hash = other}}};
    assert_int_equal(porch_updates_commit(p->updates, "operator", &plan, &outcome, &p->lab.why),
                     PORCH_ERR_EXISTS);
    assert_non_null(strstr(p->lab.why.text, "another version 1 of targets"));
    (void)snprintf(path, sizeof path, "%s/updates/metadata/1.targets.json", p->lab.dir);
    assert_int_equal(porch_file_read(path, TEXT, &text, &len, NULL), PORCH_OK);
    porch_sha256((porch_bytes){text, len}, plan.roles[0].hash.sha256);
    free(text);
    assert_int_equal(porch_updates_commit(p->updates, "operator", &plan, &outcome, &p->lab.why), PORCH_OK);
    plan.root_hash = other;
    assert_int_equal(porch_updates_commit(p->updates, "operator", &plan, &outcome, &p->lab.why),
                     PORCH_ERR_EXISTS);
    assert_non_null(strstr(p->lab.why.text, "another version 1 of root"));
}

int main(void) {
#define OVER_SIGNER(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        OVER_SIGNER(a_publish_that_broke_off_behind_the_signer_is_finished_by_the_hub),
        OVER_SIGNER(as_long_as_it_cannot_be_finished_the_state_says_why),
        OVER_SIGNER(a_hub_that_stopped_in_the_middle_finishes_when_it_is_there_again),
        OVER_SIGNER(what_cannot_be_renewed_is_said),
        OVER_SIGNER(what_the_signer_refuses_is_not_kept),
        OVER_SIGNER(another_file_of_a_published_version_is_not_taken_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
