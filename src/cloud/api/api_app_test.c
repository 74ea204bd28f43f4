#include "cloud/api/api_app.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct {
    char dir[64];
    porch_app *app;
} lab;

static void put(const lab *l, const char *name, const char *text) {
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", l->dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int make_lab(void **state) {
    lab *l = calloc(1, sizeof *l);
    char path[256];
    (void)snprintf(l->dir, sizeof l->dir, "/tmp/porch-app-XXXXXX");
    if (mkdtemp(l->dir) == NULL) goto fail;
    (void)snprintf(path, sizeof path, "%s/assets", l->dir);
    if (mkdir(path, 0700) != 0) goto fail;
    put(l, "index.html", "<!doctype html>");
    put(l, "assets/x-1a2b.js", "plain script");
    put(l, "assets/x-1a2b.js.br", "BR");
    put(l, "assets/x-1a2b.js.gz", "GZ!");
    put(l, ".hidden", "no");
    *state = l;
    return 0;
fail:
    free(l);
    return -1;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static int drop_lab(void **state) {
    lab *l = *state;
    porch_app_free(l->app);
    (void)nftw(l->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(l);
    return 0;
}

static void load(lab *l) {
    assert_int_equal(porch_app_load(l->dir, 1 << 20, &l->app, NULL), PORCH_OK);
}

static void files_are_found_by_path_and_the_root_is_the_page(void **state) {
    lab *l = *state;
    load(l);
    assert_int_equal(porch_app_count(l->app), 2);
    const porch_app_file *page = porch_app_find(l->app, "/");
    assert_non_null(page);
    assert_ptr_equal(page, porch_app_find(l->app, "/index.html"));
    assert_string_equal(page->type, "text/html; charset=utf-8");
    assert_false(page->immutable);
    const porch_app_file *script = porch_app_find(l->app, "/assets/x-1a2b.js");
    assert_non_null(script);
    assert_true(script->immutable);
    assert_string_equal(script->type, "text/javascript; charset=utf-8");
    assert_true(porch_bytes_eq_text(script->bytes[PORCH_APP_BROTLI], "BR"));
}

static void nothing_else_is_found(void **state) {
    lab *l = *state;
    load(l);
    static const char *const paths[] = {"",
                                        "/assets",
                                        "/assets/",
                                        "/x",
                                        "/.hidden",
                                        "/../etc/passwd",
                                        "/assets/x-1a2b.js.br",
                                        "//index.html"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_null(porch_app_find(l->app, paths[i]));
    assert_null(porch_app_find(NULL, "/"));
}

static void a_link_out_of_the_folder_is_not_followed(void **state) {
    lab *l = *state;
    char path[256];
    (void)snprintf(path, sizeof path, "%s/passwd.txt", l->dir);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    load(l);
    assert_null(porch_app_find(l->app, "/passwd.txt"));
}

static void the_best_accepted_coding_is_chosen(void **state) {
    lab *l = *state;
    load(l);
    const porch_app_file *script = porch_app_find(l->app, "/assets/x-1a2b.js");
    const porch_app_file *page = porch_app_find(l->app, "/");
    assert_int_equal(porch_app_choose(script, "gzip, deflate, br"), PORCH_APP_BROTLI);
    assert_int_equal(porch_app_choose(script, "gzip"), PORCH_APP_GZIP);
    assert_int_equal(porch_app_choose(script, "BR;q=1.0"), PORCH_APP_BROTLI);
    assert_int_equal(porch_app_choose(script, "br;q=0, gzip;q=0.5"), PORCH_APP_GZIP);
    assert_int_equal(porch_app_choose(script, "br; q=0.000, gzip ; q=0"), PORCH_APP_PLAIN);
    assert_int_equal(porch_app_choose(script, "identity"), PORCH_APP_PLAIN);
    assert_int_equal(porch_app_choose(script, "brotli"), PORCH_APP_PLAIN);
    assert_int_equal(porch_app_choose(script, NULL), PORCH_APP_PLAIN);
    assert_int_equal(porch_app_choose(script, ",;,"), PORCH_APP_PLAIN);
    assert_int_equal(porch_app_choose(page, "br, gzip"), PORCH_APP_PLAIN);
}

static void each_variant_has_its_own_etag(void **state) {
    lab *l = *state;
    load(l);
    const porch_app_file *script = porch_app_find(l->app, "/assets/x-1a2b.js");
    assert_int_equal(strlen(script->etag[PORCH_APP_PLAIN]), 34);
    assert_string_not_equal(script->etag[PORCH_APP_PLAIN], script->etag[PORCH_APP_BROTLI]);
    assert_string_not_equal(script->etag[PORCH_APP_GZIP], script->etag[PORCH_APP_BROTLI]);
}

static void an_app_past_its_limit_is_refused_and_a_missing_one_is_empty(void **state) {
    lab *l = *state;
    porch_why why;
    assert_int_equal(porch_app_load(l->dir, 20, &l->app, &why), PORCH_ERR_LIMIT);
    assert_non_null(strstr(why.text, "people.app_bytes"));
    assert_int_equal(porch_app_load("/nonexistent", 20, &l->app, &why), PORCH_OK);
    assert_int_equal(porch_app_count(l->app), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_lab, drop_lab)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(files_are_found_by_path_and_the_root_is_the_page),
        TEST(nothing_else_is_found),
        TEST(a_link_out_of_the_folder_is_not_followed),
        TEST(the_best_accepted_coding_is_chosen),
        TEST(each_variant_has_its_own_etag),
        TEST(an_app_past_its_limit_is_refused_and_a_missing_one_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
