/* Authorities that stand beside the roots, and chains that were verified before. */
#include "crypto/port/openssl/tls_testbed.h"

static void both_authorities(const made *top, const made *below, uint8_t *block, size_t cap,
                             porch_buf *ret) {
    *ret = (porch_buf){block, 0, cap};
    memcpy(block, top->pem.at, top->pem.len);
    memcpy(block + top->pem.len, below->pem.at, below->pem.len);
    ret->len = top->pem.len + below->pem.len;
}

static void a_chain_is_verified_once_and_its_leaf_judged_each_time(void **state) {
    (void)state;
    uint8_t block[16384];
    porch_buf authorities;
    both_authorities(&root, &issuing, block, sizeof block, &authorities);
    porch_tls_server_config sc = server_config();
    sc.client_ca_pem = porch_buf_bytes(&authorities);
    porch_tls_server *s = new_server(sc);
    const made *who[] = {&cam, &late_cam};
    for (size_t i = 0; i < 2; i++) {
        porch_tls_client *c = new_client(client_config(who[i]));
        for (int round = 0; round < 3; round++) {
            meeting m;
            meet(&m, s, c);
            assert_int_equal(m.server_end, PORCH_OK);
            assert_false(m.peer.resumed);
            assert_int_equal(m.peer.expired, who[i] == &late_cam);
            assert_true(porch_verified_knows(s->verified, m.peer.x509.fingerprint, now_ms()));
            /* no longer than its issuers are valid: they were made for years */
            assert_false(porch_verified_knows(s->verified, m.peer.x509.fingerprint,
                                              now_ms() + 8000 * PORCH_TLS_DAY_MS));
            assert_false(porch_verified_knows(s->verified, m.peer.x509.fingerprint, 1000));
            close_meeting(&m);
        }
        porch_tls_client_unref(c);
    }
    porch_tls_client *stranger = new_client(client_config(&foreign_cam));
    for (int round = 0; round < 2; round++) {
        meeting m;
        meet(&m, s, stranger);
        assert_int_equal(m.server_end, PORCH_ERR_AUTH);
        close_meeting(&m);
    }
    porch_tls_client_unref(stranger);
    porch_tls_server_unref(s);
}

static void a_newer_chain_takes_an_older_ones_place(void **state) {
    (void)state;
    porch_verified *v = calloc(1, sizeof *v);
    assert_non_null(v);
    assert_int_equal(pthread_mutex_init(&v->lock, NULL), 0);
    uint8_t one[32] = {1}, same_slot[32] = {1, [31] = 9}, nobody[32] = {0};
    assert_false(porch_verified_knows(v, nobody, 0)); /* an empty slot knows nobody */
    porch_verified_note(v, one, 100, 200);
    assert_true(porch_verified_knows(v, one, 100));
    assert_true(porch_verified_knows(v, one, 199));
    assert_false(porch_verified_knows(v, one, 99));
    assert_false(porch_verified_knows(v, one, 200));
    assert_false(porch_verified_knows(v, same_slot, 150));
    porch_verified_note(v, same_slot, 100, 200);
    assert_true(porch_verified_knows(v, same_slot, 150));
    assert_false(porch_verified_knows(v, one, 150));
    (void)pthread_mutex_destroy(&v->lock);
    free(v);
}

static void an_issuer_beside_the_roots_must_reach_one_of_them(void **state) {
    (void)state;
    uint8_t block[16384];
    porch_buf authorities;
    porch_why why = {""};
    porch_tls_server *s = NULL;
    porch_tls_server_config sc = server_config();
    both_authorities(&foreign_root, &issuing, block, sizeof block, &authorities);
    sc.client_ca_pem = porch_buf_bytes(&authorities);
    assert_int_equal(porch_tls_server_new(&sc, &s, &why), PORCH_ERR_STATE);
    assert_non_null(strstr(why.text, "reaches no root"));
}

static void a_late_issuer_beside_its_root_is_not_tolerated_either(void **state) {
    (void)state;
    made old_root = {.key = NULL}, old_issuing = {.key = NULL}, leaf = {.key = NULL};
    uint8_t block[16384];
    porch_buf authorities;
    uint64_t long_ago = now_ms() - 800 * PORCH_TLS_DAY_MS;
    memset(&old_root, 0, sizeof old_root);
    memset(&old_issuing, 0, sizeof old_issuing);
    memset(&leaf, 0, sizeof leaf);
    new_key(&old_root);
    new_key(&old_issuing);
    assert_int_equal(porch_ca_make_root("O", old_root.key, long_ago, 20, &old_root.pem, NULL), PORCH_OK);
    const porch_ca above = {porch_buf_bytes(&old_root.pem), old_root.key};
    assert_int_equal(
        porch_ca_make_issuing(&above, "OI", &old_issuing.public_key, long_ago, 1, &old_issuing.pem, NULL),
        PORCH_OK);
    make_leaf(&leaf, &old_issuing, (porch_ca_request){.profile = PORCH_PROFILE_DEVICE, .id = "cam"}, -600,
              -500);
    both_authorities(&old_root, &old_issuing, block, sizeof block, &authorities);
    porch_tls_server_config sc = server_config();
    sc.client_ca_pem = porch_buf_bytes(&authorities);
    meeting m;
    meet_once(&m, sc, client_config(&leaf)); /* the server is made: clocks may be wrong at a start */
    assert_int_equal(m.server_end, PORCH_ERR_AUTH);
    assert_non_null(strstr(m.server_why.text, "expired"));
    close_meeting(&m);
    porch_key_free(old_root.key);
    porch_key_free(old_issuing.key);
    porch_key_free(leaf.key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_is_verified_once_and_its_leaf_judged_each_time),
        cmocka_unit_test(a_newer_chain_takes_an_older_ones_place),
        cmocka_unit_test(an_issuer_beside_the_roots_must_reach_one_of_them),
        cmocka_unit_test(a_late_issuer_beside_its_root_is_not_tolerated_either),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
