/* The routes of updates over a repository's folder and an exchange that the test plays. */
#include "cloud/api/device_updates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cloud/store/store_testing.h"
#include "os/file.h"

struct porch_http_exchange {
    porch_peer peer;
    porch_updates *updates;
    const char *param, *range;
    int status;
    uint64_t length;
    uint8_t body[64];
    size_t got;
    char content_range[80], age[64], slug[32];
};

const porch_peer *porch_http_peer(const porch_http_exchange *x) {
    return &x->peer;
}
void *porch_http_route_ctx(const porch_http_exchange *x) {
    return x->updates;
}
const char *porch_http_param(const porch_http_exchange *x, const char *name) {
    (void)name;
    return x->param;
}
const char *porch_http_header(const porch_http_exchange *x, const char *name) {
    return strcmp(name, "Range") == 0 ? x->range : NULL;
}
porch_err porch_http_reply_header(porch_http_exchange *x, const char *name, const char *value) {
    if (strcmp(name, "Content-Range") == 0)
        (void)snprintf(x->content_range, sizeof x->content_range, "%s", value);
    if (strcmp(name, "Cache-Control") == 0) (void)snprintf(x->age, sizeof x->age, "%s", value);
    return PORCH_OK;
}
porch_err porch_http_problem(porch_http_exchange *x, int status, const char *slug, const char *detail) {
    assert_int_equal(x->status, 0);
    assert_int_not_equal(detail[0], '\0');
    x->status = status;
    (void)snprintf(x->slug, sizeof x->slug, "%s", slug);
    return PORCH_OK;
}
porch_err porch_http_reply_source(porch_http_exchange *x, int status, const char *content_type,
                                  uint64_t length, porch_http_read_fn read_fn, void (*free_fn)(void *ctx),
                                  void *ctx) {
    size_t n = 0;
    assert_int_equal(x->status, 0);
    assert_non_null(content_type);
    x->status = status;
    x->length = length;
    while (x->got < length) {
        assert_int_equal(read_fn(ctx, x->got, x->body + x->got, (size_t)(length - x->got), &n), PORCH_OK);
        x->got += n;
    }
    free_fn(ctx);
    return PORCH_OK;
}

typedef struct {
    store_lab lab;
    porch_updates *updates;
    porch_http_route routes[2];
} place;

static void put(const place *p, const char *name, const char *text) {
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", p->lab.dir, name);
    assert_int_equal(porch_file_write_atomic(path, porch_bytes_of(text), 0600, NULL), PORCH_OK);
}

static void folder(const place *p, const char *name) {
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", p->lab.dir, name);
    assert_int_equal(porch_dir_make(path, 0700, NULL), PORCH_OK);
}

static int setup(void **state) {
    place *p = calloc(1, sizeof *p);
    if (p == NULL) return -1;
    store_lab_make(&p->lab);
    if (store_lab_open(&p->lab) != PORCH_OK) return -1;
    folder(p, "updates");
    const porch_updates_config config = {p->lab.dir, p->lab.store, NULL, &p->lab.settings};
    if (porch_updates_open(&config, &p->updates, NULL) != PORCH_OK) return -1;
    put(p, "updates/metadata/1.root.json", "{\"root\"}");
    folder(p, "updates/targets/camera");
    folder(p, "updates/targets/camera/1.2");
    put(p, "updates/targets/camera/1.2/9f.image", "0123456789");
    put(p, "updates/incoming/x.json", "{}");
    if (porch_device_updates_routes(p->updates, p->routes, 2) != 2) return -1;
    *state = p;
    return 0;
}

static int teardown(void **state) {
    place *p = *state;
    porch_updates_close(p->updates);
    store_lab_remove(&p->lab);
    free(p);
    return 0;
}

enum { METADATA, TARGETS };

static porch_http_exchange ask(const place *p, unsigned route, const char *param, const char *range,
                               porch_identity_kind kind) {
    porch_http_exchange x = {.updates = p->updates, .param = param, .range = range};
    x.peer.principal.kind = kind;
    p->routes[route].handler(&x);
    return x;
}

static void a_device_gets_a_file_whole_or_a_range_of_it(void **state) {
    const place *p = *state;
    porch_http_exchange x = ask(p, TARGETS, "camera/1.2/9f.image", NULL, PORCH_IDENTITY_DEVICE);
    assert_int_equal(x.status, 200);
    assert_memory_equal(x.body, "0123456789", 10);
    x = ask(p, TARGETS, "camera/1.2/9f.image", "bytes=3-5", PORCH_IDENTITY_DEVICE);
    assert_int_equal(x.status, 206);
    assert_string_equal(x.content_range, "bytes 3-5/10");
    assert_int_equal(x.length, 3);
    assert_memory_equal(x.body, "345", 3);
    x = ask(p, TARGETS, "camera/1.2/9f.image", "bytes=7-", PORCH_IDENTITY_DEVICE);
    assert_int_equal(x.length, 3);
    x = ask(p, TARGETS, "camera/1.2/9f.image", "bytes=10-", PORCH_IDENTITY_DEVICE);
    assert_int_equal(x.status, 416);
    assert_string_equal(x.content_range, "bytes */10");
}

static void metadata_is_whole_and_what_has_a_version_in_its_name_lasts(void **state) {
    const place *p = *state;
    porch_http_exchange x = ask(p, METADATA, "1.root.json", "bytes=0-1", PORCH_IDENTITY_DEVICE);
    assert_int_equal(x.status, 200);
    assert_int_equal(x.length, 8);
    assert_non_null(strstr(x.age, "immutable"));
    put(p, "updates/metadata/timestamp.json", "{}");
    x = ask(p, METADATA, "timestamp.json", NULL, PORCH_IDENTITY_DEVICE);
    assert_string_equal(x.age, "no-store");
}

static void nothing_else_of_the_hub_is_served(void **state) {
    const place *p = *state;
    static const char *const bad[] = {"../hub.db",   "../incoming/x.json", "",
                                      "2.root.json", "a/../../hub.db",     "x.json"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(ask(p, METADATA, bad[i], NULL, PORCH_IDENTITY_DEVICE).status, 404);
        assert_int_equal(ask(p, TARGETS, bad[i], NULL, PORCH_IDENTITY_DEVICE).status, 404);
    }
    assert_int_equal(ask(p, TARGETS, "camera/1.2", NULL, PORCH_IDENTITY_DEVICE).status, 404);
}

static void services_fetch_no_updates_and_devices_under_quarantine_do(void **state) {
    const place *p = *state;
    porch_http_exchange x = ask(p, METADATA, "1.root.json", NULL, PORCH_IDENTITY_SERVICE);
    assert_int_equal(x.status, 403);
    assert_string_equal(x.slug, "not-yours");
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(p->routes[i].flags, PORCH_HTTP_PRINCIPAL | PORCH_HTTP_QUARANTINED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_device_gets_a_file_whole_or_a_range_of_it, setup, teardown),
        cmocka_unit_test_setup_teardown(metadata_is_whole_and_what_has_a_version_in_its_name_lasts, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nothing_else_of_the_hub_is_served, setup, teardown),
        cmocka_unit_test_setup_teardown(services_fetch_no_updates_and_devices_under_quarantine_do, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
