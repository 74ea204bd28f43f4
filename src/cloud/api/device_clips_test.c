/* The clip routes over a media room of their own and an exchange that the test plays. */
#include "cloud/api/device_clips.h"

#include "cloud/media/media_testing.h"
#include "wire/upload.h"

/* ---- the played exchange: what cloud/listener/http.h promises, in memory ---- */

struct porch_http_exchange {
    porch_peer peer;
    porch_media *media;
    const char *id;
    const char *headers[12]; /* name, value, ... */
    void *user;
    int status;
    char slug[64], detail[256];
    char told[8][2][80];
    size_t told_count;
};

const porch_peer *porch_http_peer(const porch_http_exchange *x) {
    return &x->peer;
}

void *porch_http_route_ctx(const porch_http_exchange *x) {
    return x->media;
}

const char *porch_http_param(const porch_http_exchange *x, const char *name) {
    return strcmp(name, "id") == 0 ? x->id : "";
}

const char *porch_http_header(const porch_http_exchange *x, const char *name) {
    for (size_t i = 0; i < 12 && x->headers[i] != NULL; i += 2) {
        if (strcmp(x->headers[i], name) == 0) return x->headers[i + 1];
    }
    return NULL;
}

void porch_http_set_user(porch_http_exchange *x, void *user) {
    x->user = user;
}

void *porch_http_user(const porch_http_exchange *x) {
    return x->user;
}

porch_err porch_http_reply_header(porch_http_exchange *x, const char *name, const char *value) {
    assert_true(x->told_count < 8);
    (void)snprintf(x->told[x->told_count][0], 80, "%s", name);
    (void)snprintf(x->told[x->told_count++][1], 80, "%s", value);
    return PORCH_OK;
}

porch_err porch_http_reply(porch_http_exchange *x, int status, const char *content_type, porch_bytes body) {
    assert_int_equal(x->status, 0); /* one answer */
    assert_null(content_type);
    assert_int_equal(body.len, 0);
    x->status = status;
    return PORCH_OK;
}

porch_err porch_http_problem(porch_http_exchange *x, int status, const char *slug, const char *detail) {
    assert_int_equal(x->status, 0);
    x->status = status;
    (void)snprintf(x->slug, sizeof x->slug, "%s", slug);
    (void)snprintf(x->detail, sizeof x->detail, "%s", detail);
    return PORCH_OK;
}

/* ---- requests ---- */

enum { POST, HEAD, PATCH, ROUTES };
static porch_http_route routes[ROUTES];
static uint8_t clip_bytes[1000];
static char digest_text[80];
static const char OTHER_DIGEST[] = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";

static int setup(void **state) {
    uint8_t digest[32];
    porch_buf text = PORCH_BUF_OF(digest_text);
    if (media_lab_setup(state) != 0) return -1;
    media_lab *m = *state;
    m->lab.settings.media_clip_bytes = 5000;
    media_lab_open(m);
    media_lab_pattern(clip_bytes, sizeof clip_bytes, 1);
    porch_sha256((porch_bytes){clip_bytes, sizeof clip_bytes}, digest);
    if (porch_upload_digest_write(&text, digest) != PORCH_OK) return -1;
    digest_text[text.len] = '\0';
    return porch_device_clips_routes(m->media, routes, ROUTES) == ROUTES ? 0 : -1;
}

static porch_http_exchange exchange(media_lab *m, const char *device, const char *id) {
    porch_media_owner owner = media_lab_device(device);
    porch_http_exchange x = {.media = m->media, .id = id};
    x.peer.principal.kind = PORCH_IDENTITY_DEVICE;
    memcpy(x.peer.principal.name, owner.device, sizeof x.peer.principal.name);
    memcpy(x.peer.principal.product, owner.product, sizeof x.peer.principal.product);
    memcpy(x.peer.principal.household, owner.household, sizeof x.peer.principal.household);
    return x;
}

static const char *told(const porch_http_exchange *x, const char *name) {
    for (size_t i = 0; i < x->told_count; i++) {
        if (strcmp(x->told[i][0], name) == 0) return x->told[i][1];
    }
    return "";
}

static porch_http_exchange post(media_lab *m, const char *device, const char *event) {
    porch_http_exchange x = exchange(m, device, "");
    x.headers[0] = "Porchlight-Event";
    x.headers[1] = event;
    x.headers[2] = "Upload-Complete";
    x.headers[3] = "?0";
    routes[POST].handler(&x);
    return x;
}

static void begin(media_lab *m, char id[PORCH_MEDIA_UID]) {
    static const char path[] = "/api/v1/device/clips/";
    porch_http_exchange x = post(m, "front", "e1");
    assert_int_equal(x.status, 201);
    const char *location = told(&x, "Location");
    assert_memory_equal(location, path, sizeof path - 1);
    (void)snprintf(id, PORCH_MEDIA_UID, "%s", location + sizeof path - 1);
}

static porch_http_exchange patch_head(media_lab *m, const char *device, const char *id, const char *offset,
                                      const char *complete, const char *digest) {
    porch_http_exchange x = exchange(m, device, id);
    const char *const headers[] = {
        "Content-Type", "application/partial-upload",          "Upload-Offset", offset, "Upload-Complete",
        complete,       digest != NULL ? "Repr-Digest" : NULL, digest};
    memcpy(x.headers, headers, sizeof headers);
    return x;
}

static porch_http_exchange patch(media_lab *m, const char *id, const char *offset, size_t bytes,
                                 const char *digest) {
    porch_http_exchange x = patch_head(m, "front", id, offset, digest != NULL ? "?1" : "?0", digest);
    routes[PATCH].handler(&x);
    for (size_t at = 0; at < bytes && x.status == 0; at += 100) {
        routes[PATCH].data(&x, (porch_bytes){clip_bytes + at, bytes - at < 100 ? bytes - at : 100}, false);
    }
    if (x.status == 0) routes[PATCH].data(&x, (porch_bytes){clip_bytes, 0}, true);
    assert_null(x.user);
    return x;
}

static porch_http_exchange head(media_lab *m, const char *device, const char *id) {
    porch_http_exchange x = exchange(m, device, id);
    routes[HEAD].handler(&x);
    return x;
}

static void refused(porch_http_exchange x, int status, const char *slug) {
    assert_int_equal(x.status, status);
    assert_string_equal(x.slug, slug);
    assert_true(strlen(x.detail) > 0);
}

static void a_clip_goes_its_way(void **state) {
    media_lab *m = *state;
    char id[PORCH_MEDIA_UID];
    begin(m, id);
    porch_http_exchange x = patch(m, id, "0", 450, NULL);
    assert_int_equal(x.status, 204);
    assert_string_equal(told(&x, "Upload-Offset"), "450");
    assert_string_equal(told(&x, "Upload-Complete"), "?0");
    x = post(m, "front", "e1");
    assert_int_equal(x.status, 200);
    assert_string_equal(told(&x, "Upload-Offset"), "450");
    x = head(m, "front", id);
    assert_int_equal(x.status, 204);
    assert_string_equal(told(&x, "Upload-Offset"), "450");
    x = patch_head(m, "front", id, "450", "?1", digest_text);
    routes[PATCH].handler(&x);
    routes[PATCH].data(&x, (porch_bytes){clip_bytes + 450, 550}, true);
    assert_int_equal(x.status, 204);
    assert_string_equal(told(&x, "Upload-Offset"), "1000");
    assert_string_equal(told(&x, "Upload-Complete"), "?1");
    x = head(m, "front", id);
    assert_string_equal(told(&x, "Upload-Complete"), "?1");
    x = patch(m, id, "1000", 10, NULL);
    refused(x, 409, "wrong-offset");
    assert_string_equal(told(&x, "Upload-Complete"), "?1");
}

static void a_device_that_leaves_goes_on_where_it_was(void **state) {
    media_lab *m = *state;
    char id[PORCH_MEDIA_UID];
    begin(m, id);
    porch_http_exchange x = patch_head(m, "front", id, "0", "?0", NULL);
    routes[PATCH].handler(&x);
    routes[PATCH].data(&x, (porch_bytes){clip_bytes, 333}, false);
    routes[PATCH].abort(&x);
    assert_null(x.user);
    porch_http_exchange again = head(m, "front", id);
    assert_string_equal(told(&again, "Upload-Offset"), "333");
}

static void every_refusal_has_its_own_name(void **state) {
    media_lab *m = *state;
    char id[PORCH_MEDIA_UID];
    begin(m, id);
    assert_int_equal(patch(m, id, "0", 100, NULL).status, 204);
    porch_http_exchange x = patch(m, id, "99", 1, NULL);
    refused(x, 409, "wrong-offset");
    assert_string_equal(told(&x, "Upload-Offset"), "100");
    x = head(m, "back", id);
    refused(x, 403, "not-yours");
    refused(head(m, "front", "00000000000000000000000000000000"), 404, "not-found");
    x = patch(m, id, "100", 900, OTHER_DIGEST);
    refused(x, 422, "wrong-hash");
    assert_string_equal(told(&x, "Upload-Offset"), "0");
    for (int i = 0; i < 5; i++) {
        char offset[8];
        (void)snprintf(offset, sizeof offset, "%d", i * 1000);
        assert_int_equal(patch(m, id, offset, 1000, NULL).status, 204);
    }
    refused(patch(m, id, "5000", 1, NULL), 413, "too-large");
    m->lab.settings.media_household_bytes = 5000;
    refused(post(m, "back", "e1"), 507, "insufficient-storage");
    m->lab.settings.media_household_bytes = 1 << 20;
    m->lab.settings.media_uploads_per_device = 1;
    porch_http_exchange sending = patch_head(m, "front", id, "5000", "?0", NULL);
    routes[PATCH].handler(&sending);
    x = post(m, "front", "e2");
    refused(x, 429, "too-many-uploads");
    assert_string_equal(told(&x, "Retry-After"), "2");
    routes[PATCH].abort(&sending);
}

static void wrong_headers_are_named(void **state) {
    media_lab *m = *state;
    char id[PORCH_MEDIA_UID];
    begin(m, id);
    static const char *const offsets[] = {"-1", "01", "", "99999999999999999999"};
    for (size_t i = 0; i < 4; i++) {
        porch_http_exchange x = patch(m, id, offsets[i], 1, NULL);
        refused(x, 400, "malformed");
        assert_non_null(strstr(x.detail, "Upload-Offset"));
    }
    porch_http_exchange x = patch(m, id, "0", 1, "sha-256=:AAAA:");
    refused(x, 400, "malformed");
    assert_non_null(strstr(x.detail, "Repr-Digest"));
    x = patch_head(m, "front", id, "0", "?1", NULL);
    routes[PATCH].handler(&x);
    refused(x, 400, "malformed");
    x = patch_head(m, "front", id, "0", "yes", NULL);
    routes[PATCH].handler(&x);
    refused(x, 400, "malformed");
    x = patch_head(m, "front", id, "0", "?0", NULL);
    x.headers[1] = "video/mp4";
    routes[PATCH].handler(&x);
    refused(x, 415, "media-type");
    refused(post(m, "front", "../x"), 400, "malformed");
}

static void a_service_uploads_nothing(void **state) {
    media_lab *m = *state;
    for (int route = 0; route < ROUTES; route++) {
        porch_http_exchange x = patch_head(m, "front", "x", "0", "?0", NULL);
        x.peer.principal.kind = PORCH_IDENTITY_SERVICE;
        routes[route].handler(&x);
        refused(x, 403, "not-yours");
        assert_true((routes[route].flags & PORCH_HTTP_PRINCIPAL) != 0);
        assert_int_equal(routes[route].listeners, PORCH_ON_DEVICE);
    }
}

#define CLIPS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, media_lab_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CLIPS_TEST(a_clip_goes_its_way),
        CLIPS_TEST(a_device_that_leaves_goes_on_where_it_was),
        CLIPS_TEST(every_refusal_has_its_own_name),
        CLIPS_TEST(wrong_headers_are_named),
        CLIPS_TEST(a_service_uploads_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
