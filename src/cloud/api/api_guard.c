#include "cloud/api/api_guard.h"

#include <string.h>

#define CONTENT_POLICY                                                                                  \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' "  \
    "blob:; "                                                                                           \
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; " \
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types porchlight-sw"

#define PEOPLE_HEADERS                                                                       \
    {"Content-Security-Policy", CONTENT_POLICY}, {"X-Content-Type-Options", "nosniff"},      \
        {"Referrer-Policy", "no-referrer"}, {"Cross-Origin-Opener-Policy", "same-origin"},   \
        {"Cross-Origin-Resource-Policy", "same-origin"}, {                                   \
        "Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()" \
    }

static const porch_http_header_row PEOPLE[] = {PEOPLE_HEADERS, {NULL, NULL}};
static const porch_http_header_row PEOPLE_HSTS[] = {
    PEOPLE_HEADERS, {"Strict-Transport-Security", "max-age=31536000"}, {NULL, NULL}};
static const porch_http_header_row DEVICE[] = {
    {"X-Content-Type-Options", "nosniff"}, {"Cache-Control", "no-store"}, {NULL, NULL}};

const porch_http_header_row *porch_guard_people_headers(bool hsts) {
    return hsts ? PEOPLE_HSTS : PEOPLE;
}

const porch_http_header_row *porch_guard_device_headers(void) {
    return DEVICE;
}

static char lower(char c) {
    return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

porch_err porch_guard_names_read(const char *text, porch_guard_names *ret, porch_why *why) {
    porch_guard_names names = {.count = 0};
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        if (len >= sizeof names.names[0] || (len > 0 && names.count == PORCH_GUARD_NAMES))
            return porch_fail(why, PORCH_ERR_LIMIT,
                              "hub.name has more than %d names, or one that is too long",
                              PORCH_GUARD_NAMES);
        for (size_t i = 0; i < len; i++)
            names.names[names.count][i] = lower(text[i]);
        if (len > 0) names.count++;
        text += len + (text[len] == ' ' ? 1 : 0);
    }
    *ret = names;
    return PORCH_OK;
}

bool porch_guard_host_ok(const porch_guard_names *names, const char *host) {
    char name[256];
    size_t len;
    const char *rest;
    if (host == NULL) return false;
    if (host[0] == '[') {
        host++;
        len = strcspn(host, "]");
        if (host[len] != ']') return false;
        rest = host + len + 1;
    } else {
        len = strcspn(host, ":");
        rest = host + len;
    }
    if (len == 0 || len >= sizeof name) return false;
    if (*rest != '\0' && (*rest != ':' || rest[1] == '\0' ||
                          strspn(rest + 1, "0123456789") != strlen(rest + 1) || strlen(rest + 1) > 5))
        return false;
    for (size_t i = 0; i < len; i++)
        name[i] = lower(host[i]);
    name[len] = '\0';
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(name, names->names[i]) == 0) return true;
    return false;
}

bool porch_guard_origin_ok(const char *host, const char *origin) {
    static const char scheme[] = "https://";
    if (host == NULL || origin == NULL || strncmp(origin, scheme, sizeof scheme - 1) != 0) return false;
    origin += sizeof scheme - 1;
    size_t len = strlen(host);
    if (strlen(origin) != len || len == 0) return false;
    for (size_t i = 0; i < len; i++)
        if (lower(origin[i]) != lower(host[i])) return false;
    return true;
}

porch_guard_verdict porch_guard_judge(const porch_guard_names *names, const char *method, const char *host,
                                      const char *origin, const char *fetch_site, bool stream) {
    if (!porch_guard_host_ok(names, host)) return PORCH_GUARD_HOST;
    bool reading = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (!reading && !porch_guard_origin_ok(host, origin)) return PORCH_GUARD_ORIGIN;
    if (stream && fetch_site != NULL && strcmp(fetch_site, "same-origin") != 0) return PORCH_GUARD_SITE;
    return PORCH_GUARD_GO_ON;
}

bool porch_guard_people(void *ctx, porch_http_exchange *x) {
    const porch_guard_names *names = ctx;
    const char *path = porch_http_path(x);
    const char *origin = porch_http_header(x, "Origin");
    const char *site = porch_http_header(x, "Sec-Fetch-Site");
    bool stream = strcmp(path, "/api/v1/events/stream") == 0;
    if (strcmp(path, "/healthz") == 0) return true; /* probes come by address */
    bool websocket = strcmp(path, "/mqtt") == 0 || strcmp(path, "/api/v1/mqtt") == 0;
    if (websocket && !porch_guard_origin_ok(porch_http_header(x, "Host"), origin)) {
        (void)porch_http_problem(x, 403, "origin", "WebSockets are opened from the hub's own pages only");
        return false;
    }
    switch (porch_guard_judge(names, porch_http_method(x), porch_http_header(x, "Host"), origin, site,
                              stream)) {
    case PORCH_GUARD_HOST:
        (void)porch_http_problem(x, 421, "host",
                                 "this name is not one of the hub's; the setting hub.name holds them");
        return false;
    case PORCH_GUARD_ORIGIN:
        (void)porch_http_problem(x, 403, "origin", "changes are taken from the hub's own pages only");
        return false;
    case PORCH_GUARD_SITE:
        (void)porch_http_problem(x, 403, "origin", "live streams are opened from the hub's own pages only");
        return false;
    default:
        return true;
    }
}

bool porch_guard_device(void *ctx, porch_http_exchange *x) {
    (void)ctx;
    const char *origin = porch_http_header(x, "Origin");
    if (origin == NULL || porch_guard_origin_ok(porch_http_header(x, "Host"), origin)) return true;
    (void)porch_http_problem(x, 403, "origin", "another site's page asked; this door is for devices");
    return false;
}
