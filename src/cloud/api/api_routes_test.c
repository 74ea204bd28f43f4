/* docs/openapi.yaml against the route table, in both directions. The file is read line by line: a path is a
 * line of two blanks and a slash, a method one of four blanks below it. */
#include "cloud/api/api_routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { DOCUMENTED_MOST = 128, LINE_BYTES = 512 };

typedef struct {
    char method[8];
    char path[128];
    unsigned listeners;
    unsigned roles;
    porch_api_ask step_up;
} documented;

static documented found[DOCUMENTED_MOST];
static size_t found_count;

static const char *const METHODS[] = {"get", "head", "post", "put", "patch", "delete"};

static void upper(char *text) {
    for (; *text != '\0'; text++)
        if (*text >= 'a' && *text <= 'z') *text = (char)(*text - ('a' - 'A'));
}

static void read_line(const char *line, char *path, size_t cap, bool *in_paths) {
    if (line[0] != ' ' && line[0] != '\n') *in_paths = strncmp(line, "paths:", 6) == 0;
    if (!*in_paths) return;
    if (strncmp(line, "  /", 3) == 0) {
        (void)snprintf(path, cap, "%.*s", (int)strcspn(line + 2, ":"), line + 2);
        return;
    }
    for (size_t i = 0; i < sizeof METHODS / sizeof METHODS[0]; i++) {
        size_t len = strlen(METHODS[i]);
        if (strncmp(line, "    ", 4) != 0 || strncmp(line + 4, METHODS[i], len) != 0 ||
            line[4 + len] != ':')
            continue;
        assert_true(found_count < DOCUMENTED_MOST);
        documented *d = &found[found_count++];
        d->step_up = PORCH_ASK_NOTHING;
        (void)snprintf(d->path, sizeof d->path, "%s", path);
        (void)snprintf(d->method, sizeof d->method, "%s", METHODS[i]);
        upper(d->method);
    }
    if (strncmp(line, "      x-listeners:", 18) == 0 && found_count > 0) {
        documented *d = &found[found_count - 1];
        if (strstr(line, "people") != NULL) d->listeners |= PORCH_ON_PEOPLE;
        if (strstr(line, "device") != NULL) d->listeners |= PORCH_ON_DEVICE;
    }
}

/* x-roles and x-step-up of the operation above. */
static void read_access(const char *line) {
    documented *d = &found[found_count - 1];
    if (strncmp(line, "      x-step-up: true", 21) == 0) d->step_up = PORCH_ASK_FRESH;
    if (strncmp(line, "      x-step-up: app", 20) == 0) d->step_up = PORCH_ASK_APP;
    if (strncmp(line, "      x-roles:", 14) != 0) return;
#define ADD_ROLE(NAME, text, bit) \
    if (strstr(line, text) != NULL) d->roles |= PORCH_ROLE_##NAME;
    PORCH_ROLE_LIST(ADD_ROLE)
#undef ADD_ROLE
}

static int read_document(void **state) {
    (void)state;
    char line[LINE_BYTES], path[128] = "";
    bool in_paths = false;
    FILE *f = fopen("docs/openapi.yaml", "r");
    if (f == NULL) return -1;
    found_count = 0;
    memset(found, 0, sizeof found);
    while (fgets(line, sizeof line, f) != NULL) {
        read_line(line, path, sizeof path, &in_paths);
        if (in_paths && found_count > 0) read_access(line);
    }
    (void)fclose(f);
    return 0;
}

static bool is_catch_all(const porch_http_route *r) {
    return strstr(r->pattern, "...}") != NULL;
}

static void every_route_is_documented_for_its_doors(void **state) {
    (void)state;
    porch_http_route routes[PORCH_API_ROUTES_MOST];
    size_t count = porch_api_routes(NULL, routes);
    assert_true(count > 10);
    for (size_t i = 0; i < count; i++) {
        bool there = is_catch_all(&routes[i]);
        for (size_t k = 0; k < found_count && !there; k++)
            there = strcmp(found[k].method, routes[i].method) == 0 &&
                    strcmp(found[k].path, routes[i].pattern) == 0 &&
                    found[k].listeners == routes[i].listeners;
        if (!there)
            fail_msg("docs/openapi.yaml lacks %s %s (or names other doors)", routes[i].method,
                     routes[i].pattern);
    }
}

static void every_documented_operation_is_a_route(void **state) {
    (void)state;
    porch_http_route routes[PORCH_API_ROUTES_MOST];
    size_t count = porch_api_routes(NULL, routes);
    assert_true(found_count > 10);
    for (size_t k = 0; k < found_count; k++) {
        bool there = false;
        for (size_t i = 0; i < count && !there; i++)
            there = strcmp(found[k].method, routes[i].method) == 0 &&
                    strcmp(found[k].path, routes[i].pattern) == 0;
        if (!there)
            fail_msg("docs/openapi.yaml has %s %s, the hub has not", found[k].method, found[k].path);
    }
}

static void no_route_stands_twice_and_all_have_a_handler(void **state) {
    (void)state;
    porch_http_route routes[PORCH_API_ROUTES_MOST];
    size_t count = porch_api_routes(NULL, routes);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(routes[i].handler);
        for (size_t k = 0; k < i; k++)
            if (strcmp(routes[i].method, routes[k].method) == 0 &&
                strcmp(routes[i].pattern, routes[k].pattern) == 0)
                fail_msg("%s %s stands twice", routes[i].method, routes[i].pattern);
    }
}

static const documented *document_of(const porch_http_route *r) {
    for (size_t k = 0; k < found_count; k++)
        if (strcmp(found[k].method, r->method) == 0 && strcmp(found[k].path, r->pattern) == 0)
            return &found[k];
    return NULL;
}

static void who_may_and_what_is_shown_once_more_is_declared_and_documented(void **state) {
    (void)state;
    size_t count = 0;
    const porch_api_row *rows = porch_api_people_rows(&count);
    for (size_t i = 0; i < count; i++) {
        const porch_api_row *row = &rows[i];
        const documented *d = document_of(&row->route);
        unsigned roles = porch_api_is_guarded(row) ? (unsigned)row->who : 0;
        if (row->who == 0 || row->ask == 0)
            fail_msg("%s %s does not say who may pass, or what is shown once more", row->route.method,
                     row->route.pattern);
        if (!porch_api_is_guarded(row) && row->ask != PORCH_ASK_NOTHING)
            fail_msg("%s %s asks for a code and knows nobody to ask", row->route.method,
                     row->route.pattern);
        if (porch_api_is_guarded(row) && (row->route.flags & PORCH_HTTP_INLINE) != 0)
            fail_msg("%s %s: a door that reads the database stands on a shard", row->route.method,
                     row->route.pattern);
        if (d == NULL) continue; /* a catch-all: the first test knows */
        if (d->roles != roles || d->step_up != row->ask)
            fail_msg("docs/openapi.yaml says otherwise about who may %s %s", row->route.method,
                     row->route.pattern);
    }
}

/* Everything that a browser reaches and that is not open to anybody goes through the door; so does nothing
 * that devices ask for, whose certificates the listener judged. */
static void routes_without_a_door_are_a_closed_list(void **state) {
    (void)state;
    static const char *const open[] = {"/api/v1/setup",
                                       "/api/v1/setup/confirm",
                                       "/api/v1/password-check",
                                       "/api/v1/login",
                                       "/healthz",
                                       "/mqtt",
                                       "/web-ca.crt",
                                       "/porchlight.mobileconfig",
                                       "/api/v1/trust",
                                       "/api/{path...}",
                                       "/{path...}"};
    porch_http_route routes[PORCH_API_ROUTES_MOST];
    size_t count = porch_api_routes(NULL, routes), passing = 0;
    for (size_t i = 0; i < count; i++) {
        if ((routes[i].listeners & PORCH_ON_PEOPLE) == 0) continue;
        bool known = routes[i].handler == porch_api_pass;
        for (size_t k = 0; k < sizeof open / sizeof open[0] && !known; k++)
            known = strcmp(routes[i].pattern, open[k]) == 0;
        if (!known) fail_msg("%s %s has no door", routes[i].method, routes[i].pattern);
        passing += routes[i].handler == porch_api_pass;
    }
    assert_true(passing > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_documented_for_its_doors),
        cmocka_unit_test(every_documented_operation_is_a_route),
        cmocka_unit_test(who_may_and_what_is_shown_once_more_is_declared_and_documented),
        cmocka_unit_test(routes_without_a_door_are_a_closed_list),
        cmocka_unit_test(no_route_stands_twice_and_all_have_a_handler),
    };
    return cmocka_run_group_tests(tests, read_document, NULL);
}
